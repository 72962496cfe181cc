// Subscriptions: what is refused, with which status and code, and which check comes first.

import { describe, expect, test } from "vitest"
import { until } from "../harness.mjs"
import { request } from "../http.mjs"
import {
  append,
  ask,
  bearer,
  CONTROL,
  expectError,
  expectStatus,
  make,
  offset,
  place,
  pull,
  receiver,
  server,
  unique,
  webhook,
} from "./subscription-context.mjs"

const nobody = place("nobody")
const NO_JSON = ["{", "null", "[]", "1", '""', "true", "{}x", '{"a":1,}', "\u0000"]

describe.concurrent("PUT", () => {
  const good = () => ({ type: "pull-wake", pattern: unique(), wake_stream: unique() })
  const put = (changes) => ask("PUT", place(unique()), { ...good(), ...changes })

  test.each(NO_JSON)("the body %j is 400", async (body) => {
    expectError(await ask("PUT", place(unique()), body), 400, "INVALID_REQUEST")
  })

  test.each([
    ["no type", { type: undefined }],
    ["another type", { type: "push" }],
    ["a type in capitals", { type: "Webhook" }],
    ["a type that is no text", { type: ["webhook"] }],
    ["neither pattern nor streams", { pattern: undefined }],
    ["an empty pattern", { pattern: "" }],
    ["a pattern that is no text", { pattern: 7 }],
    ["streams that are no array", { pattern: undefined, streams: "a" }],
    ["no pattern, and streams without any", { pattern: undefined, streams: [] }],
    ["a stream that is no text", { streams: ["a", 7] }],
    ["a stream null", { streams: [null] }],
    ["an empty stream", { streams: [""] }],
    ["a stream of slashes", { streams: ["//"] }],
    ["a stream below __ds", { streams: ["__ds/subscriptions/x"] }],
    ["a stream below __ds in other words", { streams: ["/%5F_ds/x"] }],
    ["a stream with malformed encoding", { streams: ["a/%zz"] }],
    ["a stream with dot segments", { streams: ["a/../b"] }],
    ["no wake stream", { wake_stream: undefined }],
    ["an empty wake stream", { wake_stream: "" }],
    ["a wake stream that is no text", { wake_stream: 7 }],
    ["a wake stream below __ds", { wake_stream: "__ds/x" }],
    ["the wake stream among the streams", { wake_stream: "/a/b", streams: ["a/b/"] }],
    ["a webhook without webhook", { type: "webhook" }],
    ["a webhook null", { type: "webhook", webhook: null }],
    ["a webhook without url", { type: "webhook", webhook: {} }],
    ["a webhook with an empty url", { type: "webhook", webhook: { url: "" } }],
    ["a webhook whose url is no text", { type: "webhook", webhook: { url: 7 } }],
    ["a webhook that is a text", { type: "webhook", webhook: "https://worker.example/" }],
  ])("%s: 400", async (_, changes) => {
    expectError(await put(changes), 400, "INVALID_REQUEST")
  })

  test.each([999, 600001, 1000.5, "1000", null, -1, 0, true, [], 1e300])("lease_ttl_ms %j: 400", async (lease) => {
    expectError(await put({ lease_ttl_ms: lease }), 400, "INVALID_REQUEST")
  })

  test.each(["1000", "600000", "1.0e3", "600000.0", "1000000e-3"])("lease_ttl_ms %s: 201", async (lease) => {
    const text = JSON.stringify({ ...good(), lease_ttl_ms: 1 }).replace(":1}", `:${lease}}`)
    const answer = await ask("PUT", place(unique()), text)
    expectStatus(answer, 201)
    expect(answer.json.lease_ttl_ms).toBe(Number(lease))
  })

  test("what may be ignored is ignored", async () => {
    const answer = await put({ streams: {}, description: null, webhook: 7, other: null })
    expectStatus(answer, 201)
    expect(answer.json.streams).toEqual([])
  })

  test.each([
    ["a description of 1025 bytes", { description: "ä".repeat(512) + "x" }],
    ["a pattern of 1025 bytes", { pattern: "p".repeat(1025) }],
    ["a pattern of 65 segments", { pattern: Array(65).fill("*").join("/") }],
    ["a pattern with malformed encoding", { pattern: "a/%zz/*" }],
    ["1001 streams", { streams: Array.from({ length: 1001 }, (_, n) => `s/${n}`) }],
    ["a stream of 9000 bytes", { streams: ["s".repeat(9000)] }],
    ["a url of 2049 bytes", { type: "webhook", webhook: { url: `https://a.example/${"x".repeat(2031)}` } }],
  ])("%s: 400 with a reason", async (_, changes) => {
    expectError(await put(changes), 400, "INVALID_REQUEST")
  })

  test.each([
    ["a description of 1024 bytes", { description: "ä".repeat(512) }],
    ["a pattern of 1024 bytes", { pattern: "p".repeat(1024) }],
    ["a pattern of 64 segments", { pattern: Array(64).fill("**").join("/") + "/" }],
    ["1000 streams", { streams: Array.from({ length: 1000 }, (_, n) => `s/${n}`) }],
  ])("%s: 201", async (_, changes) => {
    const answer = await put(changes)
    expectStatus(answer, 201)
    expectStatus(await ask("DELETE", place(answer.json.id)), 204)
  })

  test("a body of more than 1 MiB is 413", async () => {
    const answer = await put({ other: "x".repeat(1024 * 1024) })
    expectStatus(answer, 413)
    expect(answer.json.error.code).toMatch(/./)
  })

  test("an existing ID is looked at after the fields, and before the URL", async () => {
    const sub = await webhook(receiver.hook(), { pattern: unique() })
    const refused = { webhook: { url: "http://10.0.0.1/hook" } }
    expectError(await sub.confirm(refused), 409, "SUBSCRIPTION_ALREADY_EXISTS")
    expectError(await sub.confirm({ lease_ttl_ms: 1 }), 400, "INVALID_REQUEST")
    expectError(await sub.confirm({ ...refused, pattern: 7 }), 400, "INVALID_REQUEST")
  })
})

