// What pages of other origins may do (CORS), with each of the settings and without any.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { chosenSetup, startServer } from "../harness.mjs"
import { client, fresh } from "../http.mjs"
import { api, expectStatus, narrow, stream, TEXT } from "./context.mjs"

const words = (text) => (text ?? "").toLowerCase().split(/, */)
/** The CORS headers of an answer. */
const shown = ({ headers }) => ({
  origin: headers["access-control-allow-origin"],
  credentials: headers["access-control-allow-credentials"],
  exposes: words(headers["access-control-expose-headers"]).includes("stream-next-offset"),
  vary: words(headers.vary).includes("origin"),
})
const ask = (from, wanted = "content-type") => ({
  origin: from,
  "access-control-request-method": "POST",
  "access-control-request-headers": wanted,
})

describe("without settings", () => {
  test("every page may call it, none with credentials", async () => {
    const path = await stream("text/plain", "x")
    const any = { origin: "*", credentials: undefined, exposes: true, vary: false }
    for (const from of [{}, { origin: "https://page.example" }, { origin: "null" }])
      for (const answer of [
        await api.get(path, from),
        await api.get(fresh(), from),
        await api.options(path, from),
      ])
        expect(shown(answer)).toEqual(any)
  })

  test("headers of browser tracing are allowed, headers that a proxy may trust are not", async () => {
    const wanted = "content-type,traceparent,baggage,sentry-trace,x-api-key,x-forwarded-user"
    const answer = await api.options(fresh(), ask("https://page.example", wanted))
    const allowed = words(answer.headers["access-control-allow-headers"])
    for (const name of ["traceparent", "tracestate", "baggage", "sentry-trace", "b3", "x-api-key"])
      expect(allowed).toContain(name)
    for (const name of ["x-forwarded-user", "*"]) expect(allowed).not.toContain(name)
  })

  test("a single origin in DS_CORS_ORIGIN is named in every answer", async () => {
    const one = { origin: "https://app.example", credentials: undefined, exposes: true, vary: false }
    for (const from of [{}, { origin: "https://app.example" }, { origin: "https://other.example" }])
      expect(shown(await narrow.get(fresh(), from))).toEqual(one)
  })
})

