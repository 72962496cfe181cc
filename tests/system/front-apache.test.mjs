// Apache as a front: TLS, access control, compression and caching, each with the file of
// deploy/apache that a person would uncomment; and the process pools of mod_fcgid.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import https from "node:https"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import { gunzipSync } from "node:zlib"
import { cleanEnv, cleanUp, end, freePort, launch, processesNaming, program, until } from "./harness.mjs"
import { client, fresh } from "./http.mjs"
import { corsOf, expectSeen } from "./seen.mjs"
import { startApache } from "./web/apache.mjs"

const { undo } = cleanUp(afterEach)

const TEXT = { "content-type": "text/plain" }
const basic = (user, password) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
})
const ALICE = basic("alice", "secret")
const CARLA = basic("carla", "secret")

let folder, log, socket, responder

const file = (name) => path.join(folder, name)
const logs = () => fs.readFileSync(log, "utf8").slice(-3000)

/** An authority, certificates of it for the server and for a client, and a stranger's. */
function makeKeys() {
  const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" })
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout"]
  for (const name of ["ca", "stranger"])
    openssl(...["req", "-x509", ...key, `${name}.key`, "-out", `${name}.pem`, "-days", "2"],
      ...["-subj", `/CN=${name}`]) // prettier-ignore
  for (const [name, extension] of [
    ["server", "subjectAltName = IP:127.0.0.1\n"],
    ["client", "extendedKeyUsage = clientAuth\n"],
  ]) {
    openssl("req", ...key, `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`)
    fs.writeFileSync(file(`${name}.ext`), extension)
    openssl(...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"],
      ...["-CAcreateserial", "-extfile", `${name}.ext`, "-out", `${name}.pem`]) // prettier-ignore
  }
}

const pair = (name) => ({
  key: fs.readFileSync(file(`${name}.key`)),
  cert: fs.readFileSync(file(`${name}.pem`)),
})

const TLS = () => ({
  "/etc/durable-streams/tls/fullchain.pem": file("server.pem"),
  "/etc/durable-streams/tls/privkey.pem": file("server.key"),
})
const USERS = () => ({ "/etc/durable-streams/users": file("users") })

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  log = file("log")
  socket = file("app.sock")
  fs.writeFileSync(log, "")
  makeKeys()
  const hash = execFileSync("openssl", ["passwd", "-apr1", "secret"]).toString()
  fs.writeFileSync(file("users"), `alice:${hash}carla:${hash}`)
  fs.writeFileSync(file("groups"), "writers: alice bob\n")
  responder = launch(program, ["--listen", `unix:${socket}`], {
    log,
    env: cleanEnv({
      DS_DATABASE: file("streams.db"),
      DS_LONG_POLL_TIMEOUT_MS: "1000",
      DS_SSE_KEEPALIVE_MS: "500",
      DS_LOG_LEVEL: "warn",
    }),
  })
  await until(() => fs.existsSync(socket), logs)
})

afterAll(async () => {
  await end(responder)
  fs.rmSync(folder, { recursive: true, force: true })
})

/** Apache for this test, once it listens. */
async function apache(options = [], values = {}, more = {}) {
  const web = await startApache({
    folder,
    kind: "proxy",
    sockets: [socket],
    log,
    options,
    values,
    ...more,
  })
  undo.push(() => end(web.child, "SIGTERM", 20_000))
  const { hostname, port } = new URL(web.url)
  await until(
    () =>
      new Promise((resolve) => {
        if (web.child.exitCode !== null) throw new Error(`Apache did not start:\n${logs()}`)
        const probe = net.connect(Number(port), hostname, () => resolve(true))
        probe.once("error", () => resolve(false))
        probe.once("connect", () => probe.destroy())
      }),
    logs
  )
  return web
}

