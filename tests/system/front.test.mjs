// nginx and lighttpd as a front: TLS, access control, rate limits, compression and caching, each
// with the file of deploy/ that a person would uncomment.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import http2 from "node:http2"
import https from "node:https"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import { countedSocket } from "./counted.mjs"
import { cleanEnv, cleanUp, end, launch, program, until } from "./harness.mjs"
import { client, fresh, request } from "./http.mjs"
import { corsOf, expectSeen, isOurs } from "./seen.mjs"
import { startLighttpd } from "./web/lighttpd.mjs"
import { startNginx } from "./web/nginx.mjs"

const { undo } = cleanUp(afterEach)

const JSON_TYPE = { "content-type": "application/json" }
const TEXT = { "content-type": "text/plain" }
const basic = (user, password) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
})
const ALICE = basic("alice", "secret")

// ------------------------------------------------------------------------------------ set-up

let folder, log, socket, database, responder, keys

const logs = () => fs.readFileSync(log, "utf8").slice(-3000)

/** An authority, a certificate of it for the server and one for a client, and a stranger's. */
function makeKeys() {
  const file = (name) => path.join(folder, name)
  const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" })
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout"]
  const own = (name) =>
    openssl("req", "-x509", ...key, `${name}.key`, "-out", `${name}.pem`, "-days", "2", "-subj", `/CN=${name}`)
  const signed = (name, extension) => {
    openssl("req", ...key, `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`)
    fs.writeFileSync(file(`${name}.ext`), extension)
    openssl("x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
      "-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`) // prettier-ignore
  }
  own("ca")
  own("stranger")
  signed("server", "subjectAltName = IP:127.0.0.1\n")
  signed("client", "extendedKeyUsage = clientAuth\n")
  const pair = (name) => ({
    key: fs.readFileSync(file(`${name}.key`)),
    cert: fs.readFileSync(file(`${name}.pem`)),
  })
  return {
    ca: fs.readFileSync(file("ca.pem")),
    client: pair("client"),
    stranger: pair("stranger"),
    /** the paths that the option files name, and their places in this test */
    tls: {
      "/etc/durable-streams/tls/fullchain.pem": file("server.pem"),
      "/etc/durable-streams/tls/privkey.pem": file("server.key"),
    },
    clients: { "/etc/durable-streams/clients-ca.pem": file("ca.pem") },
    users: { "/etc/durable-streams/users": file("users") },
  }
}

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  log = path.join(folder, "log")
  socket = path.join(folder, "app.sock")
  database = path.join(folder, "streams.db")
  fs.writeFileSync(log, "")
  keys = makeKeys()
  const hash = execFileSync("openssl", ["passwd", "-apr1", "secret"]).toString()
  fs.writeFileSync(path.join(folder, "users"), `alice:${hash}`)
  responder = launch(program, ["--listen", `unix:${socket}`], {
    log,
    env: cleanEnv({
      DS_DATABASE: database,
      DS_LONG_POLL_TIMEOUT_MS: "1500",
      DS_LOG_LEVEL: "warn",
    }),
  })
  await until(() => fs.existsSync(socket), logs)
})

afterAll(async () => {
  await end(responder)
  fs.rmSync(folder, { recursive: true, force: true })
})

/** The web server of this test, once it listens; it ends with the test. */
async function front(start, options) {
  const web = await start({ folder, log, sockets: [socket], ...options })
  undo.push(() => end(web.child))
  const { hostname, port } = new URL(web.url)
  await until(
    () =>
      new Promise((resolve) => {
        if (web.child.exitCode !== null) throw new Error(`it did not start:\n${logs()}`)
        const probe = net.connect(Number(port), hostname, () => resolve(true))
        probe.once("error", () => resolve(false))
        probe.once("connect", () => probe.destroy())
      }),
    logs
  )
  return web
}

const nginx = (options) => front(startNginx, options)
const lighttpd = (options) => front(startLighttpd, { kind: "service", ...options })

