// Subscriptions over restarts, crashes and several processes: all state is in the database.

import { describe, expect, test } from "vitest"
import { isAlive, until } from "../harness.mjs"
import {
  CONTROL,
  expectError,
  expectStatus,
  offset,
  OPTIONS,
  own,
  receiver,
  ROOT,
  unique,
} from "./subscription-context.mjs"
import { isSigned, signatureOf } from "./subscription-receiver.mjs"

/** Ends every process of the program, gracefully or not, and starts new ones. */
async function restart(server, signal) {
  if (server.responder === "service") await server.restart(signal)
  else if (server.responder === "activated") await server.restart()
  else {
    const before = server.kill(signal)
    await until(() => !before.some(isAlive), "the responders have ended")
    await server.ready()
  }
  await server.endDeliverers(signal)
  await server.awaitDeliverers()
}

const keys = async (ask) => (await ask("GET", `${CONTROL}/jwks.json`)).json.keys

describe("restarts", () => {
  test.for(["SIGTERM", "SIGKILL"])("%s: nothing of a lease is lost", async (signal, { onTestFinished }) => {
    const { server, api, ask, pull, make, append } = await own(onTestFinished)
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*`, streams: [`${root}/x/y`], lease_ttl_ms: 600000, description: "d" })
    await make(a, "hello")
    await sub.finish(await sub.claim(), { [a]: offset(3) })
    const lease = await sub.claim("me")
    const before = await sub.shown()

    await restart(server, signal)
    expect(await sub.shown()).toEqual(before)
    expectStatus(await sub.confirm(), 200)
    const held = await sub.tryClaim("other")
    expectError(held, 409, "ALREADY_CLAIMED")
    expect(held.json.error).toMatchObject({ current_holder: "me", generation: 2 })
    expectStatus(await sub.ack(lease, { acks: [{ stream: a, offset: offset(4) }] }), 200)
    await append(a, "more")

    await restart(server, signal)
    expect(await sub.finish(lease, { [a]: offset(5) })).toBe(true)
    expect(await sub.event(3)).toMatchObject({ stream: a })
    expect((await api.get(`${ROOT}${sub.wake}?offset=-1`)).status).toBe(200)

    await restart(server, signal)
    const next = await sub.claim()
    expect(next.generation).toBe(3)
    expect(next.of[a]).toMatchObject({ acked_offset: offset(5), tail_offset: offset(9) })
    await sub.end()

    await restart(server, signal)
    expectStatus(await ask("GET", sub.at), 404)
    expectStatus(await sub.confirm(), 201)
    await append(a, "x")
    expect((await sub.claim()).generation).toBe(4)
  }, 120_000)

  test.for(["SIGTERM", "SIGKILL"])("%s: nothing of a webhook is lost, and its keys are the same", async (signal, { onTestFinished }) => {
    const { server, ask, webhook, make, append } = await own(onTestFinished)
    const root = unique()
    const a = `${root}/a`
    const hook = receiver.hook(() => ({}))
    const sub = await webhook(hook, { pattern: `${root}/*`, lease_ttl_ms: 600000 })
    await make(a, "hello")
    const { body } = await hook.post(0)
    await until(async () => (await sub.row("next_attempt_at")) === "", "the answer is noted")
    const before = { shown: await sub.shown(), keys: await keys(ask) }

    await restart(server, signal)
    expect({ shown: await sub.shown(), keys: await keys(ask) }).toEqual(before)
    hook.script = () => ({ status: 500 })
    expect(await sub.finish(body, { [a]: offset(2) })).toBe(true)
    const failed = await hook.post(1)
    expect(failed.body).toMatchObject({ generation: 2, streams: [{ acked_offset: offset(2) }] })
    await until(async () => (await sub.shown()).status === "failed", "failed", { timeout: 30_000 })

    await restart(server, signal)
    await append(a, "more")
    const again = await hook.post(hook.posts.length)
    expect([again.body.wake_id, again.body.generation, again.body.callback_token]).toEqual([
      failed.body.wake_id,
      2,
      failed.body.callback_token,
    ])
    hook.script = () => ({ body: { done: true } })
    await until(async () => (await sub.link(a)).acked_offset === offset(9), "all is acked", { timeout: 60_000 })
    for (const post of hook.posts) {
      expect(isSigned(post, before.keys)).toBe(true)
      expect(signatureOf(post).kid).toBe(before.shown.webhook.signing.kid)
    }
  }, 120_000)

  test("while nothing delivers, wakes are kept for the next process that does", async ({ onTestFinished }) => {
    const { server, webhook, make } = await own(onTestFinished)
    const root = unique()
    const hook = receiver.hook(() => ({ body: { done: true } }))
    const sub = await webhook(hook, { pattern: `${root}/*` })
    await server.endDeliverers()
    for (let n = 0; n < 5; n++) await make(`${root}/${n}`, "x")
    await server.awaitDeliverers()
    for (let n = 0; n < 5; n++)
      await until(async () => (await sub.link(`${root}/${n}`)).acked_offset === offset(1), "it is acked", { timeout: 60_000 })
  }, 120_000)

  test("a wake whose answer was lost, because the process that waited for it was killed, is sent again", async ({ onTestFinished }) => {
    const { server, webhook, make } = await own(onTestFinished)
    const root = unique()
    const hook = receiver.hook(({ number }) => (number === 0 ? new Promise(() => {}) : { body: { done: true } }))
    const sub = await webhook(hook, { pattern: `${root}/*`, lease_ttl_ms: 2000 })
    await make(`${root}/a`, "x")
    const first = (await hook.post(0)).body
    await server.endDeliverers("SIGKILL")
    await server.awaitDeliverers()
    const { body } = await hook.post(1)
    expect(body.generation).toBeGreaterThanOrEqual(first.generation)
    expect(body.wake_id === first.wake_id).toBe(body.generation === first.generation)
    await until(async () => (await sub.link(`${root}/a`)).acked_offset === offset(1), "it is acked", { timeout: 60_000 })
  }, 120_000)
})

describe("several processes", () => {
  test("two servers on one database are one", async ({ onTestFinished }) => {
    const first = await own(onTestFinished)
    const env = { ...OPTIONS.env, DS_DATABASE: first.server.database }
    const second = await own(onTestFinished, { door: "nginx", env, database: first.server.database })
    const root = unique()
    const a = `${root}/a`
    const sub = await first.pull({ pattern: `${root}/*` })
    const other = second.subscription(sub.id, sub.config)
    expect(await other.shown()).toEqual(await sub.shown())
    expectStatus(await other.confirm(), 200)
    await second.make(a, "hello")
    expect((await sub.event(1)).stream).toBe(a)
    const lease = await sub.claim("one")
    expectError(await other.tryClaim("two"), 409, "ALREADY_CLAIMED")
    expect(await other.finish(lease, { [a]: offset(2) })).toBe(true)
    expectError(await sub.ack(lease, { done: true }), 409, "FENCED")
    const tokens = new Set()
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, n) => (n % 2 ? sub : other).tryClaim(`w${n}`))
      )
      const won = answers.filter(({ status }) => status === 200)
      expect(won.length).toBe(1)
      tokens.add(won[0].json.token)
      expectStatus(await (round % 2 ? sub : other).release(won[0].json), 204)
    }
    expect(tokens.size).toBe(10)
    expect(await keys(first.ask)).toEqual(await keys(second.ask))
    expectStatus(await other.end(), 204)
    expectStatus(await first.ask("GET", sub.at), 404)
  }, 120_000)

  test("one of two processes that deliver does; each wake is one POST", async ({ onTestFinished }) => {
    const first = await own(onTestFinished)
    const env = { ...OPTIONS.env, DS_DATABASE: first.server.database }
    const second = await own(onTestFinished, { door: "nginx", env, database: first.server.database })
    const root = unique()
    const hook = receiver.hook(() => ({ body: { done: true } }))
    const sub = await first.webhook(hook, { pattern: `${root}/*` })
    await first.make(`${root}/a`)
    for (let n = 1; n <= 20; n++) {
      await (n % 2 ? first : second).append(`${root}/a`, "x")
      await until(async () => (await sub.link(`${root}/a`)).acked_offset === offset(n), "it is acked", { timeout: 30_000 })
    }
    expect(hook.posts.map(({ body }) => body.generation)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
  }, 120_000)
})
