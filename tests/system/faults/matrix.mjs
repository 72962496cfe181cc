// Every kind of fault at every door: what a client sees on its socket. The results go to
// build/faults.md, which tests/run.sh prints.

import fs from "node:fs"
import path from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { build, sleep, startServer, until } from "../harness.mjs"
import { client, connect, fresh } from "../http.mjs"
import { active, BODY, inject, makeStream, ON } from "./inject.mjs"

// nginx's site can cut a client off by itself, the others need an option
const DOORS = {
  nginx: [],
  lighttpd: ["faults"],
  "lighttpd-cgi": ["faults"],
  "apache-proxy": ["faults"],
  "apache-fcgid": ["faults"],
  "apache-cgi": ["faults"],
}
const MESSAGES = 200

const servers = {}
const cells = new Map()

beforeAll(async () => {
  await Promise.all(
    Object.entries(DOORS).map(async ([door, options]) => {
      const env = { ...ON, DS_LONG_POLL_TIMEOUT_MS: "20000" }
      servers[door] = await startServer({ door, options, env })
    })
  )
}, 60_000)

afterAll(async () => {
  fs.writeFileSync(path.join(build, "faults.md"), table())
  await Promise.all(Object.values(servers).map((server) => server.stop()))
})

/** The cells as a Markdown table whose columns also line up on a terminal. */
function table() {
  const doors = Object.keys(DOORS)
  const rows = [
    ["fault, request", ...doors],
    ...[...cells].map(([name, found]) => [name, ...doors.map((door) => found[door] ?? "–")]),
  ]
  const widths = rows[0].map((_, i) => Math.max(...rows.map((cells) => cells[i].length)))
  rows.splice(
    1,
    0,
    widths.map((width) => "-".repeat(width))
  )
  return rows
    .map((cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |\n`)
    .join("")
}

/** Runs one case at all doors at the same time; its result is the cell. */
function row(name, run) {
  test(`at every door: ${name}`, { timeout: 60_000 }, async () => {
    const found = {}
    cells.set(name, found)
    await Promise.all(
      Object.entries(servers).map(async ([door, { url }]) => {
        try {
          found[door] = await run({ door, url, api: client(url), stream: await makeStream(url, 5) })
        } catch (error) {
          found[door] = "failed"
          error.message = `${door}: ${error.message}`
          throw error
        }
      })
    )
  })
}

/** One request, written by hand, on a connection that both sides may go on using. */
async function see(url, method, target, { body, type = "application/json", timeout } = {}) {
  const began = performance.now()
  const wire = await connect(url, { timeout })
  wire.send(
    `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
      (body === undefined ? "" : `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n`) +
      `\r\n${body ?? ""}`
  )
  const answer = await wire.answer(method)
  const result = { answer, over: wire.over, rest: wire.received(), ms: performance.now() - began }
  wire.drop()
  return result
}

const after = (ms) => `after ${Math.round(ms)} ms`

/** Checks that the connection ended before a single byte came. */
function expectCut({ answer, over, rest }) {
  expect(answer?.head ?? rest).toBe("")
  expect(over).toBe(true)
  return `cut, ${rest.length} bytes`
}

/** Checks for a whole answer with this status and the headers of every injected one. */
function expectFailure({ answer }, status, method) {
  expect(answer.status).toBe(status)
  expect(answer.headers["content-type"]).toMatch(/^text\/plain/)
  expect(answer.headers["ds-test-endpoints"]).toBe("on")
  expect(answer.body).toBe(method === "HEAD" ? "" : BODY)
  const after = answer.headers["retry-after"]
  return `${status}${after ? `, Retry-After: ${after}` : ""}`
}

async function expectMessages(api, stream, count) {
  expect((await api.readJson(stream)).messages).toHaveLength(count)
}

/** A reader that waits at the tail while `fault` is set and a message of so many bytes comes. */
async function longPoll({ url, api, stream }, fault, text) {
  const tail = (await api.head(stream)).headers["stream-next-offset"]
  await inject(url, stream, { ...fault, method: "GET" })
  const waiting = see(url, "GET", `${stream}?offset=${tail}&live=long-poll`, { timeout: 20_000 })
  await until(async () => (await active(url)).every(({ path }) => path !== stream), "it waits")
  // another reader at the same place gets the message unchanged
  const other = see(url, "GET", `${stream}?offset=${tail}&live=long-poll`, { timeout: 20_000 })
  await sleep(50)
  await api.append(stream, "application/json", JSON.stringify(text))
  // as bytes, which is how answers are compared here
  const clean = Buffer.from(JSON.stringify([text])).toString("latin1")
  expect((await other).answer.body).toBe(clean)
  return { seen: await waiting, clean }
}

/** Share of the bytes that differ, in per cent. */
function changed(body, clean) {
  let bytes = 0
  for (let i = 0; i < body.length; i++) bytes += body[i] !== clean[i]
  return (bytes * 100) / body.length
}

function expectCorrupt({ answer }, clean) {
  expect(answer.status).toBe(200)
  expect(answer.body).toHaveLength(clean.length)
  expect(Number(answer.headers["content-length"])).toBe(clean.length)
  expect(answer.headers["content-type"]).toBe("application/json")
  // still UTF-8, for clients that must decode it before they can see the damage
  const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(answer.body, "latin1"))
  expect(() => JSON.parse(text)).toThrow()
  const share = changed(answer.body, clean)
  expect(share).toBeGreaterThan(2.2)
  expect(share).toBeLessThan(3.8)
  return `200, ${share.toFixed(1)} % of the bytes`
}

