// The door that speaks HTTP itself: requests that are malformed or slow, and clients that are too many.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import fs from "node:fs"
import http from "node:http"
import net from "node:net"
import path from "node:path"
import {
  cleanEnv,
  cleanUp,
  end,
  launch,
  program,
  root,
  sleep,
  startServer,
  until,
  usage,
} from "./harness.mjs"
import { client, connect, fresh, request } from "./http.mjs"
import { malformed } from "./http/malformed.mjs"

const { undo, folder } = cleanUp(afterEach)

async function start(env = {}, options = {}) {
  const server = await startServer({ door: "http", env, ...options })
  undo.push(() => server.stop())
  return { server, api: client(server.url) }
}

const put = (path) =>
  `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n`
const post = (path, body = "hello", lines = "") =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n${lines}` +
  `Content-Length: ${body.length}\r\n\r\n${body}`
const get = (path, lines = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`

describe("malformed requests", () => {
  let server
  beforeAll(async () => (server = await startServer({ door: "http" })))
  afterAll(() => server?.stop())

  test.each(malformed)("%s", async (_, text, status) => {
    const api = client(server.url)
    const path = fresh("bad")
    await api.create(path)
    const wire = await connect(server.url)
    wire.send(text.replaceAll("PATH", path) + put(`${path}-second`))
    const answer = await wire.answer("POST")
    expect(answer.status, answer.body.toString()).toBe(status)
    expect(answer.headers.connection).toBe("close")
    expect(answer.body.toString()).toMatch(/^[^\r\n]{8,}$/) // one line that says why
    expect(await wire.answer()).toBe(undefined)
    wire.drop()
    expect((await api.get(path)).text).toBe("")
    expect((await api.get(`${path}-second`)).status).toBe(404)
  })
})

// A proxy may mend such a request, and go on with the second one. It must never take the second one for a
// part of the first, or find one where there is none.
describe.each(["nginx-http", "haproxy", "caddy"])("malformed requests through %s", (door) => {
  let server
  beforeAll(async () => (server = await startServer({ door })))
  afterAll(() => server?.stop())

  /** True if the request was refused. */
  async function send(what, text) {
    const api = client(server.url)
    const path = fresh("bad")
    await api.create(path)
    const wire = await connect(server.url, { timeout: 5000 })
    wire.send(text.replaceAll("PATH", path) + put(`${path}-second`))
    const first = await wire.answer(text.startsWith("POST") ? "POST" : "GET").catch(() => {})
    const second = first && (await wire.answer("PUT").catch(() => {}))
    const third = second && (await wire.answer().catch(() => {}))
    wire.drop()
    expect(third, `${what}: a third answer`).toBe(undefined)
    expect(["", "hello"], `${what}: stored`).toContain((await api.get(path)).text)
    if ((await api.get(`${path}-second`)).status === 200) {
      expect(first?.status, `${what}: the second was carried out after`).toBeLessThan(500)
      expect(second?.status, `${what}: the second was carried out`).toBe(201)
    }
    return !first || first.status >= 400
  }

  test("are refused, or mended so that nothing is smuggled", { timeout: 120_000 }, async () => {
    const refused = await Promise.all(malformed.map(([what, text]) => send(what, text)))
    expect(refused.filter(Boolean).length, "refused").toBeGreaterThan(malformed.length / 2)
    // the connections between proxy and server are still in step: each request gets its own answer
    const api = client(server.url)
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        const path = fresh("own")
        await api.create(path, "text/plain", path)
        expect((await api.get(path)).text).toBe(path)
      })
    )
  })
})

