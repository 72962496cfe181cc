// Cases of the table (table.mjs): waiting readers.

import { expect } from "vitest"
import { sleep, until } from "../harness.mjs"
import { client, connect, fresh } from "../http.mjs"
import { TEXT, expectStatus, median } from "./context.mjs"
import { LONG_POLL_MS } from "./settings.mjs"

const EVENTS = 50
const POLLS = 64
const READERS = 3

/** Readers that send a request and then stay silent. */
async function park(t, path, live) {
  const wires = []
  for (let i = 0; i < READERS; i++) {
    const wire = await connect(t.url, { timeout: 60_000 })
    wire.send(`GET ${t.at(path)}?offset=now&live=${live} HTTP/1.1\r\nHost: x\r\n\r\n`)
    wires.push(wire)
  }
  if (live === "sse")
    await until(
      () => wires.every((wire) => wire.received().includes("event: control")),
      "greetings"
    )
  // mod_fcgid takes a while to start so many processes
  else await settled(t)
  return wires
}

/** Waits until the resources held have not changed for a second. */
async function settled(t) {
  const held = () => [...t.server.held()].sort().join(" ")
  for (let before = held(), since = Date.now(); Date.now() - since < 1000; await sleep(50)) {
    const now = held()
    if (now !== before) [before, since] = [now, Date.now()]
  }
}

/**
 * Readers leave silently. How long does the program take to free their resources? With one process:
 * until it accepts another reader, because their number is limited. With many processes: until that
 * many of the resources that were held while they waited are gone.
 */
async function goneWithin(t, live, timeout) {
  const server = t.oneProcess ? await t.start({ DS_MAX_PARKED: String(READERS) }) : t.server
  const u = { ...t, server, url: server.url, api: client(server.url) }
  try {
    const path = fresh("gone")
    await u.api.create(path)
    const wires = await park(u, path, live)
    const freed = t.oneProcess ? room(u, path) : vanished(u)
    expect(await freed(), "the readers occupy something").toBe(false)
    const began = performance.now()
    for (const wire of wires) wire.drop()
    await until(freed, `${READERS} readers are freed`, { timeout, every: 5 })
    return performance.now() - began
  } finally {
    if (t.oneProcess) await server.stop()
  }
}

const room = (u, path) => async () => {
  const probe = await u.api.sse(`${path}?offset=now&live=sse`)
  probe.close()
  expect([200, 503]).toContain(probe.status)
  return probe.status === 200
}

function vanished(u) {
  const held = u.server.held()
  return async () => {
    const now = u.server.held()
    return [...held].filter((name) => now.has(name)).length <= held.size - READERS
  }
}

/** For servers that notice a client's end only when they write: a silent reader stays. */
const heldInSilence = (why) => () => ({
  why,
  instead: (t) => goneWithin(t, "long-poll", LONG_POLL_MS + 20_000),
})

const TELLS_LATE =
  "the web server notices only at its next write that the client has left: a silent long-poll stays until DS_LONG_POLL_TIMEOUT_MS"
const TELLS_SOME =
  "lighttpd ends the process of a client that has left, but misses some if several leave at once: those stay until DS_LONG_POLL_TIMEOUT_MS"

const shown = (ms) =>
  ms < 10
    ? `${ms.toFixed(1)} ms`
    : ms < 1000
      ? `${ms.toFixed(0)} ms`
      : `${(ms / 1000).toFixed(1)} s`

export const live = [
  {
    name: "SSE, event by event",
    async run(t) {
      const path = fresh("events")
      await t.api.create(path)
      const reader = await t.api.sse(`${path}?offset=-1&live=sse`)
      await reader.waitFor((event) => event.control, "the greeting")
      const times = []
      for (let i = 0; i < EVENTS; i++) {
        let came
        const event = reader
          .waitFor((found) => found.type === "data" && found.data === `<${i}>`, `event ${i}`)
          .then(() => (came = performance.now()))
        await t.api.append(path, "text/plain", `<${i}>`)
        const answered = performance.now()
        // the assertion: each event arrives before the next append is sent
        await event
        times.push(Math.max(0, came - answered))
        await sleep(20)
      }
      reader.close()
      return `${shown(median(times))} (${shown(Math.max(...times))})`
    },
  },
  {
    name: "an append answers a long-poll",
    async run(t) {
      const path = fresh("poll")
      await t.api.create(path)
      const times = []
      let offset = "-1"
      for (let i = 0; i < 10; i++) {
        const waiting = t.api.get(`${path}?offset=${offset}&live=long-poll`).then((answer) => ({
          answer,
          came: performance.now(),
        }))
        await sleep(50)
        await t.api.append(path, "text/plain", `<${i}>`)
        const answered = performance.now()
        const { answer, came } = await waiting
        expectStatus(answer, 200)
        expect(answer.text).toBe(`<${i}>`)
        offset = answer.headers["stream-next-offset"]
        times.push(Math.max(0, came - answered))
      }
      return `${shown(median(times))} (${shown(Math.max(...times))})`
    },
  },
  {
    name: "long-poll without new messages: 204 in time",
    async run(t) {
      const path = fresh("poll")
      await t.api.create(path)
      const answer = await t.api.get(`${path}?offset=now&live=long-poll`, {}, { timeout: 60_000 })
      expectStatus(answer, 204)
      expect(answer.headers["stream-up-to-date"]).toBe("true")
      expect(answer.headers["stream-cursor"]).toBeDefined()
    },
  },
  {
    name: `${POLLS} readers wait, and writes go on`,
    async run(t) {
      const paths = Array.from({ length: 8 }, () => fresh("many"))
      const busy = fresh("busy")
      for (const path of [...paths, busy]) await t.api.create(path)
      let over = 0
      const waiting = Array.from({ length: POLLS }, async (_, i) => {
        const path = paths[i % paths.length]
        for (;;) {
          const answer = await t.api.get(
            `${path}?offset=0000000000000000_0000000000000000&live=long-poll`,
            {},
            { timeout: 60_000, fresh: true }
          )
          over++
          if (answer.status !== 204) return answer // 204: it timed out before the append
        }
      })
      await sleep(1000)
      // Apache closes idle connections when its threads run out, perhaps the one to be reused
      const append = (path, text) => t.api.post(path, TEXT, text, { fresh: true })
      for (let i = 0; i < 20; i++) expectStatus(await append(busy, "x"), 204)
      const before = over
      for (const path of paths) expectStatus(await append(path, "now"), 204)
      for (const answer of await Promise.all(waiting)) {
        expectStatus(answer, 200)
        expect(answer.text).toBe("now")
      }
      expect(before, "no reader returns before the append").toBeLessThan(POLLS)
    },
  },
  {
    name: "an SSE reader that has left is freed",
    run: async (t) => shown(await goneWithin(t, "sse", 30_000)),
  },
  {
    name: "a long-poll reader that has left is freed",
    cannot: {
      lighttpd: heldInSilence(TELLS_LATE),
      "lighttpd-spawn": heldInSilence(TELLS_LATE),
      "lighttpd-cgi": heldInSilence(TELLS_SOME),
      mixed: heldInSilence(TELLS_SOME),
      "apache-proxy": heldInSilence(TELLS_LATE),
      "apache-fcgid": heldInSilence(TELLS_LATE),
      "apache-cgi": heldInSilence(TELLS_LATE),
      hosting: heldInSilence(TELLS_LATE),
    },
    run: async (t) => shown(await goneWithin(t, "long-poll", LONG_POLL_MS - 2000)),
  },
]
