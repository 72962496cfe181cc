// Subscriptions: settings of the server, and injected faults.

import { describe, expect, test } from "vitest"
import { sqlite } from "../harness.mjs"
import {
  bearer,
  CONTROL,
  expectError,
  expectStatus,
  JSON_TYPE,
  OPTIONS,
  offset,
  own,
  receiver,
  server,
  unique,
} from "./subscription-context.mjs"

describe("settings", () => {
  test("DS_WEBHOOKS=off refuses webhooks, and leaves the rest", async ({ onTestFinished }) => {
    const { ask, pull, make } = await own(onTestFinished, {
      env: { DS_WEBHOOKS: "off", DS_WEBHOOK_LOCAL: "1" },
    })
    const at = `${CONTROL}/subscriptions/off`
    const config = { type: "webhook", pattern: "x", webhook: { url: receiver.hook().url } }
    const answer = await ask("PUT", at, config)
    expectError(answer, 400, "INVALID_REQUEST")
    expect(answer.json.error.message).toMatch(/DS_WEBHOOKS/)
    expectStatus(await ask("GET", at), 404)
    expectStatus(await ask("GET", `${CONTROL}/jwks.json`), 200)
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "x")
    expect(await sub.finish(await sub.claim(), { [`${root}/a`]: offset(1) })).toBe(false)
  })

  test("without DS_WEBHOOK_LOCAL no webhook goes to this machine; lists allow and deny", async ({ onTestFinished }) => {
    const { ask } = await own(onTestFinished, {
      env: {
        DS_WEBHOOK_ALLOW: "10.1.0.0/16, fd00:1::/32, worker, *.internal.example",
        DS_WEBHOOK_DENY: "10.1.2.0/24, secret.internal.example, 8.8.4.4/32",
      },
    })
    const put = (url) =>
      ask("PUT", `${CONTROL}/subscriptions/${unique()}`, { type: "webhook", pattern: "x", webhook: { url } })
    for (const url of [
      receiver.hook().url,
      "http://localhost:1/",
      "https://localhost:1/",
      "https://x.localhost/",
      "https://127.0.0.1/",
      "https://[::1]/",
      "http://10.2.0.1/",
      "http://10.1.2.3/",
      "https://10.1.2.3/",
      "https://secret.internal.example/",
      "http://internal.example/",
      "https://8.8.4.4/",
      "https://[::ffff:8.8.4.4]/",
    ])
      expectError(await put(url), 400, "WEBHOOK_URL_REJECTED")
    for (const url of [
      "http://10.1.0.1/hook",
      "https://10.1.3.1/hook",
      "http://worker:8080/hook",
      "http://a.internal.example/hook",
      "http://[fd00:1::7]/hook",
      "https://8.8.8.8/hook",
    ])
      expectStatus(await put(url), 201)
  })

  test("DS_MAX_SUBSCRIPTIONS limits how many there are", async ({ onTestFinished }) => {
    const { server: limited, ask, pull } = await own(onTestFinished, {
      env: { DS_MAX_SUBSCRIPTIONS: "2" },
    })
    const one = await pull({ pattern: "x" })
    await pull({ pattern: "x" })
    const third = `${CONTROL}/subscriptions/third`
    const answer = await ask("PUT", third, { ...one.config, pattern: "y" })
    expectStatus(answer, 400, 403, 409, 429)
    expectStatus(await ask("GET", third), 404)
    expectStatus(await one.confirm(), 200)
    expect(await sqlite(limited.database, "SELECT count(*) FROM subscription")).toBe("2")
    expectStatus(await one.end(), 204)
    expectStatus(await ask("PUT", third, one.config), 201)
  })

  test("DS_BASE_URL is where addresses begin", async ({ onTestFinished }) => {
    // every server behind this door has the same path
    const url = `https://streams.example${new URL(server.url).pathname.replace(/\/$/, "")}`
    const { webhook, make } = await own(onTestFinished, { env: { ...OPTIONS.env, DS_BASE_URL: url } })
    const root = unique()
    const hook = receiver.hook(() => ({ body: { done: true } }))
    const sub = await webhook(hook, { pattern: `${root}/*` })
    const base = `${url}${CONTROL}`
    expect((await sub.shown()).webhook.signing.jwks_url).toBe(`${base}/jwks.json`)
    await make(`${root}/a`, "x")
    const { body } = await hook.post(0)
    expect(body.callback_url).toBe(`${base}/subscriptions/${sub.id}/callback`)
  })

  test("injected faults work on these paths", async ({ onTestFinished }) => {
    const { plain, pull, make } = await own(onTestFinished, {
      env: { DS_TEST_ENDPOINTS: "1" },
    })
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "x")
    const inject = (path, fault) =>
      plain.post("/_test/inject-error", JSON_TYPE, JSON.stringify({ path, ...fault }))
    const claim = () => plain.post(`${sub.at}/claim`, JSON_TYPE, '{"worker":"w"}')

    expectStatus(await inject(`${sub.at}/claim`, { status: 503, retryAfter: 7, count: 1 }), 200)
    const refused = await claim()
    expectStatus(refused, 503)
    expect(refused.headers["retry-after"]).toBe("7")
    expect(await sub.row("holder")).toBe("")
    const lease = JSON.parse((await claim()).text)
    expect(lease.generation).toBe(1)
    expectStatus(await inject(`${sub.at}/ack`, { status: 500, count: 1, method: "POST" }), 200)
    const body = JSON.stringify({ wake_id: lease.wake_id, generation: 1, done: true })
    expectStatus(await plain.post(`${sub.at}/ack`, bearer(lease.token), body), 500)
    expectStatus(await plain.post(`${sub.at}/ack`, bearer(lease.token), body), 200)
    expectStatus(await inject(sub.at, { status: 418, count: 1, method: "GET" }), 200)
    expectStatus(await plain.get(sub.at), 418)
    expectStatus(await inject(`${CONTROL}/jwks.json`, { status: 502, count: 1 }), 200)
    expectStatus(await plain.get(`${CONTROL}/jwks.json`), 502)
    expectStatus(await plain.get(`${CONTROL}/jwks.json`), 200)
  })
})
