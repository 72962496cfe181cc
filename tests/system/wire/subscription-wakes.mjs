// Subscriptions of the type pull-wake: what wakes them, claims, leases, acks and releases.

import { describe, expect, test } from "vitest"
import { until } from "../harness.mjs"
import {
  api,
  append,
  expectError,
  expectStatus,
  JSON_TYPE,
  make,
  offset,
  pull,
  ROOT,
  TEXT,
  unique,
} from "./subscription-context.mjs"

/** A subscription with a pending stream; its path and the subscription. */
async function pending(config = {}) {
  const root = unique()
  const sub = await pull({ pattern: `${root}/*`, ...config })
  const a = `${root}/a`
  await make(a, "hello")
  return { root, a, sub }
}

describe.concurrent("what wakes", () => {
  test("an append to an idle subscription's stream: one event of this form", async () => {
    const root = unique()
    await make(`${root}/a`, "history")
    const sub = await pull({ pattern: `${root}/*` })
    const before = Date.now()
    await append(`${root}/a`)
    // it is there as soon as the append is answered
    const events = await sub.events()
    expect(events).toEqual([
      { type: "wake", subscription_id: sub.id, stream: `${root}/a`, generation: 1, ts: expect.any(Number) },
    ])
    expect(Object.keys(events[0])).toEqual(["type", "subscription_id", "stream", "generation", "ts"])
    expect(Math.abs(events[0].ts - before)).toBeLessThan(600_000)
  })

  test("a PUT with a body, an append that closes, and a batch of JSON", async () => {
    const root = unique()
    const close = { "stream-closed": "true" }
    const put = await pull({ streams: [`${root}/put`] })
    await make(`${root}/put`, "x")
    expect((await put.events()).length).toBe(1)
    const closed = await pull({ streams: [`${root}/closed`] })
    await make(`${root}/closed`, "x", close)
    expect((await closed.events()).length).toBe(1)
    const last = await pull({ streams: [`${root}/last`] })
    await make(`${root}/last`)
    await append(`${root}/last`, "x", close)
    expect((await last.claim()).of[`${root}/last`].tail_offset).toBe(offset(1))
    const json = await pull({ streams: [`${root}/json`] })
    expectStatus(await api.put(`${ROOT}${root}/json`, JSON_TYPE, "[]"), 201)
    expect(await json.events()).toEqual([])
    expectStatus(await api.post(`${ROOT}${root}/json`, JSON_TYPE, "[1,2,3]"), 204)
    expect((await json.events()).length).toBe(1)
  })

  test("not: an empty PUT, a PUT of what exists, closing, and a producer's duplicate", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a)
    expectStatus(await api.put(ROOT + a, TEXT), 200)
    const producer = { "producer-id": "p", "producer-epoch": "0", "producer-seq": "0" }
    expect(await sub.events()).toEqual([])
    await append(a, "x", producer)
    await sub.finish(await sub.claim(), { [a]: offset(1) })
    await append(a, "x", producer)
    expectStatus(await api.post(ROOT + a, { "stream-closed": "true" }), 204)
    expectStatus(await api.post(ROOT + a, TEXT, "refused"), 409)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expect((await sub.events()).length).toBe(1)
  })

  test("one wake is in flight, however much is appended", async () => {
    const { a, root, sub } = await pending()
    for (let n = 0; n < 10; n++) await append(a)
    await make(`${root}/b`, "x")
    const lease = await sub.claim()
    for (let n = 0; n < 10; n++) await append(a)
    expect(lease.generation).toBe(1)
    expect((await sub.events()).map(({ generation }) => generation)).toEqual([1])
  })

  test("appends that come together, through any process, make one wake", async () => {
    const root = unique()
    for (let n = 0; n < 8; n++) await make(`${root}/${n}`)
    const sub = await pull({ pattern: `${root}/*` })
    await Promise.all(Array.from({ length: 32 }, (_, n) => append(`${root}/${n % 8}`)))
    expect((await sub.events()).map(({ generation }) => generation)).toEqual([1])
    const { streams } = await sub.claim()
    expect(streams.map(({ tail_offset }) => tail_offset)).toEqual(Array(8).fill(offset(16)))
  })

  test("a worker that waits at the wake stream gets the event", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    const tail = (await api.head(ROOT + sub.wake)).headers["stream-next-offset"]
    const waiting = until(async () => {
      const answer = await api.get(`${ROOT}${sub.wake}?offset=${tail}&live=long-poll`)
      return answer.status === 200 && answer
    }, "the event", { timeout: 30_000 })
    await make(`${root}/a`, "x")
    expect(JSON.parse((await waiting).text)[0].subscription_id).toBe(sub.id)
  })
})