/** One request over TLS: answer, or the error that ended it. */
function secure(url, method, target, { headers = {}, body, pair = {} } = {}) {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const options = { hostname, port, method, path: target, headers, ca: keys.ca, agent: false }
    const outgoing = https.request({ ...options, ...pair, timeout: 10_000 }, (answer) => {
      const chunks = []
      answer.on("data", (chunk) => chunks.push(chunk))
      answer.on("error", (error) => resolve({ error }))
      answer.on("end", () =>
        resolve({
          status: answer.statusCode,
          headers: answer.headers,
          text: Buffer.concat(chunks).toString(),
        })
      )
    })
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 10 s")))
    outgoing.on("error", (error) => resolve({ error }))
    outgoing.end(body)
  })
}

/** Is a browser's preflight answered, without any credentials? */
async function expectPreflight(url, name) {
  const answer = await client(url).options(name, {
    origin: "https://page.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
  })
  expect(answer.status).toBe(204)
  expect(answer.headers["access-control-allow-headers"]).toContain("Authorization")
}

const everyWay = [
  ["PUT", TEXT],
  ["POST", TEXT],
  ["GET", {}],
  ["HEAD", {}],
  ["DELETE", {}],
  ["PATCH", {}],
]

/** The statuses of these methods on a stream, in this order. */
async function tryAll(url, name, credentials = {}) {
  const statuses = {}
  for (const [method, headers] of everyWay) {
    const body = method === "POST" ? "x" : undefined
    const options = { headers: { ...headers, ...credentials }, body }
    statuses[method] = (await request(url, method, name, options)).status
  }
  return statuses
}

const ALLOWED = { PUT: 201, POST: 204, GET: 200, HEAD: 200, DELETE: 204, PATCH: 405 }

// ------------------------------------------------- options that both have, each in its own way

const both = [
  ["nginx", nginx],
  ["lighttpd", lighttpd],
]