describe.concurrent("URLs of webhooks", () => {
  const put = (url) => ask("PUT", place(unique()), { type: "webhook", pattern: unique(), webhook: { url } })

  test.each([
    "http://10.0.0.1/hook",
    "http://worker.example/hook",
    "http://8.8.8.8/",
    "ftp://worker.example/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "worker.example/hook",
    "//worker.example/hook",
    "https:///hook",
    "https://",
    "https://user:secret@worker.example/",
    "https://user@worker.example/",
    "https://worker.example/#part",
    "https://worker.example/a b",
    "https://worker.example/\r\nX-Evil: yes",
    "https://worker.example:0/",
    "https://worker.example:65536/",
    "https://worker.example:x/",
    "https://0.0.0.0/",
    "https://10.1.2.3/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.0.0.1/",
    "https://192.0.2.1/",
    "https://192.168.1.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[fc00::1]/",
    "https://[fd12:3456::1]/",
    "https://[fe80::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[2002:0a00:0001::]/",
    "https://167772161/",
    "https://0x0a000001/",
    "https://0x0a.1/",
    "https://10.1/",
    "https://012.0.0.1/",
  ])("%j is refused", async (url) => {
    expectError(await put(url), 400, "WEBHOOK_URL_REJECTED")
  })

  test.each([
    "https://worker.example/hook?x=y",
    "https://worker.example:8443/",
    "https://8.8.8.8/",
    "https://[2600::1]/",
    "http://localhost:1/",
    "http://127.0.0.1:1/",
    "http://127.9.9.9:1/",
    "http://x.localhost:1/",
    "http://[::1]:1/",
    "https://localhost:1/",
  ])("%j is accepted", async (url) => {
    const answer = await put(url)
    expectStatus(answer, 201)
    expect(answer.json.webhook.url).toBe(url)
    expectStatus(await ask("DELETE", place(answer.json.id)), 204)
  })
})

describe.concurrent("POST of streams", () => {
  test("bad bodies are 400, also before a subscription that does not exist", async () => {
    const sub = await pull({ pattern: unique() })
    for (const at of [sub.at, nobody]) {
      for (const body of NO_JSON)
        expectError(await ask("POST", `${at}/streams`, body), 400, "INVALID_REQUEST")
      for (const streams of [undefined, null, "a", {}, 7, [7], [null], [""], ["a", []], ["a/%zz"], ["__ds/x"]])
        expectError(await ask("POST", `${at}/streams`, { streams }), 400, "INVALID_REQUEST")
    }
    expectError(await ask("POST", `${sub.at}/streams`, { streams: [sub.wake] }), 400, "INVALID_REQUEST")
    const many = Array.from({ length: 1001 }, (_, n) => `s/${n}`)
    expectError(await ask("POST", `${sub.at}/streams`, { streams: many }), 400, "INVALID_REQUEST")
    expect(await sub.paths()).toEqual([])
    expectError(await ask("POST", `${nobody}/streams`, { streams: [] }), 404, "SUBSCRIPTION_NOT_FOUND")
    expectError(await ask("DELETE", `${nobody}/streams/a`), 404, "SUBSCRIPTION_NOT_FOUND")
    expectError(await ask("GET", nobody), 404, "SUBSCRIPTION_NOT_FOUND")
  })
})