describe("requests", () => {
  let server
  beforeAll(async () => (server = await startServer({ door: "http" })))
  afterAll(() => server?.stop())

  test("may come in any pieces, one behind the other", async () => {
    const path = fresh("pieces")
    await client(server.url).create(path)
    const chunked =
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n` +
      "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    const text = post(path) + chunked + post(path, "!") + get(path)
    for (const size of [1, 2, 3, 7, 64, text.length]) {
      const wire = await connect(server.url)
      for (let at = 0; at < text.length; at += size) {
        wire.send(text.slice(at, at + size))
        await new Promise(setImmediate)
      }
      for (const status of [204, 204, 204, 200])
        expect((await wire.answer()).status, `in pieces of ${size}`).toBe(status)
      wire.drop()
    }
    expect((await client(server.url).get(path)).text).toBe("helloabcde!".repeat(6))
  })

  test("wait their turn while one before them waits for data", async () => {
    const path = fresh("turn")
    const api = client(server.url)
    await api.create(path)
    const wire = await connect(server.url)
    wire.send(get(`${path}?offset=now&live=long-poll`) + get(`${path}?offset=-1`))
    await sleep(100)
    await api.append(path, "text/plain", "news")
    expect((await wire.answer()).body.toString()).toBe("news")
    expect((await wire.answer()).body.toString()).toBe("news")
    wire.drop()
  })

  test("of HTTP/1.0 end the connection, unless they ask to keep it", async () => {
    const path = fresh("old")
    await client(server.url).create(path, "text/plain", "x")
    const wire = await connect(server.url)
    wire.send(`GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`)
    expect((await wire.answer()).headers.connection).toBe("keep-alive")
    wire.send(`GET ${path}?offset=-1&live=sse HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`)
    await until(() => wire.received().includes("streamNextOffset"), "an event")
    expect(wire.received()).toMatch(/\r\nConnection: close\r\n/)
    expect(wire.received()).not.toMatch(/chunked/i)
    wire.drop()
  })

  test("may name the host in the target, which counts before Host", async () => {
    const path = fresh("absolute")
    const wire = await connect(server.url)
    wire.send(put(path).replace(path, `http://streams.example:99${path}`))
    const answer = await wire.answer()
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`http://streams.example:99${path}`)
    wire.drop()
  })

  test("of a client that has closed its half are answered", async () => {
    const path = fresh("half")
    await client(server.url).create(path)
    const wire = await connect(server.url)
    wire.send(post(path))
    wire.finish()
    expect((await wire.answer()).status).toBe(204)
    expect(await wire.answer()).toBe(undefined)
  })

  test("of a client that has closed its half get a long answer too, however slowly it reads", async () => {
    const path = fresh("half-large")
    const body = "x".repeat(900_000)
    await client(server.url).create(path, "text/plain", body)
    const { hostname, port } = new URL(server.url)
    const got = await new Promise((resolve, reject) => {
      let received = 0
      const socket = net.connect({ port: Number(port), host: hostname, allowHalfOpen: true }, () => {
        socket.pause()
        socket.end(get(path, "Connection: close\r\n"))
        setTimeout(() => socket.resume(), 500)
      })
      socket.on("data", (data) => (received += data.length))
      socket.on("end", () => resolve(received))
      socket.on("error", reject)
    })
    expect(got).toBeGreaterThan(body.length)
  })

  test("after the last one do not cut its answer", async () => {
    const path = fresh("last")
    const body = "x".repeat(900_000)
    await client(server.url).create(path, "text/plain", body)
    const { hostname, port } = new URL(server.url)
    const socket = net.connect(Number(port), hostname)
    undo.push(() => socket.destroy())
    let received = 0
    socket.on("data", (data) => {
      if (received === 0) {
        socket.write(get(path)) // nobody answers it
        socket.pause()
        setTimeout(() => socket.resume(), 300)
      }
      received += data.length
    })
    socket.on("error", () => {})
    const over = new Promise((resolve) => socket.on("close", resolve))
    socket.write(get(path, "Connection: close\r\n"))
    await over
    expect(received).toBeGreaterThan(body.length)
  })

  test("behind a reader that has left end with it, and keep no thread busy", async () => {
    const path = fresh("left")
    const api = client(server.url)
    await api.create(path)
    const wire = await connect(server.url)
    wire.send(get(`${path}?offset=now&live=sse`) + get(path))
    await until(() => wire.received().includes("event: control"), "the reader waits")
    wire.finish()
    await until(() => wire.over, "the connection ends")
    expect((await api.get(path)).status).toBe(200)
  })

  test("with Expect: 100-continue are asked for their body, unless it is too large", async () => {
    const path = fresh("expect")
    await client(server.url).create(path)
    const wire = await connect(server.url)
    const [head, body] = post(path, "hello", "Expect: 100-continue\r\n").split("\r\n\r\n")
    wire.send(`${head}\r\n\r\n`)
    await until(() => wire.received() === "HTTP/1.1 100 Continue\r\n\r\n", "100 Continue")
    wire.send(body)
    await until(() => wire.received().includes("HTTP/1.1 204 "), "204")
    wire.drop()
    const large = await connect(server.url)
    large.send(`${head.replace("Content-Length: 5", "Content-Length: 5000000000")}\r\n\r\n`)
    expect((await large.answer()).status).toBe(413)
    large.drop()
  })

  test("that are too large get their answer, though nobody reads them", async () => {
    const small = await startServer({ door: "http", env: { DS_MAX_BODY_BYTES: "1000" } })
    try {
      const path = fresh("large")
      await client(small.url).create(path)
      const body = Buffer.alloc(8 * 1024 * 1024, "x")
      for (const headers of [{}, { "Transfer-Encoding": "chunked" }])
        for (let i = 0; i < 10; i++) {
          const answer = await request(small.url, "POST", path, {
            headers: { "Content-Type": "text/plain", ...headers },
            body,
            fresh: true,
          })
          expect(answer.status).toBe(413)
        }
    } finally {
      await small.stop()
    }
  })
})