describe.concurrent("claims", () => {
  test("a claim has these members, and all that a worker needs to read on", async () => {
    const { a, sub } = await pending({ lease_ttl_ms: 54321 })
    const answer = await sub.tryClaim()
    expectStatus(answer, 200)
    expect(answer.json).toEqual({
      wake_id: expect.stringMatching(/^w_[0-9a-f]{24}$/),
      generation: 1,
      token: expect.stringMatching(/^[A-Za-z0-9._~+/-]+=*$/),
      streams: [
        { path: a, link_type: "glob", acked_offset: "-1", tail_offset: offset(5), has_pending: true },
      ],
      lease_ttl_ms: 54321,
    })
    const [link] = answer.json.streams
    const read = await api.get(`${ROOT}${link.path}?offset=${link.acked_offset}`)
    expect([read.text, read.headers["stream-next-offset"]]).toEqual(["hello", link.tail_offset])
  })

  test("a worker need not wait for the event, and may be a late one", async () => {
    const { a, sub } = await pending()
    await append(a, " world")
    const lease = await sub.claim("late")
    expect(lease.of[a].tail_offset).toBe(offset(11))
    expect(await sub.row("holder")).toBe("late")
  })

  test("nothing of a lease is shown to others", async () => {
    const { sub } = await pending()
    const lease = await sub.claim("secret-worker")
    const text = JSON.stringify(await sub.shown()) + JSON.stringify(await sub.events())
    for (const part of [lease.token, lease.token.split(".").pop(), lease.wake_id, "secret-worker"])
      expect(text).not.toContain(part)
  })
})