/** One request over TLS: the answer, or { error }. */
function secure(url, method, target, { headers = {}, body, keys = {} } = {}) {
  const { hostname, port } = new URL(url)
  const ca = fs.readFileSync(file("ca.pem"))
  return new Promise((resolve) => {
    const options = { hostname, port, method, path: target, headers, ca, agent: false, ...keys }
    const outgoing = https.request({ ...options, timeout: 10_000 }, (answer) => {
      let text = ""
      answer.on("data", (chunk) => (text += chunk))
      answer.on("error", (error) => resolve({ error }))
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
    })
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 10 s")))
    outgoing.on("error", (error) => resolve({ error }))
    outgoing.end(body)
  })
}

describe("TLS", () => {
  test("a Location begins with https", async () => {
    const { url } = await apache(["tls"], TLS())
    const name = fresh()
    const made = await secure(url, "PUT", name, { headers: TEXT, body: "x" })
    expect([made.status, made.headers?.location]).toEqual([201, url + name])
    expect((await secure(url, "GET", name)).text).toBe("x")
  })

  test("tls-redirect: plain HTTP is sent to https with its method", async () => {
    const port = await freePort()
    const { url } = await apache(["tls", "tls-redirect"], {
      ...TLS(),
      "<VirtualHost *:80>": `Listen 127.0.0.1:${port}\n<VirtualHost 127.0.0.1:${port}>`,
    })
    const name = fresh()
    const { status, headers } = await client(`http://127.0.0.1:${port}`).put(`${name}?a=b`, TEXT)
    expect([status, headers.location]).toEqual([308, `https://127.0.0.1${name}?a=b`])
    expect((await secure(url, "GET", name)).status).toBe(404)
  })

  test("client-certificate: only certificates of our authority pass", async () => {
    const { url } = await apache(["tls", "client-certificate"], {
      ...TLS(),
      "/etc/durable-streams/clients-ca.pem": file("ca.pem"),
    })
    const name = fresh()
    const put = (keys) => secure(url, "PUT", name, { headers: TEXT, keys })
    expect((await put({})).status).toBe(403)
    expect((await put(pair("stranger"))).error).toBeDefined()
    expect((await put(pair("client"))).status).toBe(201)
  })
})

describe("access", () => {
  test("password: required of everybody, except for a browser's preflight", async () => {
    const { url } = await apache(["password"], USERS())
    const api = client(url)
    const name = fresh()
    expect((await api.put(name, TEXT)).status).toBe(401)
    const refused = await api.get(name)
    expect(refused.status).toBe(401)
    expectSeen(refused)
    expect((await api.put(name, { ...TEXT, ...basic("alice", "wrong") })).status).toBe(401)
    expect((await api.options(name)).status).toBe(204)
    expect((await api.put(name, { ...TEXT, ...ALICE }, "x")).status).toBe(201)
    expect((await api.get(name, ALICE)).text).toBe("x")
  })

  test("group-writes: everybody reads, only the group writes", async () => {
    const { url } = await apache(["group-writes"], {
      ...USERS(),
      "/etc/durable-streams/groups": file("groups"),
    })
    const api = client(url)
    const name = fresh()
    expect((await api.put(name, { ...TEXT, ...ALICE }, "x")).status).toBe(201)
    for (const who of [{}, CARLA])
      for (const method of ["PUT", "POST", "DELETE", "PATCH"]) {
        const { status } = await api.any(method, name, { ...TEXT, ...who }, "y")
        expect(status, `${method} ${Object.keys(who)}`).toBe(401)
      }
    expect((await api.get(name)).text).toBe("x")
    expect((await api.head(name)).status).toBe(200)
    expect((await api.options(name)).status).toBe(204)
    expect((await api.post(name, { ...TEXT, ...ALICE }, "y")).status).toBe(204)
  })

  test("auth-request: a FastCGI authorizer decides; without it all requests are refused", async () => {
    const port = await freePort()
    const seen = []
    const gate = authorizer((params) => {
      seen.push(params)
      return params.HTTP_X_TICKET === "valid"
    })
    await new Promise((resolve) => gate.listen(port, "127.0.0.1", resolve))
    undo.push(() => new Promise((resolve) => gate.close(resolve)))
    const { url } = await apache(["auth-request"], { "127.0.0.1:9010": `127.0.0.1:${port}` })
    const api = client(url)
    const name = fresh()
    const refused = await api.put(name, TEXT)
    expect(refused.status).toBe(403)
    expectSeen(refused)
    expect((await api.put(name, { ...TEXT, "x-ticket": "valid" }, "body")).status).toBe(201)
    expect((await api.get(name, { "x-ticket": "valid" })).text).toBe("body")
    expect((await api.options(name)).status).toBe(204)
    expect(seen.at(-1)).toMatchObject({ REQUEST_METHOD: "GET", REQUEST_URI: name })
    gate.close()
    expect((await api.get(name, { "x-ticket": "valid" })).status).toBeGreaterThanOrEqual(400)
  })
})

