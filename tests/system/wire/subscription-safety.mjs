// Subscriptions: what other servers have got wrong. Nothing that was appended may be lost for a worker,
// nobody may work without the lease, and no receiver may be hammered.

import { describe, expect, test } from "vitest"
import { sleep, until } from "../harness.mjs"
import {
  append,
  ask,
  bearer,
  expectError,
  expectStatus,
  make,
  offset,
  place,
  pull,
  receiver,
  remove,
  unique,
  webhook,
} from "./subscription-context.mjs"

const DONE = () => ({ body: { done: true } })

/** A promise with its resolve(). */
function gate() {
  let open
  const wait = new Promise((resolve) => (open = resolve))
  return { wait, open }
}

const acked = (sub, path, to) =>
  until(async () => (await sub.link(path))?.acked_offset === to, `${path} is acked up to ${to}`, { timeout: 60_000 })

describe.concurrent("no event is lost", () => {
  test("an answer that comes after the end of its lease acks nothing of the next wake", async () => {
    const root = unique()
    const a = `${root}/a`
    const gates = [gate(), gate()]
    const hook = receiver.hook(({ number }) => gates[number > 0 ? 1 : 0].wait.then(DONE))
    const sub = await webhook(hook, { pattern: `${root}/*`, lease_ttl_ms: 1000 })
    await make(a, "first")
    await hook.post(0)
    await append(a, "second")
    const second = await until(
      () => hook.posts.find(({ body }) => body.streams[0].tail_offset === offset(11)),
      "a POST that shows both",
      { timeout: 60_000 }
    )
    expect(second.body.generation).toBeGreaterThan(1)
    expect(second.body.streams[0].acked_offset).toBe("-1")
    gates[0].open()
    await sleep(300)
    expect((await sub.link(a)).acked_offset).toBe("-1")
    gates[1].open()
    await acked(sub, a, offset(11))
    expectStatus(await sub.end(), 204)
  })

  test("an answer about a stream that was made again meanwhile acks nothing of the new one", async () => {
    const root = unique()
    const a = `${root}/a`
    const held = gate()
    const hook = receiver.hook(({ number }) => (number === 0 ? held.wait.then(DONE) : DONE()))
    const sub = await webhook(hook, { pattern: `${root}/*` })
    await make(a, "a long first life")
    await hook.post(0)
    await remove(a)
    await make(a, "new")
    held.open()
    const next = await hook.post(1)
    expect(next.body.streams).toEqual([
      { path: a, link_type: "glob", acked_offset: "-1", tail_offset: offset(3), has_pending: true },
    ])
    await acked(sub, a, offset(3))
  })

  test("the same for a stream that was named", async () => {
    const root = unique()
    const a = `${root}/a`
    const held = gate()
    const hook = receiver.hook(({ number }) => (number === 0 ? held.wait.then(DONE) : DONE()))
    const sub = await webhook(hook, { streams: [a] })
    await make(a, "a long first life")
    await hook.post(0)
    await remove(a)
    await make(a, "new")
    held.open()
    const next = await hook.post(1)
    expect(next.body.streams).toMatchObject([{ path: a, tail_offset: offset(3), has_pending: true }])
    await acked(sub, a, offset(3))
  })

  test("a wake whose streams are gone keeps nobody from being woken", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "x")
    await sub.event(1)
    await remove(`${root}/a`)
    await make(`${root}/b`, "y")
    const event = await until(
      async () => (await sub.events()).find(({ stream }) => stream === `${root}/b`),
      "an event of the other stream"
    )
    const lease = await sub.claim()
    expect(lease.generation).toBe(event.generation)
    expect(lease.streams).toMatchObject([{ path: `${root}/b`, has_pending: true }])
  })

  test("a wake is made with its append: the answer comes after both", async () => {
    const root = unique()
    const a = `${root}/a`
    await make(a)
    for (let n = 0; n < 20; n++) {
      const sub = await pull({ pattern: `${root}/*` })
      const tail = await append(a, "x")
      expect((await sub.events()).length).toBe(1)
      expect((await sub.claim()).of[a].tail_offset).toBe(tail)
      expectStatus(await sub.end(), 204)
    }
  })
})