describe.concurrent("acks", () => {
  test("done ends the lease, and nothing pending makes no wake", async () => {
    const { a, sub } = await pending()
    const lease = await sub.claim()
    const body = { acks: [{ stream: a, offset: offset(5) }], done: true }
    const answer = await sub.ack(lease, body)
    expectStatus(answer, 200)
    expect(answer.text).toBe('{"ok":true,"next_wake":false}')
    expectError(await sub.ack(lease, body), 409, "FENCED")
    expectError(await sub.release(lease), 409, "FENCED")
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expect((await sub.link(a)).acked_offset).toBe(offset(5))
    expect((await sub.events()).length).toBe(1)
  })

  test("done with something left makes the next wake in the same step", async () => {
    const { a, root, sub } = await pending()
    await make(`${root}/b`, "123")
    const first = await sub.claim()
    expect(await sub.finish(first, { [a]: offset(3), [`${root}/b`]: offset(3) })).toBe(true)
    const events = await sub.events()
    expect(events[1]).toMatchObject({ generation: 2, stream: a })
    const second = await sub.claim()
    expect(second.generation).toBe(2)
    expect(second.wake_id).not.toBe(first.wake_id)
    expect(second.token).not.toBe(first.token)
    expect(second.of[a]).toMatchObject({ acked_offset: offset(3), tail_offset: offset(5), has_pending: true })
    expectError(await sub.ack(first, { done: true }), 409, "FENCED")
    expect(await sub.finish(second, { [a]: offset(5) })).toBe(false)
    expect((await sub.events()).length).toBe(2)
  })

  test("what is appended under the lease is pending after it", async () => {
    const { a, root, sub } = await pending()
    const lease = await sub.claim()
    await append(a, "more")
    await make(`${root}/new`, "x")
    expect(await sub.finish(lease, { [a]: offset(5) })).toBe(true)
    const next = await sub.claim()
    expect(next.streams.map(({ path, tail_offset }) => [path, tail_offset])).toEqual([
      [a, offset(9)],
      [`${root}/new`, offset(1)],
    ])
  })

  test("a stream outside of the wake may be acked, up to its tail now", async () => {
    const { a, root, sub } = await pending()
    const lease = await sub.claim()
    await make(`${root}/new`, "123")
    await append(a, "67")
    expect(await sub.finish(lease, { [a]: offset(7), [`${root}/new`]: offset(3) })).toBe(false)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
  })

  test("an ack without done keeps the lease, and moves the cursor", async () => {
    const { a, sub } = await pending()
    const lease = await sub.claim()
    for (const [body, at] of [
      [{}, "-1"],
      [{ acks: [] }, "-1"],
      [{ acks: [{ stream: a, offset: offset(2) }] }, offset(2)],
      [{ acks: [{ path: a, offset: offset(3) }], done: false }, offset(3)],
      [{ acks: [{ stream: `/${a}/`, offset: offset(4) }], done: "true" }, offset(4)],
      [{ acks: [{ stream: a, path: "x", offset: offset(5) }], done: 1 }, offset(5)],
      [{ acks: [{ stream: a, offset: offset(5), other: 1 }], done: null }, offset(5)],
    ]) {
      const answer = await sub.ack(lease, body)
      expectStatus(answer, 200)
      expect(answer.json).toMatchObject({ ok: true, next_wake: false })
      expect((await sub.link(a)).acked_offset, JSON.stringify(body)).toBe(at)
      expectError(await sub.tryClaim("other"), 409, "ALREADY_CLAIMED")
    }
    expect(await sub.finish(lease)).toBe(false)
  })

  test("an ack of a stream twice in a request counts, in any order", async () => {
    const { a, sub } = await pending()
    const lease = await sub.claim()
    const acks = [5, 2, 5].map((position) => ({ stream: a, offset: offset(position) }))
    expectStatus(await sub.ack(lease, { acks }), 200)
    expect((await sub.link(a)).acked_offset).toBe(offset(5))
  })

  test("a heartbeat makes the lease whole again; a refused ack does not", async () => {
    const { a, sub } = await pending({ lease_ttl_ms: 600000 })
    const lease = await sub.claim()
    await sub.set("lease_until = lease_until - 300000")
    const short = Number(await sub.row("lease_until"))
    const beyond = { acks: [{ stream: a, offset: offset(99) }] }
    expectError(await sub.ack(lease, beyond), 409, "INVALID_OFFSET")
    expectError(await sub.ack(lease, { wake_id: "w_0" }), 409, "FENCED")
    expectError(await sub.tryClaim(), 409, "ALREADY_CLAIMED")
    expect(Number(await sub.row("lease_until"))).toBe(short)
    expectStatus(await sub.ack(lease), 200)
    expect(Number(await sub.row("lease_until"))).toBeGreaterThan(short + 200000)
  })
})

describe.concurrent("release", () => {
  test("gives the lease back, and tells the next worker", async () => {
    const { a, sub } = await pending()
    const first = await sub.claim("one")
    expectStatus(await sub.ack(first, { acks: [{ stream: a, offset: offset(2) }] }), 200)
    expectStatus(await sub.release(first), 204)
    expect((await sub.events()).map(({ generation }) => generation)).toEqual([1, 2])
    for (const answer of [await sub.release(first), await sub.ack(first, { done: true })])
      expectError(answer, 409, "FENCED")
    const second = await sub.claim("two")
    expect(second.generation).toBe(2)
    expect(second.of[a].acked_offset).toBe(offset(2))
  })

  test("with nothing left ends the wake", async () => {
    const { a, sub } = await pending()
    const lease = await sub.claim()
    expectStatus(await sub.ack(lease, { acks: [{ stream: a, offset: offset(5) }] }), 200)
    expectStatus(await sub.release(lease), 204)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expect((await sub.events()).length).toBe(1)
  })

  test("does not look at acks", async () => {
    const { a, sub } = await pending()
    const lease = await sub.claim()
    const acks = [{ stream: a, offset: offset(5) }]
    expectStatus(await sub.release(lease, { acks, done: true }), 204)
    expect((await sub.link(a)).acked_offset).toBe("-1")
    expect((await sub.claim()).generation).toBe(2)
  })
})