describe("deadlines", () => {
  const env = { DS_UPLOAD_TIMEOUT_MS: "1000", DS_KEEPALIVE_TIMEOUT_MS: "1000" }

  test("end silent, slow and idle clients", async () => {
    const { server, api } = await start(env)
    const path = fresh("slow")
    await api.create(path)
    const silent = await connect(server.url, { timeout: 20_000 })
    const idle = await connect(server.url, { timeout: 20_000 })
    const slowBody = await connect(server.url, { timeout: 20_000 })
    const slowHead = await connect(server.url, { timeout: 20_000 })
    idle.send(get(path))
    slowBody.send(post(path).slice(0, -1))
    // a head has a time as a whole: a byte now and then does not lengthen it
    const text = get(path, "Accept: x\r\n".repeat(1000))
    let at = 0
    const drip = setInterval(() => slowHead.send(text[at++]), 100)
    expect((await slowHead.answer()).status).toBe(408)
    clearInterval(drip)
    expect((await slowBody.answer()).status).toBe(408)
    expect((await idle.answer()).status).toBe(200)
    for (const wire of [silent, idle, slowBody, slowHead]) {
      expect(await wire.answer()).toBe(undefined)
      wire.drop()
    }
  })

  test("a body that goes on arriving is taken, however slowly", async () => {
    const { server, api } = await start(env)
    const path = fresh("steady")
    await api.create(path)
    const wire = await connect(server.url, { timeout: 20_000 })
    const text = post(path, "x".repeat(12))
    wire.send(text.slice(0, -12))
    for (let i = 0; i < 12; i++) {
      await sleep(300)
      wire.send("x")
    }
    expect((await wire.answer()).status).toBe(204)
    wire.drop()
  })
})

/** `count` clients that send the same bytes, and then nothing. */
function crowd(url, count, text) {
  const { hostname, port } = new URL(url)
  const sockets = []
  undo.push(() => sockets.forEach((socket) => socket.destroy()))
  return new Promise((resolve) => {
    for (let i = 0; i < count; i++) {
      const socket = net.connect(Number(port), hostname, () => {
        socket.pause()
        if (text) socket.write(text)
        if (sockets.length === count && sockets.every((one) => one.connecting === false))
          resolve(sockets)
      })
      socket.on("error", () => {})
      sockets.push(socket)
    }
  })
}

