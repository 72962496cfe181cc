// Subscriptions of the type webhook: what is POSTed, what answers and callbacks mean, and how often it
// is tried again.

import { describe, expect, test } from "vitest"
import { sleep, until } from "../harness.mjs"
import {
  append,
  ask,
  CONTROL,
  expectError,
  expectStatus,
  make,
  offset,
  receiver,
  remove,
  server,
  unique,
  webhook,
} from "./subscription-context.mjs"
import { isSigned, signatureOf } from "./subscription-receiver.mjs"

const DONE = () => ({ body: { done: true } })
const TAKEN = () => ({})
const FAILED = () => ({ status: 500 })

/** A subscription, its hook, and a stream of five bytes that woke it. */
async function woken(script, config = {}) {
  const root = unique()
  const hook = receiver.hook(script)
  const sub = await webhook(hook, { pattern: `${root}/*`, ...config })
  await make(`${root}/a`, "hello")
  const { body } = await hook.post(0)
  return { root, a: `${root}/a`, hook, sub, body }
}

const keys = async () => (await ask("GET", `${CONTROL}/jwks.json`)).json.keys

/** Waits until the end of an attempt is written down. */
const noted = (sub) =>
  until(async () => (await sub.row("next_attempt_at IS NULL")) === "1", "the answer is noted", { timeout: 30_000 })

/** Waits until this is the cursor. */
const acked = (sub, path, to) =>
  until(async () => (await sub.link(path))?.acked_offset === to, `${path} is acked up to ${to}`, { timeout: 30_000 })

const idle = (sub) =>
  until(async () => (await sub.row("wake_id IS NULL")) === "1", "nothing is in flight", { timeout: 30_000 })

describe.concurrent("the POST", () => {
  test("has these members, and is signed by a published key", async () => {
    const { a, hook, sub, body } = await woken(DONE, { lease_ttl_ms: 60000 })
    const [post] = hook.posts
    expect(post.method).toBe("POST")
    expect(post.headers["content-type"]).toBe("application/json")
    expect(Number(post.headers["content-length"])).toBe(post.raw.length)
    expect(body).toEqual({
      subscription_id: sub.id,
      wake_id: expect.stringMatching(/^w_[0-9a-f]{24}$/),
      generation: 1,
      streams: [
        { path: a, link_type: "glob", acked_offset: "-1", tail_offset: offset(5), has_pending: true },
      ],
      callback_url: `${server.url}${sub.at}/callback`,
      callback_token: expect.any(String),
    })
    expect(isSigned(post, await keys())).toBe(true)
    const { time, kid } = signatureOf(post)
    expect(kid).toBe((await sub.shown()).webhook.signing.kid)
    // receivers accept five minutes
    expect(Math.abs(time - Date.now() / 1000)).toBeLessThan(300)
    const changed = { ...post, raw: Buffer.concat([post.raw, Buffer.from(" ")]) }
    expect(isSigned(changed, await keys())).toBe(false)
  })

  test("lists pending streams first, explicit ones as such", async () => {
    const root = unique()
    const hook = receiver.hook(DONE)
    await make(`${root}/a`, "history")
    await make(`${root}/z`)
    const sub = await webhook(hook, { pattern: `${root}/*`, streams: [`${root}/z`] })
    await append(`${root}/z`, "x")
    const { body } = await hook.post(0)
    expect(body.streams[0]).toEqual({
      path: `${root}/z`,
      link_type: "explicit",
      acked_offset: offset(0),
      tail_offset: offset(1),
      has_pending: true,
    })
    await acked(sub, `${root}/z`, offset(1))
    expect((await sub.link(`${root}/a`)).acked_offset).toBe(offset(7))
  })
})

describe.concurrent("an answer of done", () => {
  test("acks what the POST listed, and ends the wake", async () => {
    const { a, hook, sub, body } = await woken(DONE)
    await acked(sub, a, offset(5))
    await idle(sub)
    expectError(await sub.callback(body, { done: true }), 409, "FENCED")
    await append(a, "more")
    const next = (await hook.post(1)).body
    expect(next).toMatchObject({ generation: 2, streams: [{ acked_offset: offset(5), tail_offset: offset(9) }] })
    expect(next.wake_id).not.toBe(body.wake_id)
    expect(next.callback_token).not.toBe(body.callback_token)
    await acked(sub, a, offset(9))
    expect(hook.posts.length).toBe(2)
  })

  test("while more came: the next wake has it, at once", async () => {
    let path
    const hook = receiver.hook(async ({ number }) => {
      if (number === 0) await append(path, "more")
      return DONE()
    })
    const root = unique()
    path = `${root}/a`
    const sub = await webhook(hook, { pattern: `${root}/*` })
    await make(path, "hello")
    const next = (await hook.post(1)).body
    expect(next).toMatchObject({ generation: 2, streams: [{ acked_offset: offset(5), tail_offset: offset(9) }] })
    await acked(sub, path, offset(9))
    await idle(sub)
    expect(hook.posts.length).toBe(2)
  })

  test.each([
    ["201", { status: 201, body: { done: true } }],
    ["a text/plain", { headers: { "content-type": "text/plain" }, body: '{"done":true}' }],
    ["further members", { body: '{"x":[{"done":false}],"done":true,"y":{"done":false}}' }],
  ])("counts with %s", async (_, answer) => {
    const { a, sub } = await woken(() => answer)
    await acked(sub, a, offset(5))
  })

  test.each([
    ["204", { status: 204 }],
    ["an empty body", { body: "" }],
    ["done as a text", { body: { done: "true" } }],
    ["done as a number", { body: { done: 1 } }],
    ["done false", { body: { done: false } }],
    ["done further in", { body: { x: { done: true } } }],
    ["a list", { body: [{ done: true }] }],
    ["no JSON", { body: "done" }],
    ["half a JSON", { body: '{"done":true' }],
  ])("does not count with %s: the receiver is waited for", async (_, answer) => {
    const { a, hook, sub, body } = await woken(() => answer)
    await noted(sub)
    expect((await sub.link(a)).acked_offset).toBe("-1")
    expect((await sub.shown()).status).toBe("active")
    expect(await sub.finish(body, { [a]: offset(5) })).toBe(false)
    expect(hook.posts.length).toBe(1)
  })
})

