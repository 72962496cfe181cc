// Subscriptions behind the options that refuse requests: workers bring a token of the program, and have
// no password and no certificate. Their callbacks, acks and releases must reach the program, and so must
// questions for the public keys; everything else must not, however its path is spelled.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import https from "node:https"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import { cleanEnv, cleanUp, end, launch, program, until } from "./harness.mjs"
import { client, fresh, isHealthy } from "./http.mjs"
import { expectSeen, isOurs } from "./seen.mjs"
import { startApache } from "./web/apache.mjs"
import { startLighttpd } from "./web/lighttpd.mjs"
import { startNginx } from "./web/nginx.mjs"

const { undo } = cleanUp(afterEach)

const ROOT = "/v1/stream/__ds"
const BASIC = { authorization: `Basic ${Buffer.from("alice:secret").toString("base64")}` }
const BEARER = { authorization: "Bearer s.1.AAAAAAAAAAAAAAAAAAAAAA" }

let folder, log, socket, responder

const file = (name) => path.join(folder, name)
const logs = () => fs.readFileSync(log, "utf8").slice(-3000)

/** An authority, and certificates of it for the server and for a client. */
function makeKeys() {
  const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" })
  const key = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout"]
  for (const name of ["ca", "stranger"])
    openssl("req", "-x509", ...key, `${name}.key`, "-out", `${name}.pem`, "-subj", `/CN=${name}`)
  for (const name of ["server", "client"]) {
    openssl("req", ...key, `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`)
    openssl("x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
      "-CAcreateserial", "-out", `${name}.pem`) // prettier-ignore
  }
}

const pair = (name) => ({
  key: fs.readFileSync(file(`${name}.key`)),
  cert: fs.readFileSync(file(`${name}.pem`)),
})

const env = () => ({ DS_DATABASE: file("streams.db"), DS_LOG_LEVEL: "warn" })

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  // mod_cgid and mod_fcgid start the program as another user
  fs.chmodSync(folder, 0o777)
  log = file("log")
  socket = file("app.sock")
  fs.writeFileSync(log, "")
  makeKeys()
  const hash = execFileSync("openssl", ["passwd", "-apr1", "secret"]).toString()
  fs.writeFileSync(file("users"), `alice:${hash}`)
  fs.writeFileSync(file("groups"), "writers: alice\n")
  responder = launch(program, ["--listen", `unix:${socket}`], { log, env: cleanEnv(env()) })
  await until(() => fs.existsSync(socket), logs)
})

afterAll(async () => {
  await end(responder)
  fs.rmSync(folder, { recursive: true, force: true })
})

/** Each web server's way to start with these options; the last ones start the program themselves. */
const own = (kind) => ({ kind, program, database: file(`${kind}.db`), env: env() })
const servers = {
  nginx: (given) => startNginx({ ...given, sockets: [socket] }),
  lighttpd: (given) => startLighttpd({ ...given, kind: "service", sockets: [socket] }),
  apache: (given) => startApache({ ...given, kind: "proxy", sockets: [socket] }),
  "lighttpd-spawn": (given) => startLighttpd({ ...given, ...own("spawn") }),
  "lighttpd-cgi": (given) => startLighttpd({ ...given, ...own("cgi") }),
  "apache-fcgid": (given) => startApache({ ...given, ...own("fcgid") }),
  "apache-cgi": (given) => startApache({ ...given, ...own("cgi") }),
}

/** The web server, once it answers; headers: for its health check, null if that cannot pass. */
async function front(server, options, values = {}, headers = {}) {
  const web = await servers[server]({ folder, log, options, values })
  undo.push(() => end(web.child, "SIGTERM", 20_000))
  const { hostname, port } = new URL(web.url)
  await until(
    () =>
      new Promise((resolve) => {
        if (web.child.exitCode !== null) throw new Error(`${server} did not start:\n${logs()}`)
        const probe = net.connect(Number(port), hostname, () => resolve(true))
        probe.once("error", () => resolve(false))
        probe.once("connect", () => probe.destroy())
      }),
    logs
  )
  if (web.url.startsWith("http:") && headers)
    await until(() => isHealthy(client(web.url), headers), logs, { timeout: 20_000 })
  return web.url
}

