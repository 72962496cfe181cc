// Idempotent producers, and JSON kept byte for byte.

import { describe, expect, test } from "vitest"
import { fresh } from "../http.mjs"
import { api, CLOSE, expectStatus, JSON_TYPE, OFFSET, stream, TEXT } from "./context.mjs"

describe("idempotent producers", () => {
  const by = (id, epoch, seq, rest = TEXT) => ({
    ...rest,
    "producer-id": id,
    "producer-epoch": String(epoch),
    "producer-seq": String(seq),
  })

  test("a duplicate is 204 with offset, epoch and sequence", async () => {
    const path = await stream()
    const first = await api.post(path, by("p", 0, 0), "a")
    expectStatus(first, 200)
    expect(first.headers["producer-epoch"]).toBe("0")
    expect(first.headers["producer-seq"]).toBe("0")
    expectStatus(await api.post(path, by("p", 0, 1), "b"), 200)
    const again = await api.post(path, by("p", 0, 0), "a")
    expectStatus(again, 204)
    expect(again.headers["producer-epoch"]).toBe("0")
    expect(again.headers["producer-seq"]).toBe("1")
    expect(again.headers["stream-next-offset"]).toMatch(OFFSET)
    expect((await api.get(path)).text).toBe("ab")
  })

  test("a gap is 409; an old epoch is 403; a new epoch begins at 0", async () => {
    const path = await stream()
    expectStatus(await api.post(path, by("p", 3, 0), "a"), 200)
    const gap = await api.post(path, by("p", 3, 2), "c")
    expectStatus(gap, 409)
    expect(gap.headers["producer-expected-seq"]).toBe("1")
    expect(gap.headers["producer-received-seq"]).toBe("2")
    expect(gap.headers["stream-closed"]).toBeUndefined()
    const zombie = await api.post(path, by("p", 2, 0), "z")
    expectStatus(zombie, 403)
    expect(zombie.headers["producer-epoch"]).toBe("3")
    expectStatus(await api.post(path, by("p", 4, 1), "x"), 400)
    expectStatus(await api.post(path, by("p", 4, 0), "b"), 200)
    expect((await api.get(path)).text).toBe("ab")
  })

  test("incomplete headers and headers that are not numbers are 400", async () => {
    const path = await stream()
    const cases = [
      { "producer-id": "p" },
      { "producer-id": "p", "producer-epoch": "0" },
      { "producer-epoch": "0", "producer-seq": "0" },
      by("", 0, 0),
      by("p", "-1", 0),
      by("p", 0, "-1"),
      by("p", "1.0", 0),
      by("p", "+1", 0),
      by("p", 0, "x"),
      by("p", "9007199254740992", 0),
      by("p", 0, "9007199254740992"),
    ]
    for (const headers of cases) {
      const answer = await api.post(path, { ...TEXT, ...headers }, "x")
      expect(answer.status, JSON.stringify(headers)).toBe(400)
    }
    expectStatus(await api.post(path, by("p", "9007199254740991", 0), "x"), 200)
    expect((await api.get(path)).text).toBe("x")
  })

  test("the repeated request that closed a stream is a duplicate, any other is 409", async () => {
    const path = await stream()
    expectStatus(await api.post(path, by("p", 0, 0), "a"), 200)
    expectStatus(await api.post(path, by("p", 0, 1, { ...TEXT, ...CLOSE }), "b"), 200)
    const again = await api.post(path, by("p", 0, 1, { ...TEXT, ...CLOSE }), "b")
    expectStatus(again, 204)
    expect(again.headers["stream-closed"]).toBe("true")
    expect(again.headers["stream-next-offset"]).toMatch(OFFSET)
    for (const headers of [by("p", 0, 2), by("p", 0, 0), by("q", 0, 1, { ...TEXT, ...CLOSE })]) {
      const answer = await api.post(path, headers, "c")
      expectStatus(answer, 409)
      expect(answer.headers["stream-closed"]).toBe("true")
    }
    expect((await api.get(path)).text).toBe("ab")
  })

  test("a close with a used sequence does not say that it has closed the stream", async () => {
    const path = await stream()
    expectStatus(await api.post(path, by("p", 0, 0), "a"), 200)
    const answer = await api.post(path, by("p", 0, 0, CLOSE))
    expectStatus(answer, 204)
    const { headers } = await api.head(path)
    expect(headers["stream-closed"], "the stream itself").toBeUndefined()
    expect(answer.headers["stream-closed"], "the answer").toBeUndefined()
  })

  test("a hundred appends at once, each sent twice, are stored once and in order", async () => {
    const path = await stream("application/json")
    await Promise.all(
      Array.from({ length: 10 }, async (_, writer) => {
        for (let seq = 0; seq < 10; seq++) {
          const send = () =>
            api.post(path, by(`w${writer}`, 0, seq, JSON_TYPE), JSON.stringify({ writer, seq }))
          const both = await Promise.all([send(), send()])
          expect(both.map((answer) => answer.status).sort()).toEqual([200, 204])
        }
      })
    )
    const { messages } = await api.readJson(path)
    expect(messages.length).toBe(100)
    for (let writer = 0; writer < 10; writer++)
      expect(messages.filter((m) => m.writer === writer).map((m) => m.seq)).toEqual([
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
      ])
  })

  test("a fork does not share its source's producers", async () => {
    const source = await stream()
    expectStatus(await api.post(source, by("p", 5, 0), "a"), 200)
    const fork = fresh()
    expectStatus(await api.put(fork, { "stream-forked-from": source }), 201)
    expectStatus(await api.post(fork, by("p", 0, 0), "b"), 200)
    expect((await api.get(fork)).text).toBe("ab")
  })
})

