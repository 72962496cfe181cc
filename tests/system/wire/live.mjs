// SSE and long-poll: framing, wake-ups, and the end of live reads.

import { describe, expect, test } from "vitest"
import { sleep, sqlite, until } from "../harness.mjs"
import { fresh } from "../http.mjs"
import {
  api,
  CLOSE,
  expectStatus,
  narrow,
  OFFSET,
  server,
  stream,
  TEXT,
  tuned,
} from "./context.mjs"

describe("SSE", () => {
  const live = (path, offset = "-1") => `${path}?offset=${offset}&live=sse`

  test("headers", async () => {
    const reader = await api.sse(live(await stream()))
    expect(reader.status).toBe(200)
    expect(reader.headers["content-type"]).toBe("text/event-stream")
    expect(reader.headers["cache-control"]).toContain("no-cache")
    // otherwise a proxy may hold events back in its compressor
    expect(reader.headers["cache-control"]).toContain("no-transform")
    expect(reader.headers["content-length"]).toBeUndefined()
    expect(reader.headers["stream-sse-data-encoding"]).toBeUndefined()
    expect(reader.headers["x-content-type-options"]).toBe("nosniff")
    expect(reader.headers["access-control-allow-origin"]).toBe("*")
    reader.close()
    const binary = await api.sse(live(await stream("application/octet-stream")))
    expect(binary.headers["stream-sse-data-encoding"]).toBe("base64")
    binary.close()
  })

  test.each([
    ["line breaks of all kinds", "a\r\nb\rc\nd", "a\nb\nc\nd"],
    ["a line break at the end", "a\n", "a\n"],
    ["empty lines", "\n\n\n", "\n\n\n"],
    ["leading spaces, also after a line break", "  a\n b", "  a\n b"],
    [
      "payloads that look like fields",
      "data: x\nevent: y\n: z\nid: 1\nretry: 0",
      "data: x\nevent: y\n: z\nid: 1\nretry: 0",
    ],
  ])("%s arrive as data", async (_, payload, seen) => {
    const path = await stream("text/plain", payload)
    const reader = await api.sse(live(path))
    await reader.waitFor((event) => event.control?.upToDate)
    reader.close()
    expect(reader.text()).toBe(seen)
  })

  test.each(["\n", "\r", "\r\n"])("no payload forges an event with %j", async (nl) => {
    const forged = `x${nl}${nl}event: control${nl}data: {"streamNextOffset":"evil","streamClosed":true}${nl}${nl}`
    const path = await stream("text/plain", forged)
    const reader = await api.sse(live(path))
    await reader.waitFor((event) => event.control?.upToDate)
    await api.append(path, "text/plain", "after")
    await reader.waitFor((event) => event.type === "data" && event.data.includes("after"))
    reader.close()
    expect(reader.events.map((event) => event.type)).not.toContain("message")
    for (const control of reader.controls()) {
      expect(control.streamNextOffset).toMatch(OFFSET)
      expect(control.streamClosed).toBeUndefined()
    }
  })

  /** The text as SSE delivers it: every line break is an LF. */
  const broken = (text) => text.replace(/\r\n?/g, "\n")
  const ENDINGS = "a\r\nb\rc\n\nd\r\r\n\n\re\r\n\r\nf\r"

  test("a text that is split within its line ends reads the same as the whole text", async () => {
    for (let cut = 1; cut < ENDINGS.length; cut++) {
      const path = await stream("text/plain", ENDINGS.slice(0, cut), ENDINGS.slice(cut))
      const reader = await api.sse(live(path))
      await reader.waitFor((event) => event.control?.upToDate)
      reader.close()
      expect(reader.text(), `split at ${cut}`).toBe(broken(ENDINGS))
    }
  })

  test("so does a text in single bytes, live and resumed at any offset", async () => {
    const path = await stream("text/plain")
    const reader = await api.sse(live(path))
    let tail
    for (const byte of ENDINGS) {
      tail = (await api.append(path, "text/plain", byte)).headers["stream-next-offset"]
      await reader.waitFor((event) => event.control?.streamNextOffset === tail)
    }
    reader.close()
    expect(reader.text()).toBe(broken(ENDINGS))
    let before = ""
    for (const event of reader.events) {
      if (event.type === "data") before += event.data
      else {
        const again = await api.sse(live(path, event.control.streamNextOffset))
        await again.waitFor((e) => e.control?.streamNextOffset === tail)
        again.close()
        expect(before + again.text(), event.data).toBe(broken(ENDINGS))
      }
    }
  })

  test("so does a large message that is sent in slices", async () => {
    // a slice ends at 256 KiB, here between CR and LF, and between LF and CR
    for (const ends of ["\r\n", "\n\r", "\r\r", "\n\n"]) {
      const text = "x".repeat(256 * 1024 - 1) + ends + "y".repeat(5)
      const reader = await api.sse(live(await stream("text/plain", text)))
      await reader.waitFor((event) => event.control?.upToDate)
      reader.close()
      expect(reader.controls().length, "slices").toBeGreaterThan(1)
      expect(reader.text() === broken(text), JSON.stringify(ends)).toBe(true)
    }
  })

  test("a control event follows every data event, in catch-up too", async () => {
    for (const type of ["text/plain", "application/json", "application/octet-stream"]) {
      const path = fresh()
      await narrow.create(path, type)
      for (let i = 0; i < 40; i++)
        await narrow.append(
          path,
          type,
          type.includes("json") ? `["${"x".repeat(9000)}"]` : "x".repeat(9000)
        )
      const reader = await narrow.sse(live(path))
      await reader.waitFor((event) => event.control?.upToDate)
      reader.close()
      const types = reader.events.map((event) => event.type)
      expect(types.filter((t) => t === "data").length, "more than one chunk").toBeGreaterThan(1)
      for (const [i, t] of types.entries()) if (t === "data") expect(types[i + 1]).toBe("control")
      const offsets = reader.controls().map((control) => control.streamNextOffset)
      expect([...offsets].sort()).toEqual(offsets)
      // only the last control event says upToDate
      expect(reader.controls().filter((control) => control.upToDate).length).toBe(1)
    }
  })

  test("base64 decodes to the bytes that were appended", async () => {
    const path = await stream("application/octet-stream")
    const parts = [
      Buffer.from([0]),
      Buffer.from([255, 254]),
      Buffer.from("\r\n\r\n"),
      Buffer.alloc(1000, 7),
    ]
    const reader = await api.sse(live(path))
    for (const part of parts) await api.append(path, "application/octet-stream", part)
    const tail = (await api.head(path)).headers["stream-next-offset"]
    await reader.waitFor((event) => event.control?.streamNextOffset === tail)
    reader.close()
    const bytes = reader.events
      .filter((event) => event.type === "data")
      .map((event) => event.data.replaceAll("\n", ""))
      .map((text) => {
        expect(text).toMatch(/^[A-Za-z0-9+/]*={0,2}$/)
        expect(text.length % 4).toBe(0)
        return Buffer.from(text, "base64")
      })
    expect(Buffer.concat(bytes).equals(Buffer.concat(parts))).toBe(true)
  })

  test("a character split across messages arrives whole", async () => {
    const path = await stream("text/plain; charset=utf-8")
    const whole = "h€llo 😀 wörld"
    const bytes = Buffer.from(whole)
    const reader = await api.sse(live(path))
    // one byte for each message: every multi-byte character is split in every way
    for (const byte of bytes)
      await api.append(path, "text/plain; charset=utf-8", Buffer.from([byte]))
    await until(
      () => reader.text().length >= whole.length || reader.broken,
      () => reader.received
    )
    expect(reader.broken).toBeUndefined()
    expect(reader.text()).toBe(whole)
    const tail = (await api.head(path)).headers["stream-next-offset"]
    await reader.waitFor((event) => event.control?.streamNextOffset === tail)
    reader.close()

    // a reader that comes later, or resumes from any control event, sees the same text
    const late = await api.sse(live(path))
    await late.waitFor((event) => event.control?.upToDate)
    late.close()
    expect(late.text()).toBe(whole)
    let before = ""
    for (const event of reader.events) {
      if (event.type === "data") before += event.data
      else if (event.control.streamNextOffset !== tail) {
        const again = await api.sse(live(path, event.control.streamNextOffset))
        await again.waitFor((e) => e.control?.upToDate)
        again.close()
        expect(before + again.text(), `resumed at ${event.control.streamNextOffset}`).toBe(whole)
      }
    }
  })

  test("bytes that are not UTF-8 do not stop a stream", async () => {
    const path = await stream("text/plain", Buffer.from([0x61, 0xff, 0x62]), "c")
    const reader = await api.sse(live(path))
    await until(
      () => reader.text().endsWith("c") || reader.broken,
      () => reader.received,
      { timeout: 3000 }
    )
    reader.close()
    expect(reader.broken).toBeUndefined()
    expect(reader.text()).toMatch(/^a.*bc$/)
  })

  test("a stream that is closed within a character still ends", async () => {
    const path = await stream("text/plain")
    await api.append(path, "text/plain", Buffer.from([0x61, 0xe2, 0x82]), CLOSE)
    const reader = await api.sse(live(path))
    expect(await reader.ended).toEqual({ complete: true })
    expect(reader.broken).toBeUndefined()
    expect(reader.text()).toMatch(/^a/)
    expect(reader.controls().at(-1).streamClosed).toBe(true)
  })

  test("after an append that closes, a reader gets the message, streamClosed and the end", async () => {
    const path = await stream("text/plain", "x")
    const reader = await api.sse(live(path))
    await reader.waitFor((event) => event.control?.upToDate)
    await api.append(path, "text/plain", "last", CLOSE)
    expect(await reader.ended).toEqual({ complete: true })
    expect(reader.text()).toBe("xlast")
    const last = reader.events.at(-1).control
    expect(last).toMatchObject({ streamClosed: true, upToDate: true })
    expect(last.streamNextOffset).toBe((await api.head(path)).headers["stream-next-offset"])
  })

  test("offset=now begins at the tail and sends only new data", async () => {
    const path = await stream("text/plain", "old")
    const tail = (await api.head(path)).headers["stream-next-offset"]
    const reader = await api.sse(live(path, "now"))
    const first = await reader.waitFor((event) => event.control)
    expect(first.control).toMatchObject({ streamNextOffset: tail, upToDate: true })
    expect(first.control.streamCursor).toMatch(/^\d+$/)
    await api.append(path, "text/plain", "new")
    await reader.waitFor((event) => event.type === "data")
    reader.close()
    expect(reader.text()).toBe("new")
  })

  test("a silent connection is kept alive, then ended cleanly after its lifetime", async () => {
    const path = fresh()
    await narrow.create(path)
    const began = performance.now()
    const reader = await narrow.sse(live(path), {}, { timeout: 15_000 })
    const how = await reader.ended
    const lasted = performance.now() - began
    expect(how).toEqual({ complete: true })
    expect(lasted).toBeGreaterThan(1000) // 2 s, with a random deviation
    expect(lasted).toBeLessThan(6000)
    expect((reader.received.match(/^:/gm) ?? []).length, reader.received).toBeGreaterThan(3)
    expect(reader.controls().some((control) => control.streamClosed)).toBe(false)
  })

  describe("EventSource, which knows only ids", () => {
    const resume = (path, id, offset = "-1") =>
      api.sse(live(path, offset), { "last-event-id": id })

    test("the id of every event is the offset to resume from", async () => {
      const path = await stream("text/plain", "one ", "two ")
      const reader = await api.sse(live(path, "now"))
      const first = await reader.waitFor((event) => event.control)
      expect(first.id).toBe(first.control.streamNextOffset)
      for (const word of ["three ", "four "]) {
        const tail = (await api.append(path, "text/plain", word)).headers["stream-next-offset"]
        await reader.waitFor((event) => event.control?.streamNextOffset === tail)
      }
      expectStatus(await api.post(path, CLOSE), 204)
      await reader.ended
      for (const [i, event] of reader.events.entries()) {
        const control = event.control ?? reader.events[i + 1].control
        expect(event.id, JSON.stringify(event)).toBe(control.streamNextOffset)
      }
    })

    test("a reader that resumes after any event loses and repeats nothing", async () => {
      for (const offset of ["-1", "now", "0000000000000000_0000000000000004"]) {
        const path = await stream("text/plain", "one ", "two ")
        const reader = await api.sse(live(path, offset))
        await reader.waitFor((event) => event.control?.upToDate)
        await api.append(path, "text/plain", "three ")
        await api.append(path, "text/plain", "four ", CLOSE)
        await reader.ended
        const whole = reader.text()
        let seen = ""
        for (const event of reader.events.slice(0, -1)) {
          if (event.type === "data") seen += event.data
          const again = await resume(path, event.id, offset)
          if (again.status !== 204) await again.ended
          expect(seen + again.text(), `${offset}, after ${JSON.stringify(event)}`).toBe(whole)
        }
      }
    })

    test("an id that is not an offset is ignored", async () => {
      const path = await stream("text/plain", "one ", "two ")
      for (const id of ["", "x", "now", "-1", "7", "0000000000000000_000000000000000x"]) {
        const reader = await resume(path, id, "0000000000000000_0000000000000004")
        await reader.waitFor((event) => event.control?.upToDate)
        reader.close()
        expect(reader.text(), id).toBe("two ")
      }
      const id = { "last-event-id": "0000000000000000_0000000000000004" }
      expect((await api.get(`${path}?offset=-1`, id)).text).toBe("one two ")
      expect((await api.get(`${path}?offset=-1&live=long-poll`, id)).text).toBe("one two ")
      expectStatus(await api.get(`${path}?live=sse`, id), 400)
    })

    test("at the end of a closed stream, 204 stops it", async () => {
      const path = await stream("text/plain", "one ")
      await api.append(path, "text/plain", "two ", CLOSE)
      const reader = await resume(path, "0000000000000000_0000000000000004")
      expect(await reader.ended).toEqual({ complete: true })
      expect([reader.text(), reader.controls().at(-1).streamClosed]).toEqual(["two ", true])
      const end = await api.get(live(path), { "last-event-id": reader.events.at(-1).id })
      expectStatus(end, 204)
      expect(end.headers["stream-closed"]).toBe("true")
      // a client of the protocol expects an event
      const other = await api.sse(live(path, reader.events.at(-1).id))
      await other.ended
      expect(other.status).toBe(200)
      expect(other.controls()).toMatchObject([{ streamClosed: true, upToDate: true }])
    })
  })

  test("a missing stream is 404, not an event", async () => {
    const reader = await api.sse(live(fresh()))
    expect(reader.status).toBe(404)
    await reader.ended
  })
})