describe.concurrent("claim", () => {
  test("body, then subscription, type, lease, and work at last", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    const pushed = await webhook(receiver.hook(), { pattern: unique() })
    for (const at of [nobody, pushed.at, sub.at]) {
      for (const body of NO_JSON)
        expectError(await ask("POST", `${at}/claim`, body), 400, "INVALID_REQUEST")
      for (const worker of [undefined, null, "", 7, {}, ["w"], "x".repeat(257), "a\nb"])
        expectError(await ask("POST", `${at}/claim`, { worker }), 400, "INVALID_REQUEST")
    }
    expectError(await ask("POST", `${nobody}/claim`, { worker: "w" }), 404, "SUBSCRIPTION_NOT_FOUND")
    expectError(await pushed.tryClaim(), 400, "INVALID_REQUEST")
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    await make(`${root}/a`, "x")
    await sub.claim('"ü"')
    for (const worker of ["another", '"ü"']) {
      const answer = await sub.tryClaim(worker)
      expectError(answer, 409, "ALREADY_CLAIMED")
      const { message, ...error } = answer.json.error
      expect(message).toMatch(/./)
      expect(error).toEqual({ code: "ALREADY_CLAIMED", current_holder: '"ü"', generation: 1 })
    }
  })
})

describe.concurrent("ack, release, callback", () => {
  /** A subscription of each type with a lease: [verb, subscription, lease, path of a stream]. */
  async function leased() {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    const hook = receiver.hook()
    const pushed = await webhook(hook, { pattern: `${root}/*` })
    await make(`${root}/a`, "hello")
    const { body } = await hook.post(0)
    const path = `${root}/a`
    await until(async () => (await pushed.row("next_attempt_at")) === "", "the answer was noted")
    return [
      ["ack", sub, await sub.claim(), path],
      ["callback", pushed, { ...body, token: body.callback_token }, path],
    ]
  }

  test.each(["ack", "release", "callback"])("%s: the token, then body, subscription, and the rest", async (verb) => {
    for (const at of [nobody, ...(await leased()).map(([, sub]) => sub.at)]) {
      const path = `${at}/${verb}`
      for (const headers of [{}, { authorization: "Bearer" }, { authorization: "Bearer " }, { authorization: "Basic eDp5" }]) {
        const answer = await ask("POST", path, "{", headers)
        expectError(answer, 401, "TOKEN_INVALID")
        expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/)
      }
      for (const body of NO_JSON)
        expectError(await ask("POST", path, body, bearer("x")), 400, "INVALID_REQUEST")
    }
    const lease = { wake_id: "w_000000000000000000000000", generation: 1 }
    expectError(await ask("POST", `${nobody}/${verb}`, lease, bearer("1.1.x")), 404, "SUBSCRIPTION_NOT_FOUND")
    expectError(await ask("POST", `${nobody}/${verb}?token=x`, lease), 401, "TOKEN_INVALID")
  })

  test("the type of the subscription must be that of the request", async () => {
    const [[, sub, lease], [, pushed, body]] = await leased()
    expectError(await sub.callback(lease, { done: true }), 400, "INVALID_REQUEST")
    expectError(await pushed.ack(body, { done: true }), 400, "INVALID_REQUEST")
    expectError(await pushed.release(body), 400, "INVALID_REQUEST")
    expectStatus(await sub.release(lease), 204)
    expectStatus(await pushed.callback(body, { done: true }), 200)
  })

  test("tokens that are forged, or of another subscription, are 401", async () => {
    const [first, second] = [await leased(), await leased()]
    for (const i of [0, 1]) {
      const [verb, sub, lease] = first[i]
      const foreign = second[i][2].token
      const { token } = lease
      const forged = [
        "x",
        foreign,
        token.slice(0, -1),
        `${token}x`,
        token.slice(0, -1) + (token.endsWith("a") ? "b" : "a"),
        token.toUpperCase() === token ? token.toLowerCase() : token.toUpperCase(),
        token.split(".").slice(0, 2).join("."),
        `${token.split(".").slice(0, 2).join(".")}.`,
        token.split(".")[2],
        `${token.split(".")[0]}.99.${token.split(".")[2]}`,
        `0${token}`,
      ]
      for (const bad of forged)
        expectError(await sub[verb]({ ...lease, token: bad }, { done: true }), 401, "TOKEN_INVALID")
      expectStatus(await sub[verb](lease, { done: true }), 200)
    }
  })

  test("the scheme of the token may be in any case (RFC 9110)", async () => {
    for (const [verb, sub, lease] of await leased())
      for (const scheme of ["bearer", "BEARER", "Bearer "]) {
        const { wake_id, generation, token } = lease
        const headers = { authorization: `${scheme} ${token}` }
        expectStatus(await ask("POST", `${sub.at}/${verb}`, { wake_id, generation }, headers), 200)
      }
  })

  test("generation and wake_id must be those of the wake", async () => {
    for (const [verb, sub, lease] of await leased()) {
      for (const generation of [undefined, null, 0, 2, "1", 1.5, -1, true, [1], {}, 1e30])
        expectError(await sub[verb](lease, { generation, done: true }), 409, "FENCED")
      for (const wake_id of [undefined, null, "", "w_000000000000000000000000", 7, [lease.wake_id], `${lease.wake_id} `])
        expectError(await sub[verb](lease, { wake_id, done: true }), 409, "FENCED")
      expectStatus(await sub[verb](lease, { done: true }), 200)
    }
  })

  test("acks that are no array of objects are 400", async () => {
    for (const [verb, sub, lease] of await leased()) {
      for (const acks of [null, {}, "a", 7, true, [null], [7], ["a"], [[]], [true]])
        expectError(await sub[verb](lease, { acks, done: true }), 400, "INVALID_REQUEST")
      const many = Array(1001).fill({ stream: "a", offset: offset(0) })
      expectError(await sub[verb](lease, { acks: many }), 400, "INVALID_REQUEST")
      expectStatus(await sub[verb](lease, { acks: [], done: true }), 200)
    }
  })

  test("an ack that cannot be is 409, and none of its request counts", async () => {
    for (const [verb, sub, lease, path] of await leased()) {
      const good = { stream: path, offset: offset(5) }
      const before = await sub.shown()
      for (const ack of [
        {},
        { offset: offset(5) },
        { stream: path },
        { stream: 7, offset: offset(5) },
        { stream: null, offset: offset(5) },
        { stream: "", offset: offset(5) },
        { stream: `${path}x`, offset: offset(0) },
        { stream: `${path}/%zz`, offset: offset(0) },
        { stream: "__ds/jwks.json", offset: offset(0) },
        { stream: path, offset: offset(6) },
        { stream: path, offset: "-1" },
        { stream: path, offset: "now" },
        { stream: path, offset: 5 },
        { stream: path, offset: null },
        { stream: path, offset: "" },
        { stream: path, offset: "5" },
        { stream: path, offset: "~" },
        { stream: path, offset: `${offset(5)}x` },
        { stream: path, offset: "0000000000000001_0000000000000005" },
        { stream: path, offset: "9999999999999999_9999999999999999" },
      ])
        for (const acks of [[good, ack], [ack, good]]) {
          const answer = await sub[verb](lease, { acks, done: true })
          expect(`${answer.status} ${answer.json.error?.code}`, JSON.stringify(ack)).toBe("409 INVALID_OFFSET")
        }
      expect((await sub.shown()).streams).toEqual(before.streams)
      expect(await sub.finish(lease, { [path]: offset(5) })).toBe(false)
    }
  })

  test("an ack before the cursor is 409; one at the cursor is fine", async () => {
    for (const [verb, sub, lease, path] of await leased()) {
      const to = (position) => sub[verb](lease, { acks: [{ stream: path, offset: offset(position) }] })
      await append(path, "again")
      expectStatus(await to(5), 200)
      expectStatus(await to(5), 200)
      expectError(await to(4), 409, "INVALID_OFFSET")
      expect((await sub.link(path)).acked_offset).toBe(offset(5))
      expectStatus(await to(10), 200)
      expect((await sub.link(path)).acked_offset).toBe(offset(10))
    }
  })
})

describe.concurrent("sizes", () => {
  test("a long body that is JSON is read, whoever sends it in pieces", async () => {
    const id = unique()
    const text = JSON.stringify({
      type: "pull-wake",
      wake_stream: unique(),
      streams: Array.from({ length: 900 }, (_, n) => `${id}/${"x".repeat(900)}/${n}`),
    })
    const answer = await request(server.url, "PUT", place(id), { body: text.match(/[^]{1,65536}/g) })
    expectStatus(answer, 201)
    expect(JSON.parse(answer.text).streams.length).toBe(900)
    expectStatus(await ask("DELETE", `${CONTROL}/subscriptions/${id}`), 204)
  })
})
