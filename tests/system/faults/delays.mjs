// Delayed requests wait at the live desk: they hold no worker, notice a client that has left, and
// are carried out when the server stops.

import { expect, test } from "vitest"
import { startServer, until, usage } from "../harness.mjs"
import { client, connect, fresh } from "../http.mjs"
import { active, BODY, inject, makeStream, ON } from "./inject.mjs"

const JSON_TYPE = { "content-type": "application/json" }

async function withServer(options, run) {
  const server = await startServer({ ...options, env: { ...ON, ...options.env } })
  try {
    await run(server, client(server.url))
  } finally {
    await server.stop()
  }
}

test("200 delayed requests hold neither of two workers", { timeout: 60_000 }, () =>
  withServer({ env: { DS_WORKERS: "2" } }, async (server, api) => {
    const [slow, quick] = [await makeStream(server.url), await makeStream(server.url)]
    const [pid] = server.pids()
    const threads = usage(pid).threads
    await inject(server.url, slow, { delayMs: 10_000, count: 200 })
    let answered = 0
    const delayed = Array.from({ length: 200 }, async (_, i) => {
      const answer = await (i % 2 === 0
        ? api.get(slow, {}, { fresh: true })
        : api.post(slow, JSON_TYPE, `{"i":${i}}`, { fresh: true }))
      answered++
      return answer
    })
    await until(async () => (await active(server.url)).length === 0, "all of them wait")
    for (let i = 0; i < 100; i++) {
      expect((await api.get(quick)).status).toBe(200)
      expect((await api.post(quick, JSON_TYPE, "1")).status).toBe(204)
    }
    expect(usage(pid).threads).toBeLessThanOrEqual(threads)
    expect(answered, "delayed requests that were answered before 200 others").toBe(0)
    for (const { status, ms } of await Promise.all(delayed)) {
      expect([200, 204]).toContain(status)
      expect(ms).toBeGreaterThanOrEqual(10_000)
    }
    expect((await api.readJson(slow)).messages).toHaveLength(2 + 100)
  })
)

test("after the delay a long-poll or SSE reader waits as usual", () =>
  withServer({ env: { DS_LONG_POLL_TIMEOUT_MS: "20000" } }, async (server, api) => {
    const path = await makeStream(server.url)
    await inject(server.url, path, { delayMs: 200, count: 2 })
    const { headers } = await api.head(path)
    const poll = api.get(`${path}?offset=${headers["stream-next-offset"]}&live=long-poll`)
    await until(async () => (await active(server.url)).length === 0, "the long-poll is delayed")
    await inject(server.url, path, { delayMs: 200 })
    const reader = await api.sse(`${path}?offset=now&live=sse`)
    await reader.waitFor((event) => event.control)
    await api.post(path, JSON_TYPE, '{"late":1}')
    expect((await poll).text).toBe('[{"late":1}]')
    await reader.waitFor((event) => event.data === '[{"late":1}]')
    reader.close()
  }))

test("the request of a client that leaves is not carried out", () =>
  withServer({}, async (server, api) => {
    const path = await makeStream(server.url)
    const [pid] = server.pids()
    await api.get(path)
    const rest = usage(pid).descriptors
    await inject(server.url, path, { delayMs: 3_600_000, count: 20 })
    const body = '{"never":1}'
    const wires = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const wire = await connect(server.url)
        wire.send(
          `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
            `Content-Length: ${body.length}\r\n\r\n${body}`
        )
        return wire
      })
    )
    await until(async () => (await active(server.url)).length === 0, "all of them wait")
    expect(usage(pid).descriptors).toBeGreaterThanOrEqual(rest + 10)
    wires.forEach((wire) => wire.drop())
    await until(
      () => usage(pid).descriptors <= rest + 5,
      () => `their connections are closed: ${usage(pid).descriptors}, ${rest} at rest`
    )
    expect((await api.get(path)).text).not.toContain("never")
  }))

test("a server that stops carries out delayed requests at once", { timeout: 60_000 }, () =>
  withServer({ env: { DS_STOP_TIMEOUT_MS: "8000" } }, async (server, api) => {
    const path = await makeStream(server.url)
    const failing = await makeStream(server.url)
    const created = fresh("created")
    await inject(server.url, path, { delayMs: 3_600_000, count: 22 })
    await inject(server.url, failing, { delayMs: 3_600_000, status: 503 })
    await inject(server.url, created, { delayMs: 3_600_000 })
    const appends = Array.from({ length: 20 }, (_, i) => api.post(path, JSON_TYPE, `{"i":${i}}`))
    const reads = [
      api.get(path),
      api.get(`${path}?offset=now&live=long-poll`),
      api.get(failing),
      api.put(created, JSON_TYPE),
    ]
    await until(async () => (await active(server.url)).length === 0, "all of them wait")
    const began = performance.now()
    const [how] = await server.restart()
    expect(how).toMatchObject({ code: 0, killed: false })
    expect(performance.now() - began, "it did not wait for the time to run out").toBeLessThan(8000)
    for (const answer of await Promise.all(appends)) expect(answer.status).toBe(204)
    const [read, poll, failure, put] = await Promise.all(reads)
    expect(read.status).toBe(200)
    expect([200, 204]).toContain(poll.status)
    expect([failure.status, failure.text]).toEqual([503, BODY])
    expect(put.status).toBe(201)
    expect((await api.readJson(path)).messages).toHaveLength(2 + 20)
    expect(server.logs()).not.toMatch(/not answered in time/)
  })
)