describe("crowds", () => {
  const COUNT = 2000

  test("of silent, slow and deaf clients delay nobody, and cost little memory", async () => {
    const { server, api } = await start({ DS_UPLOAD_TIMEOUT_MS: "60000" })
    const path = fresh("crowd")
    await api.create(path, "text/plain", "x".repeat(500_000))
    const [pid] = server.pids()
    const rest = usage(pid)
    await crowd(server.url, COUNT) // never sends a byte
    await crowd(server.url, COUNT, "GET /v1/str") // never ends its head
    await crowd(server.url, COUNT, post(path).slice(0, -3)) // nor its body
    await until(() => usage(pid).descriptors >= rest.descriptors + 3 * COUNT, "all are connected", {
      timeout: 30_000,
    })
    for (let i = 0; i < 50; i++)
      expect((await api.append(path, "text/plain", "y")).status).toBe(204)
    const busy = usage(pid)
    expect(busy.threads).toBe(rest.threads)
    expect(busy.rssKiB - rest.rssKiB).toBeLessThan(3 * COUNT * 8)
  })

  test("beyond DS_MAX_CONNECTIONS get 503, and leave room when they go", async () => {
    const { server, api } = await start({ DS_MAX_CONNECTIONS: "20" })
    const all = await crowd(server.url, 20)
    const one = await connect(server.url)
    one.send(get("/health"))
    const answer = await one.answer()
    expect(answer.status).toBe(503)
    expect(answer.headers["retry-after"]).toBe("1")
    expect(answer.body.toString()).toMatch(/too many connections/)
    expect(await one.answer()).toBe(undefined)
    all.forEach((socket) => socket.destroy())
    await until(async () => {
      const { status } = await api.get("/health").catch(() => ({}))
      return status === 200
    }, "there is room again")
  })

  test("end clients that send many requests and read no answer", async () => {
    const { server } = await start({ DS_MAX_CONNECTIONS: "1", DS_IO_TIMEOUT_MS: "500" })
    const path = fresh("deaf")
    const headers = { "content-type": "text/plain" }
    const body = "x".repeat(60_000)
    const send = (method, path, options) =>
      request(server.url, method, path, { ...options, fresh: true }).then(
        (answer) => answer.status,
        () => undefined
      )
    const status = () => send("GET", "/health")
    // the one that has waited for the server's start may still be there
    await until(async () => (await send("PUT", path, { headers, body })) === 201, "a stream")
    await until(async () => {
      await crowd(server.url, 1, get(path).repeat(400))
      return (await status()) === 503
    }, "a deaf client takes the only place")
    await until(async () => (await status()) === 200, "room again")
  })

  test("from one address beyond DS_MAX_CONNECTIONS_PER_ADDRESS get 503, others are served", async () => {
    const { server } = await start({ DS_MAX_CONNECTIONS_PER_ADDRESS: "10" })
    await crowd(server.url, 10)
    const one = await connect(server.url)
    one.send(get("/health"))
    expect((await one.answer()).status).toBe(503)
    const { port } = new URL(server.url)
    const status = await new Promise((resolve, reject) => {
      const other = net.connect({ port: Number(port), host: "127.0.0.1", localAddress: "127.0.0.2" })
      other.on("connect", () => other.write(get("/health")))
      other.on("data", (data) => (other.destroy(), resolve(String(data).slice(9, 12))))
      other.on("error", reject)
    })
    expect(status).toBe("200")
  })
})

test("a stop answers those who wait, and says that the connection ends", async () => {
  const { server, api } = await start({ DS_LONG_POLL_TIMEOUT_MS: "60000" })
  const path = fresh("stop")
  await api.create(path)
  const wire = await connect(server.url)
  wire.send(get(`${path}?offset=now&live=long-poll`))
  await sleep(300)
  server.supervisors[0].kill("SIGTERM")
  const answer = await wire.answer()
  expect(answer.status).toBe(204)
  expect(answer.headers.connection).toBe("close")
  expect(await wire.answer()).toBe(undefined)
})

