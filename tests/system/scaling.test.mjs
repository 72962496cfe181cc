// What deploy/scaling.md promises: a crowd of readers costs the responder a handful of requests.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import { countedSocket } from "./counted.mjs"
import { openCrowd } from "./crowd.mjs"
import { cleanEnv, cleanUp, end, launch, program, sleep, until } from "./harness.mjs"
import { client, fresh } from "./http.mjs"
import { startNginx } from "./web/nginx.mjs"

const { undo } = cleanUp(afterEach)

let folder, log

const logs = () => fs.readFileSync(log, "utf8").slice(-3000)

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  log = path.join(folder, "log")
  fs.writeFileSync(log, "")
})

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

/** A responder of its own on folder/NAME.sock and folder/NAME.db. */
async function startResponder(name, env = {}) {
  const responder = {
    socket: path.join(folder, `${name}.sock`),
    database: path.join(folder, `${name}.db`),
  }
  responder.start = async () => {
    responder.child = launch(program, ["--listen", `unix:${responder.socket}`], {
      log,
      env: cleanEnv({ DS_DATABASE: responder.database, DS_LOG_LEVEL: "warn", ...env }),
    })
    await until(() => listens({ path: responder.socket }), logs)
  }
  responder.stop = () => end(responder.child)
  await responder.start()
  return responder
}

const listens = (where) =>
  new Promise((resolve) => {
    const probe = net.connect(where, () => resolve(true))
    probe.once("error", () => resolve(false))
    probe.once("connect", () => probe.destroy())
  })

/** nginx for this test, once it listens. */
async function nginx(options) {
  const web = await startNginx({ folder, log, ...options })
  undo.push(() => end(web.child))
  const { hostname: host, port } = new URL(web.url)
  await until(() => {
    if (web.child.exitCode !== null) throw new Error(`nginx did not start:\n${logs()}`)
    return listens({ host, port: Number(port) })
  }, logs)
  return web
}

// ------------------------------------------------------------------------------ a crowd of readers

