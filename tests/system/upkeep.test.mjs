// The work beside the requests: expired streams are swept, the rows of deleted streams are removed
// in slices, the write-ahead log stays bounded, and a stop is graceful.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { spawn } from "node:child_process"
import fs from "node:fs"
import { end, full, isAlive, sanitized, sleep, sqlite, startServer, until } from "./harness.mjs"
import { client, fresh, request } from "./http.mjs"

const MIB = 1 << 20
const TEXT = { "content-type": "text/plain" }
const JSON_TYPE = { "content-type": "application/json" }

describe("space", () => {
  let server, api

  beforeAll(async () => {
    server = await startServer({ responders: 2 })
    api = client(server.url)
  })
  afterAll(() => server?.stop())

  const count = async (table, where = "1") =>
    Number(await sqlite(server.database, `select count(*) from ${table} where ${where}`))

  test("expired streams are swept from the database, others stay", async () => {
    const stays = fresh("stays")
    await api.create(stays, "text/plain", "x", { "stream-ttl": "3600" })
    const soon = new Date(Date.now() + 1500).toISOString()
    const paths = Array.from({ length: 50 }, () => fresh("expires"))
    await Promise.all(
      paths.map((path, i) =>
        api.create(
          path,
          "text/plain",
          "payload that expires",
          i % 2 ? { "stream-ttl": "1" } : { "stream-expires-at": soon }
        )
      )
    )
    expect(await count("stream", "path like '%/expires-%'")).toBe(50)
    await sleep(1600)
    // gone for clients at once ...
    for (const path of paths) expect((await api.head(path)).status).toBe(404)
    // ... and from the disk soon after
    await until(
      async () =>
        (await count("stream", "path like '%/expires-%'")) === 0 &&
        (await count("message", "cast(payload as text) = 'payload that expires'")) === 0,
      async () =>
        `swept: ${await sqlite(server.database, "select path, state, expires from stream_overview")}`,
      { timeout: 30_000, every: 500 }
    )
    expect((await api.get(stays)).text).toBe("x")
  })

  const MESSAGES = full ? 1_000_000 : 200_000

  test(
    `a stream of ${MESSAGES} messages is deleted at once, its space used again, and nobody held up`,
    { timeout: 180_000 },
    async () => {
      const fill = async () => {
        const path = fresh("large")
        await api.create(path, "application/json")
        const batch = `[${Array.from({ length: 10_000 }, (_, i) => `{"n":${i},"pad":"${"x".repeat(60)}"}`).join(",")}]`
        for (let i = 0; i < MESSAGES; i += 10_000) await api.append(path, "application/json", batch)
        return path
      }
      const pages = async () => Number(await sqlite(server.database, "pragma page_count"))

      const first = await fill()
      const pagesWhenFull = await pages()
      const other = fresh("meanwhile")
      await api.create(other)
      let slowest = 0
      let appends = 0
      let stop = false
      const appending = (async () => {
        while (!stop) {
          const answer = await api.post(other, TEXT, "x")
          expect(answer.status, answer.text).toBe(204)
          slowest = Math.max(slowest, answer.ms)
          appends++
        }
      })()
      const deleted = await api.del(first)
      expect(deleted.status).toBe(204)
      expect((await api.get(first)).status).toBe(404)
      const again = await api.put(first, JSON_TYPE)
      expect(again.status, "its name is free at once").toBe(201)
      const began = performance.now()
      await until(
        async () => (await count("message")) < MESSAGES / 2 && (await count("garbage")) === 0,
        async () => `cleared away: ${await count("message")} messages left`,
        { timeout: 120_000, every: 250 }
      )
      const cleared = performance.now() - began
      stop = true
      await appending
      expect(deleted.ms, "DELETE answered after ms").toBeLessThan(sanitized ? 5000 : 2000)
      expect(slowest, "slowest append meanwhile, ms").toBeLessThan(sanitized ? 10_000 : 3000)
      expect(appends).toBeGreaterThan(10)

      await fill()
      const refilled = await pages()
      expect(
        refilled,
        `pages after filling it again; ${pagesWhenFull} when it was full first`
      ).toBeLessThan(pagesWhenFull * 1.2)
      console.log(
        `upkeep: DELETE of ${MESSAGES} messages answered in ${deleted.ms.toFixed(0)} ms, cleared away in ` +
          `${(cleared / 1000).toFixed(1)} s; meanwhile ${appends} appends, slowest ${slowest.toFixed(0)} ms; ` +
          `${pagesWhenFull} pages before, ${refilled} when filled again`
      )
    }
  )

  const WAL_BOUND = 128 * MIB

  test(
    "the write-ahead log stays bounded under constant appends with readers",
    { timeout: 120_000 },
    async () => {
      const duration = full ? 60_000 : 10_000
      const wal = `${server.database}-wal`
      const stopAt = Date.now() + duration
      const paths = Array.from({ length: 8 }, () => fresh("wal"))
      for (const path of paths) await api.create(path)
      let written = 0
      let peak = 0
      const writers = Array.from({ length: 16 }, async (_, i) => {
        const body = "w".repeat(16_384)
        while (Date.now() < stopAt) {
          const answer = await api.post(paths[i % 8], TEXT, body)
          expect(answer.status, answer.text).toBe(204)
          written += body.length
        }
      })
      // readers that hold snapshots for as long as a read takes, and some that wait
      const readers = paths.map(async (path) => {
        while (Date.now() < stopAt) {
          let offset = "-1"
          for (let i = 0; i < 20 && Date.now() < stopAt; i++) {
            const answer = await api.get(`${path}?offset=${offset}`)
            expect(answer.status, answer.text).toBe(200)
            offset = answer.headers["stream-next-offset"]
          }
        }
      })
      const tails = await Promise.all(paths.map((path) => api.sse(`${path}?offset=now&live=sse`)))
      const watch = (async () => {
        while (Date.now() < stopAt) {
          peak = Math.max(peak, fs.existsSync(wal) ? fs.statSync(wal).size : 0)
          await sleep(50)
        }
      })()
      await Promise.all([...writers, ...readers, watch])
      for (const tail of tails) tail.close()
      console.log(
        `upkeep: ${(written / MIB).toFixed(0)} MiB appended in ${duration / 1000} s with readers; ` +
          `write-ahead log at most ${(peak / MIB).toFixed(1)} MiB (bound ${WAL_BOUND / MIB} MiB)`
      )
      expect(written).toBeGreaterThan(MIB)
      expect(peak, "peak size of the write-ahead log").toBeLessThan(WAL_BOUND)
    }
  )
})

