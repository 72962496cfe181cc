// Cases of the table (table.mjs): methods, bodies and names, as they pass through the web server.

import { expect } from "vitest"
import { sleep } from "../harness.mjs"
import { client, connect, fresh } from "../http.mjs"
import { TEXT, bytes, expectStatus, ofLength } from "./context.mjs"

const MIB = 1024 * 1024
const BYTES = { "content-type": "application/octet-stream" }

/** The headers of every answer of the program, which no web server may remove or repeat. */
function decent(answer) {
  expect(answer.reason, "a reason phrase").not.toBe("")
  expect(answer.headers).toMatchObject({
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
  })
  expect(answer.headers["access-control-expose-headers"]).toMatch(/stream-next-offset/i)
}

/** Appends `sent`, and checks that exactly the bytes of `body` can be read back. */
async function written(t, path, body, sent) {
  await t.api.create(path, "application/octet-stream")
  const answer = await t.api.post(path, BYTES, sent, { timeout: 60_000 })
  expectStatus(answer, 204)
  const { body: read } = await t.api.readAll(path)
  expect(read.length).toBe(body.length)
  expect(read.equals(body), "every byte").toBe(true)
}

function pieces(body, size) {
  const list = []
  for (let at = 0; at < body.length; at += size) list.push(body.subarray(at, at + size))
  return list
}

/** The answer to this method on a stream. */
async function statusOf(t, method) {
  const path = fresh("m")
  await t.api.create(path, "text/plain", "x")
  const wire = await connect(t.url)
  wire.send(`${method} ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`)
  const { status } = await wire.answer()
  wire.drop()
  return status
}

/**
 * Sends the beginning of an upload and cuts the connection in the way of `cut`. Nothing of it may be
 * stored, then or later.
 */
async function uploadCut(t, head, body, least = 400) {
  const path = fresh("cut")
  const created = fresh("never")
  await t.api.create(path, "text/plain", "before")
  for (const cut of ["finish", "drop"])
    for (const [method, target] of [
      ["POST", path],
      ["PUT", created],
    ]) {
      const wire = await connect(t.url)
      wire.send(
        `${method} ${t.at(target)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n${head}\r\n\r\n${body}`
      )
      await sleep(100)
      wire[cut]()
      const answer = cut === "finish" ? await wire.answer(method).catch(() => {}) : undefined
      if (answer) expect(answer.status, `a cut ${method} is refused`).toBeGreaterThanOrEqual(least)
      wire.drop()
    }
  await sleep(500)
  expect((await t.api.readAll(path)).body.toString()).toBe("before")
  expectStatus(await t.api.get(created), 404)
  await t.api.append(path, "text/plain", " after")
  expect((await t.api.readAll(path)).body.toString()).toBe("before after")
}