function expectShort({ answer }, clean, bytes) {
  expect(answer.status).toBe(200)
  expect(answer.body).toBe(clean.slice(0, bytes))
  expect(Number(answer.headers["content-length"])).toBe(bytes)
  return `200, ${bytes} of ${clean.length} bytes`
}

// --------------------------------------------------------------------------------------- status

row("status 500, GET", async ({ url, stream }) => {
  await inject(url, stream, { status: 500 })
  return expectFailure(await see(url, "GET", stream), 500)
})

row("status 503 and Retry-After, POST: nothing stored", async ({ url, api, stream }) => {
  await inject(url, stream, { status: 503, retryAfter: 7 })
  const cell = expectFailure(await see(url, "POST", stream, { body: "[1]" }), 503)
  await expectMessages(api, stream, 5)
  return cell
})

row("status 429 and Retry-After, HEAD", async ({ url, stream }) => {
  await inject(url, stream, { status: 429, retryAfter: 2 })
  return expectFailure(await see(url, "HEAD", stream), 429, "HEAD")
})

row("status 400, PUT: nothing created", async ({ url, api }) => {
  const stream = fresh()
  await inject(url, stream, { status: 400 })
  const cell = expectFailure(await see(url, "PUT", stream, { body: "" }), 400)
  expect((await api.head(stream)).status).toBe(404)
  return cell
})

// ---------------------------------------------------------------------------------------- drops

for (const [method, what] of [
  ["GET", ""],
  ["HEAD", ""],
  ["POST", ": nothing stored"],
  ["PUT", ": nothing created"],
  ["DELETE", ": nothing deleted"],
])
  row(`dropConnection, ${method}${what}`, async ({ url, api, stream }) => {
    const target = method === "PUT" ? fresh() : stream
    await inject(url, target, { dropConnection: true, count: 2 })
    const body = method[0] === "P" ? "[1]" : undefined
    const cell = expectCut(await see(url, method, target, { body }))
    expectCut(await see(url, method, target, { body }))
    expect((await api.head(target)).status).toBe(method === "PUT" ? 404 : 200)
    await expectMessages(api, stream, 5)
    return cell
  })

row("delayMs 300 and dropConnection, POST: nothing stored", async ({ url, api, stream }) => {
  await inject(url, stream, { delayMs: 300, dropConnection: true, status: 503 })
  const seen = await see(url, "POST", stream, { body: "[1]" })
  expect(seen.ms).toBeGreaterThanOrEqual(300)
  await expectMessages(api, stream, 5)
  return `${expectCut(seen)}, ${after(seen.ms)}`
})

row("dropConnection, an SSE reader", async ({ url, stream }) => {
  await inject(url, stream, { dropConnection: true })
  return expectCut(await see(url, "GET", `${stream}?offset=-1&live=sse`))
})

// --------------------------------------------------------------------------------------- delays

row("delayMs 300, GET", async ({ url, api, stream }) => {
  await inject(url, stream, { delayMs: 300 })
  const { answer, ms } = await see(url, "GET", stream)
  expect(ms).toBeGreaterThanOrEqual(300)
  expect(answer.body).toBe((await api.get(stream)).text)
  return `${answer.status}, ${after(ms)}`
})

row("delayMs 200, jitterMs 200 and status 503, POST", async ({ url, api, stream }) => {
  await inject(url, stream, { delayMs: 200, jitterMs: 200, status: 503 })
  const seen = await see(url, "POST", stream, { body: "[1]" })
  expect(seen.ms).toBeGreaterThanOrEqual(200)
  await expectMessages(api, stream, 5)
  return `${expectFailure(seen, 503)}, ${after(seen.ms)}`
})