describe.concurrent("callbacks", () => {
  test("heartbeat, ack, done", async () => {
    const { a, hook, sub, body } = await woken(TAKEN, { lease_ttl_ms: 600000 })
    await noted(sub)
    await sub.set("lease_until = lease_until - 300000")
    const short = Number(await sub.row("lease_until"))
    const beat = await sub.callback(body)
    expectStatus(beat, 200)
    expect(beat.json).toMatchObject({ ok: true, next_wake: false })
    expect(Number(await sub.row("lease_until"))).toBeGreaterThan(short + 200000)
    expectStatus(await sub.callback(body, { acks: [{ stream: a, offset: offset(2) }] }), 200)
    expect((await sub.link(a)).acked_offset).toBe(offset(2))
    const done = await sub.callback(body, { acks: [{ stream: a, offset: offset(5) }], done: true })
    expect(done.text).toBe('{"ok":true,"next_wake":false}')
    expectError(await sub.callback(body, { done: true }), 409, "FENCED")
    expect(hook.posts.length).toBe(1)
  })

  test("done with something left makes the next wake", async () => {
    const { a, hook, sub, body } = await woken(TAKEN)
    expect(await sub.finish(body, { [a]: offset(3) })).toBe(true)
    const next = (await hook.post(1)).body
    expect(next).toMatchObject({ generation: 2, streams: [{ acked_offset: offset(3), tail_offset: offset(5) }] })
    expectError(await sub.callback(body), 409, "FENCED")
    expect(await sub.finish(next, { [a]: offset(5) })).toBe(false)
  })

  test("may come while the POST is still unanswered", async () => {
    const root = unique()
    const a = `${root}/a`
    let sub
    const hook = receiver.hook(async ({ body }) => {
      expect(await sub.finish(body, { [a]: offset(5) })).toBe(false)
      return TAKEN()
    })
    sub = await webhook(hook, { pattern: `${root}/*` })
    await make(a, "hello")
    await acked(sub, a, offset(5))
    await idle(sub)
    hook.script = DONE
    await append(a, "x")
    expect((await hook.post(1)).body.generation).toBe(2)
  })

  test("an end of the lease makes another wake, and fences the first", async () => {
    const { a, hook, sub, body } = await woken(TAKEN)
    await noted(sub)
    hook.script = DONE
    await sub.expire()
    const next = (await hook.post(1)).body
    expect(next).toMatchObject({ generation: 2, streams: [{ acked_offset: "-1" }] })
    await acked(sub, a, offset(5))
    expectError(await sub.callback(body, { done: true }), 409, "FENCED")
  })

  test("a lease ends by itself", async () => {
    const { a, hook, sub } = await woken(TAKEN, { lease_ttl_ms: 1000 })
    hook.script = DONE
    expect((await hook.post(1)).body.generation).toBe(2)
    await acked(sub, a, offset(5))
  })
})

