// kill -9, at random moments and at the worst one.
//
// 1. Idempotent producers write to 20 streams through three responders, which are all killed again and
//    again, sometimes with their supervisors. Each producer repeats a request until it is answered. At
//    the end every acknowledged message must be there, once and in order, and no other; readers that
//    followed must have seen the same; and the database must be sound.
// 2. A writer is killed between its commit and the wake-up of readers (the hooked build). A reader that
//    waits on another responder must still get the message within a second.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { randomInt } from "node:crypto"
import {
  full,
  hookedProgram,
  isAlive,
  sanitized,
  sleep,
  sqlite,
  startServer,
  until,
} from "./harness.mjs"
import { client, fresh, request } from "./http.mjs"

const STREAMS = 20
const RESPONDERS = 3
const KILLS = full ? 200 : 60
const SUPERVISORS_TOO = 10 // every tenth kill

/** Repeats a request until the answer is not a server error. */
async function insist(url, method, path, headers, body) {
  for (let tries = 1; ; tries++) {
    try {
      const answer = await request(url, method, path, { headers, body, timeout: 20_000 })
      if (answer.status < 500) return { ...answer, tries }
    } catch {
      // the connection broke: we do not know whether the request was carried out
    }
    await sleep(randomInt(5, 40))
  }
}

describe("responders killed at random", () => {
  let server

  beforeAll(async () => {
    server = await startServer({ responders: RESPONDERS, env: { DS_LONG_POLL_TIMEOUT_MS: "1000" } })
  })
  afterAll(() => server?.stop())

  test(
    `${KILLS} kills: what was acknowledged is there, once and in order`,
    { timeout: 300_000 },
    async () => {
      let stop = false
      const failures = []

      const writers = await Promise.all(
        Array.from({ length: STREAMS }, async (_, i) => {
          const writer = {
            path: fresh(`crash-${i}`),
            type: i % 2 ? "text/plain" : "application/json",
            acknowledged: 0, // messages
            requests: 0,
            repeated: 0,
            duplicates: 0, // carried out before their process was killed
          }
          await client(server.url).create(writer.path, writer.type)
          return writer
        })
      )

      const write = async (writer) => {
        for (let seq = 0; !stop; seq++) {
          const batch = Array.from({ length: randomInt(1, 6) }, (_, k) => ({
            n: writer.acknowledged + k,
            pad: "x".repeat(randomInt(0, randomInt(1, 50) === 1 ? 8000 : 200)),
          }))
          const body =
            writer.type === "application/json"
              ? JSON.stringify(batch)
              : batch.map((message) => JSON.stringify(message) + "\n").join("")
          const answer = await insist(
            server.url,
            "POST",
            writer.path,
            {
              "content-type": writer.type,
              "producer-id": "writer",
              "producer-epoch": "0",
              "producer-seq": String(seq),
            },
            body
          )
          if (answer.status !== 200 && answer.status !== 204) {
            failures.push(
              `${writer.path} seq ${seq}: ${answer.status} ${answer.text} ${JSON.stringify(answer.headers)}`
            )
            return
          }
          // a duplicate of a request that was sent only once would be a lost append
          if (answer.status === 204 && answer.tries === 1)
            failures.push(`${writer.path} seq ${seq}: 204 to a first try`)
          writer.acknowledged += batch.length
          writer.requests++
          writer.repeated += answer.tries - 1
          if (answer.status === 204) writer.duplicates++
        }
      }

      // readers that follow: a crash must not undo data that they were shown
      const followers = writers.slice(0, 6).map((writer) => ({ writer, offset: "-1", text: "" }))
      const take = (follower, answer) => {
        if (answer.status === 200)
          follower.text +=
            follower.writer.type === "application/json"
              ? JSON.parse(answer.text)
                  .map((message) => JSON.stringify(message) + "\n")
                  .join("")
              : answer.text
        follower.offset = answer.headers["stream-next-offset"]
      }
      const follow = async (follower) => {
        while (!stop) {
          const target = `${follower.writer.path}?offset=${follower.offset}&live=long-poll`
          const answer = await insist(server.url, "GET", target, {})
          if (answer.status === 200 || answer.status === 204) take(follower, answer)
          else return failures.push(`GET ${target}: ${answer.status} ${answer.text}`)
        }
      }

      const total = () => writers.reduce((sum, writer) => sum + writer.acknowledged, 0)
      const work = [...writers.map(write), ...followers.map(follow)]
      let processes = 0
      try {
        for (let kill = 1; kill <= KILLS && failures.length === 0; kill++) {
          const before = total()
          await until(
            () => failures.length > 0 || (server.pids().length === RESPONDERS && total() > before),
            () =>
              `responders run (${server.pids().length}) and writers get on\n${server.logs().slice(-3000)}`,
            { timeout: 30_000 }
          )
          await sleep(randomInt(0, 250))
          const killed = server.kill("SIGKILL")
          processes += killed.length
          if (kill % SUPERVISORS_TOO === 0) await server.restart("SIGKILL")
        }
      } finally {
        stop = true
      }
      await Promise.all(work)
      expect(failures).toEqual([])

      const api = client(server.url)
      for (const writer of writers) {
        const { body } = await api.readAll(writer.path)
        const text = body.toString()
        // chunks of a JSON stream are arrays that follow one another
        const messages =
          writer.type === "application/json"
            ? JSON.parse(text.replaceAll("][", ","))
            : text
                .split("\n")
                .slice(0, -1)
                .map((line) => JSON.parse(line))
        const numbers = messages.map((message) => message.n)
        const wanted = Array.from({ length: writer.acknowledged }, (_, n) => n)
        expect(
          numbers,
          `${writer.path}: acknowledged ${writer.acknowledged}, there ${numbers.length}`
        ).toEqual(wanted)
        writer.text = messages.map((message) => JSON.stringify(message) + "\n").join("")
      }
      for (const follower of followers) {
        const rest = await api.readAll(follower.writer.path, follower.offset)
        const end =
          follower.writer.type === "application/json"
            ? JSON.parse(rest.body.toString().replaceAll("][", ","))
                .map((m) => JSON.stringify(m) + "\n")
                .join("")
            : rest.body.toString()
        expect(
          follower.text + end === follower.writer.text,
          `a reader of ${follower.writer.path} saw what is there`
        ).toBe(true)
      }
      expect(await sqlite(server.database, "PRAGMA integrity_check")).toBe("ok")
      expect(await sqlite(server.database, "PRAGMA foreign_key_check")).toBe("")
      // the counters of the overview are those of the messages themselves
      expect(
        await sqlite(
          server.database,
          `select path from stream_overview as s where bytes !=
           (select coalesce(sum(length(payload)), 0) from message where stream_id =
             (select id from stream where path = s.path))`
        )
      ).toBe("")

      const sum = (name) => writers.reduce((s, writer) => s + writer[name], 0)
      console.log(
        `crash: ${KILLS} kills (${processes} responder processes, supervisors ${Math.floor(KILLS / SUPERVISORS_TOO)} times), ` +
          `${sum("acknowledged")} messages in ${sum("requests")} requests acknowledged, ` +
          `${sum("repeated")} repeated, ${sum("duplicates")} of these had been carried out; all there once and in order, integrity ok`
      )
    }
  )
})