/** One request, over TLS if the address says so: the answer, or { error }. */
function ask(url, method, target, { headers = {}, keys = {} } = {}) {
  const { hostname, port, protocol } = new URL(url)
  const given = { hostname, port, method, path: target, headers, agent: false, timeout: 20_000 }
  const how = protocol === "https:" ? { ...given, rejectUnauthorized: false, ...keys } : given
  return new Promise((resolve) => {
    const outgoing = (protocol === "https:" ? https : http).request(how, (answer) => {
      const chunks = []
      answer.on("data", (chunk) => chunks.push(chunk))
      answer.on("error", (error) => resolve({ error }))
      answer.on("end", () =>
        resolve({
          status: answer.statusCode,
          headers: answer.headers,
          rawHeaders: answer.rawHeaders,
          text: Buffer.concat(chunks).toString(),
        })
      )
    })
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 20 s")))
    outgoing.on("error", (error) => resolve({ error }))
    outgoing.end(method === "POST" || method === "PUT" ? "{}" : undefined)
  })
}

// ---------------------------------------------------------------------------- what passes

const IDS = ["nobody", "webhook%3Atype%3Aname", "a%2Fb", "callback", "x y".replace(" ", "%20")]

/** Requests that workers and receivers send, and what the program answers to them. */
function* passing() {
  for (const id of IDS)
    for (const verb of ["callback", "ack", "release"])
      for (const query of ["", "?a=%2F"]) {
        const target = `${ROOT}/subscriptions/${id}/${verb}${query}`
        yield ["POST", target, 404]
      }
  for (const verb of ["callback", "ack", "release"]) {
    yield ["OPTIONS", `${ROOT}/subscriptions/nobody/${verb}`, 204]
    for (const method of ["GET", "PUT", "DELETE"])
      yield [method, `${ROOT}/subscriptions/nobody/${verb}`, 405]
  }
  yield ["GET", `${ROOT}/jwks.json`, 200]
  yield ["HEAD", `${ROOT}/jwks.json`, 200]
  yield ["OPTIONS", `${ROOT}/jwks.json`, 204]
  yield ["DELETE", `${ROOT}/jwks.json`, 405]
}

async function expectPassing(url) {
  for (const [method, target, status] of passing()) {
    const answer = await ask(url, method, target, { headers: BEARER })
    const shown = `${method} ${target}: ${answer.error ?? answer.status} ${answer.text}\n`
    expect(answer.error, shown).toBeUndefined()
    expect([isOurs(answer), answer.status], shown + logs()).toEqual([true, status])
    if (method === "POST") expect(JSON.parse(answer.text).error.code).toBe("SUBSCRIPTION_NOT_FOUND")
  }
  // without a token, the program refuses, and says so in JSON
  const refused = await ask(url, "POST", `${ROOT}/subscriptions/nobody/callback`)
  expect([isOurs(refused), refused.status, JSON.parse(refused.text).error.code]).toEqual([
    true,
    401,
    "TOKEN_INVALID",
  ])
}

// ------------------------------------------------------------------- what does not