describe.concurrent("failures", () => {
  test.each([
    ["500", FAILED],
    ["404", () => ({ status: 404 })],
    ["410", () => ({ status: 410 })],
    ["429 with Retry-After", () => ({ status: 429, headers: { "retry-after": "3600" } })],
    ["304", () => ({ status: 304 })],
    ["500 that says done", () => ({ status: 500, body: { done: true } })],
    ["a connection that is cut", () => undefined],
  ])("%s: the same wake again, with a new signature", async (_, script) => {
    const { a, hook, sub, body } = await woken(script)
    // libcurl repeats a request by itself if a connection that it used before is cut
    await until(async () => Number(await sub.row("attempts")) >= 2, "two attempts", { timeout: 30_000 })
    const again = await hook.post(1)
    const { wake_id, generation, callback_token } = again.body
    expect({ wake_id, generation, callback_token }).toEqual({
      wake_id: body.wake_id,
      generation: 1,
      callback_token: body.callback_token,
    })
    for (const post of hook.posts) expect(isSigned(post, await keys())).toBe(true)
    expect(await sub.row("failure IS NOT NULL")).toBe("1")
    hook.script = DONE
    await acked(sub, a, offset(5))
    await idle(sub)
    expect((await sub.shown()).status).toBe("active")
    expect(await sub.row("attempts, failed_at, failure, next_attempt_at")).toBe("0|||")
  })

  test("status is failed while it will be tried again", async () => {
    const { a, hook, sub } = await woken(FAILED)
    await until(async () => (await sub.shown()).status === "failed", "failed", { timeout: 30_000 })
    hook.script = DONE
    await acked(sub, a, offset(5))
    expect((await sub.shown()).status).toBe("active")
  })

  test("a callback counts although the POST failed, and is not tried again", async () => {
    const { a, hook, sub, body } = await woken(FAILED)
    await until(async () => (await sub.shown()).status === "failed", "failed", { timeout: 30_000 })
    expect(await sub.finish(body, { [a]: offset(5) })).toBe(false)
    expect((await sub.shown()).status).toBe("active")
    hook.script = DONE
    await append(a, "x")
    const next = await until(() => hook.posts.find((post) => post.body.generation === 2), "the next wake", { timeout: 30_000 })
    expect(next.body.streams).toMatchObject([{ acked_offset: offset(5) }])
    await acked(sub, a, offset(6))
  })

  test("what is appended meanwhile is shown by the next attempt, and acked by its done", async () => {
    const { a, root, hook, sub } = await woken(FAILED)
    await append(a, "more")
    await make(`${root}/b`, "x")
    hook.script = DONE
    await idle(sub)
    const { body } = hook.posts.at(-1)
    const shown = Object.fromEntries(body.streams.map(({ path, tail_offset }) => [path, tail_offset]))
    for (const [path, tail] of Object.entries(shown)) await acked(sub, path, tail)
    expect(Object.keys(shown)).toContain(a)
    await acked(sub, a, offset(9))
    await acked(sub, `${root}/b`, offset(1))
  })

  test("a receiver that cannot be reached is tried until it can", async () => {
    const root = unique()
    const { startReceiver } = await import("./subscription-receiver.mjs")
    const gone = await startReceiver()
    const hook = gone.hook(DONE)
    await gone.stop()
    const sub = await webhook(hook, { pattern: `${root}/*` })
    await make(`${root}/a`, "x")
    await until(async () => Number(await sub.row("attempts")) >= 2, "two attempts", { timeout: 30_000 })
    expect((await sub.shown()).status).toBe("failed")
    expectStatus(await sub.end(), 204)
  })

  test("a stream that is deleted meanwhile needs no further attempt", async () => {
    const { a, hook, sub } = await woken(FAILED)
    await until(async () => (await sub.shown()).status === "failed", "failed", { timeout: 30_000 })
    await remove(a)
    await idle(sub)
    const before = hook.posts.length
    expect((await sub.shown()).status).toBe("active")
    await sleep(3000)
    expect(hook.posts.length).toBe(before)
  })

  test("a redirect is a failure, and is not followed", async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      const target = receiver.hook(DONE)
      const { hook, sub } = await woken(() => ({ status, headers: { location: target.url }, body: { done: true } }))
      await hook.post(1)
      expect(target.posts.length).toBe(0)
      expectStatus(await sub.end(), 204)
    }
  })

  test("a very long answer is no done, and ends", async () => {
    const long = `{"x":"${"y".repeat(1 << 20)}","done":true}`
    const { a, sub } = await woken(() => ({ body: long }))
    await sleep(1000)
    expect((await sub.link(a)).acked_offset).toBe("-1")
    expectStatus(await sub.end(), 204)
  })
})

describe.concurrent("many at once", () => {
  test("a slow receiver delays no other one", async () => {
    let free
    const held = new Promise((resolve) => (free = resolve))
    const slow = []
    for (let n = 0; n < 20; n++) slow.push(await woken(() => held.then(DONE)))
    const { a, sub } = await woken(DONE)
    await acked(sub, a, offset(5))
    for (const { hook } of slow) expect(hook.posts.length).toBe(1)
    free()
    for (const { a: path, sub: other } of slow) await acked(other, path, offset(5))
  })

  test("every message is announced, whatever came when", async () => {
    const root = unique()
    const hook = receiver.hook(({ number }) => (number % 3 === 1 ? FAILED() : DONE()))
    const sub = await webhook(hook, { pattern: `${root}/*` })
    for (let n = 0; n < 5; n++) await make(`${root}/${n}`)
    for (let n = 0; n < 40; n++) await append(`${root}/${n % 5}`, "12345")
    for (let n = 0; n < 5; n++) await acked(sub, `${root}/${n}`, offset(40))
    await idle(sub)
    const wakes = new Map()
    for (const { body } of hook.posts) {
      const known = wakes.get(body.generation) ?? body.wake_id
      expect(body.wake_id).toBe(known)
      wakes.set(body.generation, body.wake_id)
    }
    expect([...wakes.keys()]).toEqual(Array.from({ length: wakes.size }, (_, n) => n + 1))
    expect(new Set(wakes.values()).size).toBe(wakes.size)
  })
})
