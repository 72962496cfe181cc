// The published client, @durable-streams/client, against three responders: an idempotent producer
// writes 1,000 messages while readers tail live, the server is restarted in the middle, and a reader
// that had gone away resumes from the offset it saved. Nothing lost, nothing twice, in order.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { sleep, startServer, until } from "./harness.mjs"
import { fresh } from "./http.mjs"

const MESSAGES = 1000
const expected = Array.from({ length: MESSAGES }, (_, i) => i)

let server

beforeAll(async () => {
  server = await startServer({ responders: 3, env: { DS_LONG_POLL_TIMEOUT_MS: "2000" } })
})

afterAll(() => server?.stop())

/**
 * The producer leaves retries of server errors and broken connections to its fetch, and repeats
 * nothing itself: this one repeats a request until it is answered, which its sequence makes safe.
 */
async function patientFetch(url, options) {
  for (;;) {
    const answer = await fetch(url, options).catch(() => undefined)
    if (answer && answer.status < 500) return answer
    await answer?.arrayBuffer()
    await sleep(20)
  }
}

/** Tails the stream; ids come in the order of arrival, offset is that after the last of them. */
async function tail(url, live, offset = "-1") {
  const abort = new AbortController()
  const reader = { ids: [], offset, stop: () => abort.abort() }
  const response = await stream({ url, offset, live, json: true, signal: abort.signal })
  response.closed?.catch(() => {})
  response.subscribeJson(async (batch) => {
    for (const item of batch.items) reader.ids.push(item.id)
    reader.offset = batch.offset
  })
  return reader
}

const describeIds = (ids) =>
  `${ids.length} messages; missing ${expected.filter((i) => !ids.includes(i)).slice(0, 20)}; ` +
  `twice ${ids.filter((id, i) => ids.indexOf(id) !== i).slice(0, 20)}`

describe.each([["long-poll"], ["sse"]])("a producer, and readers that tail with %s", (live) => {
  test("nothing is lost and nothing comes twice, across a restart and a resume", async () => {
    const url = server.url + fresh(`client-${live}`)
    const handle = await DurableStream.create({ url, contentType: "application/json" })
    const errors = []
    const producer = new IdempotentProducer(handle, "producer-1", {
      lingerMs: 2,
      maxBatchBytes: 2048, // so that it takes many requests
      fetch: patientFetch,
      onError: (error) => errors.push(error),
    })

    const steady = await tail(url, live)
    const leaver = await tail(url, live)

    for (const i of expected.slice(0, 400)) {
      producer.append(JSON.stringify({ id: i, text: `message ${i}` }))
      if (i % 20 === 0) await sleep(2)
    }
    await until(
      () => leaver.ids.length >= 100,
      () => `the reader has ${leaver.ids.length} messages`
    )
    leaver.stop()
    await sleep(50)
    const seen = [...leaver.ids]
    const saved = leaver.offset

    // the restart comes while requests are under way
    const restarted = (async () => {
      await sleep(30)
      return server.restart("SIGTERM")
    })()
    for (const i of expected.slice(400)) {
      producer.append(JSON.stringify({ id: i, text: `message ${i}` }))
      if (i % 20 === 0) await sleep(2)
    }
    for (const how of await restarted) expect(how).toMatchObject({ code: 0, killed: false })
    await producer.flush()
    await producer.detach()
    expect(errors).toEqual([])

    const resumed = await tail(url, live, saved)
    await until(
      () => steady.ids.length >= MESSAGES,
      () => `steady reader: ${describeIds(steady.ids)}`,
      {
        timeout: 30_000,
      }
    )
    await until(
      () => seen.length + resumed.ids.length >= MESSAGES,
      () => `resumed reader: ${describeIds([...seen, ...resumed.ids])}`,
      { timeout: 30_000 }
    )
    await sleep(200) // for what should not come
    steady.stop()
    resumed.stop()

    expect(steady.ids, describeIds(steady.ids)).toEqual(expected)
    expect([...seen, ...resumed.ids], describeIds([...seen, ...resumed.ids])).toEqual(expected)

    const caughtUp = await stream({ url, offset: "-1", live: false })
    expect((await caughtUp.json()).map((item) => item.id)).toEqual(expected)
  })
})

test("a producer's close with a last message is seen as the end by a tailing reader", async () => {
  const url = server.url + fresh("client-close")
  const handle = await DurableStream.create({ url, contentType: "application/json" })
  const producer = new IdempotentProducer(handle, "producer-1")
  const items = []
  const response = await stream({ url, offset: "-1", live: "sse", json: true })
  response.subscribeJson(async (batch) => void items.push(...batch.items))
  producer.append(JSON.stringify({ id: 0 }))
  await producer.flush()
  await producer.close(JSON.stringify({ id: 1 }))
  await response.closed // which it is only because the stream was closed
  await until(
    () => items.length === 2,
    () => JSON.stringify(items)
  )
  expect(items).toEqual([{ id: 0 }, { id: 1 }])
})