describe("collapse", () => {
  const READERS = 500

  let responder

  beforeAll(async () => {
    responder = await startResponder("one", { DS_LONG_POLL_TIMEOUT_MS: "2000" })
  })

  afterAll(() => responder.stop())

  // windows of a second in place of ten, and polls of two in place of thirty
  const quick = (name, text) =>
    name === "collapse-zone.conf"
      ? text.replace("[0-9]+)[0-9]\\.", "[0-9]+)\\.").replace("[0-9]{2,}\\.", "[1-9][0-9]*\\.")
      : text

  async function front(options = ["cache", "collapse"], more = {}) {
    const counter = await countedSocket(responder.socket)
    undo.push(counter.close)
    const web = await nginx({ sockets: [counter.socket], options, edit: quick, ...more })
    const api = client(web.url)
    return { ...web, api, counter }
  }

  async function crowdOf(url, count) {
    const crowd = await openCrowd(url, count)
    undo.push(crowd.close)
    return crowd
  }

  /** A stream, where it ends, and a crowd at that place until `last` is received. */
  async function waiting({ url, api }, last, count = READERS) {
    const stream = fresh("poll")
    await api.create(stream, "text/plain", "start ")
    const { next } = await api.readAll(stream)
    const crowd = await crowdOf(url, count)
    const polls = crowd.readers.map((reader) =>
      crowd.poll(reader, stream, next, (received, { headers }) =>
        last ? received.endsWith(last) : headers["stream-closed"] === "true"
      )
    )
    return { stream, next, crowd, polls: Promise.all(polls) }
  }

  test(`${READERS} readers catch up by a handful of requests`, async () => {
    const { url, api, counter } = await front()
    const stream = fresh("catch-up")
    await api.create(stream, "text/plain", "x".repeat(10_000))
    const crowd = await crowdOf(url, READERS)
    const before = counter.requests
    const answers = await crowd.read(`${stream}?offset=-1`)
    for (const { status, text } of answers) expect([status, text.length]).toEqual([200, 10_000])
    // the lock lets one go first; more only where that one takes longer than its time-out
    expect(counter.requests - before).toBeLessThanOrEqual(4)
  })

  test(`${READERS} long-polls get each message once, by a handful of requests`, async () => {
    const server = await front()
    const { stream, crowd, polls } = await waiting(server, "<3>")
    const before = server.counter.requests
    for (const n of [1, 2, 3]) {
      await server.api.append(stream, "text/plain", `<${n}>`)
      const all = () => crowd.readers.every(({ received }) => received.endsWith(`<${n}>`))
      await until(all, `everybody has message ${n}: ${JSON.stringify(crowd.answers)}`)
    }
    await polls
    for (const { received } of crowd.readers) expect(received).toBe("<1><2><3>")
    const requests = server.counter.requests - before - 3
    console.log(
      `scaling: ${crowd.requests} long-polls of ${READERS} readers for 3 messages, ` +
        `${crowd.hits} shared, ${requests} to the responder`
    )
    // each message, and each window of a second that readers began to wait in
    expect(requests).toBeLessThanOrEqual(20)
    expect(crowd.hits).toBeGreaterThanOrEqual(crowd.requests - 20)
  })

  test("nothing new: all hear so together, and nobody asks in a hurry", async () => {
    const server = await front()
    const before = server.counter.requests
    const { stream, crowd, polls } = await waiting(server, "<1>", 50)
    const setUp = server.counter.requests - before
    await sleep(5000)
    // two polls of two seconds, of which each may wait for one that began in its window
    const asked = crowd.requests
    expect(asked).toBeGreaterThan(50)
    expect(asked).toBeLessThanOrEqual(4 * 50)
    expect(server.counter.requests - before - setUp).toBeLessThanOrEqual(12)
    await server.api.append(stream, "text/plain", "<1>")
    await polls
    for (const { received } of crowd.readers) expect(received).toBe("<1>")
  })

  test("a responder that ends early and comes back: who waits goes on waiting", async () => {
    const server = await front()
    const { stream, crowd, polls } = await waiting(server, "<1>", 50)
    await sleep(300)
    await responder.stop()
    await responder.start()
    await sleep(700)
    expect(crowd.requests).toBeLessThanOrEqual(3 * 50)
    await server.api.append(stream, "text/plain", "<1>")
    const statuses = new Set((await polls).map(({ status }) => status))
    // as with any restart, one that asked while nobody listened got 502
    for (const status of statuses) expect([200, 502]).toContain(status)
  })

  test("the end of a stream, and its deletion, reach all", async () => {
    const server = await front()
    const closed = await waiting(server, undefined, 100)
    const deleted = await waiting(server, "never", 100)
    await sleep(1200)
    const before = server.counter.requests
    await server.api.post(closed.stream, { "stream-closed": "true" })
    for (const { status } of await closed.polls) expect(status).toBe(204)
    expect(server.counter.requests - before).toBeLessThanOrEqual(12)
    await server.api.del(deleted.stream)
    for (const { status } of await deleted.polls) expect(status).toBe(404)
  })

  test("the one that asks may leave: the others get the answer all the same", async () => {
    const server = await front()
    const { stream, crowd, polls } = await waiting(server, "<1>", 20)
    await sleep(200)
    crowd.readers[0].socket.destroy()
    await server.api.append(stream, "text/plain", "<1>")
    await polls
    for (const { received } of crowd.readers.slice(1)) expect(received).toBe("<1>")
  })

  test("readers at older places get what follows theirs", async () => {
    const { api } = await front()
    const stream = fresh()
    const next = (answer) => answer.headers["stream-next-offset"]
    const first = next(await api.create(stream, "text/plain", "one "))
    const second = next(await api.append(stream, "text/plain", "two "))
    await api.append(stream, "text/plain", "three")
    const poll = (offset) => api.get(`${stream}?live=long-poll&offset=${offset}`)
    for (let i = 0; i < 2; i++) {
      expect((await poll("-1")).text).toBe("one two three")
      expect((await poll(first)).text).toBe("two three")
      expect((await poll(second)).text).toBe("three")
    }
  })

  test("what is not quite such a poll goes to the responder each time", async () => {
    const { api, counter } = await front()
    const stream = fresh()
    await api.create(stream, "text/plain", "data")
    const { next } = await api.readAll(stream)
    const zero = next.replace(/\d/g, "0")
    for (const query of [
      `offset=${zero}&live=long-poll&other=1`,
      `OFFSET=${next}&offset=${zero}&live=long-poll`,
      `offset=${zero}&l%69ve=long-poll`,
      `offset=%30${zero.slice(1)}&live=long-poll`,
      `offset=${zero}&live=long-poll&cursor=x`,
    ]) {
      const before = counter.requests
      for (let i = 0; i < 2; i++) {
        const answer = await api.get(`${stream}?${query}`)
        expect([answer.status, answer.text], query).toEqual([200, "data"])
        expect(answer.headers["x-cache-status"], query).not.toBe("HIT")
      }
      expect(counter.requests - before, query).toBe(2)
    }
    const twice = `offset=${zero}&offset=${next}&live=long-poll`
    expect((await api.get(`${stream}?${twice}`)).status).toBe(400)
    expect((await api.get(`/.poll?offset=${zero}&live=long-poll`)).status).toBe(404)
    // in any order, it is
    const spellings = ["offset&live&cursor", "cursor&live&offset", "live&cursor&offset"]
    const values = { offset: `offset=${zero}`, live: "live=long-poll", cursor: "cursor=7" }
    await until(() => Date.now() % 1000 < 300, "the beginning of a window")
    const before = counter.requests
    for (const spelling of spellings) {
      const query = spelling.replace(/\w+/g, (name) => values[name])
      expect((await api.get(`${stream}?${query}`)).text).toBe("data")
    }
    expect(counter.requests - before).toBeLessThan(spellings.length)
  })

  test("who may not read is refused before it waits", async () => {
    const hash = execFileSync("openssl", ["passwd", "-apr1", "secret"]).toString()
    fs.writeFileSync(path.join(folder, "users"), `alice:${hash}`)
    const basic = `Basic ${Buffer.from("alice:secret").toString("base64")}`
    const service = http.createServer((question, answer) => {
      answer.writeHead(question.headers.authorization === basic ? 204 : 401).end()
    })
    await new Promise((resolve) => service.listen(0, "127.0.0.1", resolve))
    undo.push(() => new Promise((resolve) => service.close(resolve)))
    for (const [option, values] of [
      ["group-writes", { "/etc/durable-streams/users": path.join(folder, "users") }],
      ["password", { "/etc/durable-streams/users": path.join(folder, "users") }],
      ["auth-request", { "127.0.0.1:9000": `127.0.0.1:${service.address().port}` }],
    ]) {
      const { api } = await front([option, "collapse"], { values })
      const stream = fresh()
      await api.create(stream, "text/plain", "private", { authorization: basic })
      const poll = async (headers) => {
        const answer = await api.get(`${stream}?live=long-poll&offset=-1`, headers)
        return [answer.status, answer.text.includes("private"), answer.headers["x-cache-status"]]
      }
      const shared = option === "password" ? undefined : expect.stringMatching(/HIT|MISS/)
      const all = option === "group-writes"
      const refused = all ? [200, true, shared] : [401, false, undefined]
      expect(await poll({ authorization: basic }), option).toEqual([200, true, shared])
      expect(await poll({}), option).toEqual(refused)
      expect(await poll({ authorization: "Basic YTpi" }), option).toEqual(refused)
      expect((await api.post(stream, { "content-type": "text/plain" }, "x")).status).toBe(401)
      service.closeIdleConnections()
    }
  })
})
