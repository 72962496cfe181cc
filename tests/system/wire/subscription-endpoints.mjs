// Subscriptions: what each address answers to each method, and the names that may stand in it.

import { describe, expect, test } from "vitest"
import { request } from "../http.mjs"
import {
  api,
  append,
  ask,
  bearer,
  CONTROL,
  expectError,
  expectStatus,
  JSON_TYPE,
  make,
  offset,
  place,
  pull,
  receiver,
  ROOT,
  server,
  START,
  TEXT,
  unique,
  webhook,
} from "./subscription-context.mjs"

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

describe.concurrent("create, read, delete", () => {
  test("PUT answers 201 with the subscription, the same PUT 200, and GET shows it", async () => {
    const root = unique()
    const id = unique()
    const tail = await make(`${root}/a`, "hello")
    const config = {
      type: "pull-wake",
      pattern: `${root}/*`,
      streams: [`${root}/sub/b`],
      wake_stream: `${root}-wake`,
      lease_ttl_ms: 12345,
      description: 'with "quotes", ü and \u2028',
    }
    const created = await ask("PUT", place(id), config, JSON_TYPE)
    expectStatus(created, 201)
    expect(created.headers.location).toBeUndefined()
    const { created_at, streams, ...rest } = created.json
    expect(rest).toEqual({
      id,
      subscription_id: id,
      type: "pull-wake",
      pattern: `${root}/*`,
      wake_stream: `${root}-wake`,
      lease_ttl_ms: 12345,
      status: "active",
      description: config.description,
    })
    expect(created_at).toMatch(TIME)
    expect(streams).toEqual([
      { path: `${root}/a`, link_type: "glob", acked_offset: tail },
      { path: `${root}/sub/b`, link_type: "explicit", acked_offset: START },
    ])
    const again = await ask("PUT", place(id), config)
    expectStatus(again, 200)
    expect(again.json).toEqual(created.json)
    const got = await ask("GET", place(id))
    expectStatus(got, 200)
    expect(got.json).toEqual(created.json)
    const head = await ask("HEAD", place(id))
    expectStatus(head, 200)
  })

  test("absent members take their defaults", async () => {
    const sub = await pull({ pattern: unique(), lease_ttl_ms: undefined })
    const shown = await sub.shown()
    expect(shown.lease_ttl_ms).toBe(30000)
    expect(shown.description ?? null).toBe(null)
    expect(shown.webhook ?? null).toBe(null)
    expect(shown.streams).toEqual([])
  })

  test("a webhook shows its address and how it is signed, and no secret", async () => {
    const hook = receiver.hook()
    const sub = await webhook(hook, { pattern: unique(), lease_ttl_ms: 600000 })
    const shown = await sub.shown()
    expect(shown.webhook.url).toBe(hook.url)
    expect(shown.webhook.signing).toEqual({
      alg: "ed25519",
      kid: expect.stringMatching(/^[A-Za-z0-9_-]+$/),
      jwks_url: `${server.url}${CONTROL}/jwks.json`,
    })
    expect(shown.webhook_secret).toBeUndefined()
    expect(shown.wake_stream ?? null).toBe(null)
    expectStatus(await sub.confirm(), 200)
    const keys = await ask("GET", `${CONTROL}/jwks.json`)
    expect(keys.json.keys.map(({ kid }) => kid)).toContain(shown.webhook.signing.kid)
  })

  test("the addresses of a webhook begin as those of the request that created it", async () => {
    const sub = await webhook(receiver.hook(), { pattern: unique() })
    const { port } = new URL(server.url)
    const other = { host: `localhost:${port}` }
    const confirmed = await ask("PUT", sub.at, sub.config, other)
    expectStatus(confirmed, 200)
    expect(confirmed.json.webhook.signing.jwks_url).toBe(`${server.url}${CONTROL}/jwks.json`)
    const id = unique()
    const answer = await ask("PUT", place(id), sub.config, other)
    expectStatus(answer, 201)
    expect(answer.json.webhook.signing.jwks_url).toBe(
      `http://localhost:${port}${new URL(server.url).pathname.replace(/\/$/, "")}${CONTROL}/jwks.json`
    )
  })

  test("the same configuration in other words is 200", async () => {
    const root = unique()
    const id = unique()
    const wake = `${root}-wake`
    const first = {
      type: "pull-wake",
      pattern: `${root}/*`,
      streams: [`${root}/x/a`, `${root}/x/b`],
      wake_stream: wake,
    }
    expectStatus(await ask("PUT", place(id), first), 201)
    for (const words of [
      { streams: [`${root}/x/b`, `${root}/x/a`] },
      { streams: [`${root}/x/b`, `/${root}/x/a/`, `${root}/x/b`] },
      { pattern: `/${root}/*/` },
      { wake_stream: `/${wake}` },
      { lease_ttl_ms: 30000 },
      { description: 7, unknown: [{}], webhook: { url: 3 } },
    ])
      expectStatus(await ask("PUT", place(id), { ...first, ...words }), 200)
    const text = JSON.stringify({ ...first, lease_ttl_ms: 0 }).replace(":0}", ":3.0e4}")
    expectStatus(await ask("PUT", place(id), text), 200)
  })

  test("another configuration is 409, whichever member differs", async () => {
    const root = unique()
    const id = unique()
    const first = {
      type: "pull-wake",
      pattern: `${root}/*`,
      streams: [`${root}/x/a`],
      wake_stream: `${root}-wake`,
      description: "one",
    }
    expectStatus(await ask("PUT", place(id), first), 201)
    for (const change of [
      { type: "webhook", webhook: { url: receiver.hook().url } },
      { pattern: `${root}/**` },
      { pattern: undefined },
      { streams: [] },
      { streams: [`${root}/x/b`] },
      { streams: [`${root}/x/a`, `${root}/x/b`] },
      { wake_stream: `${root}-other` },
      { lease_ttl_ms: 30001 },
      { description: "two" },
      { description: undefined },
    ]) {
      const answer = await ask("PUT", place(id), { ...first, ...change })
      expectError(answer, 409, "SUBSCRIPTION_ALREADY_EXISTS")
    }
    expectStatus(await ask("PUT", place(id), first), 200)
  })

  test("streams that were added or taken away are no part of the configuration", async () => {
    const root = unique()
    const sub = await pull({ streams: [`${root}/a`, `${root}/b`] })
    expectStatus(await sub.drop(`${root}/a`), 204)
    expectStatus(await sub.add(`${root}/c`), 204)
    const again = await sub.confirm()
    expectStatus(again, 200)
    expect(again.json.streams.map(({ path }) => path)).toEqual([`${root}/b`, `${root}/c`])
  })

  test("DELETE is 204, also again; then every request but PUT is 404", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/a`, "x")
    const lease = await sub.claim()
    expectStatus(await sub.end(), 204)
    expectStatus(await sub.end(), 204)
    for (const answer of [
      await ask("GET", sub.at),
      await sub.add(`${root}/b`),
      await sub.drop(`${root}/b`),
      await sub.tryClaim(),
      await sub.ack(lease, { done: true }),
      await sub.release(lease),
      await sub.callback(lease),
    ])
      expectError(answer, 404, "SUBSCRIPTION_NOT_FOUND")
    expectStatus(await ask("HEAD", sub.at), 404)
    const answer = await sub.confirm()
    expectStatus(answer, 201)
    // it begins at the tail again
    expect(answer.json.streams[0].acked_offset).toBe(offset(1))
  })

  test("Content-Type is not looked at, and an empty body counts as {}", async () => {
    const id = unique()
    const config = { type: "pull-wake", pattern: "x", wake_stream: `${id}-wake` }
    expectStatus(await ask("PUT", place(id), config, TEXT), 201)
    expectStatus(await ask("PUT", place(id), config, { "content-type": "a/b; c=d" }), 200)
    expectError(await ask("PUT", place(unique()), ""), 400, "INVALID_REQUEST")
    expectError(await ask("POST", `${place(id)}/claim`), 400, "INVALID_REQUEST")
  })
})

describe.concurrent("public keys", () => {
  test("the key set has Ed25519 keys only, each with a kid of its own", async () => {
    await webhook(receiver.hook(), { pattern: unique() })
    const answer = await ask("GET", `${CONTROL}/jwks.json`)
    expectStatus(answer, 200)
    expect(Object.keys(answer.json)).toEqual(["keys"])
    const { keys } = answer.json
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) {
      expect(key).toEqual({
        kty: "OKP",
        crv: "Ed25519",
        kid: expect.stringMatching(/^[A-Za-z0-9_-]{8,}$/),
        use: "sig",
        alg: "EdDSA",
        x: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      })
      expect(Buffer.from(key.x, "base64url").length).toBe(32)
    }
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
    expectStatus(await ask("HEAD", `${CONTROL}/jwks.json`), 200)
  })
})

describe.concurrent("methods", () => {
  const at = place("nobody")
  const addresses = [
    [at, ["GET", "HEAD", "PUT", "DELETE"]],
    [`${at}/streams`, ["POST"]],
    [`${at}/streams/a%2Fb`, ["DELETE"]],
    [`${at}/streams/a/b`, ["DELETE"]],
    [`${at}/callback`, ["POST"]],
    [`${at}/claim`, ["POST"]],
    [`${at}/ack`, ["POST"]],
    [`${at}/release`, ["POST"]],
    [`${CONTROL}/jwks.json`, ["GET", "HEAD"]],
  ]

  test.each(addresses)("%s: other methods are 405, and Allow names %j", async (path, allowed) => {
    for (const method of ["GET", "HEAD", "PUT", "POST", "DELETE"]) {
      if (allowed.includes(method)) continue
      const answer = await ask(method, path)
      expect(answer.status, method).toBe(405)
      if (method !== "HEAD") expectError(answer, 405, "METHOD_NOT_ALLOWED")
      const listed = answer.headers.allow.split(/, */)
      expect(listed.filter((word) => word !== "OPTIONS").sort(), method).toEqual([...allowed].sort())
    }
  })

  test.each(addresses)("%s: OPTIONS is 204, and lets pages send what is needed", async (path, allowed) => {
    const answer = await ask("OPTIONS", path, undefined, {
      origin: "https://app.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    })
    expectStatus(answer, 204)
    const headers = answer.headers["access-control-allow-headers"].toLowerCase().split(/, */)
    expect(headers).toEqual(expect.arrayContaining(["authorization", "content-type"]))
    const methods = answer.headers["access-control-allow-methods"].split(/, */)
    expect(methods).toEqual(expect.arrayContaining(allowed))
  })
})

describe.concurrent("addresses", () => {
  test.each([
    "",
    "/",
    "/x",
    "/jwks",
    "/jwks.json/",
    "/jwks.json/x",
    "/subscriptions",
    "/subscriptions/",
    "/subscriptionsx/a",
    "/subscriptions/x/",
    "/subscriptions/x/other",
    "/subscriptions/x/Claim",
    "/subscriptions/x/claim/",
    "/subscriptions/x/claim/y",
    "/subscriptions/x/streams/",
  ])("__ds%s is no address, and no stream: 404", async (rest) => {
    for (const method of ["PUT", "POST", "GET", "DELETE"]) {
      const body = method === "PUT" || method === "POST" ? "x" : undefined
      const answer = await ask(method, CONTROL + rest, body, TEXT)
      expectError(answer, 404, "SUBSCRIPTION_NOT_FOUND")
    }
    expectStatus(await ask("HEAD", CONTROL + rest), 404)
  })

  test.each([`%5F_ds`, `_%5fds`, `__d%73`])("%s is __ds in other words", async (name) => {
    const sub = await pull({ pattern: unique() })
    const answer = await ask("GET", sub.at.replace("__ds", name))
    expectStatus(answer, 200)
    expect(answer.json.id).toBe(sub.id)
    expectStatus(await ask("PUT", `${ROOT}${name}/x`, "x", TEXT), 404)
  })

  test("__dsx and a/__ds are streams", async () => {
    const end = unique()
    for (const path of [`__dsx/${end}`, `${end}/__ds`, `${end}/__ds/subscriptions/x`, `__DS/${end}`]) {
      expectStatus(await api.put(ROOT + path, TEXT, "x"), 201)
      expect((await api.get(ROOT + path)).text).toBe("x")
    }
  })

  const NAMES = ["a/b", "webhook:type:name", "x y", "ü😀", "100%", "a%2Fb", "a?b#c", "a+b", "streams", "claim", "a.b~c_d", "'\"<>&", "ä".repeat(120)]

  test.each(NAMES)("the ID %j may stand in every address", async (name) => {
    const end = unique()
    const sub = await pull({ streams: [`${end}/a`] }, name + end)
    expect((await sub.shown()).id).toBe(name + end)
    expect((await sub.shown()).subscription_id).toBe(name + end)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    await make(`${end}/a`, "x")
    expect((await sub.event(1)).subscription_id).toBe(name + end)
    const first = await sub.claim()
    expectStatus(await sub.release(first), 204)
    const second = await sub.claim()
    expect(await sub.finish(second, { [`${end}/a`]: offset(1) })).toBe(false)
    expectStatus(await sub.add(`${end}/b`), 204)
    expectStatus(await sub.drop(`${end}/a`), 204)
    expect(await sub.paths()).toEqual([`${end}/b`])
    expectStatus(await sub.end(), 204)
    expectStatus(await ask("GET", sub.at), 404)
  })

  test("an ID may be spelled in several ways", async () => {
    const id = unique("n:m")
    await pull({ pattern: "x" }, id)
    for (const spelling of [id, encodeURIComponent(id), id.replace("n", "%6E").replace(":", "%3a")]) {
      const answer = await ask("GET", `${CONTROL}/subscriptions/${spelling}`)
      expectStatus(answer, 200)
      expect(answer.json.id).toBe(id)
    }
  })

  test("the ID of a webhook is encoded in the address for its callbacks", async () => {
    const root = unique()
    const hook = receiver.hook()
    const id = `${root} a/ü:?`
    const sub = await webhook(hook, { pattern: `${root}/*` }, id)
    await make(`${root}/a`, "x")
    const { body } = await hook.post(0)
    expect(body.subscription_id).toBe(id)
    const start = `${server.url}${CONTROL}/subscriptions/`
    expect(body.callback_url.startsWith(start)).toBe(true)
    const rest = body.callback_url.slice(start.length)
    expect(rest).toMatch(/^[!-~]+$/)
    expect(rest.split("/").map(decodeURIComponent)).toEqual([id, "callback"])
    const { origin } = new URL(server.url)
    const answer = await request(origin, "POST", body.callback_url.slice(origin.length), {
      headers: bearer(body.callback_token),
      body: JSON.stringify({ wake_id: body.wake_id, generation: 1, done: true }),
    })
    expect(answer.text).toMatch(/^\{"ok":true,/)
    await sub.end()
  })

  test("malformed encoding is 400", async () => {
    // some web servers answer by themselves
    for (const path of [place("").concat("%zz"), `${place("x")}/streams/%zz`, place("").concat("a%2")])
      for (const method of ["GET", "PUT", "DELETE"])
        expectStatus(await request(server.url, method, path), 400, 405)
  })

  test("an ID that is too long, or no text, is 400", async () => {
    for (const name of ["x".repeat(257), "%C3%A4".repeat(129), "%FF", "%01", "a%0Ab", "%7F", "%ED%A0%80"]) {
      const answer = await request(server.url, "PUT", `${CONTROL}/subscriptions/${name}`, {
        body: JSON.stringify({ type: "pull-wake", pattern: "x", wake_stream: "y" }),
      })
      expectStatus(answer, 400)
    }
    await pull({ pattern: "x" }, unique("x".repeat(256 - 14)).slice(0, 256))
  })
})

describe.concurrent("explicit streams", () => {
  test("a stream is taken away as one segment, or with its slashes", async () => {
    const root = unique()
    const names = ["a/b", "a/x%20y", "a%2Fb", "c", "a%2Bb", "50%25"].map((name) => `${root}/${name}`)
    const sub = await pull({ streams: names })
    expect(await sub.paths()).toEqual([...names].sort())
    for (const name of names) {
      expectStatus(await sub.drop(name), 204)
      expect(await sub.paths(), name).not.toContain(name)
    }
    expect(await sub.paths()).toEqual([])
    const slashed = names.filter((name) => name.split("/").length > 1)
    expectStatus(await sub.add(...slashed), 204)
    for (const name of slashed) {
      expectStatus(await ask("DELETE", `${sub.at}/streams/${name}`), 204)
      expect(await sub.paths(), name).not.toContain(name)
    }
  })

  test("adding is 204, also for no stream, a linked one, and one that does not exist", async () => {
    const root = unique()
    const tail = await make(`${root}/a`, "xyz")
    const sub = await pull({ pattern: unique() })
    expectStatus(await sub.add(), 204)
    expectStatus(await sub.add(`${root}/a`, `/${root}/b/`, `${root}/a`), 204)
    const before = (await sub.shown()).streams
    expect(before).toEqual([
      { path: `${root}/a`, link_type: "explicit", acked_offset: tail },
      { path: `${root}/b`, link_type: "explicit", acked_offset: START },
    ])
    await append(`${root}/a`)
    expectStatus(await sub.add(`${root}/a`, `${root}/b`), 204)
    expect((await sub.shown()).streams).toEqual(before)
    expectStatus(await sub.drop(`${root}/nothing`), 204)
  })

  test("paths are compared as URLs are: encoding of other characters stays", async () => {
    const root = unique()
    const sub = await pull({ streams: [`${root}/%61%7e`, `${root}/x%2fy`, `${root}/x%20y`] })
    expect(await sub.paths()).toEqual([`${root}/a~`, `${root}/x%20y`, `${root}/x%2Fy`])
    expectStatus(await sub.add(`${root}/a~`), 204)
    expect((await sub.paths()).length).toBe(3)
  })
})
