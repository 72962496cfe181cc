// Expiry, forks and closing: how streams begin, divide and end, and which error comes first.

import { describe, expect, test } from "vitest"
import { sleep, until } from "../harness.mjs"
import { fresh } from "../http.mjs"
import { api, CLOSE, expectStatus, JSON_TYPE, narrow, OFFSET, stream, TEXT } from "./context.mjs"

describe("time to live", () => {
  test("Stream-TTL: 0 is valid and expires at once", async () => {
    const path = fresh()
    expectStatus(await api.put(path, { ...TEXT, "stream-ttl": "0" }, "x"), 201)
    expectStatus(await api.get(path), 404)
    expectStatus(await api.head(path), 404)
    expectStatus(await api.post(path, TEXT, "y"), 404)
    expectStatus(await api.put(path, TEXT), 201)
  })

  test("Stream-Expires-At in the past is not an error, and leaves no stream", async () => {
    const path = fresh()
    const answer = await api.put(
      path,
      { ...TEXT, "stream-expires-at": "2001-02-03T04:05:06Z" },
      "x"
    )
    expectStatus(answer, 201, 400)
    expectStatus(await api.get(path), 404)
  })

  test.each(["+1", "01", "1.0", "1e3", "-1", "abc", "1 2", "0x10", "99999999999999999999999999"])(
    "Stream-TTL: %s is 400",
    async (ttl) => {
      expectStatus(await api.put(fresh(), { ...TEXT, "stream-ttl": ttl }), 400)
    }
  )

  test.each([
    "tomorrow",
    "2099-01-01",
    "2099-01-01T00:00:00",
    "2099-01-01T00:00Z",
    "2099-02-30T00:00:00Z",
    "2099-13-01T00:00:00Z",
    "2099-01-01T24:00:00Z",
    "2099-01-01T00:60:00Z",
    "2099-01-01T00:00:00+0200",
    "2099-01-01T00:00:00+24:00",
    "2099-01-01T00:00:00.Z",
    "4070908800",
    "Thu, 01 Jan 2099 00:00:00 GMT",
  ])("Stream-Expires-At: %s is not RFC 3339: 400", async (time) => {
    expectStatus(await api.put(fresh(), { ...TEXT, "stream-expires-at": time }), 400)
  })

  test.each(["2099-01-01T00:00:00Z", "2099-01-01T02:30:00+02:30", "2099-01-01t00:00:00.000z"])(
    "Stream-Expires-At: %s is RFC 3339: 201",
    async (time) => {
      const path = fresh()
      expectStatus(await api.put(path, { ...TEXT, "stream-expires-at": time }), 201)
      expect(Date.parse((await api.head(path)).headers["stream-expires-at"])).toBe(
        Date.UTC(2099, 0, 1)
      )
      // times are compared, not their text
      expectStatus(
        await api.put(path, { ...TEXT, "stream-expires-at": "2099-01-01T01:00:00+01:00" }),
        200
      )
      expectStatus(
        await api.put(path, { ...TEXT, "stream-expires-at": "2099-01-01T00:00:01Z" }),
        409
      )
    }
  )

  test("both headers together are 400", async () => {
    const both = { ...TEXT, "stream-ttl": "60", "stream-expires-at": "2099-01-01T00:00:00Z" }
    expectStatus(await api.put(fresh(), both), 400)
  })

  test("live readers of a stream end when it expires", async () => {
    const path = fresh()
    const at = new Date(Date.now() + 2000)
    await api.create(path, "text/plain", undefined, { "stream-expires-at": at.toISOString() })
    const reader = await api.sse(`${path}?offset=-1&live=sse`)
    await reader.waitFor((event) => event.control)
    await Promise.race([reader.ended, sleep(5000)])
    const late = Date.now() - at
    reader.close()
    expect(late, "ms after its end").toBeLessThan(2500)
    expect(late, "ms after its end").toBeGreaterThan(-100)
    expect(reader.controls().some((control) => control.streamClosed)).toBe(false)
    expectStatus(await api.get(path), 404)
  })
})