test.each([
  ["10.0.0.0/8 127.0.0.0/8", "https://a.example/"],
  ["10.0.0.0/8, ::1", "http://x/"],
])("X-Forwarded lines count only if DS_TRUST_FORWARDED has the proxy: %s", async (list, origin) => {
  const { server } = await start({ DS_TRUST_FORWARDED: list })
  const lines = "Host: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n"
  const path = fresh("forwarded")
  const wire = await connect(server.url)
  wire.send(put(path).replace("Host: x\r\n", lines))
  const answer = await wire.answer("PUT")
  expect(answer.status).toBe(201)
  expect(answer.headers.location).toBe(new URL(path, origin).href)
  wire.drop()
})

test("several processes serve one socket", async () => {
  const { server, api } = await start({}, { processes: 3 })
  const path = fresh("three")
  await api.create(path)
  const readers = await Promise.all(
    Array.from({ length: 30 }, () => api.sse(`${path}?offset=now&live=sse`))
  )
  await api.append(path, "text/plain", "news")
  for (const reader of readers)
    await until(() => reader.events.some(({ data }) => data === "news"), "the event")
  readers.forEach((reader) => reader.close())
})

test("one server listens at several addresses: IPv4, IPv6, unix sockets, FastCGI beside them", async () => {
  const own = folder()
  const at = (name) => path.join(own, name)
  const addresses = [
    "http:127.0.0.1:0",
    "http:[::1]:0",
    `http:unix:${at("http.sock")}`,
    `unix:${at("fcgi.sock")}`,
  ]
  const child = launch(program, addresses.flatMap((address) => ["--listen", address]), {
    log: at("log"),
    env: cleanEnv({ DS_DATABASE: at("streams.db") }),
  })
  undo.push(() => end(child))
  const log = () => fs.readFileSync(at("log"), "utf8")
  await until(() => log().includes("listening on"), "it listens")
  const [v4, v6] = log().match(/http:\/\/[^/]+:\d+(?=\/)/g)
  const name = fresh("addresses")
  expect((await request(v4, "PUT", name, { headers: { "Content-Type": "text/plain" } })).status).toBe(201)
  expect((await request(v6, "GET", name)).status).toBe(200)
  const status = await new Promise((resolve, reject) =>
    http
      .get({ socketPath: at("http.sock"), path: name }, (answer) => resolve(answer.statusCode))
      .on("error", reject)
  )
  expect(status).toBe(200)
  expect(fs.statSync(at("http.sock")).mode & 0o777).toBe(0o660)
  await end(child)
  expect(fs.readdirSync(own).filter((file) => file.endsWith(".sock"))).toEqual([])
})

test("a socket of the service manager speaks HTTP if its name begins with http", async () => {
  const own = folder()
  const at = (name) => path.join(own, name)
  const activate = path.join(root, "tests/system/doors/activate.pl")
  const sockets = `${at("fcgi.sock")},http-local=${at("http.sock")}`
  const manager = launch("perl", [activate, sockets, program, "--listen", "systemd"], {
    log: at("log"),
    env: cleanEnv({ DS_DATABASE: at("streams.db") }),
  })
  undo.push(() => end(manager))
  await until(() => fs.existsSync(at("log")) && /listening on/.test(fs.readFileSync(at("log"))), "it listens")
  const get = (options) =>
    new Promise((resolve) => {
      http
        .get({ socketPath: at("http.sock"), path: "/health", timeout: 20_000, ...options }, (answer) => {
          answer.resume().on("end", () => resolve(answer.statusCode))
        })
        .on("error", (error) => resolve(error.code))
    })
  expect(await get()).toBe(200)
  expect(await get({ socketPath: at("fcgi.sock") }), "FastCGI, not HTTP").not.toBe(200)
  // restarted, it has the same sockets
  manager.kill("SIGHUP")
  await until(() => fs.readFileSync(at("log"), "utf8").match(/listening on/g).length === 2, "it is restarted")
  expect(await get()).toBe(200)
})
