// Subscriptions: what becomes of links and wakes when streams end, are made again, fork or expire, and
// when a wake stream is missing.

import { describe, expect, test } from "vitest"
import { sqlite, until } from "../harness.mjs"
import {
  api,
  append,
  expectError,
  expectStatus,
  JSON_TYPE,
  make,
  offset,
  pull,
  remove,
  ROOT,
  server,
  TEXT,
  unique,
} from "./subscription-context.mjs"

const paths = (lease) => lease.streams.map(({ path }) => path)

/**
 * Waits until nothing is pending. A stream that has expired may be claimed until it is swept away; then
 * there is nothing to read.
 */
const untilIdle = (sub) =>
  until(
    async () => {
      const answer = await sub.tryClaim()
      if (answer.status === 200) expectStatus(await sub.release(answer.json), 204)
      return answer.json.error?.code === "NO_PENDING_WORK"
    },
    "nothing is pending",
    { timeout: 30_000, every: 200 }
  )

describe.concurrent("a stream that ends", () => {
  /** Ways to end a stream, by its path. */
  const ends = {
    "by DELETE": (path) => remove(path), // remove is there once the server runs
    "at the sqlite3 prompt": (path) => sqlite(server.database, `DELETE FROM stream WHERE path = '${ROOT}${path}'`),
    "by expiry": (path) =>
      sqlite(server.database, `UPDATE stream SET expires_at = 1 WHERE path = '${ROOT}${path}'`),
  }

  describe.each(Object.entries(ends))("%s", (_, end) => {
    test("leaves nothing to do", async () => {
      const root = unique()
      const sub = await pull({ pattern: `${root}/*` })
      await make(`${root}/a`, "hello")
      await sub.event(1)
      await end(`${root}/a`)
      expectStatus(await api.get(`${ROOT}${root}/a`), 404)
      await untilIdle(sub)
      expect(await sub.paths()).toEqual([])
    })

    test("and is made again under a lease, is another stream: acks of the old one do not count", async () => {
      const root = unique()
      const a = `${root}/a`
      const sub = await pull({ pattern: `${root}/*` })
      await make(a, "0123456789")
      const lease = await sub.claim()
      await end(a)
      expectStatus(await api.get(ROOT + a), 404)
      await make(a, "new")
      for (const position of [0, 2, 3, 10]) {
        const acks = [{ stream: a, offset: offset(position) }]
        expectError(await sub.ack(lease, { acks, done: true }), 409, "INVALID_OFFSET")
      }
      expect(await sub.finish(lease)).toBe(true)
      const next = await sub.claim()
      expect(next.of[a]).toMatchObject({ acked_offset: "-1", tail_offset: offset(3), has_pending: true })
      expect(await sub.finish(next, { [a]: offset(3) })).toBe(false)
    })

    test("and was named, is waited for, from its start", async () => {
      const root = unique()
      const a = `${root}/a`
      await make(a, "0123456789")
      const sub = await pull({ streams: [a] })
      await end(a)
      expectStatus(await api.get(ROOT + a), 404)
      await make(a, "new")
      await sub.event(1)
      const link = (await sub.claim()).of[a]
      expect(["-1", offset(0)]).toContain(link.acked_offset)
      expect(link).toMatchObject({ link_type: "explicit", tail_offset: offset(3), has_pending: true })
    })
  })

  test("while others are pending, leaves those", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "1")
    await make(`${root}/b`, "2")
    await remove(`${root}/a`)
    const lease = await sub.claim()
    expect(paths(lease)).toEqual([`${root}/b`])
    await remove(`${root}/b`)
    expect(await sub.finish(lease)).toBe(false)
  })

  test("by its own Stream-TTL", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "x", { "stream-ttl": "1" })
    await sub.event(1)
    await until(async () => (await api.head(`${ROOT}${root}/a`)).status === 404, "its end", { timeout: 30_000 })
    await untilIdle(sub)
    await make(`${root}/b`, "y")
    const lease = await sub.claim()
    expect(lease.streams.map(({ path }) => path)).toEqual([`${root}/b`])
  })
})

describe.concurrent("forks", () => {
  const fork = async (path, source, headers = {}) =>
    expectStatus(await api.put(ROOT + path, { "stream-forked-from": ROOT + source, ...headers }), 201)

  test("with data of its source is pending from its start; without any it is not", async () => {
    const root = unique()
    await make(`${root}-source`, "inherited")
    const sub = await pull({ pattern: `${root}/*` })
    await fork(`${root}/none`, `${root}-source`, { "stream-fork-offset": offset(0) })
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    await fork(`${root}/all`, `${root}-source`)
    const lease = await sub.claim()
    expect(lease.of[`${root}/all`]).toMatchObject({ acked_offset: "-1", tail_offset: offset(9), has_pending: true })
    expect((await api.get(`${ROOT}${root}/all?offset=-1`)).text).toBe("inherited")
    expect(await sub.finish(lease, { [`${root}/all`]: offset(9) })).toBe(false)
    await append(`${root}/all`, "own")
    expect((await sub.claim()).of[`${root}/all`]).toMatchObject({ acked_offset: offset(9), tail_offset: offset(12) })
  })

  test("of a watched stream are streams of their own", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ streams: [a] })
    await make(a, "one")
    await sub.finish(await sub.claim(), { [a]: offset(3) })
    await fork(`${root}/fork`, a)
    await append(`${root}/fork`, "x")
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    await append(a, "two")
    expect((await sub.claim()).of[a].tail_offset).toBe(offset(6))
  })

  test("keep data of a source that was deleted, and its links end all the same", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a, "data")
    await fork(`${root}-fork`, a)
    await sub.event(1)
    await remove(a)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expect(await sub.paths()).toEqual([])
    expect((await api.get(`${ROOT}${root}-fork`)).text).toBe("data")
    await remove(`${root}-fork`)
    await make(a, "again")
    expect((await sub.claim()).of[a]).toMatchObject({ acked_offset: "-1", tail_offset: offset(5) })
  })
})