describe("long-poll", () => {
  const poll = (path, offset, rest = "") => `${path}?offset=${offset}&live=long-poll${rest}`

  test.each(["text/plain", "application/json"])(
    "at -1 of an empty stream it waits (%s)",
    async (type) => {
      const path = await stream(type)
      const idle = await api.get(poll(path, "-1"))
      expectStatus(idle, 204)
      expect(idle.ms).toBeGreaterThan(350) // DS_LONG_POLL_TIMEOUT_MS is 500
      expect(idle.headers["stream-next-offset"]).toMatch(OFFSET)
      expect(idle.headers["stream-up-to-date"]).toBe("true")
      expect(idle.headers["stream-cursor"]).toMatch(/^\d+$/)
      const waiting = api.get(poll(path, "-1"))
      await sleep(100)
      await api.append(path, type, '"x"')
      const answer = await waiting
      expectStatus(answer, 200)
      expect(answer.text).toBe(type === "application/json" ? '["x"]' : '"x"')
      expect(answer.headers["stream-up-to-date"]).toBe("true")
    }
  )

  test("a cursor counts DS_CURSOR_INTERVAL_SECONDS since DS_CURSOR_EPOCH", async () => {
    const path = fresh()
    await narrow.create(path, "text/plain", "x")
    const before = Math.floor((Date.now() / 1000 - 1e9) / 3600)
    const cursor = Number((await narrow.get(poll(path, "-1"))).headers["stream-cursor"])
    expect(cursor).toBeGreaterThanOrEqual(before)
    expect(cursor).toBeLessThanOrEqual(before + 1)
  })

  test("the cursor always moves forward", async () => {
    const path = await stream("text/plain", "x")
    let cursor = (await api.get(poll(path, "-1"))).headers["stream-cursor"]
    expect(cursor).toMatch(/^\d+$/)
    for (let i = 0; i < 3; i++) {
      const next = (await api.get(poll(path, "-1", `&cursor=${cursor}`))).headers["stream-cursor"]
      expect(Number(next)).toBeGreaterThan(Number(cursor))
      cursor = next
    }
  })

  test("an append that closes answers a waiting reader, with Stream-Closed", async () => {
    const path = fresh()
    await narrow.create(path)
    const waiting = narrow.get(poll(path, "-1"))
    await sleep(150)
    await narrow.append(path, "text/plain", "last", CLOSE)
    const answer = await waiting
    expectStatus(answer, 200)
    expect(answer.text).toBe("last")
    expect(answer.headers["stream-closed"]).toBe("true")
    expect(answer.ms).toBeLessThan(5000)
  })

  test("closing without data ends the wait: 204 and closed", async () => {
    const path = fresh()
    await narrow.create(path)
    const waiting = narrow.get(poll(path, "-1"))
    await sleep(150)
    expectStatus(await narrow.post(path, CLOSE), 204)
    const answer = await waiting
    expectStatus(answer, 204)
    expect(answer.headers["stream-closed"]).toBe("true")
    expect(answer.headers["stream-up-to-date"]).toBe("true")
    expect(answer.ms).toBeLessThan(5000)
  })

  test("one append wakes fifty readers of a stream", async () => {
    const path = fresh()
    await narrow.create(path)
    const waiting = Array.from({ length: 50 }, () => narrow.get(poll(path, "-1")))
    await sleep(300)
    await narrow.append(path, "text/plain", "for all")
    for (const answer of await Promise.all(waiting)) {
      expectStatus(answer, 200)
      expect(answer.text).toBe("for all")
    }
  })
})