/** A FastCGI authorizer: allow(params) → 200 or 403. */
function authorizer(allow) {
  const record = (type, id, content) => {
    const head = Buffer.from([1, type, id >> 8, id & 255, content.length >> 8, content.length & 255, 0, 0])
    return Buffer.concat([head, content])
  }
  const length = (bytes, at) =>
    bytes[at] < 128 ? [bytes[at], at + 1] : [bytes.readUInt32BE(at) & 0x7fffffff, at + 4]
  const decode = (bytes) => {
    const params = {}
    for (let at = 0; at < bytes.length; ) {
      let name, value
      ;[name, at] = length(bytes, at)
      ;[value, at] = length(bytes, at)
      params[bytes.toString("latin1", at, at + name)] = bytes.toString("latin1", at + name, at + name + value)
      at += name + value
    }
    return params
  }
  return net.createServer((connection) => {
    let bytes = Buffer.alloc(0)
    let params = Buffer.alloc(0)
    connection.on("error", () => {})
    connection.on("data", (data) => {
      bytes = Buffer.concat([bytes, data])
      while (bytes.length >= 8) {
        const size = bytes.readUInt16BE(4)
        if (bytes.length < 8 + size + bytes[6]) return
        const [type, id] = [bytes[1], bytes.readUInt16BE(2)]
        const content = bytes.subarray(8, 8 + size)
        bytes = bytes.subarray(8 + size + bytes[6])
        if (type !== 4) continue // of the parameters alone
        if (size > 0) params = Buffer.concat([params, content])
        else {
          const status = allow(decode(params)) ? "200 OK" : "403 Forbidden"
          const head = Buffer.from(`Status: ${status}\r\nContent-Type: text/plain\r\n\r\n`)
          const none = Buffer.alloc(0)
          connection.end(
            Buffer.concat([record(6, id, head), record(6, id, none), record(3, id, Buffer.alloc(8))])
          )
        }
      }
    })
  })
}

describe("gzip", () => {
  const GZIP = { "accept-encoding": "gzip" }

  test("a large JSON catch-up is compressed, and its tag gives a 304 with the same tag", async () => {
    const api = client((await apache()).url)
    const name = fresh()
    const body = JSON.stringify(Array.from({ length: 300 }, (_, n) => ({ n })))
    await api.create(name, "application/json", body)
    const plain = await api.get(name)
    const packed = await api.get(name, GZIP)
    expect(plain.headers["content-encoding"]).toBeUndefined()
    expect(packed.headers["content-encoding"]).toBe("gzip")
    expect(packed.headers.vary).toMatch(/accept-encoding/i)
    expect(gunzipSync(packed.body).equals(plain.body)).toBe(true)
    expect(packed.headers.etag).not.toBe(plain.headers.etag)
    for (const answer of [plain, packed]) {
      const again = await api.get(name, { ...GZIP, "if-none-match": answer.headers.etag })
      expect([again.status, again.headers.etag]).toEqual([304, answer.headers.etag])
    }
    await api.append(name, "application/json", "1")
    expect((await api.get(name, { ...GZIP, "if-none-match": packed.headers.etag })).status).toBe(200)
  })

  test("a small one is not compressed, and SSE never is, whatever else the server compresses", async () => {
    const { url } = await apache([], {}, {
      edit: (name, text) =>
        name === "site.conf"
          ? text.replace("</VirtualHost>", "AddOutputFilterByType DEFLATE text/event-stream\n</VirtualHost>")
          : text,
    }) // prettier-ignore
    const api = client(url)
    const name = fresh()
    await api.create(name, "application/json", "[1,2,3]")
    expect((await api.get(name, GZIP)).headers["content-encoding"]).toBeUndefined()
    const reader = await api.sse(`${name}?offset=-1&live=sse`, GZIP)
    expect(reader.headers["content-encoding"]).toBeUndefined()
    await reader.waitFor((event) => event.data.includes("3"), "the first messages", 3000)
    await api.append(name, "application/json", '"next"')
    await reader.waitFor((event) => event.data.includes("next"), "the next message", 3000)
    await api.post(name, { "stream-closed": "true" })
    await reader.ended
  })
})