describe("Stream-Seq", () => {
  test("a value that is not greater is 409, with the words that clients look for", async () => {
    const path = await stream()
    expectStatus(await api.post(path, { ...TEXT, "stream-seq": "5" }, "a"), 204)
    for (const seq of ["5", "4"]) {
      const answer = await api.post(path, { ...TEXT, "stream-seq": seq }, "b")
      expectStatus(answer, 409)
      expect(answer.text).toMatch(/sequence conflict/)
    }
    // clients tell this conflict from others by these words
    const closed = await stream()
    expectStatus(await api.post(closed, CLOSE), 204)
    expect((await api.post(closed, TEXT, "x")).text).not.toMatch(/sequence conflict/)
    expect((await api.get(path)).text).toBe("a")
  })
})

describe("JSON is stored byte for byte", () => {
  const values = [
    "1.0",
    "1e400",
    "-0",
    "12345678901234567890123456789",
    "0.1000000000000000055511151231257827",
    '{"a" : 1 ,\t"b":[ 1,2 ]}',
    '{"a":1,"a":2}',
    '"\\u00e9\\/\\ud83d\\ude00"',
    '"é😀\u2028"',
    '{"":null,"__proto__":{"x":1}}',
    "true",
    "[[]]",
  ]

  test.each(values)("%s", async (value) => {
    const path = await stream("application/json")
    await api.append(path, "application/json", `[${value}]`)
    expect((await api.get(path)).text).toBe(`[${value}]`)
  })

  test("in a batch with white space between its elements", async () => {
    const path = await stream("application/json")
    await api.append(path, "application/json", ` [\n  ${values.join(" ,\r\n\t ")}\n]\n`)
    expect((await api.get(path)).text).toBe(`[${values.join(",")}]`)
  })

  test("as the first content of a stream whose type has parameters", async () => {
    const path = fresh()
    await api.create(path, "application/json; charset=utf-8", `[${values.join(",")}]`)
    expect((await api.get(path)).text).toBe(`[${values.join(",")}]`)
  })

  test("over SSE, with line breaks inside", async () => {
    const path = await stream("application/json", '{"a":\r\n1,\r"b":\n"c\\n"}')
    const reader = await api.sse(`${path}?offset=-1&live=sse`)
    const event = await reader.waitFor((e) => e.type === "data")
    reader.close()
    expect(JSON.parse(event.data)).toEqual([{ a: 1, b: "c\n" }])
  })

  const bad = [
    ["a byte order mark", Buffer.from("\ufeff{}")],
    ["bad UTF-8 in a string", Buffer.from([0x22, 0xff, 0x22])],
    ["an overlong encoding", Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ["an encoded surrogate", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ["a cut character", Buffer.from([0x22, 0xe2, 0x82, 0x22])],
    ["a NUL", Buffer.from("[1,\u00002]")],
    ["a NUL at its end", Buffer.from("[1]\u0000")],
    ["a bare control character in a string", Buffer.from('"a\nb"')],
    ["a trailing comma", "[1,]"],
    ["a missing comma", "[1 2]"],
    ["two values", "{} {}"],
    ["only white space", " \n "],
    ["a leading zero", "01"],
    ["a plus sign", "+1"],
    ["a bare point", ".5"],
    ["a point at the end", "5."],
    ["hexadecimal", "0x10"],
    ["NaN", "NaN"],
    ["Infinity", "[-Infinity]"],
    ["single quotes", "'a'"],
    ["a bare key", "{a:1}"],
    ["a comment", "[1/* */]"],
    ["a form feed as white space", "[1,\f2]"],
    ["a no-break space as white space", "[1,\u00a02]"],
    ["an unknown escape", '"\\x41"'],
    ["a cut escape", '"\\u12"'],
    ["an unclosed array", "[1"],
    ["100,000 nested arrays", "[".repeat(100_000) + "]".repeat(100_000)],
  ]
  test.each(bad)("%s is 400 and stores nothing", async (_, body) => {
    const path = await stream("application/json")
    expectStatus(await api.post(path, JSON_TYPE, body), 400)
    expectStatus(await api.put(fresh(), JSON_TYPE, body), 400)
    expect((await api.get(path)).text).toBe("[]")
  })

  test("JSON of ordinary depth is accepted", async () => {
    const value = "[".repeat(100) + "]".repeat(100)
    const path = await stream("application/json", `[${value}]`)
    expect((await api.get(path)).text).toBe(`[${value}]`)
  })

  test("an empty array creates an empty stream but cannot be appended", async () => {
    const path = fresh()
    await api.create(path, "application/json", " [ ] ")
    expect((await api.get(path)).text).toBe("[]")
    expectStatus(await api.post(path, JSON_TYPE, "[]"), 400)
    expectStatus(await api.post(path, JSON_TYPE, " [ ]\n"), 400)
  })
})