describe("a graceful stop", () => {
  let server
  afterEach(() => server?.stop())

  test.each(["SIGTERM", "SIGINT"])(
    "%s under load: what was accepted is answered, live readers end cleanly",
    async (signal) => {
      server = await startServer({
        env: { DS_LONG_POLL_TIMEOUT_MS: "30000", DS_SSE_LIFETIME_MS: "60000" },
      })
      const api = client(server.url)
      const path = fresh("stop")
      const quiet = fresh("quiet")
      await api.create(path, "application/json")
      await api.create(quiet)
      const reader = await api.sse(`${quiet}?offset=now&live=sse`)
      await reader.waitFor((event) => event.control)
      const polls = Array.from({ length: 5 }, () => api.get(`${quiet}?offset=now&live=long-poll`))
      const children = server.pids()

      const acknowledged = []
      let stopped = false
      let n = 0
      const writers = Array.from({ length: 32 }, async () => {
        while (!stopped) {
          const id = n++
          const answer = await request(server.url, "POST", path, {
            headers: JSON_TYPE,
            body: `{"n":${id}}`,
          }).catch(() => ({ status: 0 }))
          if (answer.status === 204) acknowledged.push(id)
          else if (answer.status < 500) throw new Error(`append: ${answer.status} ${answer.text}`)
        }
      })
      await sleep(700)
      expect(acknowledged.length).toBeGreaterThan(0)
      const began = performance.now()
      const how = await end(server.supervisors[0], signal)
      const took = performance.now() - began
      stopped = true
      await Promise.all(writers)
      expect(how).toMatchObject({ code: 0, killed: false })
      expect(took, "ms to stop").toBeLessThan(8000)
      await until(() => !children.some(isAlive), "its responders have ended", { timeout: 1000 })

      expect(await reader.ended, "the SSE connection").toEqual({ complete: true })
      expect(reader.controls().some((control) => control.streamClosed)).toBe(false)
      for (const answer of await Promise.all(polls)) {
        expect(answer.status, `a waiting long-poll: ${answer.text}`).toBe(204)
        expect(answer.headers["stream-next-offset"]).toBeTruthy()
      }

      // exactly the acknowledged messages are stored: each that was carried out was also answered
      server.startSupervisor(0)
      await server.ready()
      const { messages } = await api.readJson(path)
      const there = messages.map((message) => message.n).sort((a, b) => a - b)
      expect(there).toEqual([...acknowledged].sort((a, b) => a - b))
    }
  )
})

