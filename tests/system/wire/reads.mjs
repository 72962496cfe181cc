// Offsets and conditional requests.

import { randomBytes } from "node:crypto"
import { describe, expect, test } from "vitest"
import { sleep, sqlite } from "../harness.mjs"
import { fresh } from "../http.mjs"
import { api, CLOSE, expectStatus, narrow, server, stream } from "./context.mjs"

describe("offsets", () => {
  const malformed = [
    "",
    "abc",
    "-2",
    "-1x",
    "NOW",
    "0",
    "0_0",
    "1,2",
    "a%20b",
    "%00",
    "0000000000000000_000000000000000x",
    "0000000000000000_00000000000000000",
    "-000000000000001_0000000000000000",
    "0000000000000000_0000000000000000%0A",
  ]
  test.each(malformed)("offset=%s is 400", async (offset) => {
    const path = await stream("text/plain", "x")
    for (const live of ["", "&live=long-poll", "&live=sse"])
      expectStatus(await api.get(`${path}?offset=${offset}${live}`), 400)
  })

  const at = (position) => `0000000000000000_${String(position).padStart(16, "0")}`
  const beyond = [at(6), at(9999), "9999999999999999_9999999999999999"]

  test.each(beyond)("an offset beyond the tail (%s) is taken for the tail", async (offset) => {
    for (const [type, text, nothing] of [
      ["text/plain", "hello", ""],
      ["application/octet-stream", "hello", ""],
      ["application/json", "12345", "[]"],
    ]) {
      const path = await stream(type, text)
      const answer = await api.get(`${path}?offset=${offset}`)
      expectStatus(answer, 200)
      expect(answer.text).toBe(nothing)
      expect(answer.headers["stream-next-offset"]).toBe(at(5))
      expect(answer.headers["stream-up-to-date"]).toBe("true")
      expect(answer.headers["stream-closed"]).toBeUndefined()
      expectStatus(await api.post(path, CLOSE), 204)
      expect((await api.get(`${path}?offset=${offset}`)).headers["stream-closed"]).toBe("true")
      const poll = await api.get(`${path}?offset=${offset}&live=long-poll`)
      expectStatus(poll, 204)
      expect(poll.headers["stream-closed"]).toBe("true")
    }
  })

  test.each(beyond)("a reader beyond the tail (%s) misses and repeats nothing", async (offset) => {
    const path = fresh()
    await narrow.create(path, "text/plain", "hello")
    const reader = await narrow.sse(`${path}?offset=${offset}&live=sse`)
    const first = await reader.waitFor((event) => event.control)
    expect(first.control).toMatchObject({ streamNextOffset: at(5), upToDate: true })
    const waiting = narrow.get(`${path}?offset=${offset}&live=long-poll`)
    await sleep(150)
    await narrow.append(path, "text/plain", "abc")
    const polled = await waiting
    expectStatus(polled, 200)
    expect([polled.text, polled.headers["stream-next-offset"]]).toEqual(["abc", at(8)])
    await narrow.append(path, "text/plain", "def")
    await reader.waitFor((event) => event.control?.streamNextOffset === at(11))
    reader.close()
    expect(reader.text()).toBe("abcdef")
  })

  test("an offset inside a message reads the message from its start", async () => {
    for (const [type, messages, show] of [
      ["text/plain", ["one", "three", "five"], (rest) => rest.join("")],
      ["application/octet-stream", ["one", "three", "five"], (rest) => rest.join("")],
      ["application/json", ["123", '"abc"', "4567"], (rest) => `[${rest.join(",")}]`],
    ]) {
      const path = await stream(type, ...messages)
      // both parts of a fork: the inherited message that it cuts, and its own message
      const cut = type.includes("json") ? 8 : 6
      const fork = fresh()
      expectStatus(
        await api.put(fork, { "stream-forked-from": path, "stream-fork-offset": at(cut) }),
        201
      )
      await api.append(fork, type, "789")
      const forked = [messages[0], messages[1].slice(0, cut - 3), "789"]
      for (const [name, list] of [
        [path, messages],
        [fork, forked],
      ]) {
        let begins = 0
        for (const [i, message] of list.entries()) {
          for (let inside = begins; inside < begins + message.length; inside++) {
            const rest = show(list.slice(i))
            for (const live of ["", "&live=long-poll"]) {
              const answer = await api.get(`${name}?offset=${at(inside)}${live}`)
              expectStatus(answer, 200)
              expect(answer.text, `${name} ${type} ${inside} ${live}`).toBe(rest)
            }
          }
          begins += message.length
        }
      }
      const reader = await api.sse(`${path}?offset=${at(4)}&live=sse`)
      await reader.waitFor((event) => event.control?.upToDate)
      reader.close()
      const data = reader.events.filter((event) => event.type === "data").map(({ data }) => data)
      expect(type.includes("octet") ? Buffer.from(data[0], "base64").toString() : data[0]).toBe(
        show(messages.slice(1))
      )
    }
  })

  test("the offsets of a large message lead through it, all others inside it to its start", async () => {
    const path = await stream("application/octet-stream")
    const body = randomBytes(900_000)
    await api.append(path, "application/octet-stream", body)
    const reader = await api.sse(`${path}?offset=-1&live=sse`)
    await reader.waitFor((event) => event.control?.upToDate)
    reader.close()
    const offsets = reader.controls().map((control) => control.streamNextOffset)
    expect(offsets.length, "slices").toBeGreaterThan(2)
    for (const offset of offsets.slice(0, -1)) {
      const from = Number(offset.slice(17))
      const rest = await api.get(`${path}?offset=${offset}`)
      expect(rest.body.equals(body.subarray(from)), offset).toBe(true)
      for (const other of [from - 1, from + 1])
        expect((await api.get(`${path}?offset=${at(other)}`)).body.equals(body)).toBe(true)
    }
  })

  test("a fork offset must be a place of the source", async () => {
    const path = await stream("application/json", "[1,2]")
    for (const offset of [...beyond, at(3)])
      expectStatus(
        await api.put(fresh(), { "stream-forked-from": path, "stream-fork-offset": offset }),
        400
      )
  })

  test("live reads need an offset", async () => {
    const path = await stream()
    for (const live of ["long-poll", "sse"])
      expectStatus(await api.get(`${path}?live=${live}`), 400)
    expectStatus(await api.get(`${path}?offset=-1&live=carrier-pigeon`), 400)
  })

  test.each([
    "offset=-1&offset=now",
    "offset=-1&%6fffset=-1",
    "offset=-1&live=sse&live=long-poll",
    "offset=-1&live=long-poll&l%69ve=long-poll",
    "offset=-1&live=long-poll&cursor=1&cursor=2",
  ])("?%s: a repeated parameter is 400", async (query) => {
    expectStatus(await api.get(`${await stream("text/plain", "x")}?${query}`), 400)
  })

  test("every offset that an answer named can be read from", async () => {
    const path = await stream()
    const offsets = [(await api.head(path)).headers["stream-next-offset"]]
    const words = ["one ", "two ", "three ", "four "]
    for (const word of words)
      offsets.push((await api.append(path, "text/plain", word)).headers["stream-next-offset"])
    expect([...offsets].sort()).toEqual(offsets)
    expect(new Set(offsets).size).toBe(offsets.length)
    for (const [i, offset] of offsets.entries())
      expect((await api.get(`${path}?offset=${offset}`)).text).toBe(words.slice(i).join(""))
  })
})