describe.concurrent("the end of a lease", () => {
  test("voids holder and token; the next claim has a new generation", async () => {
    const { a, sub } = await pending()
    const first = await sub.claim("one")
    await sub.expire()
    const second = await sub.claim("two")
    expect(second.generation).toBe(2)
    expect(second.wake_id).not.toBe(first.wake_id)
    expect(second.of[a].acked_offset).toBe("-1")
    const acks = [{ stream: a, offset: offset(5) }]
    for (const mix of [first, { ...first, generation: 2 }, { ...first, wake_id: second.wake_id }])
      for (const answer of [await sub.ack(mix, { acks, done: true }), await sub.release(mix)])
        expectError(answer, 409, "FENCED")
    expect((await sub.link(a)).acked_offset).toBe("-1")
    expectError(await sub.tryClaim(), 409, "ALREADY_CLAIMED")
    expect(await sub.finish(second, { [a]: offset(5) })).toBe(false)
  })

  test("fences its worker even if nobody else has claimed", async () => {
    const { a, sub } = await pending()
    const lease = await sub.claim()
    await sub.expire()
    const acks = [{ stream: a, offset: offset(5) }]
    expectError(await sub.ack(lease, { acks, done: true }), 409, "FENCED")
    expectError(await sub.release(lease), 409, "FENCED")
    expect((await sub.link(a)).acked_offset).toBe("-1")
  })

  test("comes by itself, and tells the next worker by an event", async () => {
    const { sub } = await pending({ lease_ttl_ms: 1000 })
    await sub.claim()
    // where no process stays, requests that come later do it
    await until(
      async () => {
        await make(unique("later"), "x")
        return (await sub.events()).find(({ generation }) => generation === 2)
      },
      "the event of generation 2",
      { timeout: 30_000, every: 200 }
    )
    expect((await sub.claim()).generation).toBe(2)
  })

  test("with nothing left makes no wake", async () => {
    const { a, sub } = await pending()
    const lease = await sub.claim()
    expectStatus(await sub.ack(lease, { acks: [{ stream: a, offset: offset(5) }] }), 200)
    await sub.expire()
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expectError(await sub.ack(lease, { done: true }), 409, "FENCED")
    expect((await sub.events()).length).toBe(1)
    await append(a)
    expect((await sub.claim()).generation).toBe(2)
  })

  test("an unclaimed wake has no lease: it stays, and is one event", async () => {
    const { sub } = await pending({ lease_ttl_ms: 1000 })
    expect(await sub.row("wake_id IS NOT NULL, lease_until")).toBe("1|")
    await until(() => new Promise((resolve) => setTimeout(() => resolve(true), 2500)), "a while")
    expect((await sub.events()).length).toBe(1)
    expect((await sub.claim()).generation).toBe(1)
  })
})

describe.concurrent("a worker pool", () => {
  test("many workers, some of which stop without a word: everything is worked on once acked", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*`, lease_ttl_ms: 1000 })
    const seen = new Map()
    let finished = false
    async function work(name) {
      for (let n = 0; !finished; n++) {
        const answer = await sub.tryClaim(name)
        if (answer.status !== 200) {
          await new Promise((resolve) => setTimeout(resolve, 20))
          continue
        }
        const lease = answer.json
        const acks = []
        for (const { path, acked_offset, has_pending } of lease.streams) {
          if (!has_pending) continue
          const read = await api.get(`${ROOT}${path}?offset=${acked_offset}`)
          acks.push({ stream: path, offset: read.headers["stream-next-offset"], from: acked_offset, text: read.text })
        }
        if (n === 1) continue // it has died
        const done = await sub.ack(lease, { acks, done: true })
        if (done.status === 409) continue
        expectStatus(done, 200)
        for (const { stream, text } of acks) seen.set(stream, (seen.get(stream) ?? "") + text)
      }
    }
    const workers = ["a", "b", "c"].map(work)
    const wanted = new Map()
    for (let n = 0; n < 20; n++) {
      const path = `${root}/${n % 4}`
      if (n < 4) await make(path)
      await append(path, `<${n}>`)
      wanted.set(path, (wanted.get(path) ?? "") + `<${n}>`)
    }
    await until(
      () => [...wanted].every(([path, text]) => seen.get(path)?.length >= text.length),
      () => `all is acked: ${JSON.stringify([...seen])}`,
      { timeout: 50_000 }
    ).finally(() => (finished = true))
    await Promise.all(workers)
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(wanted))
  })
})
