// Request headers that say too much: a header sent twice where one is allowed, and encoded bodies.

import { gzipSync } from "node:zlib"
import { describe, expect, test } from "vitest"
import { fresh } from "../http.mjs"
import { api, expectStatus, JSON_TYPE, stream, TEXT } from "./context.mjs"

describe("a header of the protocol that is sent twice is 400 and changes nothing", () => {
  const producer = { "producer-id": "p", "producer-epoch": "0", "producer-seq": "0" }

  test.each([
    ["producer-id", ["p", "q"]],
    ["producer-id", ["p", "p"]],
    ["producer-epoch", ["0", "1"]],
    ["producer-seq", ["0", "0"]],
    ["stream-seq", ["1", "2"]],
    ["stream-closed", ["true", "false"]],
    ["stream-closed", ["false", "true"]],
  ])("POST with %s: %j", async (name, values) => {
    const path = await stream()
    const headers = { ...TEXT, ...(name.startsWith("producer") ? producer : {}) }
    const answer = await api.post(path, { ...headers, [name]: values }, "x")
    expectStatus(answer, 400)
    const after = await api.get(path)
    expect([after.text, after.headers["stream-closed"]]).toEqual(["", undefined])
  })

  test.each([
    ["stream-ttl", ["5", "3600"]],
    ["stream-ttl", ["60", "60"]],
    ["stream-expires-at", ["2099-01-01T00:00:00Z", "2098-01-01T00:00:00Z"]],
    ["stream-closed", ["true", "true"]],
    ["stream-forked-from", ["SOURCE", "SOURCE"]],
    ["stream-fork-offset", ["0000000000000000_0000000000000000", "0000000000000000_0000000000000001"]],
    ["stream-fork-sub-offset", ["0", "0"]],
  ])("PUT with %s: %j", async (name, values) => {
    const path = fresh()
    const source = await stream("text/plain", "x")
    const forks = name.startsWith("stream-fork-") ? { "stream-forked-from": source } : {}
    const sent = values.map((value) => (value === "SOURCE" ? source : value))
    expectStatus(await api.put(path, { ...TEXT, ...forks, [name]: sent }), 400)
    expectStatus(await api.head(path), 404)
  })

  // most web servers join two headers of one name with ", "
  test("a value that looks like two is refused as well; a comma without a space is allowed", async () => {
    const path = await stream()
    for (const [id, status] of [["a, b", 400], ["a,b", 200]])
      expectStatus(await api.post(path, { ...TEXT, ...producer, "producer-id": id }, "x"), status)
    for (const [seq, status] of [["1, 2", 400], ["1,2", 204]])
      expectStatus(await api.post(path, { ...TEXT, "stream-seq": seq }, "y"), status)
    expect((await api.get(path)).text).toBe("xy")
  })
})

describe("a body with a Content-Encoding", () => {
  test.each(["gzip", "GZIP", "br", "zstd", "identity, gzip"])(
    "of %s is 415: nothing is stored, and the answer names the accepted coding",
    async (coding) => {
      const headers = { "content-encoding": coding }
      const path = await stream("application/json", "[1]")
      const made = fresh()
      for (const body of [gzipSync('["a"]'), '["a"]'])
        for (const answer of [
          await api.post(path, { ...JSON_TYPE, ...headers }, body),
          await api.put(made, { ...JSON_TYPE, ...headers }, body),
        ]) {
          expectStatus(answer, 415)
          expect(answer.headers["accept-encoding"]).toBe("identity")
          expect(answer.text).toMatch(/Content-Encoding/)
        }
      expect((await api.get(path)).text).toBe("[1]")
      expectStatus(await api.head(made), 404)
    }
  )

  test("of identity is stored", async () => {
    const path = fresh()
    const headers = { ...TEXT, "content-encoding": "Identity" }
    expectStatus(await api.put(path, headers, "a"), 201)
    expectStatus(await api.post(path, headers, "b"), 204)
    expect((await api.get(path)).text).toBe("ab")
  })
})