row("delayMs 200, POST: stored once", async ({ url, api, stream }) => {
  await inject(url, stream, { delayMs: 200 })
  const { answer, ms } = await see(url, "POST", stream, { body: "[1]" })
  expect([answer.status, ms >= 200]).toEqual([204, true])
  await expectMessages(api, stream, 6)
  return `${answer.status}, ${after(ms)}`
})

// --------------------------------------------------------------------------------------- bodies

row("truncateBodyBytes 50, a catch-up", async ({ url, api, stream }) => {
  await inject(url, stream, { truncateBodyBytes: 50 })
  const seen = await see(url, "GET", stream)
  return expectShort(seen, (await api.get(stream)).text, 50)
})

row("truncateBodyBytes 0, a catch-up", async ({ url, api, stream }) => {
  await inject(url, stream, { truncateBodyBytes: 0 })
  const seen = await see(url, "GET", stream)
  return expectShort(seen, (await api.get(stream)).text, 0)
})

row("truncateBodyBytes 50, a long-poll that waited", async (at) => {
  const { seen, clean } = await longPoll(at, { truncateBodyBytes: 50 }, "x".repeat(500))
  return expectShort(seen, clean, 50)
})

row("corruptBody, a catch-up", async ({ url }) => {
  const stream = await makeStream(url, MESSAGES)
  await inject(url, stream, { corruptBody: true })
  const seen = await see(url, "GET", stream)
  return expectCorrupt(seen, (await client(url).get(stream)).text)
})

row("corruptBody, a long-poll that waited", async (at) => {
  const { seen, clean } = await longPoll(at, { corruptBody: true }, "yé€".repeat(1500))
  return expectCorrupt(seen, clean)
})

row("corruptBody and truncateBodyBytes, SSE: untouched, counted", async ({ url, api, stream }) => {
  await inject(url, stream, { corruptBody: true, truncateBodyBytes: 3 })
  const reader = await api.sse(`${stream}?offset=-1&live=sse`)
  const event = await reader.waitFor(({ type }) => type === "data")
  expect(event.data).toBe((await api.get(stream)).text)
  reader.close()
  expect((await active(url)).filter(({ path }) => path === stream)).toEqual([])
  return "all of the data"
})

// ------------------------------------------------------------------------------------------ SSE

row("injectSseEvent, SSE", async ({ url, api, stream }) => {
  await inject(url, stream, { injectSseEvent: { eventType: "odd", data: "one\ntwo" } })
  const reader = await api.sse(`${stream}?offset=-1&live=sse`)
  await reader.waitFor(({ control }) => control)
  expect(reader.headers["content-type"]).toBe("text/event-stream")
  expect(reader.events.map(({ type }) => type)).toEqual(["odd", "data", "control"])
  expect(reader.received).toMatch(/^event: odd\ndata:one\ndata:two\n\nevent: data\n/)
  reader.close()
  return "its event, then the stream's"
})

row("injectSseEvent, a catch-up: nothing, counted", async ({ url, stream }) => {
  await inject(url, stream, { injectSseEvent: { eventType: "odd", data: "x" } })
  const { answer } = await see(url, "GET", stream)
  expect(answer.status).toBe(200)
  expect(answer.body).not.toContain("odd")
  expect((await active(url)).filter(({ path }) => path === stream)).toEqual([])
  return "200, as ever"
})

// -------------------------------------------------------------------------------------- choices

row("method POST: others are spared", async ({ url, stream }) => {
  await inject(url, stream, { status: 503, method: "post" })
  expect((await see(url, "GET", stream)).answer.status).toBe(200)
  expect((await see(url, "HEAD", stream)).answer.status).toBe(200)
  expectFailure(await see(url, "POST", stream, { body: "[1]" }), 503)
  expect((await see(url, "POST", stream, { body: "[1]" })).answer.status).toBe(204)
  return "GET, HEAD 200, POST 503, 204"
})

row("count 3", async ({ url, stream }) => {
  await inject(url, stream, { status: 502, count: 3 })
  const statuses = []
  for (let i = 0; i < 5; i++) statuses.push((await see(url, "GET", stream)).answer.status)
  expect(statuses).toEqual([502, 502, 502, 200, 200])
  return statuses.join(" ")
})

row("OPTIONS: never", async ({ url, stream }) => {
  await inject(url, stream, { dropConnection: true })
  expect((await see(url, "OPTIONS", stream)).answer.status).toBe(204)
  expectCut(await see(url, "GET", stream))
  return "204"
})