describe("a writer killed between its commit and the wake-up", () => {
  let server

  beforeAll(async () => {
    server = await startServer({
      responders: 2,
      direct: true,
      program: hookedProgram,
      env: { DS_LONG_POLL_TIMEOUT_MS: "20000", DS_TEST_KILL: "after-commit" },
    })
  })
  afterAll(() => server?.stop())

  const LIMIT = sanitized ? 3000 : 1000

  test.each(["long-poll", "sse"])(
    "a reader that waits with %s on another responder gets the message within 1 s",
    async (live) => {
      const [writers, readers] = server.urls
      const worst = { ms: 0 }
      for (let round = 0; round < 5; round++) {
        const path = fresh(`wake-${live}`)
        await client(writers).create(path)
        const target = `${path}?offset=now&live=${live}`
        let arrived
        if (live === "sse") {
          const reader = await client(readers).sse(target)
          await reader.waitFor((event) => event.control)
          arrived = reader
            .waitFor((event) => event.type === "data", "the message", 10_000)
            .then((event) => ({ at: performance.now(), text: event.data, done: reader.close() }))
        } else {
          arrived = request(readers, "GET", target).then((answer) => ({
            at: performance.now(),
            text: answer.text,
          }))
          await sleep(300) // until it waits
        }
        const headers = {
          "content-type": "text/plain",
          "producer-id": "p",
          "producer-epoch": "0",
          "producer-seq": "0",
        }
        const [victim] = server.pids()
        const failed = await request(writers, "POST", path, {
          headers: { ...headers, "x-test-kill": "1" },
          body: `message ${round}`,
        }).catch((error) => ({ status: 599, text: error.message }))
        const killedAt = performance.now()
        expect(failed.status, `the writer's process died: ${failed.text}`).toBeGreaterThanOrEqual(
          500
        )
        const { at, text } = await arrived
        expect(text).toBe(`message ${round}`)
        worst.ms = Math.max(worst.ms, at - killedAt)
        expect(at - killedAt, "ms between the writer's death and the message").toBeLessThan(LIMIT)
        await until(() => !isAlive(victim), "the writer's process is dead")
        // the repeated request is recognised as carried out
        const again = await insist(writers, "POST", path, headers, `message ${round}`)
        expect(again.status).toBe(204)
        expect((await client(readers).get(path)).text).toBe(`message ${round}`)
      }
      console.log(
        `crash: writer killed after its commit, ${live} reader waited at most ${worst.ms.toFixed(0)} ms`
      )
    }
  )
})
