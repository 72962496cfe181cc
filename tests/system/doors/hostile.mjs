// Cases of the table (table.mjs): hostile requests. No input may add a line to an answer, a second
// request or another header.

import { expect } from "vitest"
import { connect, fresh } from "../http.mjs"
import { TEXT, expectStatus } from "./context.mjs"

const EVIL = "%0d%0aX-Evil:%201"

/** Sends one request on a connection of its own; its answer, or undefined if the server hangs up. */
async function ask(t, text) {
  const wire = await connect(t.url)
  wire.send(text)
  const method = text.split(" ")[0]
  const answer = await wire.answer(method)
  wire.drop()
  return answer
}

/**
 * Ambiguous requests. A chunk that looks like a request follows the head. A program that reads the
 * head in another way than the web server would find that request there.
 */
async function smuggle(t, head) {
  const victim = fresh("victim")
  const path = fresh("sm")
  await t.api.create(path)
  const inner = `PUT ${t.at(victim)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n`
  const size = inner.length.toString(16)
  const wire = await connect(t.url, { timeout: 4000 })
  wire.send(
    `POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n` +
      head.replaceAll("LINE", String(size.length + 2)) +
      `\r\n\r\n${size}\r\n${inner}\r\n0\r\n\r\n`
  )
  const first = await wire.answer("POST").catch(() => undefined)
  // still in step: the next answer is that of the next request, or the connection ends
  if (first && first.status < 400) {
    wire.send(`GET ${t.at(path)}?offset=now HTTP/1.1\r\nHost: x\r\nX-Last: 1\r\n\r\n`)
    const next = await wire.answer().catch(() => undefined)
    if (next) expect([200, 400], `after ${JSON.stringify(head)}`).toContain(next.status)
  }
  wire.drop()
  const { status } = await t.api.get(victim)
  expect(status, `a second request was served after ${JSON.stringify(head)}`).toBe(404)
}

export const hostile = [
  {
    name: "header injection",
    async run(t) {
      const path = fresh("inj")
      await t.api.create(path, "text/plain", "x")
      const get = (target, header = "") =>
        `GET ${t.at(target)} HTTP/1.1\r\nHost: x\r\n${header}Connection: close\r\n\r\n`
      const put = (target, header) =>
        `PUT ${t.at(target)} HTTP/1.1\r\nHost: x\r\n${header}Content-Length: 0\r\nConnection: close\r\n\r\n`
      const attempts = [
        get(`${path}${EVIL}`),
        get(`${path}?offset=-1${EVIL}`),
        get(`${path}?offset=-1&live=long-poll&cursor=1${EVIL}`),
        get(path, `If-None-Match: "x${EVIL}"\r\n`),
        get(path, `Origin: http://a${EVIL}\r\n`),
        put(fresh("inj") + EVIL, "Content-Type: text/plain\r\n"),
        put(fresh("inj"), `Content-Type: text/plain; a="${EVIL}"\r\n`),
        put(fresh("inj"), "Content-Type: text/plain\rX-Evil: 1\r\n"),
        put(fresh("inj"), `Content-Type: text/plain\r\nStream-Forked-From: ${path}${EVIL}\r\n`),
        put(fresh("inj"), `Content-Type: text/plain\r\nStream-TTL: 5${EVIL}\r\n`),
        put(fresh("inj"), "Content-Type: text/plain\r\nX-Forwarded-Host: a\rX-Evil: 1\r\n"),
        `PUT ${t.at(fresh("inj"))} HTTP/1.1\r\nHost: x${EVIL}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
        `PUT ${t.at(fresh("inj"))} HTTP/1.1\r\nHost: a\rX-Evil: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
        `POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nProducer-Id: p${EVIL}\r\n` +
          "Producer-Epoch: 0\r\nProducer-Seq: 0\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        `POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nProducer-Id: p\rX-Evil: 1\r\n` +
          "Producer-Epoch: 0\r\nProducer-Seq: 0\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
      ]
      for (const text of attempts) {
        const answer = await ask(t, text)
        if (!answer) continue
        expect(answer.head, text).not.toMatch(/[\r\n]x-evil/i)
        expect(answer.status, text).toBeLessThan(500)
      }
    },
  },
  {
    name: "folded header",
    async run(t) {
      const path = fresh("fold")
      await t.api.create(path)
      const wire = await connect(t.url)
      wire.send(
        `POST ${t.at(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nX-Long: a\r\n b\r\n` +
          "Content-Length: 1\r\n\r\nx"
      )
      const first = await wire.answer("POST")
      if (first.status < 400) {
        wire.send(`GET ${t.at(path)} HTTP/1.1\r\nHost: x\r\n\r\n`)
        expect((await wire.answer()).body).toBe("x")
      } else {
        expect(first.status).toBe(400)
      }
      wire.drop()
    },
  },
  {
    name: "request smuggling",
    async run(t) {
      for (const head of [
        "Content-Length: LINE\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: LINE",
        "Content-Length: LINE\r\nContent-Length: 1000",
        "Content-Length: LINE, 1000",
        "Content-Length: +LINE\r\nTransfer-Encoding: chunked",
        "Content-Length: -1",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "X-A: 1\nTransfer-Encoding: chunked",
      ])
        await smuggle(t, head)
    },
  },
  {
    name: "large request headers",
    cannot: { "apache-fcgid": oneRecord },
    async run(t) {
      await largeHeaders(t, [200, 400, 413, 431])
    },
  },
  {
    name: "an underscore is not a hyphen",
    cannot: {
      lighttpd: sameName,
      "lighttpd-spawn": sameName,
      "lighttpd-cgi": sameName,
      mixed: sameName,
    },
    async run(t) {
      expect(await closedByUnderscore(t)).toBe(false)
    },
  },
]