describe("cache", () => {
  let api

  const cached = async (more) => {
    const store = file("cache")
    fs.mkdirSync(store)
    fs.chmodSync(store, 0o777)
    undo.push(() => fs.rmSync(store, { recursive: true, force: true }))
    api = client((await apache(["cache"], { "/var/cache/apache2/mod_cache_disk": store }, more)).url)
  }
  const hit = (answer) => /^HIT/.test(answer.headers["x-cache"] ?? "")

  test("catch-up reads are answered from it", async () => {
    await cached()
    const name = fresh()
    await api.create(name, "text/plain", "one")
    expect(hit(await api.get(`${name}?offset=-1`))).toBe(false)
    let hits = 0
    for (let i = 0; i < 50; i++) {
      const answer = await api.get(`${name}?offset=-1`)
      expect([answer.status, answer.text, corsOf(answer)]).toEqual([200, "one", [1, 1]])
      hits += hit(answer)
    }
    expect(hits).toBe(50)
    const { headers } = await api.get(`${name}?offset=-1`)
    const again = await api.get(`${name}?offset=-1`, { "if-none-match": headers.etag })
    expect([again.status, hit(again)]).toEqual([304, true])
  })

  test("each of several origins gets an answer of its own, which is cached", async () => {
    const own = file("several.sock")
    const origins = ["https://one.example", "https://two.example"]
    const several = launch(program, ["--listen", `unix:${own}`], {
      log,
      env: cleanEnv({ DS_DATABASE: file("several.db"), DS_CORS_ORIGIN: origins.join(" ") }),
    })
    undo.push(() => end(several))
    await until(() => fs.existsSync(own), logs)
    await cached({ sockets: [own] })
    const name = fresh()
    await api.create(name, "text/plain", "x")
    // it caches only the answer for the last origin
    for (const origin of [...origins, undefined, ...origins])
      for (const kept of [false, true]) {
        const answer = await api.get(`${name}?offset=-1`, origin ? { origin } : {})
        expect([answer.headers["access-control-allow-origin"], hit(answer)]).toEqual([origin, kept])
      }
  })

  test("new data is never held back", async () => {
    await cached()
    const name = fresh()
    const next = (await api.create(name, "text/plain", "one")).headers["stream-next-offset"]
    for (let i = 0; i < 2; i++)
      for (const query of [`?offset=${next}`, "?offset=now", ""])
        expect(hit(await api.get(name + query)), query).toBe(false)
    await api.get(`${name}?offset=-1`)
    const after = (await api.append(name, "text/plain", "two")).headers["stream-next-offset"]
    expect((await api.get(`${name}?offset=${next}`)).text).toBe("two")
    expect((await api.get(name)).text).toBe("onetwo")
    for (const target of [name, `${name}?offset=-1`]) {
      const head = await api.head(target)
      expect([hit(head), head.headers["stream-next-offset"]], target).toEqual([false, after])
    }
  })

  test("a live answer is neither cached nor answered from the cache", async () => {
    await cached()
    const name = fresh()
    await api.create(name, "text/plain", "one")
    for (const query of ["live=long-poll", "l%69ve=long-poll", "live=sse"])
      for (let i = 0; i < 2; i++) {
        const answer = await api.sse(`${name}?offset=-1&${query}`)
        expect(hit(answer), query).toBe(false)
        answer.close()
      }
  })

  test("streams with similar names stay separate", async () => {
    await cached()
    const name = fresh()
    const names = [`${name}%2fb`, `${name}%252fb`, `${name}/b`, `${name}//b`, `${name}%3fb`]
    for (const one of names) await api.create(one, "text/plain", one)
    for (let i = 0; i < 2; i++)
      for (const one of names) expect((await api.get(`${one}?offset=-1`)).text).toBe(one)
  })
})