describe.each(both)("%s", (name, start) => {
  test("tls: Location is https, and plain HTTP is redirected with its method", async () => {
    const web = await start({ options: ["tls"], values: keys.tls })
    const stream = fresh()
    const made = await secure(web.url, "PUT", stream, { headers: TEXT, body: "hello" })
    expect(made, logs()).toMatchObject({ status: 201, headers: { location: web.url + stream } })
    expect((await secure(web.url, "GET", stream)).text).toBe("hello")

    const plain = await client(web.plain).post(`${stream}?a=%2F`, TEXT, "x")
    expect(plain.status).toBe(308)
    expect(plain.headers.location).toMatch(/^https:\/\/127\.0\.0\.1(:\d+)?\//)
    expect(plain.headers.location).toMatch(new RegExp(`${stream}\\?a=%2F$`))
  })

  test("tls: many live readers share one connection of HTTP/2", async () => {
    const web = await start({ options: ["tls"], values: keys.tls })
    const session = http2.connect(web.url, { ca: keys.ca })
    undo.push(() => session.destroy())
    const call = (headers, body) => {
      const stream = session.request(headers)
      stream.text = ""
      stream.on("data", (data) => (stream.text += data))
      stream.ready = new Promise((resolve, reject) => {
        stream.once("response", resolve)
        stream.once("error", reject)
      })
      stream.end(body)
      return stream
    }
    const target = fresh()
    const made = await call({ ":method": "PUT", ":path": target, ...TEXT }).ready
    expect(made[":status"]).toBe(201)
    expect(made.location).toBe(web.url + target)
    const live = { ":path": `${target}?offset=-1&live=sse` }
    // lighttpd takes eight requests at a time: one is for the append
    const readers = Array.from({ length: name === "nginx" ? 20 : 7 }, () => call(live))
    for (const reader of readers) expect((await reader.ready)[":status"]).toBe(200)
    expect(session.remoteSettings.maxConcurrentStreams).toBe(name === "nginx" ? 128 : 8)
    // lighttpd wants to know the length, over HTTP/2 as well
    const append = { ":method": "POST", ":path": target, "content-length": 4, ...TEXT }
    const appended = await call(append, "news").ready
    expect(appended[":status"]).toBe(204)
    await until(() => readers.every((reader) => reader.text.includes("news")), "all of them read it")
    for (const reader of readers) reader.close()
  })

  test("client-certificate: refused without a certificate of the right authority", async () => {
    const values = { ...keys.tls, ...keys.clients }
    const web = await start({ options: ["tls", "client-certificate"], values })
    const target = fresh()
    const put = (pair) => secure(web.url, "PUT", target, { headers: TEXT, pair })
    for (const pair of [undefined, keys.stranger]) {
      const refused = await put(pair)
      expect(refused.status, refused.error?.message).toBe(name === "nginx" ? 400 : 401)
      expect(refused.headers["access-control-allow-origin"]).toBe("*")
    }
    expect(await put(keys.client)).toMatchObject({ status: 201 }) // and was not made before
  })

  test("password: required for everything, except for a browser's preflight", async () => {
    const { url } = await start({ options: ["password"], values: keys.users })
    const stream = fresh()
    const refusals = await tryAll(url, stream)
    expect([...new Set(Object.values(refusals))], JSON.stringify(refusals)).toEqual([401])
    for (const wrong of [basic("alice", "wrong"), basic("bob", "secret")])
      expect((await client(url).put(stream, { ...TEXT, ...wrong }, "x")).status).toBe(401)
    const refused = await client(url).get(stream)
    expect(refused.headers["www-authenticate"]).toMatch(/^Basic /)
    expectSeen(refused)
    expect(await tryAll(url, stream, ALICE)).toEqual(ALLOWED)
    await expectPreflight(url, stream)
  })

  test("group-writes: everybody reads, only users in the file write", async () => {
    const { url } = await start({ options: ["group-writes"], values: keys.users })
    const api = client(url)
    const stream = fresh()
    expect(await tryAll(url, stream)).toEqual({
      PUT: 401,
      POST: 401,
      GET: 404,
      HEAD: 404,
      DELETE: 401,
      PATCH: 401,
    })
    expect(await tryAll(url, stream, ALICE)).toEqual(ALLOWED)

    expectSeen(await api.post(stream, TEXT, "x"))

    const kept = fresh()
    expect((await api.put(kept, { ...TEXT, ...ALICE }, "open")).status).toBe(201)
    expect((await api.get(kept)).text).toBe("open")
    expect((await api.head(kept)).status).toBe(200)
    const reader = await api.sse(`${kept}?offset=-1&live=sse`)
    await reader.waitFor((event) => event.data === "open")
    reader.close()
    await expectPreflight(url, kept)
  })

  test("large JSON is compressed and still gives 304; a live answer never is", async () => {
    const api = client((await start()).url)
    const stream = fresh()
    const messages = Array.from({ length: 2000 }, (_, n) => ({ n }))
    await api.create(stream, "application/json", JSON.stringify(messages))
    const gzip = { "accept-encoding": "gzip" }

    const packed = await api.get(stream, gzip)
    expect(packed.headers["content-encoding"]).toBe("gzip")
    expect(packed.headers.vary).toMatch(/accept-encoding/i)
    const { gunzipSync } = await import("node:zlib")
    expect(JSON.parse(gunzipSync(packed.body))).toEqual(messages)
    const plain = await api.get(stream)
    expect(plain.headers["content-encoding"]).toBeUndefined()
    expect(plain.headers.etag).not.toBe(packed.headers.etag)
    expect(JSON.parse(plain.text)).toEqual(messages)

    for (const tag of [packed.headers.etag, plain.headers.etag])
      for (const accept of [gzip, {}]) {
        const again = await api.get(stream, { ...accept, "if-none-match": tag })
        expect([again.status, again.body.length], tag).toEqual([304, 0])
      }
    await api.append(stream, "application/json", "[9]")
    const changed = await api.get(stream, { ...gzip, "if-none-match": packed.headers.etag })
    expect(changed.status).toBe(200)

    const live = await api.sse(`${stream}?offset=-1&live=sse`, gzip)
    expect(live.headers["content-encoding"]).toBeUndefined()
    await live.waitFor((event) => event.data.includes('{"n":1999}'))
    live.close()
    const small = fresh()
    await api.create(small, "application/json", "[1]")
    expect((await api.get(small, gzip)).headers["content-encoding"]).toBeUndefined()
  })
})

// --------------------------------------------------------------------------------- lighttpd alone

test("lighttpd: plain HTTP is redirected to the same path, whatever rewrites it", async () => {
  const expectSame = async ({ plain }) => {
    for (const target of [`${fresh()}?a=%2F`, "/v1/stream/__ds/subscriptions/a%2Fb/callback"]) {
      const { status, headers } = await client(plain).post(target, TEXT, "x")
      expect([status, headers.location.replace(/^https:\/\/[^/]+/, "")]).toEqual([308, target])
    }
  }
  const values = { ...keys.tls, ...keys.users }
  for (const option of ["password", "group-writes"])
    await expectSame(await lighttpd({ options: ["tls", option], values }))
  const certified = { ...keys.tls, ...keys.clients }
  await expectSame(await lighttpd({ options: ["tls", "client-certificate"], values: certified }))
  await expectSame(await lighttpd({ kind: "cgi", program, database, options: ["tls"], values: keys.tls }))
})

test("lighttpd, rate-limit: a connection's bytes a second are limited", async () => {
  const edit = (file, text) =>
    file === "rate-limit.conf" ? text.replace("= 4096", "= 100") : text
  const { url } = await lighttpd({ options: ["rate-limit"], edit })
  const api = client(url)
  const stream = fresh()
  await api.create(stream, "text/plain", Buffer.alloc(200_000, "x"))
  const { body, ms } = await api.get(stream, {}, { fresh: true })
  expect(body.length).toBe(200_000)
  expect(ms).toBeGreaterThan(1000)
})

test("lighttpd: a page sees that a body is too large for the web server", async () => {
  const edit = (file, text) => (file === "site.conf" ? `${text}\nserver.max-request-size = 1\n` : text)
  const { url } = await lighttpd({ edit })
  const answer = await client(url).post(fresh(), TEXT, "x".repeat(3000), { fresh: true })
  expect(answer.status).toBe(413)
  expectSeen(answer)
})

test("lighttpd, plain CGI: access control is the same", async () => {
  const options = { kind: "cgi", program, database, env: { DS_DATABASE: database } }
  const { url } = await lighttpd({ ...options, options: ["group-writes"], values: keys.users })
  const stream = fresh()
  expect(await tryAll(url, stream)).toMatchObject({ PUT: 401, GET: 404 })
  expectSeen(await client(url).put(stream, TEXT))
  expect(await tryAll(url, stream, ALICE)).toEqual(ALLOWED)
})

// ------------------------------------------------------------------------------------ nginx alone

/** A service as a person would have it: by token, who may do what. */
async function authService() {
  const asked = []
  const server = http.createServer((question, answer) => {
    asked.push(question.headers)
    question.resume()
    const method = question.headers["x-original-method"]
    const token = question.headers.authorization
    const reads = method === "GET" || method === "HEAD"
    if (!token) answer.writeHead(401, { "www-authenticate": 'Bearer realm="streams"' })
    else if (token === "Bearer broken") answer.writeHead(503)
    else if (token === "Bearer reader" && !reads) answer.writeHead(403)
    else answer.writeHead(204)
    answer.end()
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  undo.push(() => {
    server.closeAllConnections?.()
    return new Promise((resolve) => server.close(resolve))
  })
  return { asked, values: { "127.0.0.1:9000": `127.0.0.1:${server.address().port}` } }
}
const bearer = (token) => ({ authorization: `Bearer ${token}` })

test("nginx, auth-request: the service's 2xx, 401 and 403 decide", async () => {
  const service = await authService()
  const { url } = await nginx({ options: ["auth-request"], values: service.values })
  const api = client(url)
  const stream = fresh()
  const refused = await api.put(`${stream}?a=%2F`, TEXT, "x")
  expect(refused.status, logs()).toBe(401)
  expect(refused.headers["www-authenticate"]).toBe('Bearer realm="streams"')
  expect(service.asked[0]).toMatchObject({
    "x-original-method": "PUT",
    "x-original-uri": `${stream}?a=%2F`,
    "x-original-host": "127.0.0.1",
  })
  expect(await tryAll(url, stream, bearer("reader"))).toEqual({
    PUT: 403,
    POST: 403,
    GET: 404,
    HEAD: 404,
    DELETE: 403,
    PATCH: 403,
  })
  expect(await tryAll(url, stream, bearer("writer"))).toEqual(ALLOWED)
  const broken = await api.get(stream, bearer("broken"))
  expect(broken.status).toBe(500)
  const forbidden = await api.put(stream, { ...TEXT, ...bearer("reader") })
  for (const answer of [refused, forbidden, broken]) expectSeen(answer)

  // the body reaches the responder, not the service; If-None-Match likewise
  const large = Buffer.alloc(3_000_000, "x")
  await api.create(stream, "text/plain", large, bearer("writer"))
  expect(service.asked.at(-1)["content-length"]).toBeUndefined()
  const first = await api.get(stream, bearer("reader"))
  const tag = { "if-none-match": first.headers.etag }
  expect((await api.get(stream, { ...bearer("reader"), ...tag })).status).toBe(304)
  expect(service.asked.at(-1)["if-none-match"]).toBeUndefined()

  const before = service.asked.length
  await expectPreflight(url, stream)
  expect(service.asked.length).toBe(before)
})

test("nginx: a page sees 413 and 504, with its own origin if it may use credentials", async () => {
  const edit = (file, text) =>
    text
      .replace("client_max_body_size 0", "client_max_body_size 1k")
      .replace("fastcgi_read_timeout 3600s", "fastcgi_read_timeout 200ms")
  const { url } = await nginx({ edit })
  const api = client(url)
  const stream = fresh()
  await api.create(stream)
  const large = await api.post(stream, TEXT, "x".repeat(3000), { fresh: true })
  const late = await api.get(`${stream}?offset=now&live=long-poll`)
  expect([large.status, late.status, late.headers["retry-after"]]).toEqual([413, 504, "1"])
  for (const answer of [large, late]) expectSeen(answer)

  // as the comment in the site says
  const named = await nginx({
    edit: (file, text) => text.replace(/^ *"~\^:" +\*;/m, '":https://app.example" $http_origin;'),
  })
  const refused = async (origin) =>
    (await client(named.url).any("TRACE", stream, { origin })).headers
  expect(await refused("https://app.example")).toMatchObject({
    "access-control-allow-origin": "https://app.example",
    "access-control-allow-credentials": "true",
  })
  expect(Object.keys(await refused("https://other.example")).join()).not.toMatch(/access-control/)
})

test("nginx, rate-limit: 429 beyond the burst; other requests and reads are served", async () => {
  const { url } = await nginx({ options: ["rate-limit"] })
  const api = client(url)
  const stream = fresh()
  await api.create(stream)
  const began = performance.now()
  const answers = await Promise.all(
    Array.from({ length: 400 }, () => api.post(stream, TEXT, "x"))
  )
  const seconds = (performance.now() - began) / 1000
  const refused = answers.filter(({ status }) => status === 429)
  const served = answers.filter(({ status }) => status === 204)
  expect(refused.length + served.length).toBe(400)
  expect(refused.length).toBeGreaterThan(0)
  expect(refused[0].headers["retry-after"]).toBe("1")
  expectSeen(refused[0])
  expect([isOurs(served[0]), corsOf(served[0])]).toEqual([true, [1, 1]])
  // at least the burst, and at most the requests that the rate has allowed meanwhile
  expect(served.length).toBeGreaterThanOrEqual(99)
  expect(served.length).toBeLessThanOrEqual(102 + 50 * seconds)
  expect(served[0].headers["retry-after"]).toBeUndefined()
  const read = await api.get(stream)
  expect([read.status, read.body.length]).toEqual([200, served.length])
  await expectPreflight(url, stream)
})

test("nginx, rate-limit: the limit of live readers for an address holds, however requests are spelled", async () => {
  const { url } = await nginx({ options: ["rate-limit"] })
  const api = client(url)
  const stream = fresh()
  await api.create(stream)
  const waiting = Array.from({ length: 110 }, (_, n) =>
    api.get(`${stream}?offset=now&l${n % 2 ? "i" : "%69"}ve=long-poll`)
  )
  const statuses = (await Promise.all(waiting)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 204).length).toBe(100)
  expect(statuses.filter((status) => status === 429).length).toBe(10)
  expect((await api.get(stream)).status).toBe(200)
})

/** The responder's socket, seen through a counter of the requests that reach it. */
async function counted() {
  const counter = await countedSocket(socket)
  undo.push(counter.close)
  return counter
}

describe("nginx, cache", () => {
  const STREAMS = 20
  const READS = 10_000
  const CONNECTIONS = 100

  test(`${READS} catch-up reads cost the responder a handful`, { timeout: 120_000 }, async () => {
    const counter = await counted()
    const { url } = await nginx({ sockets: [counter.socket], options: ["cache"] })
    const api = client(url)
    const targets = Array.from({ length: STREAMS }, () => fresh("chunk"))
    for (const target of targets)
      await api.create(target, "text/plain", `${target} `.repeat(500))
    const before = counter.requests
    const seen = {}
    let next = 0
    const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS })
    undo.push(() => agent.destroy())
    const { hostname, port } = new URL(url)
    const read = (target) =>
      new Promise((resolve, reject) =>
        http
          .get({ hostname, port, agent, path: `${target}?offset=-1` }, (answer) => {
            let text = ""
            answer.setEncoding("latin1")
            answer.on("data", (data) => (text += data))
            answer.on("end", () => resolve({ text, headers: answer.headers }))
            answer.on("error", reject)
          })
          .on("error", reject)
      )
    const reader = async () => {
      while (next < READS) {
        const target = targets[next++ % STREAMS]
        const { text, headers } = await read(target)
        if (text !== `${target} `.repeat(500)) throw new Error(`${target}: other data`)
        const how = headers["x-cache-status"]
        seen[how] = (seen[how] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, reader))
    const requests = counter.requests - before
    const hits = seen.HIT ?? 0
    console.log(
      `front: nginx fastcgi_cache, ${READS} catch-up reads of ${STREAMS} URLs over ` +
        `${CONNECTIONS} connections: ${hits} hits, ${READS - hits} others, hit ratio ` +
        `${((100 * hits) / READS).toFixed(2)} %, ${requests} requests to the responder`
    )
    expect(Object.values(seen).reduce((sum, n) => sum + n)).toBe(READS)
    // the lock lets one go first; more only where that one takes longer than its time-out
    expect(requests).toBeGreaterThanOrEqual(STREAMS)
    expect(requests).toBeLessThanOrEqual(4 * STREAMS)
    expect(hits).toBeGreaterThanOrEqual(READS - CONNECTIONS)
  })

  test("live reads, reads at the tail, no-store answers and errors reach the responder each time", async () => {
    const counter = await counted()
    const { url } = await nginx({ sockets: [counter.socket], options: ["cache"] })
    const api = client(url)
    const stream = fresh()
    const status = (answer) => answer.headers["x-cache-status"]

    /** Sends the same request twice: both reach the responder, neither is a hit. */
    const never = async (target, expected) => {
      const before = counter.requests
      const answers = [await api.get(target), await api.get(target)]
      expect(answers.map((answer) => answer.status), target).toEqual([expected, expected])
      expect(answers.map(status).filter((how) => how && how !== "MISS"), target).toEqual([])
      expect(counter.requests - before, target).toBe(2)
      return answers[1]
    }
    await never(stream, 404)
    await api.create(stream, "text/plain", "one")
    const { next } = await api.readAll(stream)
    // nor does it wait for the lock, as a request through the cache would
    expect(status(await never(`${stream}?offset=now`, 200))).toBeUndefined()
    await never(`${stream}?offset=bad`, 400)
    await never("/health", 200)
    await never(`${stream}?offset=-1&live=long-poll`, 200)
    await never(`${stream}?offset=-1&l%69ve=long-poll`, 200)
    await never(`${stream}?live=long-poll&offset=${next}`, 204)

    // at the tail: the second read has the data appended after the first
    expect((await never(`${stream}?offset=${next}`, 200)).text).toBe("")
    await api.append(stream, "text/plain", "two")
    expect((await api.get(`${stream}?offset=${next}`)).text).toBe("two")

    // SSE, event by event, each time from the responder
    for (const more of ["three", "four"]) {
      const before = counter.requests
      const live = await api.sse(`${stream}?offset=now&live=sse`)
      await live.waitFor((event) => event.control)
      await api.append(stream, "text/plain", more)
      await live.waitFor((event) => event.data === more)
      expect(status(live)).toBeUndefined()
      live.close()
      expect(counter.requests - before).toBe(2)
    }

    // HEAD has no body to keep, writes change things
    const headed = fresh()
    await api.create(headed, "text/plain", "body")
    expect(status(await api.head(headed))).toBeUndefined()
    const first = await api.get(headed)
    expect([first.text, status(first)]).toEqual(["body", "MISS"])
    expect(status(await api.head(headed))).toBeUndefined()
    expect(status(await api.post(headed, TEXT, "x"))).toBeUndefined()
    expect(status(await api.get(headed))).toBe("HIT")
  })

  test("gzip or not, 304 or not: each client gets its form of one cached answer", async () => {
    const counter = await counted()
    const { url } = await nginx({ sockets: [counter.socket], options: ["cache"] })
    const api = client(url)
    const { gunzipSync } = await import("node:zlib")
    const text = JSON.stringify(Array.from({ length: 2000 }, (_, n) => ({ n })))
    for (const order of [
      ["gzip", ""],
      ["", "gzip"],
    ]) {
      const stream = fresh()
      await api.create(stream, "application/json", text)
      const before = counter.requests
      for (const coding of [...order, ...order]) {
        const headers = coding ? { "accept-encoding": coding } : {}
        const answer = await api.get(stream, headers)
        expect(answer.headers["content-encoding"] ?? "").toBe(coding)
        expect((coding ? gunzipSync(answer.body) : answer.body).toString()).toBe(text)
        expect(answer.headers["stream-next-offset"]).toBeTruthy()
        const tag = { "if-none-match": answer.headers.etag }
        const same = await api.get(stream, { ...headers, ...tag })
        expect(same.status).toBe(304)
        // cached answers have the headers of the responder, and none of nginx
        expect([corsOf(answer), corsOf(same)]).toEqual([[1, 1], [1, 1]])
      }
      expect(counter.requests - before).toBe(1)
    }
  })

  test("each of several origins gets an answer of its own, which is cached", async () => {
    const own = path.join(folder, "several.sock")
    const origins = ["https://one.example", "https://two.example"]
    const several = launch(program, ["--listen", `unix:${own}`], {
      log,
      env: cleanEnv({ DS_DATABASE: `${database}.several`, DS_CORS_ORIGIN: origins.join(" ") }),
    })
    undo.push(() => end(several))
    await until(() => fs.existsSync(own), logs)
    const api = client((await nginx({ sockets: [own], options: ["cache"] })).url)
    const stream = fresh()
    await api.create(stream, "text/plain", "x")
    const get = async (origin) => {
      const { headers } = await api.get(stream, origin ? { origin } : {})
      return [headers["access-control-allow-origin"], headers["x-cache-status"]]
    }
    for (const how of ["MISS", "HIT"])
      for (const origin of [...origins, undefined]) expect(await get(origin)).toEqual([origin, how])
    expect(await get("https://other.example")).toEqual([undefined, "MISS"])
  })

  test("clients that may not read get nothing from the cache", async () => {
    const service = await authService()
    const { url } = await nginx({ options: ["auth-request", "cache"], values: service.values })
    const api = client(url)
    const stream = fresh()
    await api.create(stream, "text/plain", "private", bearer("writer"))
    const get = async (headers) => {
      const answer = await api.get(stream, headers)
      return [answer.status, answer.headers["x-cache-status"], answer.text.includes("private")]
    }
    expect(await get(bearer("reader"))).toEqual([200, "MISS", true])
    expect(await get(bearer("other"))).toEqual([200, "HIT", true])
    expect(await get({})).toEqual([401, undefined, false])
    expect((await get(bearer("broken")))[0]).toBe(500)
  })

  test("nor do clients without a password", async () => {
    const { url } = await nginx({ options: ["password", "cache"], values: keys.users })
    const api = client(url)
    const stream = fresh()
    await api.create(stream, "text/plain", "private", ALICE)
    const get = async (headers) => {
      const answer = await api.get(stream, headers)
      return [answer.status, answer.headers["x-cache-status"]]
    }
    expect(await get(ALICE)).toEqual([200, "MISS"])
    expect(await get(ALICE)).toEqual([200, "HIT"])
    expect(await get({})).toEqual([401, undefined])
  })
})