describe("forks", () => {
  const from = (path, rest = {}) => ({ "stream-forked-from": path, ...rest })

  test("a repeated PUT finds the same fork, without Content-Type and with inherited expiry", async () => {
    const source = fresh()
    await api.create(source, "text/plain", "hello", { "stream-ttl": "3600" })
    const fork = fresh()
    expectStatus(await api.put(fork, from(source)), 201)
    expectStatus(await api.put(fork, from(source)), 200)
    expectStatus(await api.put(fork, from(source, TEXT)), 200)
    expectStatus(await api.put(fork, from(source, { "stream-ttl": "3600" })), 200)
    expect((await api.head(fork)).headers["stream-ttl"]).toBe("3600")
    expect((await api.get(fork)).text).toBe("hello")
  })

  test("a repeated PUT with the same offsets finds the fork, with others 409", async () => {
    const source = fresh()
    await api.create(source)
    const first = (await api.append(source, "text/plain", "hello")).headers["stream-next-offset"]
    const second = (await api.append(source, "text/plain", "world")).headers["stream-next-offset"]
    const fork = fresh()
    const headers = from(source, { "stream-fork-offset": first, "stream-fork-sub-offset": "2" })
    expectStatus(await api.put(fork, headers), 201)
    expectStatus(await api.put(fork, headers), 200)
    expect((await api.get(fork)).text).toBe("hellowo")
    expectStatus(await api.put(fork, from(source, { "stream-fork-offset": second })), 409)
    expectStatus(await api.put(fork, from(source, { "stream-fork-offset": first })), 409)
    expectStatus(await api.put(fork, TEXT), 409)
    const other = await stream()
    expectStatus(await api.put(fork, { ...headers, "stream-forked-from": other }), 400, 409)
  })

  test("a sub-offset of 0 is the same as none", async () => {
    const source = await stream("text/plain", "hello")
    const fork = fresh()
    expectStatus(await api.put(fork, from(source)), 201)
    expectStatus(await api.put(fork, from(source, { "stream-fork-sub-offset": "0" })), 200)
  })

  test("fork offsets without a source are 400", async () => {
    const offset = "0000000000000000_0000000000000000"
    expectStatus(await api.put(fresh(), { ...TEXT, "stream-fork-offset": offset }), 400)
    expectStatus(await api.put(fresh(), { ...TEXT, "stream-fork-sub-offset": "1" }), 400)
  })

  test.each(["-1x", "x", "1.0", "+1", "-1", "01", "99999999999999999999999"])(
    "Stream-Fork-Sub-Offset: %s is 400",
    async (sub) => {
      const source = await stream("text/plain", "hello")
      const start = "0000000000000000_0000000000000000"
      const headers = from(source, { "stream-fork-offset": start, "stream-fork-sub-offset": sub })
      expectStatus(await api.put(fresh(), headers), 400)
    }
  )

  test.each(["abc", "9999999999999999_9999999999999999", "0_0"])(
    "Stream-Fork-Offset: %s is 400",
    async (offset) => {
      const source = await stream("text/plain", "hello")
      expectStatus(await api.put(fresh(), from(source, { "stream-fork-offset": offset })), 400)
    }
  )

  test("a missing source is 404, a deleted one with forks 409, another type 409", async () => {
    expectStatus(await api.put(fresh(), from(fresh())), 404)
    const source = await stream("text/plain", "hello")
    expectStatus(await api.put(fresh(), from(source, JSON_TYPE)), 409)
    const fork = fresh()
    expectStatus(await api.put(fork, from(source)), 201)
    expectStatus(await api.del(source), 204)
    expectStatus(await api.put(fresh(), from(source)), 409)
    for (const method of ["get", "head", "del"]) expectStatus(await api[method](source), 410)
    expectStatus(await api.post(source, TEXT, "x"), 410)
    expectStatus(await api.put(source, TEXT), 409)
    expect((await api.get(fork)).text).toBe("hello")
  })

  test.each([
    "http://evil.example/v1/stream/x",
    "/etc/passwd",
    "../x",
    "/v1/stream/a/../b",
    "%zz",
    "x%00y",
  ])("Stream-Forked-From: %s is refused", async (source) => {
    expectStatus(await api.put(fresh(), from(source)), 400, 404)
  })

  test("a source's name is normalised like any other", async () => {
    const base = fresh()
    await api.create(`${base}/a~b`, "text/plain", "x")
    const fork = fresh()
    expectStatus(await api.put(fork, from(`${base}/a%7eb`)), 201)
    expect((await api.get(fork)).text).toBe("x")
  })

  test("appends to the source do not wake a fork's reader", async () => {
    const source = await stream("text/plain", "hello")
    const fork = fresh()
    expectStatus(await api.put(fork, from(source)), 201)
    const waiting = api.get(`${fork}?offset=now&live=long-poll`)
    await sleep(100)
    await api.append(source, "text/plain", "not for the fork")
    expectStatus(await waiting, 204)
    expect((await api.get(fork)).text).toBe("hello")
  })

  test("deleted streams of a chain of forks go from its end", async () => {
    const paths = [await stream("text/plain", "a")]
    for (const letter of ["b", "c", "d"]) {
      const next = fresh()
      expectStatus(await api.put(next, from(paths.at(-1)), undefined), 201)
      await api.append(next, "text/plain", letter)
      paths.push(next)
    }
    expect((await api.get(paths.at(-1))).text).toBe("abcd")
    for (const path of paths.slice(0, -1)) expectStatus(await api.del(path), 204)
    expect((await api.get(paths.at(-1))).text).toBe("abcd")
    for (const path of paths.slice(0, -1)) expectStatus(await api.get(path), 410)
    expectStatus(await api.del(paths.at(-1)), 204)
    await until(
      async () =>
        (await Promise.all(paths.map((path) => api.get(path)))).every(
          (answer) => answer.status === 404
        ),
      "the whole chain is removed",
      { timeout: 5000, every: 100 }
    )
  })
})

