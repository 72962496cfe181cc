// Names, methods, limits and hostile input: the questions to any HTTP server, whatever it serves.

import { describe, expect, test } from "vitest"
import { fresh, raw, request } from "../http.mjs"
import {
  api,
  CLOSE,
  decent,
  expectStatus,
  JSON_TYPE,
  narrow,
  OFFSET,
  server,
  status,
  stream,
  TEXT,
} from "./context.mjs"

describe("names of streams", () => {
  const same = [
    ["an unreserved character, encoded", "a%7Eb", "a~b"],
    ["an encoded letter", "%41bc", "Abc"],
    ["hexadecimal digits in either case", "caf%c3%a9", "caf%C3%A9"],
    ["an encoded slash in either case", "a%2fb", "a%2Fb"],
  ]
  test.each(same)("%s names the same stream", async (_, one, other) => {
    const base = fresh()
    await api.create(`${base}/${one}`, "text/plain", "x")
    const answer = await api.get(`${base}/${other}`)
    expectStatus(answer, 200)
    expect(answer.text).toBe("x")
    // a second create finds the first stream
    expectStatus(await api.put(`${base}/${other}`, TEXT), 200)
  })

  const different = [
    ["an encoded slash", "a%2Fb", "a/b"],
    ["two slashes", "a//b", "a/b"],
    ["another letter case", "abc", "ABC"],
    ["an encoded question mark", "a%3Fb", "a"],
    ["a plus sign, which is not a space in a path", "a+b", "a%20b"],
  ]
  test.each(different)("%s names another stream", async (_, one, other) => {
    const base = fresh()
    await api.create(`${base}/${one}`, "text/plain", "x")
    expectStatus(await api.get(`${base}/${other}`), 404)
  })

  test.each(["..", ".", "a/../b", "a/./b", "a/..", "%2e%2e/b", "a/%2E%2e/b", "a/%2e/b"])(
    "dot segments are refused, not resolved: %s",
    async (name) => {
      const base = fresh()
      const answer = await request(server.url, "PUT", `${base}/${name}`, { headers: TEXT })
      expectStatus(answer, 400)
      // and no stream appeared at the resolved path
      expectStatus(await api.get(base), 404)
      expectStatus(await api.get(`${base}/b`), 404)
    }
  )

  test("a dot inside a segment is an ordinary character", async () => {
    const path = `${fresh()}/v1.2..3/...`
    await api.create(path)
    expectStatus(await api.head(path), 200)
  })

  test.each(["%", "%4", "%zz", "a%00b"])(
    "broken or dangerous encoding is refused: %s",
    async (name) => {
      const answer = await request(server.url, "PUT", `${fresh()}/${name}`, { headers: TEXT })
      expectStatus(answer, 400)
    }
  )

  test("a path that begins with two slashes is not a host name", async () => {
    const path = fresh()
    await api.create(path)
    const answer = await raw(
      server.url,
      `GET //127.0.0.1${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
    )
    expect([400, 404]).toContain(answer.status)
  })

  test("the absolute form of a request target names the same stream", async () => {
    const path = await stream("text/plain", "x")
    const answer = await raw(
      server.url,
      `GET http://streams.example${path} HTTP/1.1\r\nHost: streams.example\r\nConnection: close\r\n\r\n`
    )
    expect(answer.status).toBe(200)
    expect(answer.body).toContain("x")
  })

  test("a path of 2 KiB is served, a longer one is 414", async () => {
    const base = fresh()
    const long = base + "/" + "n".repeat(2048 - base.length - 1)
    await api.create(long, "text/plain", "x")
    expect((await api.get(long)).text).toBe("x")
    const answer = await api.put(`${base}/${"n".repeat(2049)}`, TEXT)
    expectStatus(answer, 414)
  })

  test("any path can name a stream", async () => {
    for (const path of [
      fresh().replace("/v1/stream", ""),
      fresh().replace("/v1/stream", "/any/where"),
      `${fresh()}/`,
    ]) {
      await api.create(path, "text/plain", "x")
      expect((await api.get(path)).text).toBe("x")
    }
  })

  test.each(["__ds", "__ds/", "__ds/x", "%5f%5fds/x", "/__ds/x", "__ds/subscriptions"])(
    "/v1/stream/%s is reserved: 404 with a reason",
    async (name) => {
      for (const method of ["get", "put", "post", "del"]) {
        const answer = await api[method](`/v1/stream/${name}`, method === "get" ? {} : TEXT)
        expectStatus(answer, 404)
      }
    }
  )

  test("only the first segment is reserved", async () => {
    await api.create(`${fresh()}/__ds`)
    await api.create(fresh("__ds"))
  })
})

