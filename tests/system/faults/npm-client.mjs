// How the published client, @durable-streams/client, reacts to the faults.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { DurableStream, stream as read } from "@durable-streams/client"
import { startServer, until } from "../harness.mjs"
import { client, fresh } from "../http.mjs"
import { inject, ON } from "./inject.mjs"

let server

beforeAll(async () => {
  server = await startServer({ responders: 2, env: { ...ON, DS_LONG_POLL_TIMEOUT_MS: "1000" } })
})
afterAll(() => server?.stop())

/** A stream with one message, its handle, and the number of failed requests of the client. */
async function open() {
  const path = fresh("client")
  const at = { path, url: server.url + path, failed: 0 }
  at.backoffOptions = {
    initialDelay: 10,
    maxDelay: 50,
    multiplier: 1.3,
    onFailedAttempt: () => at.failed++,
  }
  const { url, backoffOptions } = at
  at.handle = await DurableStream.create({ url, contentType: "application/json", backoffOptions })
  await at.handle.append(JSON.stringify({ first: 1 }))
  at.readJson = async () => (await read({ url, json: true, live: false, backoffOptions })).json()
  at.append = (message) => at.handle.append(JSON.stringify(message))
  at.stored = async () => (await client(server.url).readJson(path)).messages
  return at
}

describe.each([
  ["three 500", { status: 500, count: 3 }, 3],
  ["two 503", { status: 503, count: 2 }, 2],
  ["two cut connections", { dropConnection: true, count: 2 }, 2],
  ["a 502 after a delay", { status: 502, delayMs: 50 }, 1],
])("%s", (name, fault, failures) => {
  test("are retried by a reader, which gets all data", async () => {
    const at = await open()
    await inject(server.url, at.path, fault)
    expect(await at.readJson()).toEqual([{ first: 1 }])
    expect(at.failed).toBe(failures)
  })

  test("are retried by an append, which is stored once", async () => {
    const at = await open()
    await inject(server.url, at.path, { ...fault, method: "POST" })
    await at.append({ second: 2 })
    expect(at.failed).toBe(failures)
    expect(await at.stored()).toEqual([{ first: 1 }, { second: 2 }])
  })
})

test("429 is retried, and not before Retry-After has passed", async () => {
  const at = await open()
  await inject(server.url, at.path, { status: 429, retryAfter: 1 })
  const began = performance.now()
  expect(await at.readJson()).toEqual([{ first: 1 }])
  expect(performance.now() - began).toBeGreaterThan(950)
  expect(at.failed).toBe(1)
})

test("400 is not retried", async () => {
  const at = await open()
  await inject(server.url, at.path, { status: 400, count: 2 })
  await expect(at.readJson()).rejects.toMatchObject({ status: 400 })
  await expect(at.append({ second: 2 })).rejects.toMatchObject({ status: 400 })
  expect(at.failed).toBe(2)
  expect(await at.stored()).toEqual([{ first: 1 }])
})

test.each([
  ["cut short", { truncateBodyBytes: 5 }],
  ["corrupted", { corruptBody: true }],
])("JSON that was %s is an error, and nothing wrong is handed on", async (name, fault) => {
  const at = await open()
  await inject(server.url, at.path, fault)
  await expect(at.readJson()).rejects.toMatchObject({ code: "PARSE_ERROR" })
  expect(at.failed).toBe(0)
  expect(await at.readJson()).toEqual([{ first: 1 }])
})

test("a slow answer is waited for", async () => {
  const at = await open()
  await inject(server.url, at.path, { delayMs: 400, jitterMs: 100 })
  const began = performance.now()
  expect(await at.readJson()).toEqual([{ first: 1 }])
  expect(performance.now() - began).toBeGreaterThanOrEqual(400)
  expect(at.failed).toBe(0)
})

test("an SSE event of an unknown type is ignored", async () => {
  const at = await open()
  await inject(server.url, at.path, { injectSseEvent: { eventType: "unknown", data: "what?" } })
  const items = []
  const response = await read({ url: at.url, json: true, live: "sse", offset: "-1" })
  response.closed?.catch(() => {})
  response.subscribeJson(async (batch) => void items.push(...batch.items))
  await at.append({ second: 2 })
  await until(() => items.length >= 2, "both messages")
  expect(items).toEqual([{ first: 1 }, { second: 2 }])
  response.cancel()
})

test(
  "with 40 % of all requests failing or cut, a reader gets 60 appends once and in order",
  { timeout: 60_000 },
  async () => {
    const at = await open()
    const { url, backoffOptions } = at
    const seen = []
    const response = await read({ url, json: true, live: "long-poll", offset: "-1", backoffOptions })
    response.closed?.catch(() => {})
    response.subscribeJson(async (batch) => void seen.push(...batch.items))
    for (let i = 0; i < 60; i++) {
      const kind = i % 2 === 0 ? { status: 500 } : { dropConnection: true }
      await inject(server.url, at.path, { ...kind, probability: 0.4, count: 1000 })
      await at.append({ i })
    }
    await until(() => seen.length >= 61, () => `${seen.length} of 61 messages`, { timeout: 40_000 })
    expect(seen).toEqual([{ first: 1 }, ...Array.from({ length: 60 }, (_, i) => ({ i }))])
    expect(at.failed).toBeGreaterThan(10)
    response.cancel()
  }
)