describe("several origins, with credentials", () => {
  const ONE = "https://one.example"
  const TWO = "http://two.example:8080"
  const yes = (origin) => ({ origin, credentials: "true", exposes: true, vary: true })
  const no = { origin: undefined, credentials: undefined, exposes: false, vary: true }
  let several, path, tail

  beforeAll(async () => {
    several = await startServer({
      ...chosenSetup().options,
      env: {
        DS_CORS_ORIGIN: ` ${ONE}, ${TWO} `,
        DS_CORS_CREDENTIALS: "1",
        DS_CORS_HEADERS: "X-My-App,x-tenant",
        DS_TRUST_FORWARDED: "1",
        DS_LONG_POLL_TIMEOUT_MS: "2000",
      },
    })
    path = fresh()
    const made = await client(several.url).create(path, "text/plain", "x")
    tail = made.headers["stream-next-offset"]
  })
  afterAll(() => several?.stop())

  test("each sees its own name, others see none, and caches are told", async () => {
    const one = client(several.url)
    for (const [from, expected] of [
      [{ origin: ONE }, yes(ONE)],
      [{ origin: TWO }, yes(TWO)],
      [{}, no],
      [{ origin: "https://other.example" }, no],
      [{ origin: "null" }, no],
      [{ origin: "*" }, no],
      [{ origin: "" }, no],
      [{ origin: `${ONE}.evil.example` }, no],
      [{ origin: `${ONE} ` + TWO }, no],
      [{ origin: "https://one.exampl" }, no],
      [{ origin: "HTTPS://ONE.EXAMPLE" }, no],
    ]) {
      const tag = (await one.get(path, from)).headers.etag
      for (const answer of [
        await one.get(path, from),
        await one.get(path, { ...from, "if-none-match": tag }),
        await one.head(path, from),
        await one.put(path, { ...TEXT, ...from }),
        await one.get(fresh(), from),
        await one.get(`${path}?offset=bad`, from),
        await one.get(`${path}/${"n".repeat(3000)}`, from),
        await one.get(`${path}?offset=-1&live=long-poll`, from),
        await one.any("PATCH", path, from),
        await one.options(path, from),
      ])
        expect(shown(answer), JSON.stringify(from) + answer.status).toEqual(expected)
      const reader = await one.sse(`${path}?offset=-1&live=sse`, from)
      expect(shown(reader)).toEqual(expected)
      reader.close()
    }
  })

  test("readers of different origins that wait for the same message each get their own answer", async () => {
    const one = client(several.url)
    const polls = [ONE, TWO, "https://other.example", ONE, undefined].map((origin) =>
      one.get(`${path}?offset=${tail}&live=long-poll`, origin ? { origin } : {})
    )
    await new Promise((resolve) => setTimeout(resolve, 300))
    await one.append(path, "text/plain", "y")
    expect((await Promise.all(polls)).map((answer) => [answer.text, shown(answer)])).toEqual([
      ["y", yes(ONE)],
      ["y", yes(TWO)],
      ["y", no],
      ["y", yes(ONE)],
      ["y", no],
    ])
    // also if no message arrives
    const { headers } = await one.head(path)
    const idle = `${path}?offset=${headers["stream-next-offset"]}&live=long-poll`
    const nothing = await Promise.all([ONE, TWO].map((origin) => one.get(idle, { origin })))
    expect(nothing.map((answer) => [answer.status, shown(answer)])).toEqual([
      [204, yes(ONE)],
      [204, yes(TWO)],
    ])
  })

  test("DS_CORS_HEADERS are allowed as well", async () => {
    const answer = await client(several.url).options(path, ask(ONE, "x-my-app,x-other"))
    expectStatus(answer, 204)
    const allowed = words(answer.headers["access-control-allow-headers"])
    for (const name of ["x-my-app", "x-tenant", "producer-id", "authorization"])
      expect(allowed).toContain(name)
    expect(allowed).not.toContain("x-other")
  })

  test("Location has the scheme and host that the first of several proxies saw", async () => {
    const made = fresh()
    const answer = await client(several.url).put(made, {
      ...TEXT,
      "x-forwarded-proto": "https, http",
      "x-forwarded-host": "streams.example, inner.example:8080",
    })
    expect(answer.headers.location).toBe(`https://streams.example${made}`)
    const other = fresh()
    const garbage = await client(several.url).put(other, {
      ...TEXT,
      "x-forwarded-proto": "javascript:",
      "x-forwarded-host": "evil.example/path?x=",
    })
    expect(garbage.headers.location).toBe(`${several.url}${other}`)
  })
})

test("DS_CORS_HEADERS=*: every name that a page asks for, if it can be a header", async () => {
  const env = { DS_CORS_HEADERS: "*", DS_CORS_ORIGIN: "https://app.example" }
  const open = await startServer({ ...chosenSetup().options, env })
  try {
    const wanted = "X-Own, , bad header,a:b,(c),x-last"
    const { headers } = await client(open.url).options(fresh(), ask("https://app.example", wanted))
    const allowed = headers["access-control-allow-headers"].split(", ")
    for (const name of ["Producer-Id", "X-Own", "x-last"]) expect(allowed).toContain(name)
    expect(allowed.filter((name) => !/^[\w-]+$/.test(name))).toEqual([])
    expect(headers.vary).toMatch(/access-control-request-headers/i)
    const { headers: none } = await client(open.url).options(fresh(), {})
    expect(none["access-control-allow-headers"]).toMatch(/producer-id/i)
  } finally {
    await open.stop()
  }
})