describe.concurrent("one owner", () => {
  test("of many claims at the same moment one wins", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a)
    for (let round = 1; round <= 10; round++) {
      const tail = await append(a, "x")
      const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => sub.tryClaim(`w${n}`)))
      const won = answers.filter(({ status }) => status === 200)
      expect(won.length, JSON.stringify(answers.map(({ text }) => text))).toBe(1)
      const holder = `w${answers.indexOf(won[0])}`
      for (const answer of answers)
        if (answer !== won[0]) {
          expectError(answer, 409, "ALREADY_CLAIMED")
          expect(answer.json.error).toMatchObject({ current_holder: holder, generation: round })
        }
      expect(await sub.finish(won[0].json, { [a]: tail })).toBe(false)
    }
  })

  test("of many acks of the same lease one ends it", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a, "hello")
    const lease = await sub.claim()
    const body = { acks: [{ stream: a, offset: offset(3) }], done: true }
    const answers = await Promise.all(Array.from({ length: 12 }, () => sub.ack(lease, body)))
    expect(answers.filter(({ status }) => status === 200).map(({ json }) => json.next_wake)).toEqual([true])
    for (const answer of answers) if (answer.status !== 200) expectError(answer, 409, "FENCED")
    expect((await sub.events()).length).toBe(2)
  })

  test("wake_id null, or none, is no way around the fence", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a, "hello")
    const lease = await sub.claim()
    await sub.finish(lease, { [a]: offset(2) })
    const second = await sub.claim()
    await sub.finish(second, { [a]: offset(5) })
    const tryThem = async (position) => {
      for (const old of [lease, second])
        for (const wake_id of [null, undefined, "", "null"]) {
          const body = { wake_id, acks: [{ stream: a, offset: offset(position) }], done: true }
          expectError(await sub.ack(old, body), 409, "FENCED")
          expectError(await sub.release(old, body), 409, "FENCED")
        }
    }
    await tryThem(5) // while no wake is in flight
    await append(a, "x")
    await tryThem(6)
    expect((await sub.link(a)).acked_offset).toBe(offset(5))
    expect((await sub.claim()).generation).toBe(3)
  })

  test("a token of an earlier life is worth nothing in the next one", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a, "hello")
    const old = await sub.claim()
    expectStatus(await sub.end(), 204)
    expectError(await sub.ack(old, { done: true }), 404, "SUBSCRIPTION_NOT_FOUND")
    expectStatus(await sub.confirm(), 201)
    expectError(await sub.ack(old, { done: true }), 409, "FENCED")
    await append(a, "again")
    const lease = await sub.claim()
    expect(lease.generation, "generations go on").toBe(2)
    const acks = [{ stream: a, offset: offset(10) }]
    for (const mix of [old, { ...lease, token: old.token }, { ...old, token: lease.token }])
      expectError(await sub.ack(mix, { acks, done: true }), 409, "FENCED")
    expect((await sub.link(a)).acked_offset).toBe(offset(5))
    expect(await sub.finish(lease, { [a]: offset(10) })).toBe(false)
    // also without a wake before the end
    for (let life = 3; life < 5; life++) {
      expectStatus(await sub.end(), 204)
      expectStatus(await sub.confirm(), 201)
      await append(a, "x")
      expect((await sub.claim()).generation).toBe(life)
    }
  })

  test("a token holds as long as its lease is renewed", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a, "hello")
    const lease = await sub.claim()
    // as if it had been claimed a day ago
    await sub.set("woken_at = woken_at - 86400000, created_at = created_at - 86400000")
    expectStatus(await sub.ack(lease), 200)
    expect(await sub.finish(lease, { [a]: offset(5) })).toBe(false)
  })
})

