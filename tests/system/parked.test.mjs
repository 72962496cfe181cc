// 2,000 readers wait on one responder process. They cost memory and descriptors, but no threads; appends
// to other streams go on meanwhile; one append to each of their streams reaches all of them.

import { afterAll, beforeAll, expect, test } from "vitest"
import net from "node:net"
import { sleep, startServer, until, usage } from "./harness.mjs"
import { client, fresh } from "./http.mjs"

const LONG_POLL = 1000
const SSE = 1000
const STREAMS = 20

let server

beforeAll(async () => {
  server = await startServer({
    env: {
      DS_LONG_POLL_TIMEOUT_MS: "120000",
      DS_SSE_LIFETIME_MS: "120000",
    },
  })
})

afterAll(() => server?.stop())

/** A reader on a bare socket: 2,000 of them are cheap that way. */
function park(url, target) {
  const { hostname, port } = new URL(url)
  const reader = { received: "", ended: false, error: undefined }
  reader.socket = net.connect(Number(port), hostname, () =>
    reader.socket.write(`GET ${target} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
  )
  reader.socket.on("data", (data) => (reader.received += data))
  reader.socket.on("error", (error) => (reader.error = error))
  reader.socket.on("close", () => (reader.ended = true))
  return reader
}

test(
  `${LONG_POLL} long-poll and ${SSE} SSE readers wait without a thread`,
  { timeout: 180_000 },
  async () => {
    const api = client(server.url)
    const [pid] = server.pids()
    expect(server.pids().length, "responder processes").toBe(1)

    // idle, but after some work, so that all threads exist
    const busy = fresh("busy")
    await api.create(busy)
    const warm = await api.sse(`${busy}?offset=now&live=sse`)
    for (let i = 0; i < 10; i++)
      await Promise.all(Array.from({ length: 20 }, () => api.append(busy, "text/plain", "warm ")))
    warm.close()
    await sleep(300)
    const rest = usage(pid)

    const paths = Array.from({ length: STREAMS }, () => fresh("parked"))
    for (const path of paths) await api.create(path)
    const readers = []
    const slowest = { ms: 0 }
    const readersAsk = async (count, live) => {
      for (let i = 0; i < count; i++) {
        const path = paths[i % STREAMS]
        readers.push({
          live,
          path,
          ...{ reader: park(server.url, `${path}?offset=now&live=${live}`) },
        })
        if (i % 50 === 49) await sleep(5)
      }
    }
    await Promise.all([readersAsk(LONG_POLL, "long-poll"), readersAsk(SSE, "sse")])

    const state = () => {
      const silent = readers.filter(
        ({ live, reader }) => live === "sse" && !reader.received.includes("event: control")
      )
      const over = readers.filter(({ reader }) => reader.ended || reader.error)
      return `${usage(pid).descriptors} descriptors, ${silent.length} SSE readers without a first event, ${over.length} ended; first: ${over[0]?.reader.received.slice(0, 300)}`
    }
    await until(
      () =>
        usage(pid).descriptors >= rest.descriptors + LONG_POLL + SSE - 64 && // idle ones, kept alive, are reused
        readers.every(
          ({ live, reader }) => live !== "sse" || reader.received.includes("event: control")
        ),
      () => `all readers wait: ${state()}`,
      { timeout: 60_000, every: 200 }
    )

    // appends to another stream while they wait
    let appends = 0
    const end = Date.now() + 3000
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        while (Date.now() < end) {
          const answer = await api.post(busy, { "content-type": "text/plain" }, "x".repeat(256))
          expect(answer.status, answer.text).toBe(204)
          slowest.ms = Math.max(slowest.ms, answer.ms)
          appends++
        }
      })
    )
    expect(appends).toBeGreaterThan(50)
    const waiting = usage(pid)
    expect(
      readers.filter(({ reader }) => reader.ended || reader.error).length,
      "readers that ended too early"
    ).toBe(0)
    expect(
      readers.filter(({ live, reader }) => live === "long-poll" && reader.received).length,
      "long-polls answered too early"
    ).toBe(0)
    expect(waiting.threads, "threads while readers wait").toBeLessThanOrEqual(rest.threads)

    const began = performance.now()
    await Promise.all(paths.map((path) => api.append(path, "text/plain", `for readers of ${path}`)))
    await until(
      () => readers.every(({ path, reader }) => reader.received.includes(`for readers of ${path}`)),
      () =>
        `all readers got their message; missing ${readers.filter(({ path, reader }) => !reader.received.includes(`for readers of ${path}`)).length}: ${state()}`,
      { timeout: 30_000 }
    )
    const reached = performance.now() - began
    for (const { live, reader } of readers) {
      expect(reader.received).toMatch(/^HTTP\/1\.1 200 /)
      expect(
        reader.received.split("for readers of").length - 1,
        `once: ${live} ${reader.received}`
      ).toBe(1)
    }
    for (const { reader } of readers) reader.socket.destroy()

    console.log(
      `parked: threads ${rest.threads} at rest, ${waiting.threads} with ${readers.length} readers; ` +
        `RSS ${rest.rssKiB} KiB at rest, ${waiting.rssKiB} KiB with them (${((waiting.rssKiB - rest.rssKiB) / readers.length).toFixed(1)} KiB each); ` +
        `meanwhile ${appends} appends in 3 s, the slowest ${slowest.ms.toFixed(0)} ms; all readers reached in ${reached.toFixed(0)} ms`
    )

    // readers that left hold no resources
    await until(
      () => usage(pid).descriptors <= rest.descriptors + 80,
      () => `their descriptors are closed: ${usage(pid).descriptors}`,
      { timeout: 20_000 }
    )
  }
)