describe("deletion while readers wait", () => {
  // SSE on the usual server, where a connection lasts a minute; long-poll on the one that waits for 20 s
  const remove = [
    ["DELETE", (client, path) => client.del(path)],
    [
      "the sqlite3 prompt",
      (client, path) =>
        sqlite(
          client === narrow ? tuned.database : server.database,
          `delete from stream where path = '${path}'`
        ),
    ],
  ]
  test.each(remove)("by %s ends the reads within two seconds", async (_, gone) => {
    const path = fresh()
    await api.create(path, "text/plain", "x")
    await narrow.create(path, "text/plain", "x")
    const reader = await api.sse(`${path}?offset=-1&live=sse`)
    await reader.waitFor((event) => event.control?.upToDate)
    const waiting = narrow.get(`${path}?offset=now&live=long-poll`)
    await sleep(200)
    const began = performance.now()
    await Promise.all([gone(api, path), gone(narrow, path)])
    const polled = await waiting
    const how = await reader.ended
    expect(performance.now() - began, "ms").toBeLessThan(2500)
    expectStatus(polled, 404, 410)
    expect(how).toEqual({ complete: true })
    expect(reader.controls().some((control) => control.streamClosed)).toBe(false)
    expectStatus(await api.get(path), 404)
    // the name is free again
    expectStatus(await api.put(path, TEXT), 201)
    expect((await api.get(path)).body.length).toBe(0)
  })

  test("a reader does not get a new stream of the same name", async () => {
    const path = fresh()
    await narrow.create(path, "text/plain", "old")
    const waiting = narrow.get(`${path}?offset=now&live=long-poll`)
    await sleep(200)
    expectStatus(await narrow.del(path), 204)
    await narrow.create(path, "text/plain", "newer")
    const answer = await waiting
    // either 404 or the new stream from its start, never a part of it
    expectStatus(answer, 404, 410)
  })

  test("a missing stream cannot be deleted", async () => {
    expectStatus(await api.del(fresh()), 404)
  })
})