const WRITES = [
  ["PUT", `${ROOT}/subscriptions/nobody`],
  ["DELETE", `${ROOT}/subscriptions/nobody`],
  ["POST", `${ROOT}/subscriptions/nobody/claim`],
  ["POST", `${ROOT}/subscriptions/nobody/streams`],
  ["DELETE", `${ROOT}/subscriptions/nobody/streams/callback`],
  ["DELETE", `${ROOT}/subscriptions/nobody/streams/manual%2Fb`],
  ["POST", `${ROOT}/subscriptions/nobody/callback/`],
  ["POST", `${ROOT}/subscriptions/nobody/callback/x`],
  ["POST", `${ROOT}/subscriptions/nobody/callbacks`],
  // streams, whose paths look like the ones above to those who decode or search them
  ["PUT", "/v1/stream/x%2F..%2F__ds%2Fsubscriptions%2Fs%2Fcallback"],
  ["PUT", "/v1/stream/__ds%2Fsubscriptions%2Fs%2Fcallback"],
  ["PUT", "/v1/stream/__ds%2Fjwks.json"],
  ["PUT", "/v1/stream/x/v1/stream/__ds/subscriptions/s/callback"],
  ["PUT", "/v1/stream/x?/v1/stream/__ds/subscriptions/s/callback"],
  ["PUT", "/v1/stream/x%3F/v1/stream/__ds/subscriptions/s/ack"],
  ["PUT", "/v1/stream/x%0A/v1/stream/__ds/subscriptions/s/ack"],
  ["PUT", "/v1/stream/x%2F..%2F..%2F..%2F.error"],
  ["PUT", "/v1/stream/x%2F..%2F..%2F..%2Fopen.fcgi"],
  ["PUT", "/open.fcgi"],
  ["PUT", "/open.fcgi/v1/stream/x"],
  ["PUT", "/v1/stream//__ds/jwks.json"],
]

const READS = [
  ["GET", `${ROOT}/subscriptions/nobody`],
  ["GET", `${ROOT}/jwks.json/x`],
  ["GET", "/v1/stream/x%2F..%2F__ds%2Fjwks.json"],
]

async function expectRefused(url, requests, how = {}) {
  for (const [method, target] of requests) {
    const answer = await ask(url, method, target, { headers: BEARER, ...how })
    const shown = `${method} ${target}: ${answer.error ?? answer.status} ${answer.text}`
    expect(answer.status, shown).toBeGreaterThanOrEqual(400)
    expect(isOurs(answer), shown).toBe(false)
  }
}

/** A request that is not refused reaches the program, and nothing else than a token passed before. */
async function expectAdmitted(url, how) {
  const claim = await ask(url, "POST", `${ROOT}/subscriptions/nobody/claim`, how)
  expect([isOurs(claim), claim.status], claim.text).toEqual([true, 400])
  const link = `${ROOT}/subscriptions/a%2Fb/streams/manual%2Fb`
  const gone = await ask(url, "DELETE", link, how)
  expect([isOurs(gone), gone.status], gone.text).toEqual([true, 404])
}

const USERS = () => ({ "/etc/durable-streams/users": file("users") })

describe.each(Object.keys(servers))("%s", (server) => {
  const isApache = server.startsWith("apache")

  test("password", async () => {
    const url = await front(server, ["password"], USERS(), BASIC)
    await expectPassing(url)
    await expectRefused(url, [...WRITES, ...READS])
    const refused = await ask(url, "PUT", `${ROOT}/subscriptions/nobody`, { headers: BEARER })
    expect(refused.status).toBe(401)
    expectSeen(refused)
    await expectAdmitted(url, { headers: BASIC })
  })

  test("group-writes", async () => {
    const groups = isApache ? { "/etc/durable-streams/groups": file("groups") } : {}
    const url = await front(server, ["group-writes"], { ...USERS(), ...groups })
    await expectPassing(url)
    await expectRefused(url, WRITES)
    const read = await ask(url, "GET", `${ROOT}/subscriptions/nobody`)
    expect([isOurs(read), read.status]).toEqual([true, 404])
    await expectAdmitted(url, { headers: BASIC })
  })
})

// -------------------------------------------------------------------- with their own conditions

const TLS = () => ({
  "/etc/durable-streams/tls/fullchain.pem": file("server.pem"),
  "/etc/durable-streams/tls/privkey.pem": file("server.key"),
})

describe.each(["nginx", "lighttpd", "apache"])("%s", (server) => {
  test("client-certificate", async () => {
    const values = { ...TLS(), "/etc/durable-streams/clients-ca.pem": file("ca.pem") }
    const url = await front(server, ["tls", "client-certificate"], values)
    await until(async () => isOurs(await ask(url, "GET", "/health", { keys: pair("client") })), logs)
    await expectPassing(url)
    await expectRefused(url, [...WRITES, ...READS])
    const stranger = await ask(url, "GET", `${ROOT}/subscriptions/nobody`, { keys: pair("stranger") })
    expect(stranger.error ? "handshake" : isOurs(stranger)).not.toBe(true)
    await expectAdmitted(url, { keys: pair("client") })
  })
})