export const requests = [
  {
    name: "every method",
    async run(t) {
      const path = fresh("m")
      const created = await t.api.put(path, TEXT)
      expectStatus(created, 201)
      decent(created)
      expectStatus(await t.api.put(path, TEXT), 200)
      expectStatus(await t.api.post(path, TEXT, "hello"), 204)
      const got = await t.api.get(path)
      expectStatus(got, 200)
      expect(got.text).toBe("hello")
      decent(got)
      expect(got.headers["content-type"]).toBe("text/plain")
      expect(got.headers["content-length"]).toBe("5")
      expectStatus(await t.api.head(path), 200)
      const options = await t.api.options(path)
      expectStatus(options, 204)
      expect(options.headers["access-control-allow-methods"]).toMatch(/PUT/)
      expectStatus(await t.api.del(path), 204)
      const gone = await t.api.get(path)
      expectStatus(gone, 404)
      decent(gone)
      expect(gone.text, "the program's own text, not a page of the web server").not.toMatch(/<html/i)
    },
  },
  {
    name: "unknown methods",
    async run(t) {
      for (const method of ["PATCH", "PROPFIND", "BREW", "get"]) {
        const status = await statusOf(t, method)
        expect([400, 403, 405, 501], `${method}: ${status}`).toContain(status)
      }
      const wire = await connect(t.url)
      wire.send("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
      const answer = await wire.answer()
      expect(answer?.status ?? 400, "CONNECT").toBeGreaterThanOrEqual(400)
      wire.drop()
    },
  },
  {
    name: "TRACE is refused",
    cannot: {
      hosting: () => ({
        why: "on shared hosting, only the host can set TraceEnable Off",
        instead: async (t) => expect([200, 403, 405]).toContain(await statusOf(t, "TRACE")),
      }),
    },
    async run(t) {
      expect([403, 405, 501]).toContain(await statusOf(t, "TRACE"))
    },
  },
  {
    name: "HEAD",
    async run(t) {
      const path = fresh("h")
      await t.api.create(path, "application/json", "[1,2,3]")
      const wire = await connect(t.url)
      for (const method of ["HEAD", "GET"])
        wire.send(`${method} ${t.at(path)} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const head = await wire.answer("HEAD")
      const got = await wire.answer()
      wire.drop()
      expect(head.status).toBe(200)
      // a body of HEAD would appear in front of the next answer
      expect(got.status).toBe(200)
      expect(got.body).toBe("[1,2,3]")
      for (const name of ["content-type", "stream-next-offset", "x-content-type-options"])
        expect(head.headers[name], name).toBe(got.headers[name])
      const missing = await t.api.head(fresh())
      expectStatus(missing, 404)
      expect(missing.body.length).toBe(0)
    },
  },
  {
    name: "empty body",
    async run(t) {
      const path = fresh("e")
      const empty = { ...TEXT, "content-length": "0" }
      expectStatus(await t.api.put(path, empty), 201)
      expectStatus(await t.api.post(path, empty), 400)
      expectStatus(await t.api.post(path, { ...empty, "stream-closed": "true" }), 204)
      expect((await t.api.get(path)).headers["stream-closed"]).toBe("true")
    },
  },
  {
    name: "POST without a length",
    cannot: {
      lighttpd: noLength,
      "lighttpd-spawn": noLength,
      "lighttpd-cgi": noLength,
      mixed: noLength,
    },
    async run(t) {
      const path = fresh("e")
      await t.api.create(path)
      const answer = await closeWithoutLength(t, path)
      expect(answer.status).toBe(204)
      expect((await t.api.get(path)).headers["stream-closed"]).toBe("true")
    },
  },
  {
    name: "16 MiB body",
    async run(t) {
      const body = bytes(16 * MIB)
      await written(t, fresh("big"), body, body)
    },
  },
  {
    name: "chunked body",
    async run(t) {
      const body = bytes(1000)
      await written(t, fresh("chunked"), body, pieces(body, 77))
    },
  },
  {
    name: "chunked body of 16 MiB",
    async run(t) {
      const body = bytes(16 * MIB)
      await written(t, fresh("chunked"), body, pieces(body, 99_999))
    },
  },
  {
    name: "a body above the limit: 413",
    async run(t) {
      const path = fresh("big")
      await t.api.create(path, "application/octet-stream", "before")
      for (const sent of [bytes(21 * MIB), pieces(bytes(21 * MIB), MIB)]) {
        const answer = await t.api.post(path, BYTES, sent, { timeout: 60_000, fresh: true })
        expectStatus(answer, 413)
      }
      expect((await t.api.readAll(path)).body.toString()).toBe("before")

      // with a small limit, too, where the web server sends the whole request at once
      const narrow = await t.start({ DS_MAX_BODY_BYTES: "65536" })
      try {
        const api = client(narrow.url)
        await api.create(path)
        for (const length of [65_537, 200_000])
          expectStatus(await api.post(path, TEXT, bytes(length)), 413)
        expectStatus(await api.post(path, TEXT, bytes(65_536)), 204)
      } finally {
        await narrow.stop()
      }
    },
  },
  ...[
    ["an upload is cut off", "Content-Length: 1000", "x".repeat(500)],
    [
      "a chunked upload is cut off",
      "Transfer-Encoding: chunked",
      `1f4\r\n${"x".repeat(500)}\r\n`,
    ],
    ["an upload is cut off after 1 MiB", `Content-Length: ${2 * MIB}`, "x".repeat(MIB)],
  ].map(([name, line, part]) => ({
    name,
    cannot: {
      caddy: () => ({
        why: "Caddy answers 200 to a client that ends its half in the middle of a body; nothing is stored",
        instead: (t) => uploadCut(t, line, part, 200),
      }),
    },
    run: (t) => uploadCut(t, line, part),
  })),
  {
    name: "slow uploads delay no other request",
    async run(t) {
      const path = fresh("slow")
      await t.api.create(path, "text/plain")
      const head = `POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n`
      // more than there are workers (DS_WORKERS)
      const slow = await Promise.all(Array.from({ length: 12 }, () => connect(t.url)))
      for (const wire of slow) wire.send(`${head}Content-Length: 8\r\n\r\nslow`)
      await sleep(200)
      for (let i = 0; i < 5; i++) expectStatus(await t.api.append(path, "text/plain", "fast"), 204)
      expect((await t.api.readAll(path)).body.toString()).toBe("fast".repeat(5))
      for (const wire of slow) wire.send("poke")
      for (const wire of slow) {
        expect((await wire.answer("POST")).status).toBe(204)
        wire.drop()
      }
      expect((await t.api.readAll(path)).body.toString()).toBe(
        "fast".repeat(5) + "slowpoke".repeat(slow.length)
      )
    },
  },
  {
    name: "Expect: 100-continue",
    async run(t) {
      const path = fresh("expect")
      await t.api.create(path)
      const wire = await connect(t.url)
      wire.send(
        `POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n` +
          "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
      )
      expect((await wire.answer("POST")).status).toBe(100)
      wire.send("hello")
      let answer = await wire.answer("POST")
      // a proxy may also pass on the one that it got itself
      if (answer.status === 100) answer = await wire.answer("POST")
      expect(answer.status).toBe(204)
      wire.drop()
      expect((await t.api.get(path)).text).toBe("hello")
    },
  },
  {
    name: "keep-alive and pipelining",
    async run(t) {
      const path = fresh("line")
      const wire = await connect(t.url)
      const post = (i) =>
        `POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n` +
        `Content-Length: ${String(i).length + 1}\r\n\r\n${i},`
      wire.send(
        `PUT ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n`
      )
      expect((await wire.answer("PUT")).status).toBe(201)
      const numbers = Array.from({ length: 20 }, (_, i) => i)
      wire.send(numbers.map(post).join("") + `GET ${t.at(path)} HTTP/1.1\r\nHost: x\r\n\r\n`)
      for (const i of numbers) expect((await wire.answer("POST")).status, `append ${i}`).toBe(204)
      expect((await wire.answer()).body).toBe(`${numbers.join(",")},`)
      wire.drop()
    },
  },
  {
    name: "names of streams",
    async run(t) {
      const base = fresh("n")
      const names = [
        ..."A a a%2Fb a/b a//b a%252Fb a%3Fb a%23b a%25b a+b a%20b a;b a;b=c,d a=b a&b a:b a@b".split(
          " "
        ),
        ..."(a) a!b a*b a'b a$b a~b ... a.b -a _a caf%C3%A9 %E2%82%AC %F0%9F%98%80 a%5Cb a%22b a%7Cb a/".split(
          " "
        ),
      ]
      for (const name of names) {
        const made = await t.api.put(`${base}/${name}`, TEXT, name)
        expectStatus(made, 201)
        expect(new URL(made.headers.location).pathname, "Location").toBe(
          new URL(t.url + `${base}/${name}`).pathname
        )
      }
      for (const name of names) expect((await t.api.get(`${base}/${name}`)).text).toBe(name)
      for (const [other, name] of [
        ["%41", "A"],
        ["%61%2fb", "a%2Fb"],
        ["a%7Eb", "a~b"],
        ["caf%c3%a9", "caf%C3%A9"],
      ])
        expect((await t.api.get(`${base}/${other}`)).text, other).toBe(name)
      for (const bad of ["..", "a/../b", "%2e%2e/b", "a%00b", "%", "%zz"]) {
        const answer = await t.api.put(`${base}/${bad}`, TEXT, "bad")
        expect([400, 403, 404], `${bad}: ${answer.status}`).toContain(answer.status)
      }
      expectStatus(await t.api.get(base), 404)
      expectStatus(await t.api.get(`${base}/b`), 404)
    },
  },
  {
    name: "path of 2 KiB",
    async run(t) {
      // as one segment, and as many
      for (const path of [ofLength(fresh("l"), 2048, "n"), ofLength(fresh("l"), 2048, "n/")]) {
        expectStatus(await t.api.put(path, TEXT, "x"), 201)
        expect((await t.api.get(`${path}?offset=-1`)).text).toBe("x")
        const longer = await t.api.put(`${path}n`, TEXT, "x")
        expectStatus(longer, 414)
      }
    },
  },
  {
    name: "201 has a Location",
    async run(t) {
      const path = fresh("loc")
      const made = await t.api.put(path, TEXT, "x")
      expectStatus(made, 201)
      expect(made.headers.location).toBe(t.url + path)
      expectStatus(await t.api.put(path, TEXT, "x"), 200)
      expectStatus(await t.api.put(path, { "content-type": "application/json" }), 409)
    },
  },
  {
    name: "fork by the path of a URL",
    async run(t) {
      const source = fresh("source")
      await t.api.create(source, "text/plain", "shared")
      // by the path within the server, and by the path that the client sees
      for (const from of new Set([source, t.at(source)])) {
        const path = fresh("fork")
        const made = await t.api.put(path, { ...TEXT, "stream-forked-from": from })
        expectStatus(made, 201)
        expect(made.headers.location).toBe(t.url + path)
        expect((await t.api.readAll(path)).body.toString()).toBe("shared")
      }
    },
  },
]

async function closeWithoutLength(t, path) {
  const wire = await connect(t.url)
  wire.send(`POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nStream-Closed: true\r\n\r\n`)
  const answer = await wire.answer("POST")
  wire.drop()
  return answer
}

function noLength() {
  return {
    why: "lighttpd answers 411 to a POST without Content-Length; clients send one",
    async instead(t) {
      const path = fresh("e")
      await t.api.create(path)
      // one of the two halves of "mixed" may accept it
      expect([411, 204]).toContain((await closeWithoutLength(t, path)).status)
    },
  }
}