describe("which error comes first", () => {
  const appends = [
    ["without Content-Type", {}, "x"],
    ["with an empty body", TEXT, ""],
    ["with neither", {}, ""],
    ["of another type", JSON_TYPE, "{}"],
    ["with an old Stream-Seq", { ...TEXT, "stream-seq": "a" }, "x"],
    ["without any flaw", TEXT, "x"],
    ["that would close it again, with a body", { ...TEXT, ...CLOSE }, "x"],
    [
      "of an unknown producer",
      { ...TEXT, "producer-id": "p", "producer-epoch": "0", "producer-seq": "0" },
      "x",
    ],
  ]

  test.each(appends)(
    "an append %s to a closed stream is 409 with Stream-Closed",
    async (_, headers, body) => {
      const path = fresh()
      await api.create(path)
      await api.append(path, "text/plain", "end", { "stream-seq": "b" })
      const tail = (await api.post(path, CLOSE)).headers["stream-next-offset"]
      const answer = await api.post(path, headers, body)
      expectStatus(answer, 409)
      expect(answer.headers["stream-closed"]).toBe("true")
      expect(answer.headers["stream-next-offset"]).toBe(tail)
    }
  )

  test.each(appends)("an append %s to a missing stream is 404", async (_, headers, body) => {
    const answer = await api.post(fresh(), headers, body)
    expectStatus(answer, 404)
    expect(answer.headers["stream-closed"]).toBeUndefined()
  })

  test("closing a closed stream is 204, closing a missing one 404", async () => {
    const path = await stream("text/plain", "x")
    const first = await api.post(path, CLOSE)
    const second = await api.post(path, CLOSE)
    for (const answer of [first, second]) {
      expectStatus(answer, 204)
      expect(answer.headers["stream-closed"]).toBe("true")
      expect(answer.headers["stream-next-offset"]).toMatch(OFFSET)
    }
    expect(second.headers["stream-next-offset"]).toBe(first.headers["stream-next-offset"])
    expectStatus(await api.post(fresh(), CLOSE), 404)
  })

  test("an append to an open stream is 400 without type or body, and 409 with another type", async () => {
    const path = await stream("text/plain", "x")
    expectStatus(await api.post(path, {}, "x"), 400)
    expectStatus(await api.post(path, TEXT, ""), 400)
    const answer = await api.post(path, JSON_TYPE, "{}")
    expectStatus(answer, 409)
    expect(answer.headers["stream-closed"]).toBeUndefined()
    expect((await api.get(path)).text).toBe("x")
  })

  test("a close without body takes any Content-Type", async () => {
    const path = await stream("text/plain", "x")
    expectStatus(await api.post(path, { ...JSON_TYPE, ...CLOSE }, ""), 204)
  })
})

