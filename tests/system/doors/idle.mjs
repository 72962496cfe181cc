// The cases that need 90 s of silence, at all doors at once, with the time-outs and keep-alives of
// a server as it is installed. No web server may end a connection meanwhile.

import { expect, test } from "vitest"
import { sleep, startServer } from "../harness.mjs"
import { client, fresh } from "../http.mjs"
import { expectStatus } from "./context.mjs"
import { doors } from "./list.mjs"
import { write } from "./results.mjs"

const SILENCE_MS = 90_000
const SETTINGS = {
  DS_SSE_LIFETIME_MS: "600000",
  DS_LONG_POLL_TIMEOUT_MS: "300000",
}

export const names = { sse: "90 s of idle SSE", poll: "90 s of silent long-poll" }

// Apache's default Timeout is 60 s, Debian's 300 s; a long-poll waits for 30 s by default.
const cannot = {
  hosting:
    "on shared hosting, Apache ends a long-poll that is silent for longer than the host's Timeout: keep DS_LONG_POLL_TIMEOUT_MS below it",
}

const results = {}
let starting = Promise.resolve()

for (const door of Object.keys(doors))
  test.concurrent(`${door}: ${SILENCE_MS / 1000} s of silence`, { timeout: 300_000 }, async () => {
    const why = cannot[door]
    results[door] = { [names.sse]: { ok: false }, [names.poll]: { ok: false, why } }
    write("idle", results)
    // the servers start one after the other, for small machines
    const server = await (starting = starting
      .catch(() => {})
      .then(() => startServer({ door, env: SETTINGS })))
    try {
      const api = client(server.url)
      const path = fresh("idle")
      await api.create(path)
      const reader = await api.sse(`${path}?offset=-1&live=sse`)
      await reader.waitFor((event) => event.control, "the greeting")
      const waiting = api
        .get(`${path}?offset=-1&live=long-poll`, {}, { timeout: 200_000, fresh: true })
        .then(
          (answer) => ({ answer, at: Date.now() }),
          (error) => ({ error, at: Date.now() })
        )
      let ended
      reader.ended.then(() => (ended = Date.now()))
      await sleep(SILENCE_MS)

      const appended = Date.now()
      await api.append(path, "text/plain", "at last")
      const poll = await waiting
      const inTime =
        poll.error === undefined && poll.at >= appended && poll.answer.text === "at last"
      if (inTime || (why && poll.answer?.status === 504)) results[door][names.poll].ok = true
      if (ended === undefined) {
        await reader.waitFor((event) => event.data === "at last", "the append after the silence")
        results[door][names.sse].ok = true
      }
      write("idle", results)
      expect(ended, "the SSE connection ended in the silence").toBeUndefined()
      // one every 15 s
      expect(reader.comments.length, "heart-beats").toBeGreaterThanOrEqual(5)
      if (poll.error) throw poll.error
      if (why) {
        expectStatus(poll.answer, 504)
      } else {
        expectStatus(poll.answer, 200)
        expect(poll.at, "the append answers it").toBeGreaterThanOrEqual(appended)
        expect(poll.answer.text).toBe("at last")
      }
      reader.close()
    } finally {
      await server.stop()
    }
  })