describe("methods", () => {
  test.each(["PATCH", "PROPFIND"])(
    "%s on a stream is 405, and Allow lists the methods",
    async (method) => {
      for (const path of [await stream(), fresh()]) {
        const answer = await api.any(method, path)
        expectStatus(answer, 405)
        decent(answer, method)
        const allow = (answer.headers.allow ?? "").split(/, */).sort()
        expect(allow).toEqual(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"])
      }
    }
  )

  test("/health answers GET and HEAD; other methods are 405", async () => {
    expectStatus(await api.get("/health"), 200)
    expectStatus(await api.head("/health"), 200)
    const answer = await api.post("/health", TEXT, "x")
    expectStatus(answer, 405)
    expect(answer.headers.allow).toContain("GET")
  })

  test("HEAD has all headers of GET, without a body", async () => {
    const path = fresh()
    await api.create(path, "text/plain;charset=utf-8", "hello", { "stream-ttl": "3600" })
    const answer = await api.head(path)
    expectStatus(answer, 200)
    expect(answer.headers["content-type"]).toBe("text/plain;charset=utf-8")
    expect(answer.headers["stream-next-offset"]).toMatch(OFFSET)
    expect(answer.headers["stream-ttl"]).toBe("3600")
    expect(answer.headers["stream-closed"]).toBeUndefined()
    expect(answer.headers["cache-control"]).toContain("no-store")
    expectStatus(await api.post(path, CLOSE), 204)
    expect((await api.head(path)).headers["stream-closed"]).toBe("true")
    expectStatus(await api.head(fresh()), 404)
  })

  test("preflight names every method and request header of the protocol", async () => {
    const answer = await api.options(fresh(), {
      origin: "https://app.example",
      "access-control-request-method": "PUT",
      "access-control-request-headers": "content-type, stream-ttl",
    })
    expectStatus(answer, 200, 204)
    const methods = answer.headers["access-control-allow-methods"]
    for (const method of ["GET", "HEAD", "PUT", "POST", "DELETE"]) expect(methods).toContain(method)
    const allowed = answer.headers["access-control-allow-headers"].toLowerCase().split(/, */)
    for (const name of [
      "authorization", // `*` would not cover it
      "content-type",
      "if-none-match",
      "producer-epoch",
      "producer-id",
      "producer-seq",
      "stream-closed",
      "stream-expires-at",
      "stream-fork-offset",
      "stream-fork-sub-offset",
      "stream-forked-from",
      "stream-seq",
      "stream-ttl",
    ])
      expect(allowed).toContain(name)
    expect(Number(answer.headers["access-control-max-age"])).toBeGreaterThan(0)
  })

  test("a browser may read every header of an answer", async () => {
    for (const answer of [await api.get(await stream("text/plain", "x")), await api.get(fresh())]) {
      const exposed = (answer.headers["access-control-expose-headers"] ?? "")
        .toLowerCase()
        .split(/, */)
      if (exposed.includes("*")) continue
      for (const name of [
        "etag",
        "location",
        "producer-epoch",
        "producer-expected-seq",
        "producer-received-seq",
        "producer-seq",
        "stream-closed",
        "stream-cursor",
        "stream-expires-at",
        "stream-next-offset",
        "stream-sse-data-encoding",
        "stream-ttl",
        "stream-up-to-date",
      ])
        expect(exposed, status(answer)).toContain(name)
    }
  })

  test("the allowed origin is a setting", async () => {
    const path = fresh()
    for (const answer of [
      await narrow.put(path, TEXT),
      await narrow.get(path),
      await narrow.options(path),
    ])
      expect(answer.headers["access-control-allow-origin"]).toBe("https://app.example")
  })
})

describe("limits", () => {
  test("a body over DS_MAX_BODY_BYTES is 413 and changes nothing", async () => {
    const path = fresh()
    await narrow.create(path)
    expectStatus(await narrow.post(path, TEXT, "x".repeat(65537)), 413)
    expectStatus(
      await narrow.post(path, { ...TEXT, "transfer-encoding": "chunked" }, "x".repeat(65537)),
      413
    )
    expect((await narrow.readAll(path)).body.length).toBe(0)
    expectStatus(await narrow.post(path, TEXT, "x".repeat(65536)), 204)
    expect((await narrow.readAll(path)).body.length).toBe(65536)
    const other = fresh()
    expectStatus(await narrow.put(other, TEXT, "x".repeat(65537)), 413)
    expectStatus(await narrow.get(other), 404)
  })

  test("a chunked body is one message", async () => {
    const path = await stream("application/json")
    expectStatus(
      await api.post(path, { ...JSON_TYPE, "transfer-encoding": "chunked" }, '{"a":1}'),
      204
    )
    expect((await api.get(path)).text).toBe('[{"a":1}]')
  })

  test("an append of 16 MiB is read back unchanged", async () => {
    const path = await stream("application/octet-stream")
    const body = Buffer.alloc(16 << 20)
    for (let i = 0; i < body.length; i += 4) body.writeUInt32LE((i * 2654435761) >>> 0, i)
    await api.append(path, "application/octet-stream", body)
    const { body: back, chunks } = await api.readAll(path)
    expect(back.equals(body)).toBe(true)
    expect(chunks.length).toBeGreaterThan(1) // read in chunks of a configured size
  })

  test("a read longer than a chunk can be continued", async () => {
    const path = fresh()
    await narrow.create(path)
    let expected = ""
    for (let i = 0; i < 10; i++) {
      const message = String(i).repeat(5000)
      await narrow.append(path, "text/plain", message)
      expected += message
    }
    const first = await narrow.get(`${path}?offset=-1`)
    expectStatus(first, 200)
    expect(first.body.length).toBeLessThanOrEqual(16384)
    expect(first.headers["stream-up-to-date"]).toBeUndefined()
    expect(first.headers.etag).toBeTruthy()
    const all = await narrow.readAll(path)
    expect(all.body.toString()).toBe(expected)
    expect(all.chunks.length).toBeGreaterThan(3)
  })

  test("each chunk of a JSON stream is an array of whole messages", async () => {
    const path = fresh()
    await narrow.create(path, "application/json")
    const messages = Array.from({ length: 12 }, (_, i) => ({ i, text: "é".repeat(2500 + i) }))
    messages.push({ i: 12, text: "larger than a chunk ".repeat(2000) }, { i: 13 })
    for (const message of messages)
      await narrow.append(path, "application/json", JSON.stringify(message))
    const { messages: back } = await narrow.readJson(path)
    expect(back).toEqual(messages)
  })

  test("long headers are either served or refused with a 4xx answer", async () => {
    const path = await stream("text/plain", "x")
    const tags = Array.from({ length: 300 }, (_, i) => `"tag-${i}"`).join(", ")
    expect(tags.length).toBeLessThan(8192)
    expectStatus(await api.get(path, { "if-none-match": tags }), 200)
    const answer = await request(server.url, "GET", path, {
      headers: { "if-none-match": `"${"t".repeat(50_000)}"` },
    })
    expectStatus(answer, 400, 431)
  })
})

describe("no input becomes a header", () => {
  const put = (path, headers) =>
    raw(
      server.url,
      `PUT ${path} HTTP/1.1\r\n${headers.join("\r\n")}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
    )

  const hostile = [
    ["a bare CR in Content-Type", ["Host: h", "Content-Type: text/plain\rX-Evil: 1"]],
    ["a bare LF in Content-Type", ["Host: h", "Content-Type: text/plain\n X-Evil: 1"]],
    ["a control character in Content-Type", ["Host: h", "Content-Type: text/plain\x01"]],
    ["a folded Content-Type", ["Host: h", "Content-Type: text/plain;\r\n X-Evil: 1"]],
    ["markup in Host", ['Host: h"><script>', "Content-Type: text/plain"]],
    ["a path in Host", ["Host: evil.example/..", "Content-Type: text/plain"]],
    ["user information in Host", ["Host: user@evil.example", "Content-Type: text/plain"]],
    ["a space in Host", ["Host: a b", "Content-Type: text/plain"]],
    ["a bare CR in Host", ["Host: h\rX-Evil: 1", "Content-Type: text/plain"]],
  ]
  test.each(hostile)("%s", async (_, headers) => {
    const path = fresh()
    const answer = await put(path, headers)
    expect([201, 400], answer.head).toContain(answer.status)
    expect(answer.head).not.toMatch(/^\s*x-evil/im)
    expect(answer.head).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f]|\r(?!\n)|[^\r]\n/)
    const location = answer.header("location")
    if (location !== undefined) {
      expect(location).toMatch(/^http:\/\/[A-Za-z0-9.:\-[\]]+\/v1\/stream\/[A-Za-z0-9-]+$/)
    }
  })

  test.each(["x%0d%0aX-Evil:%201", "x%0aX-Evil:%201", "x%0d"])("%s in a path", async (name) => {
    const base = fresh()
    const answer = await api.put(`${base}/${name}`, TEXT)
    expectStatus(answer, 201, 400)
    if (answer.status === 201)
      expect(answer.headers.location.toLowerCase()).toContain(name.toLowerCase())
  })

  test("in offset and cursor", async () => {
    const path = await stream("text/plain", "x")
    expectStatus(await api.get(`${path}?offset=-1%0d%0aX-Evil:1`), 400)
    const answer = await api.get(`${path}?offset=-1&live=long-poll&cursor=1%0d%0aX-Evil:1`)
    expectStatus(answer, 200, 400)
  })

  test("Location follows Host; forwarded headers count only if they are trusted", async () => {
    const one = fresh()
    const plain = await put(one, [
      "Host: streams.example:8080",
      "Content-Type: text/plain",
      "X-Forwarded-Host: evil.example",
      "X-Forwarded-Proto: https",
      "Forwarded: host=evil.example;proto=https",
    ])
    expect(plain.status, plain.head).toBe(201)
    expect(plain.header("location")).toBe(`http://streams.example:8080${one}`)
    const other = fresh()
    const based = await narrow.put(other, TEXT)
    expect(based.headers.location).toBe(`https://streams.example${other}`)
  })

  test("without Host (HTTP/1.0), Location is still absolute", async () => {
    const path = fresh()
    const answer = await raw(server.url, `PUT ${path} HTTP/1.0\r\nContent-Type: text/plain\r\n\r\n`)
    expect(answer.status, answer.head).toBe(201)
    expect(answer.header("location")).toMatch(/^http:\/\/[^/]+\/v1\/stream\//)
  })
})