// libapache2-mod-qos: Apache itself counts no requests
describe.skipIf(!fs.existsSync("/usr/lib/apache2/modules/mod_qos.so"))("rate-limit", () => {
  test("too many waiting readers or requests are 429; writers go on beside readers", async () => {
    const { url } = await apache(["rate-limit"], {}, {
      edit: (name, text) =>
        name === "rate-limit.conf" ? text.replace("1000 10", "30 2").replace("Limit 50", "Limit 3") : text,
    }) // prettier-ignore
    const api = client(url)
    const name = fresh()
    await api.create(name)
    const readers = []
    for (let i = 0; i < 3; i++) readers.push(await api.sse(`${name}?offset=now&live=sse`))
    for (const reader of readers) await reader.waitFor((event) => event.control)
    const refused = await api.get(`${name}?offset=now&live=long-poll`)
    expect([refused.status, refused.headers["retry-after"]]).toEqual([429, "1"])
    expectSeen(refused)
    expect((await api.post(name, TEXT, "x")).status).toBe(204)
    await api.post(name, { "stream-closed": "true" })
    for (const reader of readers) await reader.ended
    const counts = {}
    for (let i = 0; i < 40; i++) {
      const { status } = await api.get(name)
      counts[status] = (counts[status] ?? 0) + 1
    }
    expect(counts[200]).toBeGreaterThan(10)
    expect(counts[429]).toBeGreaterThan(5)
    await until(async () => (await api.get(name)).status === 200, "it is over", { every: 3100 })
  })
})

describe("mod_fcgid", () => {
  test("writers do not wait when live readers take all of their own processes", async () => {
    const web = await apache([], {}, {
      kind: "fcgid",
      program,
      database: file("fcgid.db"),
      env: { DS_SSE_KEEPALIVE_MS: "300", DS_LOG_LEVEL: "warn" },
      edit: (name, text) =>
        name === "site.conf" ? text.replace("MaxProcesses 200", "MaxProcesses 2") : text,
    }) // prettier-ignore
    const api = client(web.url)
    const name = fresh()
    await api.create(name)
    const readers = []
    for (let i = 0; i < 2; i++) readers.push(await api.sse(`${name}?offset=now&live=sse`))
    for (const reader of readers) await reader.waitFor((event) => event.control)
    const waiting = api.get(`${name}?offset=now&live=long-poll`, {}, { timeout: 60_000 })
    const began = performance.now()
    for (let i = 0; i < 5; i++) await api.append(name, "text/plain", "x")
    expect(performance.now() - began).toBeLessThan(3000)
    // under the other spelling of the name, which gives them a pool of their own
    expect(processesNaming(`${web.folder}/bin/./`).length).toBe(2)
    // a reader that leaves makes room for the next
    readers.pop().close()
    const next = setInterval(() => api.post(name, TEXT, "y").catch(() => {}), 500)
    expect((await waiting).status).toBe(200)
    clearInterval(next)
    await api.post(name, { "stream-closed": "true" })
    for (const reader of readers) await reader.ended
  }, 90_000)
})