describe.concurrent("a wake stream", () => {
  test("that does not exist gets the event when it is made", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*`, wake_stream: unique("late") })
    await make(`${root}/a`, "x")
    expectStatus(await api.get(ROOT + sub.wake), 404)
    expectStatus(await api.put(ROOT + sub.wake, JSON_TYPE), 201)
    expect(await sub.event(1)).toMatchObject({ stream: `${root}/a` })
    expect((await sub.claim()).generation).toBe(1)
    expect((await sub.events()).length).toBe(1)
  })

  test("that does not exist hinders no claim, and the next wake has its event", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*`, wake_stream: unique("late") })
    await make(a, "x")
    await sub.finish(await sub.claim(), { [a]: offset(1) })
    expectStatus(await api.put(ROOT + sub.wake, JSON_TYPE), 201)
    expect(await sub.events()).toEqual([])
    await append(a)
    expect((await sub.event(2)).stream).toBe(a)
  })

  test("that was deleted gets the event of an unclaimed wake again", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "x")
    await sub.event(1)
    await remove(sub.wake)
    expectStatus(await api.put(ROOT + sub.wake, JSON_TYPE), 201)
    await sub.event(1)
    expect((await sub.events()).length).toBe(1)
    expect((await sub.claim()).generation).toBe(1)
  })

  test("that is closed refuses no append, and the wake can be claimed", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    expectStatus(await api.post(ROOT + sub.wake, { "stream-closed": "true" }), 204)
    await make(`${root}/a`, "x")
    await append(`${root}/a`, "y")
    expect(await sub.events()).toEqual([])
    const lease = await sub.claim()
    expect(lease.of[`${root}/a`].tail_offset).toBe(offset(2))
    expectStatus(await sub.release(lease), 204)
    await remove(sub.wake)
    expectStatus(await api.put(ROOT + sub.wake, JSON_TYPE), 201)
    expect((await sub.event(2)).stream).toBe(`${root}/a`)
  })

  test("may hold text: events are its messages then", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*`, wake_stream: unique("text") })
    expectStatus(await api.put(ROOT + sub.wake, TEXT), 201)
    await make(`${root}/a`, "x")
    const event = JSON.parse((await api.get(ROOT + sub.wake)).text)
    expect(event).toMatchObject({ type: "wake", subscription_id: sub.id, generation: 1 })
  })

  test("may serve several subscriptions, and an application's own messages", async () => {
    const root = unique()
    const one = await pull({ pattern: `${root}/*` })
    const two = await pull({ pattern: `${root}/*`, wake_stream: one.wake })
    expectStatus(await api.post(ROOT + one.wake, JSON_TYPE, '{"subscription_id":"own"}'), 204)
    await make(`${root}/a`, "x")
    const { messages } = await api.readJson(ROOT + one.wake, "-1")
    expect(messages.map(({ subscription_id }) => subscription_id).sort()).toEqual([one.id, two.id, "own"].sort())
  })

  test("with a producer's or a sequence's rules takes the event all the same", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    expectStatus(await api.post(ROOT + sub.wake, { ...JSON_TYPE, "stream-seq": "zzz" }, "1"), 204)
    await make(`${root}/a`, "x")
    expect((await sub.event(1)).stream).toBe(`${root}/a`)
  })
})

describe.concurrent("at the sqlite3 prompt", () => {
  test("a subscription is deleted, and goes on counting when it is made again", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "x")
    const lease = await sub.claim()
    await sqlite(server.database, `DELETE FROM subscription WHERE name = '${sub.id}'`)
    expectError(await sub.ack(lease, { done: true }), 404, "SUBSCRIPTION_NOT_FOUND")
    await append(`${root}/a`)
    expectStatus(await sub.confirm(), 201)
    await append(`${root}/a`)
    expect((await sub.claim()).generation).toBe(2)
  })

  test("the views show who waits for what", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    const view = (columns) =>
      sqlite(server.database, `SELECT ${columns} FROM subscription_overview WHERE name = '${sub.id}'`)
    expect(await view("state, generation, links, pending")).toBe("idle|0|0|0")
    await make(`${root}/a`, "x")
    expect(await view("state, generation, links, pending")).toBe("waits for a claim|1|1|1")
    await sub.claim("me")
    expect(await view("state, holder")).toBe("held|me")
    const links = `SELECT link_type, acked_offset, tail_offset, pending FROM subscription_link_overview WHERE subscription = '${sub.id}'`
    expect(await sqlite(server.database, links)).toBe(`glob|-1|${offset(1)}|1`)
  })
})