describe("Stream-Closed", () => {
  test.each(["true", "TRUE", "True"])("%s closes", async (value) => {
    const path = await stream("text/plain", "x")
    const answer = await api.post(path, { "stream-closed": value })
    expectStatus(answer, 204)
    expect(answer.headers["stream-closed"]).toBe("true")
    const created = fresh()
    const put = await api.put(created, { ...TEXT, "stream-closed": value }, "all of it")
    expectStatus(put, 201)
    expect(put.headers["stream-closed"]).toBe("true")
    expectStatus(await api.put(created, { ...TEXT, "stream-closed": value }), 200)
    expectStatus(await api.put(created, TEXT), 409)
  })

  test.each(["false", "yes", "1", "truee", "true,true"])(
    "%s is ignored",
    async (value) => {
      const path = await stream("text/plain", "x")
      expectStatus(await api.post(path, { ...TEXT, "stream-closed": value }, "y"), 204)
      expectStatus(await api.post(path, { ...TEXT, "stream-closed": value }, ""), 400)
      expect((await api.head(path)).headers["stream-closed"]).toBeUndefined()
      expect((await api.get(path)).text).toBe("xy")
    }
  )

  test("every mode of reading says that a closed stream has ended, without waiting", async () => {
    const path = await stream("text/plain", "x")
    const { headers } = await api.post(path, CLOSE)
    const tail = headers["stream-next-offset"]
    const cases = [
      [`${path}?offset=-1`, 200, "x"],
      [`${path}?offset=${tail}`, 200, ""],
      [`${path}?offset=now`, 200, ""],
      [`${path}?offset=${tail}&live=long-poll`, 204, ""],
      [`${path}?offset=now&live=long-poll`, 204, ""],
      [`${path}?offset=-1&live=long-poll`, 200, "x"],
    ]
    for (const [target, code, body] of cases) {
      const answer = await api.get(target)
      expectStatus(answer, code)
      expect(answer.text).toBe(body)
      expect(answer.headers["stream-closed"], target).toBe("true")
      expect(answer.headers["stream-up-to-date"], target).toBe("true")
      expect(answer.headers["stream-next-offset"], target).toBe(tail)
    }
    for (const offset of [tail, "now"]) {
      const reader = await api.sse(`${path}?offset=${offset}&live=sse`)
      expect(await reader.ended).toEqual({ complete: true })
      expect(reader.events.length).toBe(1)
      expect(reader.events[0].control).toMatchObject({
        streamNextOffset: tail,
        streamClosed: true,
        upToDate: true,
      })
    }
  })

  test("only the last chunk of a closed stream says closed", async () => {
    const path = fresh()
    await narrow.create(path)
    for (let i = 0; i < 4; i++) await narrow.append(path, "text/plain", "x".repeat(10_000))
    await narrow.post(path, CLOSE)
    const first = await narrow.get(`${path}?offset=-1`)
    expect(first.headers["stream-closed"]).toBeUndefined()
    expect((await narrow.readAll(path)).body.length).toBe(40_000)
  })
})