test("a second instance on the same database works, whichever of them ends first", async () => {
  const one = await startServer()
  let two
  try {
    two = await startServer({ database: one.database })
    const path = fresh("shared")
    await client(one.url).create(path)
    const reader = await client(two.url).sse(`${path}?offset=now&live=sse`)
    await reader.waitFor((event) => event.control)
    await client(one.url).append(path, "text/plain", "from one")
    await reader.waitFor((event) => event.type === "data" && event.data === "from one")
    await end(one.supervisors[0])
    await client(two.url).append(path, "text/plain", " and two")
    await reader.waitFor((event) => event.data === " and two")
    reader.close()
    expect((await client(two.url).get(path)).text).toBe("from one and two")
  } finally {
    await two?.stop()
    await one.stop()
  }
})

test("a stop leaves no write-ahead log to read at the next start", async () => {
  const server = await startServer()
  try {
    const path = fresh("stopped")
    const type = "application/octet-stream"
    await client(server.url).create(path, type, Buffer.alloc(MIB, 1))
    expect(fs.statSync(`${server.database}-wal`).size).toBeGreaterThan(MIB)
    await end(server.supervisors[0])
    expect(fs.statSync(`${server.database}-wal`).size).toBe(0)
    await server.restart()
    expect((await client(server.url).get(`${path}?offset=-1`)).body).toHaveLength(MIB)
  } finally {
    await server.stop()
  }
})

test("CGI processes without a responder keep the write-ahead log short", { timeout: 60_000 }, async () => {
  const server = await startServer({ door: "lighttpd-cgi" })
  try {
    const api = client(server.url)
    const path = fresh("alone")
    const type = "application/octet-stream"
    await api.create(path, type)
    let bytes = 0
    const append = async () => {
      await api.append(path, type, Buffer.alloc(128 << 10, bytes >> 17))
      bytes += 128 << 10
    }
    while (bytes < 8 * MIB) await append()
    // each process reads the log, so it must not grow with every one
    const size = () => fs.statSync(`${server.database}-wal`).size
    await until(
      async () => {
        if (size() < 4 * MIB) return true
        await append() // the next one to look
        return false
      },
      () => `a short log after 8 MiB: ${size()} bytes`,
      { every: 200 }
    )
    expect((await api.head(path)).headers["stream-next-offset"]).toBe(
      `0000000000000000_${String(bytes).padStart(16, "0")}`
    )
  } finally {
    await server.stop()
  }
})

test("CGI processes keep the log short beside a responder that only reads", { timeout: 60_000 }, async () => {
  const idle = await startServer()
  let server
  try {
    const env = { DS_WAL_BYTES: String(MIB) }
    server = await startServer({ door: "lighttpd-cgi", database: idle.database, env })
    const api = client(server.url)
    const path = fresh("beside")
    const type = "application/octet-stream"
    await api.create(path, type)
    const append = () => api.append(path, type, Buffer.alloc(128 << 10, 1))
    for (let i = 0; i < 64; i++) await append()
    const size = () => fs.statSync(`${idle.database}-wal`).size
    await until(
      async () => {
        if (size() < 4 * MIB) return true
        await append() // the next one to look
        return false
      },
      () => `a log of little more than 1 MiB after 8: ${size()} bytes`,
      { every: 200 }
    )
    expect((await client(idle.url).get(`${path}?offset=-1`)).status).toBe(200)
  } finally {
    await server?.stop()
    await idle.stop()
  }
})

test("CGI processes do not try again and again to checkpoint around a reader", async () => {
  const server = await startServer({ door: "lighttpd-cgi" })
  const cli = spawn("sqlite3", ["-batch", server.database], { stdio: ["pipe", "pipe", "inherit"] })
  try {
    const api = client(server.url)
    const path = fresh("read")
    const type = "application/octet-stream"
    await api.create(path, type)
    cli.stdin.write("begin;\nselect count(*) from stream;\n")
    await new Promise((resolve) => cli.stdout.once("data", resolve))
    const began = Date.now()
    for (let i = 0; i < 60; i++) await api.append(path, type, Buffer.alloc(32 << 10, i))
    const seconds = (Date.now() - began) / 1000
    const tries = Number(await sqlite(server.database, "select checkpoints from upkeep"))
    expect(tries).toBeGreaterThan(0)
    expect(tries).toBeLessThan(2 * (seconds + 2)) // each begins twice on a log that is long
  } finally {
    cli.stdin.end()
    await server.stop()
  }
})