describe("conditional reads", () => {
  test.each([
    ["the tag", (tag) => tag],
    ["a weak form of it", (tag) => `W/${tag}`],
    ["a list that holds it", (tag) => `"a", W/"b" ,${tag}, "c"`],
    ["a list with a comma inside a tag", (tag) => `"a,b",${tag}`],
    ["*", () => "*"],
    [
      "tags as lighttpd and Apache change them when they compress",
      (tag) => tag.replace(/"$/, '-gzip"'),
    ],
  ])("If-None-Match with %s is 304 with all headers", async (_, form) => {
    const path = await stream("text/plain", "hello")
    const full = await api.get(`${path}?offset=-1`)
    expect(full.headers.etag).toMatch(/^"[^"]+"$/)
    const answer = await api.get(`${path}?offset=-1`, { "if-none-match": form(full.headers.etag) })
    expectStatus(answer, 304)
    for (const name of ["etag", "cache-control", "stream-next-offset", "stream-up-to-date", "vary"])
      expect(answer.headers[name], name).toBe(full.headers[name])
    expect(answer.headers["access-control-expose-headers"]).toBe(
      full.headers["access-control-expose-headers"]
    )
  })

  test.each([
    ["another tag", () => '"nope"'],
    ["a part of the tag", (tag) => tag.slice(0, -2) + '"'],
    ["the tag without quotes", (tag) => tag.slice(1, -1)],
    ["the tag inside another one", (tag) => `"x${tag.slice(1)}`],
  ])("If-None-Match with %s is 200", async (_, form) => {
    const path = await stream("text/plain", "hello")
    const { etag } = (await api.get(`${path}?offset=-1`)).headers
    const answer = await api.get(`${path}?offset=-1`, { "if-none-match": form(etag) })
    expectStatus(answer, 200)
    expect(answer.text).toBe("hello")
  })

  test("the tag changes with an append, and with a close without data", async () => {
    const path = await stream("text/plain", "a")
    const read = async () => (await api.get(`${path}?offset=-1`)).headers.etag
    const tags = [await read()]
    await api.append(path, "text/plain", "b")
    tags.push(await read())
    expectStatus(await api.post(path, CLOSE), 204)
    tags.push(await read())
    expect(new Set(tags).size).toBe(3)
    const answer = await api.get(`${path}?offset=-1`, { "if-none-match": tags[1] })
    expectStatus(answer, 200)
    expect(answer.headers["stream-closed"]).toBe("true")
  })

  test("HEAD has the tag of a read at the tail, which no other read has", async () => {
    const path = await stream("text/plain", "a")
    const head = await api.head(path)
    const { etag } = (await api.get(`${path}?offset=${head.headers["stream-next-offset"]}`)).headers
    expect(head.headers.etag).toBe(etag)
    expectStatus(await api.get(`${path}?offset=-1`, { "if-none-match": etag }), 200)
  })

  test("the tag changes when a backup is restored and as many bytes are appended again", async () => {
    const path = await stream("text/plain", "a", "bbbb")
    const { etag } = (await api.get(`${path}?offset=-1`)).headers
    await sleep(5)
    // as a backup from before the second message has it
    await sqlite(
      server.database,
      `begin; delete from message where position = 1 and stream_id =
         (select id from stream where path = '${path}');
       update stream set tail = 1, messages = 1 where path = '${path}'; commit`
    )
    await api.append(path, "text/plain", "cccc")
    const answer = await api.get(`${path}?offset=-1`, { "if-none-match": etag })
    expectStatus(answer, 200)
    expect(answer.text).toBe("acccc")
    const again = await api.get(`${path}?offset=-1`, { "if-none-match": answer.headers.etag })
    expectStatus(again, 304)
  })

  test("a 304 says that the stream is closed", async () => {
    const path = await stream("text/plain", "a")
    expectStatus(await api.post(path, CLOSE), 204)
    const { etag } = (await api.get(`${path}?offset=-1`)).headers
    const answer = await api.get(`${path}?offset=-1`, { "if-none-match": etag })
    expectStatus(answer, 304)
    expect(answer.headers["stream-closed"]).toBe("true")
  })

  test("a stream that was created again has another tag, even with the same length", async () => {
    const path = await stream("text/plain", "aaaa")
    const { etag } = (await api.get(`${path}?offset=-1`)).headers
    expectStatus(await api.del(path), 204)
    await api.create(path, "text/plain")
    await api.append(path, "text/plain", "bbbb")
    const answer = await api.get(`${path}?offset=-1`, { "if-none-match": etag })
    expectStatus(answer, 200)
    expect(answer.text).toBe("bbbb")
  })

  test("offset=now has no tag and is not cached", async () => {
    const path = await stream("text/plain", "x")
    const answer = await api.get(`${path}?offset=now`)
    expectStatus(answer, 200)
    expect(answer.headers.etag).toBeUndefined()
    expect(answer.headers["cache-control"]).toContain("no-store")
    expect(answer.headers["stream-up-to-date"]).toBe("true")
    expect(answer.body.length).toBe(0)
  })

  test("data that cannot change is cached for a minute: a full chunk, the end of a closed stream", async () => {
    const kept = "public, max-age=60, stale-while-revalidate=300"
    const path = fresh()
    await narrow.create(path)
    for (const letter of "abc") await narrow.append(path, "text/plain", letter.repeat(8000))
    const chunk = await narrow.get(`${path}?offset=-1`)
    expect(chunk.headers["stream-up-to-date"]).toBeUndefined()
    expect(chunk.headers["cache-control"]).toBe(kept)
    expectStatus(await narrow.post(path, CLOSE), 204)
    const end = await narrow.get(`${path}?offset=${chunk.headers["stream-next-offset"]}`)
    expect(end.headers["stream-closed"]).toBe("true")
    expect(end.headers["cache-control"]).toBe(kept)
  })

  // otherwise a browser would show old data to a page that has just appended
  test("data up to the tail of an open stream is cached only by shared caches", async () => {
    const path = await stream("text/plain", "x")
    const start = (await api.head(await stream())).headers["stream-next-offset"]
    for (const query of ["", "?offset=-1", `?offset=${start}&live=long-poll`]) {
      const answer = await api.get(path + query)
      expect(answer.text).toBe("x")
      expect(answer.headers["cache-control"], query).toBe("public, max-age=0, s-maxage=60")
      expect(answer.headers.etag, query).toBeTruthy()
    }
    const { etag } = (await api.get(path)).headers
    const same = await api.get(path, { "if-none-match": etag })
    expect([same.status, same.headers["cache-control"]]).toEqual([304, "public, max-age=0, s-maxage=60"])
    const { headers } = await api.append(path, "text/plain", "y")
    const changed = await api.get(path, { "if-none-match": etag })
    expect([changed.status, changed.text]).toEqual([200, "xy"])
    const nothing = await api.get(`${path}?offset=${headers["stream-next-offset"]}`)
    expect(nothing.headers["cache-control"]).toBe("public, no-cache")
  })

  test("no answer is cached for longer than its stream lives", async () => {
    const path = fresh()
    await api.create(path, "text/plain", "x", { "stream-ttl": "20" })
    const { headers } = await api.get(path)
    const [, age] = headers["cache-control"].match(/^public, max-age=0, s-maxage=(\d+)$/)
    expect(Number(age)).toBeLessThanOrEqual(20)
    expectStatus(await api.post(path, CLOSE), 204)
    const closed = (await api.get(path)).headers["cache-control"]
    expect(Number(closed.match(/^public, max-age=(\d+)$/)[1])).toBeLessThanOrEqual(20)
  })

  // otherwise the page would have the rights of the site at the same origin
  test("a page in a stream is sandboxed from the site", async () => {
    const page = await stream("text/html", "<script>top.location = '/'</script>")
    const { etag } = (await api.get(page)).headers
    for (const answer of [
      await api.get(page),
      await api.head(page),
      await api.get(page, { "if-none-match": etag }),
      await api.get(`${page}?offset=-1&live=long-poll`),
      await api.get(await stream("image/svg+xml", "<svg/>")),
    ]) {
      expectStatus(answer, 200, 304)
      expect(answer.headers["content-security-policy"]).toBe("sandbox")
      expect(answer.headers["x-content-type-options"]).toBe("nosniff")
    }
  })

  test("a client that refuses gzip gets an uncompressed answer", async () => {
    const path = await stream("application/json", JSON.stringify("a".repeat(5000)))
    const answer = await api.get(path, { "accept-encoding": "gzip;q=0, identity" })
    expect(answer.headers["content-encoding"]).toBeUndefined()
  })

  test("Range is ignored: the whole answer comes", async () => {
    const answer = await api.get(await stream("text/plain", "hello"), { range: "bytes=0-1" })
    expectStatus(answer, 200)
    expect(answer.text).toBe("hello")
  })
})
