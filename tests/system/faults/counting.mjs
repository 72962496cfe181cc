// `count` is exact, however many processes answer; also probability and jitter.

import fs from "node:fs"
import { afterAll, beforeAll, expect, test } from "vitest"
import { sqlite, startServer } from "../harness.mjs"
import { client } from "../http.mjs"
import { active, BODY, inject, makeStream, ON } from "./inject.mjs"

// ten FastCGI processes, and one of plain CGI for each request to the second server, on one database
let server, cgi

beforeAll(async () => {
  server = await startServer({ responders: 5, processes: 2, env: { ...ON, DS_WORKERS: "2" } })
  cgi = await startServer({ door: "lighttpd-cgi", database: server.database, env: ON })
})
afterAll(async () => {
  await cgi?.stop()
  await server?.stop()
})

/** Sends `count` requests, `parallel` at a time; returns the answers. */
async function burst(count, send, parallel = 64) {
  const answers = []
  let sent = 0
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (sent < count) answers.push(await send(sent++))
    })
  )
  return answers
}

const failed = (answers) => answers.filter(({ text }) => text === BODY).length

test("of 1,000 requests to ten processes and CGI, exactly 137 meet a fault with that count", async () => {
  expect(server.pids()).toHaveLength(10)
  const path = await makeStream(server.url)
  const [fast, slow] = [client(server.url), client(cgi.url)]
  await inject(cgi.url, path, { status: 503, count: 137 })
  const answers = await burst(1000, (i) => (i % 10 === 0 ? slow : fast).get(path))
  expect(answers).toHaveLength(1000)
  expect(failed(answers)).toBe(137)
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1000 - 137)
  expect(await active(server.url)).toEqual([])
})

test("with a probability of 0.2 a fifth of the requests fails, and only those count", async () => {
  const path = await makeStream(server.url)
  await inject(server.url, path, { status: 500, probability: 0.2, count: 100_000 })
  const answers = await burst(3000, () => client(server.url).get(path))
  const met = failed(answers)
  expect(met / 3000).toBeGreaterThan(0.16)
  expect(met / 3000).toBeLessThan(0.24)
  expect(await sqlite(server.database, `SELECT count FROM faults WHERE path = '${path}'`)).toBe(
    String(100_000 - met)
  )
  console.log(`faults: ${met} of 3000 requests met a fault of probability 0.2`)
})

test("probability 0 means never, and 1 always", async () => {
  const [never, always] = [await makeStream(server.url), await makeStream(server.url)]
  await inject(server.url, never, { status: 500, probability: 0, count: 5 })
  await inject(server.url, always, { status: 500, probability: 1, count: 50 })
  expect(failed(await burst(100, () => client(server.url).get(never)))).toBe(0)
  expect(failed(await burst(100, () => client(server.url).get(always)))).toBe(50)
  expect((await active(server.url)).find(({ path }) => path === never)).toMatchObject({ count: 5 })
})

test("counting does not let the write-ahead log grow without end", async () => {
  const own = await startServer({ env: { ...ON, DS_WAL_BYTES: "65536", DS_DURABILITY: "normal" } })
  try {
    const path = await makeStream(own.url)
    await inject(own.url, path, { status: 500, count: 100_000 })
    // each has a commit of its own, of a page at least
    expect(failed(await burst(9000, () => client(own.url).get(path)))).toBe(9000)
    const { size } = fs.statSync(`${own.database}-wal`)
    expect(size).toBeLessThan(9000 * 4096 * 0.5)
  } finally {
    await own.stop()
  }
})

test("jitter spreads delays from delayMs to delayMs + jitterMs", async () => {
  const path = await makeStream(server.url)
  await inject(server.url, path, { delayMs: 100, jitterMs: 600, count: 100 })
  const times = (await burst(100, () => client(server.url).get(path), 100)).map(({ ms }) => ms)
  times.sort((a, b) => a - b)
  expect(times[0]).toBeGreaterThanOrEqual(100)
  // a fixed delay would have them all within what the machine adds
  expect(times.at(-1) - times[0]).toBeGreaterThan(300)
  expect(times.at(-1)).toBeGreaterThan(500)
  console.log(
    `faults: 100 delays of 100 ms + 0..600 ms were ${times[0].toFixed(0)} to ` +
      `${times.at(-1).toFixed(0)} ms, median ${times[50].toFixed(0)} ms`
  )
})
