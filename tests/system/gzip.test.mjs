// Compression for clients that connect to the program itself by HTTP. What all doors share is in
// doors/caching.mjs.

import path from "node:path"
import { gunzipSync } from "node:zlib"
import { afterEach, describe, expect, test } from "vitest"
import { cleanEnv, cleanUp, end, freePort, launch, program, until } from "./harness.mjs"
import { client, fresh, isHealthy } from "./http.mjs"

const GZIP = { "accept-encoding": "gzip" }
const JSON_TYPE = "application/json"
const { undo, folder } = cleanUp(afterEach)

async function start(env = {}) {
  const here = folder()
  const address = `127.0.0.1:${await freePort()}`
  const child = launch(program, ["--listen", `http:${address}`], {
    env: cleanEnv({ DS_DATABASE: path.join(here, "streams.db"), DS_WEBHOOKS: "off", ...env }),
    log: path.join(here, "log"),
  })
  undo.push(() => end(child))
  const api = client(`http://${address}`)
  await until(() => isHealthy(api), "an answer")
  return api
}

const numbers = (count) => JSON.stringify(Array.from({ length: count }, (_, n) => ({ n })))

async function create(api, { type = JSON_TYPE, body = numbers(500) } = {}) {
  const name = fresh()
  await api.create(name, type, body)
  return name
}

/** An answer is compressed in all respects, or in none. */
function expectForm(answer, packed, text) {
  const { status, headers, body } = answer
  expect(status).toBe(200)
  expect(headers["content-encoding"]).toBe(packed ? "gzip" : undefined)
  expect(headers.etag).toMatch(packed ? /^W\/"[^"]+"$/ : /^"[^"]+"$/)
  expect(headers["content-length"]).toBe(String(body.length))
  expect((packed ? gunzipSync(body) : body).toString()).toBe(text)
}

describe("what is compressed", () => {
  test("JSON from 1 KiB to 16 MiB, whatever its parameters, and nothing else", async () => {
    const api = await start({ DS_READ_CHUNK_BYTES: "64000000" })
    const string = (length) => `["${"a".repeat(length - 4)}"]`
    const most = 16 * 1024 * 1024
    for (const [type, body, packed] of [
      [JSON_TYPE, string(1023), false],
      [JSON_TYPE, string(1024), true],
      ["Application/JSON; charset=utf-8", string(5000), true],
      [JSON_TYPE, string(most), true],
      [JSON_TYPE, string(most + 1), false],
      ["text/plain", string(5000), false],
      ["application/octet-stream", string(5000), false],
      ["application/gzip", string(5000), false],
    ]) {
      const name = await create(api, { type, body })
      const answer = await api.get(name, GZIP)
      expectForm(answer, packed, body)
      expectForm(await api.get(name), false, body)
      expect((await api.get(name)).headers.vary, `${type} ${body.length}`).toBe(answer.headers.vary)
      if (packed) expect(answer.headers.vary).toBe("Accept-Encoding")
    }
  })

  test("only for those who accept gzip (RFC 9110 section 12.5.3)", async () => {
    const api = await start()
    const body = numbers(500)
    const name = await create(api, { body })
    for (const accepted of ["gzip", "X-GZIP", "br, gzip;q=0.5", "*", "gzip;q=0.5, *;q=0"])
      expectForm(await api.get(name, { "accept-encoding": accepted }), true, body)
    const refusing = ["", "br", "gzip;q=0", "gzip;q=0.000, *", "identity, gzip;q=0.5", "*;q=0"]
    for (const refused of refusing)
      expectForm(await api.get(name, { "accept-encoding": refused }), false, body)
  })

  test("not with DS_GZIP=0", async () => {
    const api = await start({ DS_GZIP: "0" })
    const body = numbers(500)
    const answer = await api.get(await create(api, { body }), GZIP)
    expectForm(answer, false, body)
    expect(answer.headers.vary).toBeUndefined()
  })

  test("a catch-up in many answers", async () => {
    const api = await start({ DS_READ_CHUNK_BYTES: "10000" })
    const name = await create(api, { body: numbers(5000) })
    const messages = []
    let offset = "-1"
    for (let packed = 0; ; packed++) {
      const { headers, body } = await api.get(`${name}?offset=${offset}`, GZIP)
      const isPacked = headers["content-encoding"] === "gzip"
      messages.push(...JSON.parse((isPacked ? gunzipSync(body) : body).toString()))
      if (headers["stream-up-to-date"] === "true") {
        expect(packed).toBeGreaterThan(2)
        break
      }
      expect(isPacked).toBe(true)
      offset = headers["stream-next-offset"]
    }
    expect(JSON.stringify(messages)).toBe(numbers(5000))
  })

  test("a body that an injected fault has changed", async () => {
    const api = await start({ DS_TEST_ENDPOINTS: "1" })
    const body = numbers(500)
    const name = await create(api, { body })
    const fault = JSON.stringify({ path: name, truncateBodyBytes: 2000 })
    await api.post("/_test/inject-error", { "content-type": JSON_TYPE }, fault)
    expectForm(await api.get(name, GZIP), true, body.slice(0, 2000))
  })
})

describe("tags", () => {
  test("either form of the tag gives 304, with the lines of the 200", async () => {
    const api = await start()
    const name = await create(api)
    const plain = await api.get(name)
    const packed = await api.get(name, GZIP)
    expect(packed.headers.etag).toBe(`W/${plain.headers.etag}`)
    const byApache = plain.headers.etag.replace(/"$/, '-gzip"')
    const tags = [plain.headers.etag, packed.headers.etag, byApache]
    for (const given of [{}, GZIP])
      for (const tag of tags) {
        const whole = await api.get(name, given)
        const again = await api.get(name, { ...given, "if-none-match": tag })
        expect([again.status, again.body.length]).toEqual([304, 0])
        expect(again.headers["content-encoding"]).toBeUndefined()
        for (const line of ["etag", "vary", "cache-control"])
          expect(again.headers[line], line).toBe(whole.headers[line])
      }
    await api.append(name, JSON_TYPE, "[1]")
    const changed = await api.get(name, { ...GZIP, "if-none-match": packed.headers.etag })
    expect(changed.status).toBe(200)
  })

  test("a read at the tail has no tag, and is empty", async () => {
    const api = await start()
    const { headers, text } = await api.get(`${await create(api)}?offset=now`, GZIP)
    expect(text).toBe("[]")
    expect([headers.etag, headers["content-encoding"]]).toEqual([undefined, undefined])
  })
})

describe("live reads", () => {
  test("a long-poll that finds data is compressed; one that waits gets all of it, too", async () => {
    const api = await start()
    const body = numbers(500)
    const name = await create(api, { body })
    const found = await api.get(`${name}?offset=-1&live=long-poll`, GZIP)
    expectForm(found, true, body)
    const next = found.headers["stream-next-offset"]
    const waiting = api.get(`${name}?offset=${next}&live=long-poll`, GZIP)
    await api.append(name, JSON_TYPE, body)
    const { status, headers, body: got } = await waiting
    expect(status).toBe(200)
    // not compressed, unless the append was faster than this request
    expect((headers["content-encoding"] ? gunzipSync(got) : got).toString()).toBe(body)
  })

  test("SSE is never compressed", async () => {
    const api = await start()
    const name = await create(api)
    const reader = await api.sse(`${name}?offset=-1&live=sse`, GZIP)
    expect(reader.headers["content-encoding"]).toBeUndefined()
    await reader.waitFor((event) => event.data.includes('{"n":499}'), "the last message")
    reader.close()
  })
})