/** Web servers have different limits: each refuses some of these and passes others. */
async function largeHeaders(t, expected) {
  const path = fresh("large")
  await t.api.create(path)
  const lines = (count, line) => Array.from({ length: count }, (_, i) => line(i)).join("")
  const some = (count, size) => lines(count, (i) => `X-Some-${i}: ${"s".repeat(size)}\r\n`)
  for (const [what, headers] of [
    ["20 headers of 1 KB", some(20, 1000)],
    ["about as much as fits into a FastCGI record", some(62, 1000)],
    ["80 headers of 1 KB", some(80, 1000)],
    ["8 headers of 30 KB", some(8, 30_000)],
    ["many short headers", lines(8000, () => "a:\r\n")],
    ["many short headers without CR", lines(7600, () => "a:\n")],
    ["one header of 64 KB", some(1, 64_000)],
    ["one header of 200 KB", some(1, 200_000)],
  ]) {
    const answer = await ask(
      t,
      `GET ${t.at(path)} HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`
    )
    expect(expected, what).toContain(answer?.status)
  }
  expect((await t.api.get(path)).status).toBe(200)
}

function oneRecord() {
  return {
    why: "mod_fcgid passes all headers in one FastCGI record of 64 KiB and answers 500 if they do not fit; Apache limits only each single header",
    instead: (t) => largeHeaders(t, [200, 400, 413, 431, 500]),
  }
}

/** Is Stream_Closed taken for Stream-Closed? A proxy that filters headers might not expect that. */
async function closedByUnderscore(t) {
  const path = fresh("under")
  await t.api.create(path)
  const answer = await t.api.post(path, { ...TEXT, Stream_Closed: "true" }, "x")
  expectStatus(answer, 204, 400)
  return (await t.api.head(path)).headers["stream-closed"] === "true"
}

function sameName() {
  return {
    why: "lighttpd passes Stream_Closed and Stream-Closed on under the same name: do not rely on a proxy in front that filters headers",
    async instead(t) {
      const closed = await closedByUnderscore(t)
      // at "mixed", nginx drops the header and lighttpd does not
      if (t.door !== "mixed") expect(closed).toBe(true)
    },
  }
}