test.each(["nginx", "apache"])("%s: client-certificate and password, both", async (server) => {
  const values = { ...TLS(), ...USERS(), "/etc/durable-streams/clients-ca.pem": file("ca.pem") }
  const url = await front(server, ["tls", "client-certificate", "password"], values)
  const all = { keys: pair("client"), headers: BASIC }
  await until(async () => isOurs(await ask(url, "GET", "/health", all)), logs)
  await expectPassing(url)
  const name = fresh()
  for (const some of [{}, { keys: all.keys }, { headers: BASIC }])
    expect(isOurs(await ask(url, "PUT", name, some)), Object.keys(some).join()).toBe(false)
  expect(await ask(url, "PUT", name, all)).toMatchObject({ status: 201 })
})

test("lighttpd: of two options that replace each other's rules, it takes neither", async () => {
  const values = { ...TLS(), ...USERS(), "/etc/durable-streams/clients-ca.pem": file("ca.pem") }
  const options = ["tls", "client-certificate", "password"]
  await expect(front("lighttpd", options, values)).rejects.toThrow(/durable_streams_guard/)
})

test("nginx, auth-request: the service is not asked about tokens that are not its own", async () => {
  const asked = []
  const service = http.createServer((question, answer) => {
    asked.push(`${question.headers["x-original-method"]} ${question.headers["x-original-uri"]}`)
    answer.writeHead(question.headers.authorization === BASIC.authorization ? 204 : 401).end()
  })
  await new Promise((resolve) => service.listen(0, "127.0.0.1", resolve))
  undo.push(() => new Promise((resolve) => service.close(resolve)))
  const address = `127.0.0.1:${service.address().port}`
  const url = await front("nginx", ["auth-request"], { "127.0.0.1:9000": address }, BASIC)
  asked.length = 0
  await expectPassing(url)
  expect(asked).toEqual([])
  await expectRefused(url, [...WRITES, ...READS])
  expect(asked).toEqual([...WRITES, ...READS].map((words) => words.join(" ")))
  await expectAdmitted(url, { headers: BASIC })
})

test("Apache, auth-request: likewise", async () => {
  // nobody listens there: what is asked is refused
  const url = await front("apache", ["auth-request"], { "127.0.0.1:9010": "127.0.0.1:9" }, null)
  await expectPassing(url)
  await expectRefused(url, [...WRITES, ...READS])
})

test("nginx, read-only: workers finish what they have, and get nothing new", async () => {
  const url = await front("nginx", ["read-only"])
  await expectPassing(url)
  for (const [method, target] of WRITES) {
    const answer = await ask(url, method, target, { headers: BEARER })
    expect([answer.status, answer.headers["retry-after"]], `${method} ${target}`).toEqual([503, "5"])
  }
  expect(isOurs(await ask(url, "GET", `${ROOT}/subscriptions/nobody`))).toBe(true)
})

test.each(["nginx", "apache"])("%s, cache: the public keys come from the program each time", async (server) => {
  const store = file(`cache-${server}`)
  fs.mkdirSync(store)
  fs.chmodSync(store, 0o777)
  const values = server === "apache" ? { "/var/cache/apache2/mod_cache_disk": store } : {}
  const url = await front(server, ["cache"], values)
  const name = fresh()
  await client(url).create(name, "text/plain", "x")
  const how = async (target) => {
    const { headers, status } = await ask(url, "GET", target)
    return [status, headers["x-cache-status"] ?? headers["x-cache"]?.split(" ")[0]]
  }
  for (const target of [`${ROOT}/jwks.json`, `${ROOT}/jwks.json?offset=-1`, "/v1/stream/%5F_ds/jwks.json"])
    for (const _ of [1, 2]) expect((await how(target))[1] ?? "none").not.toBe("HIT")
  // while the cache is in use
  await until(async () => (await how(`${name}?offset=-1`))[1] === "HIT", "an answer from the cache")
})