describe.concurrent("receivers are not hammered", () => {
  test("a subscription that is deleted during a POST sends nothing more, whatever the answer", async () => {
    for (const last of [{ status: 500 }, DONE(), {}]) {
      const root = unique()
      const a = `${root}/a`
      const held = gate()
      const hook = receiver.hook(({ number }) => (number === 0 ? held.wait.then(() => last) : DONE()))
      const sub = await webhook(hook, { pattern: `${root}/*` })
      await make(a, "x")
      const { body } = await hook.post(0)
      await append(a, "y")
      expectStatus(await sub.end(), 204)
      held.open()
      await append(a, "z")
      expectError(await sub.callback(body, { done: true }), 404, "SUBSCRIPTION_NOT_FOUND")
      await sleep(2500)
      expect(hook.posts.length).toBe(1)
    }
  })

  test("a lease that is shorter than the pauses does not undo them", async () => {
    const root = unique()
    const hook = receiver.hook(() => ({ status: 500 }))
    const sub = await webhook(hook, { pattern: `${root}/*`, lease_ttl_ms: 1000 })
    await make(`${root}/a`, "x")
    await hook.post(0)
    await sleep(9000)
    // at 0, 1, 3 and 7 s, each pause a fifth shorter or longer
    expect(hook.posts.length).toBeLessThanOrEqual(5)
    expect(Number(await sub.row("attempts"))).toBeLessThanOrEqual(5)
    expect((await sub.shown()).status).toBe("failed")
    hook.script = DONE
    await sub.set("next_attempt_at = 1")
    await acked(sub, `${root}/a`, offset(1))
    expect((await sub.shown()).status).toBe("active")
    expectStatus(await sub.end(), 204)
  })

  test("a receiver that takes wakes and never calls back is asked less and less", async () => {
    const root = unique()
    const hook = receiver.hook(() => ({}))
    const sub = await webhook(hook, { pattern: `${root}/*`, lease_ttl_ms: 1000 })
    await make(`${root}/a`, "x")
    await hook.post(0)
    await sleep(9000)
    // at 0, 2, 5, 10 s: a lease and a pause each; without pauses there would be ten
    expect(hook.posts.length).toBeLessThanOrEqual(5)
    hook.script = DONE
    await sub.set("next_attempt_at = 1")
    await acked(sub, `${root}/a`, offset(1))
    expectStatus(await sub.end(), 204)
  })

  test("a callback of done ends the failure of its POST, which answered 500", async () => {
    const root = unique()
    const a = `${root}/a`
    let sub
    const hook = receiver.hook(async ({ body }) => {
      await sub.finish(body, { [a]: body.streams[0].tail_offset })
      return { status: 500 }
    })
    sub = await webhook(hook, { pattern: `${root}/*` })
    await make(a, "x")
    await acked(sub, a, offset(1))
    await sleep(2500)
    expect(hook.posts.length).toBe(1)
    expect((await sub.shown()).status).toBe("active")
    await append(a, "y")
    expect((await hook.post(1)).body.generation).toBe(2)
    await acked(sub, a, offset(2))
  })

  test("a callback of done during the POST, with more pending: the next wake is not taken for failed", async () => {
    const root = unique()
    const a = `${root}/a`
    let sub
    const hook = receiver.hook(async ({ body, number }) => {
      if (number > 0) return DONE()
      expect(await sub.finish(body, { [a]: offset(1) })).toBe(true)
      return { status: 500 }
    })
    sub = await webhook(hook, { pattern: `${root}/*` })
    await make(a, "xyz")
    expect((await hook.post(1)).body).toMatchObject({ generation: 2, streams: [{ acked_offset: offset(1) }] })
    await acked(sub, a, offset(3))
    expect((await sub.shown()).status).toBe("active")
  })
})

describe.concurrent("no loops, no traps", () => {
  test("a subscription is not woken by its own events", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/**`, wake_stream: `${root}/wake` })
    await make(`${root}/wake`, undefined, { "content-type": "application/json" })
    await make(`${root}/a`, "x")
    const lease = await sub.claim()
    expect(lease.streams.map(({ path }) => path)).toEqual([`${root}/a`])
    expect(await sub.finish(lease, { [`${root}/a`]: offset(1) })).toBe(false)
    await sleep(1500)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expect((await sub.events()).length).toBe(1)
  })

  test("two subscriptions to everything do not wake each other", async () => {
    const root = unique()
    const subs = []
    for (const name of ["one", "two"]) {
      await make(`${root}/${name}`, undefined, { "content-type": "application/json" })
      subs.push(await pull({ pattern: `${root}/**`, wake_stream: `${root}/${name}` }))
    }
    await make(`${root}/a`, "x")
    for (const sub of subs) await sub.finish(await sub.claim(), { [`${root}/a`]: offset(1) })
    await sleep(1500)
    for (const sub of subs) {
      expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
      expect((await sub.events()).length).toBe(1)
    }
  })

  test("a pattern of many ** does not stop the server", async () => {
    const root = unique()
    await make(`${root}/${Array(40).fill("s").join("/")}`, "x")
    const sub = await pull({ pattern: `${root}/${Array(60).fill("**").join("/")}/nothing` })
    expect(await sub.paths()).toEqual([])
    await make(`${root}/${Array(50).fill("s").join("/")}`, "x")
    expect(await sub.paths()).toEqual([])
    expectStatus(await sub.end(), 204)
  })

  test("bodies of any form are refused, and change nothing", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*` })
    await make(a, "hello")
    const lease = await sub.claim()
    const fence = { wake_id: lease.wake_id, generation: 1, done: true }
    for (const body of [
      "null",
      "7",
      "[]",
      { ...fence, acks: 7 },
      { ...fence, acks: [null] },
      { ...fence, acks: [{ stream: 7, offset: offset(5) }] },
      { ...fence, acks: [{ stream: a, offset: 7 }] },
      { ...fence, acks: [{ stream: a }] },
      { ...fence, acks: [{ stream: [a], offset: [offset(5)] }] },
      { ...fence, acks: [{ stream: { path: a }, offset: offset(5) }] },
    ]) {
      const answer = await ask("POST", `${place(sub.id)}/ack`, body, bearer(lease.token))
      expectStatus(answer, 400, 409)
      expect((await sub.link(a)).acked_offset, JSON.stringify(body)).toBe("-1")
    }
    expect(await sub.finish(lease, { [a]: offset(5) })).toBe(false)
  })
})
