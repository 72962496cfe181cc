// The published client, @durable-streams/client, against three responders. An idempotent producer writes
// 1,000 messages while readers follow live, the server is restarted in the middle, and a reader that had
// gone away resumes from the offset it saved. No message may be lost, repeated or out of order. Also the
// published Yjs server, @durable-streams/y-durable-streams, which makes up offsets of its own.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { YjsProvider } from "@durable-streams/y-durable-streams"
import { YjsServer } from "@durable-streams/y-durable-streams/server"
import * as Y from "yjs"
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
 * The producer does not retry by itself after server errors and broken connections; it leaves that to
 * its fetch. This fetch repeats a request until it is answered, which is safe because of its sequence.
 */
async function patientFetch(url, options) {
  for (;;) {
    const answer = await fetch(url, options).catch(() => undefined)
    if (answer && answer.status < 500) return answer
    await answer?.arrayBuffer()
    await sleep(20)
  }
}

/** Follows the stream; ids are in the order of arrival, offset is the one after the last. */
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
  test("no message is lost or repeated, across a restart and a resume", async () => {
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
    await sleep(200) // in case more comes, which it must not
    steady.stop()
    resumed.stop()

    expect(steady.ids, describeIds(steady.ids)).toEqual(expected)
    expect([...seen, ...resumed.ids], describeIds([...seen, ...resumed.ids])).toEqual(expected)

    const caughtUp = await stream({ url, offset: "-1", live: false })
    expect((await caughtUp.json()).map((item) => item.id)).toEqual(expected)
  })
})

test("a following reader sees a producer's close with a last message as the end", async () => {
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

test("text over SSE reads the same whether it is appended whole or split at any place", async () => {
  const text = "a\r\nb\rc\n\r\n\r\rd\n\ne\r\n"
  // the client catches up without SSE first, and then has the line ends as they were written
  const lines = (seen) => seen.replace(/\r\n?/g, "\n")
  const read = async (url) => {
    const response = await stream({ url, offset: "-1", live: "sse" })
    let seen = ""
    response.subscribeText(async (chunk) => void (seen += chunk.text))
    await response.closed
    await until(
      () => lines(seen).length >= whole.length, // the last chunk comes a little after the end
      () => `${JSON.stringify(seen)} of ${JSON.stringify(whole)}`
    )
    return lines(seen)
  }
  const close = { method: "POST", headers: { "stream-closed": "true" } }
  const whole = lines(text)
  const wholes = []
  for (let cut = 0; cut <= text.length; cut++) {
    const url = server.url + fresh("client-text")
    const handle = await DurableStream.create({ url, contentType: "text/plain" })
    const early = read(url)
    for (const part of [text.slice(0, cut), text.slice(cut)]) if (part) await handle.append(part)
    await fetch(url, close)
    wholes.push(await early, await read(url))
  }
  expect(wholes).toEqual(wholes.map(() => whole))
})

test("a Yjs document syncs after a compaction, with the later updates", async () => {
  const yjs = new YjsServer({ port: 0, dsServerUrl: server.url, compactionThreshold: 500 })
  await yjs.start()
  const providers = []
  const open = async () => {
    const doc = new Y.Doc()
    const provider = new YjsProvider({ doc, baseUrl: `${yjs.url}/v1/yjs/test`, docId: "minutes" })
    providers.push(provider)
    await until(() => provider.synced, "the document syncs")
    return doc.getText("content")
  }
  try {
    const first = await open()
    const compacted = async () => {
      const url = `${yjs.url}/v1/yjs/test/docs/minutes?offset=snapshot`
      const answer = await fetch(url, { redirect: "manual" })
      await answer.arrayBuffer()
      return answer.headers.get("location")?.includes("_snapshot")
    }
    for (let i = 0; !(await compacted()); i++) {
      expect(i, "updates until it was compacted").toBeLessThan(500)
      first.insert(first.length, "x".repeat(100))
      await sleep(20)
    }
    await until(() => providers[0].synced, "all updates are stored")
    const second = await open()
    await until(
      () => second.toString() === first.toString(),
      () => `${second.length} of ${first.length} characters`
    )
    // both go on: the offset that they wait at is one beyond what the snapshot has
    first.insert(first.length, "!")
    await until(() => second.toString() === first.toString(), "an update after the compaction")
    second.insert(0, "?")
    await until(() => second.toString() === first.toString(), "one of the second client")
    expect((await open()).toString()).toBe(first.toString())
  } finally {
    for (const provider of providers) provider.destroy()
    await yjs.stop()
  }
})
