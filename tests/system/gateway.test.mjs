// Requests that come in by FastCGI or CGI and cannot be served. Each is refused by an answer, and
// no input ends a responder.

import { afterEach, describe, expect, test } from "vitest"
import { spawn, spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { cleanEnv, cleanUp, end, full, launch, program, respondersOf, root, sanitized, sleep, startServer, until } from "./harness.mjs"
import { fresh } from "./http.mjs"
import * as fcgi from "./gateway/fastcgi.mjs"

const { undo, folder } = cleanUp(afterEach)

/** A responder by itself: { socket, server, connect, ask }. */
async function responder(env = {}) {
  const server = await startServer({ door: "none", env })
  undo.push(() => server.stop())
  const [socket] = server.sockets
  await until(() => fs.existsSync(socket), "it listens")
  const connect = async () => {
    const connection = await fcgi.connect(socket)
    undo.push(() => connection.close())
    return connection
  }
  const ask = async (params, content = "") => {
    const connection = await connect()
    connection.write(fcgi.head(params), fcgi.body(Buffer.from(content)), fcgi.record(fcgi.STDIN))
    const answer = await connection.answer()
    connection.close()
    return answer
  }
  return { server, connect, ask }
}

const cgiEnv = (database, params, env = {}) =>
  cleanEnv({ GATEWAY_INTERFACE: "CGI/1.1", DS_DATABASE: database, DS_LOG_LEVEL: "error", ...env, ...params })

/** One request by CGI: its status and all it printed. */
function cgi(database, params, input = "", env = {}) {
  const { stdout, status } = spawnSync(program, [], {
    env: cgiEnv(database, params, env),
    input,
    encoding: "latin1",
    timeout: 300_000,
  })
  return { status: Number(stdout.match(/^Status: (\d+)/)?.[1]), text: stdout, exit: status }
}

describe("malformed requests", () => {
  const POST = { REQUEST_METHOD: "POST" }
  const hostile = [
    ["lengths of 2^30 each", [0xc0, 0, 0, 0, 0xc0, 0, 0, 0], 400],
    ["lengths of 2^31 - 1", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 400],
    ["a length that is cut off", [0x80, 0, 0], 400],
    ["one byte more than there is", [1, 2, 65, 66], 400],
    ["a NUL in a value", [...fcgi.pair("REQUEST_URI", "/v1/stream/a\0b")], 400],
  ]

  test.each(hostile)("%s: answered, and the connection stays usable", async (_, bytes, status) => {
    const { server, connect } = await responder()
    const before = server.pids()
    const connection = await connect()
    connection.write(fcgi.head(Buffer.from(bytes)), fcgi.record(fcgi.STDIN))
    expect((await connection.answer()).status).toBe(status)
    connection.write(
      fcgi.head({ ...POST, REQUEST_METHOD: "GET", REQUEST_URI: "/health" }),
      fcgi.record(fcgi.STDIN)
    )
    expect((await connection.answer()).status).toBe(200)
    expect(server.pids()).toEqual(before)
  })

  test("more parameters than any web server passes on are 431", async () => {
    const { ask } = await responder()
    const answer = await ask(fcgi.request("GET", "/health", { HTTP_COOKIE: "c".repeat(3_000_000) }))
    expect(answer.status).toBe(431)
  })

  test("bytes that are not FastCGI end the connection, not the responder", async () => {
    const { server, connect, ask } = await responder()
    const before = server.pids()
    const begin = fcgi.record(fcgi.BEGIN, [0, 1, 1, 0, 0, 0, 0, 0])
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      fcgi.record(fcgi.BEGIN, [0, 2, 1, 0, 0, 0, 0, 0]),
      fcgi.record(fcgi.BEGIN, [0, 1]),
      Buffer.concat([begin, begin]),
      Buffer.concat([begin, fcgi.record(fcgi.STDIN, "x")]),
      Buffer.concat([begin, fcgi.record(8, "x")]),
    ]) {
      const connection = await connect()
      connection.write(bytes)
      await connection.gone()
    }
    expect((await ask(fcgi.request("GET", "/health"))).status).toBe(200)
    expect(server.pids()).toEqual(before)
  })

  test("a repeated FCGI_GET_VALUES name is answered once", async () => {
    const { server, connect } = await responder()
    const before = server.pids()
    const connection = await connect()
    const names = ["FCGI_MPXS_CONNS", "FCGI_MAX_REQS", ...Array(8).fill("FCGI_MAX_CONNS")]
    const question = Buffer.concat(names.map((name) => fcgi.pair(name, "")))
    connection.write(fcgi.record(fcgi.GET_VALUES, question, 0))
    const { type, content } = await connection.next()
    expect(type).toBe(10)
    expect(content.toString("latin1")).toBe(
      "\x0e\x05FCGI_MAX_CONNS50000\x0d\x05FCGI_MAX_REQS50000\x0f\x01FCGI_MPXS_CONNS0"
    )
    connection.write(fcgi.head(fcgi.request("GET", "/health")), fcgi.record(fcgi.STDIN))
    expect((await connection.answer()).status).toBe(200)
    expect(server.pids()).toEqual(before)
  })

  test("FCGI_GET_VALUES in two pieces leaves the connection idle", async () => {
    const { connect, ask } = await responder({ DS_UPLOAD_TIMEOUT_MS: "100" })
    const connection = await connect()
    const question = fcgi.record(fcgi.GET_VALUES, fcgi.pair("FCGI_MPXS_CONNS", ""), 0)
    await connection.write(question.subarray(0, 5))
    await sleep(50) // usually arrives as two pieces; if not, the case is an ordinary one
    connection.write(question.subarray(5))
    expect((await connection.next()).type).toBe(10)
    await sleep(500)
    expect((await ask(fcgi.request("GET", "/health"))).status).toBe(200)
    connection.write(fcgi.head(fcgi.request("GET", "/health")), fcgi.record(fcgi.STDIN))
    expect((await connection.answer()).status).toBe(200)
  })

  const lengths = ["-1", "+5", "5x", "0x5", " 5", "5, 5", "1e1", "99999999999999999999", "5\t"]

  test("a length that is not a number is 400, by FastCGI and CGI", async () => {
    const { server, ask } = await responder()
    const name = fresh()
    expect((await ask(fcgi.request("PUT", name))).status).toBe(201)
    for (const CONTENT_LENGTH of lengths) {
      const params = fcgi.request("POST", name, { CONTENT_LENGTH })
      for (const answer of [await ask(params, "hello"), cgi(server.database, params, "hello")]) {
        expect(answer.status, CONTENT_LENGTH).toBe(400)
        expect(answer.text, CONTENT_LENGTH).toContain("Content-Length must be a number")
      }
    }
    const short = fcgi.request("POST", name, { CONTENT_LENGTH: "6" })
    for (const answer of [await ask(short, "hello"), cgi(server.database, short, "hello")])
      expect(answer.text).toMatch(/^Status: 400 [^]*cut short/)
    expect((await ask(fcgi.request("GET", name))).text).toMatch(/\r\n\r\n$/)
  })
})

describe("uploads", () => {
  const MIB = 1024 * 1024

  test("beyond DS_MAX_QUEUED_BYTES are 503 with Retry-After, until there is room again", async () => {
    const { connect, ask } = await responder({ DS_MAX_QUEUED_BYTES: String(MIB) })
    const name = fresh()
    await ask(fcgi.request("PUT", name))
    const large = Buffer.alloc(3 * MIB, "x")
    const first = await connect()
    await first.write(fcgi.head(fcgi.request("POST", name)), fcgi.body(large))
    await sleep(1000) // by now all bytes sent are read, and hold all the room
    const refused = await ask(fcgi.request("POST", name), large)
    expect(refused.text).toMatch(/^Status: 503 [^]*\r\nRetry-After: \d+\r\n/)
    first.write(fcgi.record(fcgi.STDIN))
    expect((await first.answer()).status).toBe(204)
    expect((await ask(fcgi.request("POST", name), large)).status).toBe(204)
  })

  test("that stall are 408, and free their room", async () => {
    const { connect, ask } = await responder({
      DS_MAX_QUEUED_BYTES: String(MIB),
      DS_UPLOAD_TIMEOUT_MS: "500",
    })
    const name = fresh()
    const large = Buffer.alloc(3 * MIB, "x")
    await ask(fcgi.request("PUT", name))
    const stalled = await connect()
    stalled.write(fcgi.head(fcgi.request("POST", name)), fcgi.body(large))
    const answer = await stalled.answer()
    expect(answer.text).toMatch(/^Status: 408 [^]*the rest of the request did not arrive in time/)
    await stalled.gone()
    expect((await ask(fcgi.request("POST", name), large)).status).toBe(204)
    const silent = await connect() // has not even sent a whole record header
    silent.write(Buffer.from([1, 1, 0]))
    await silent.gone()
    const idle = await connect() // may be silent
    idle.write(fcgi.head(fcgi.request("GET", name)), fcgi.record(fcgi.STDIN))
    await idle.answer()
    const slow = await connect()
    slow.write(fcgi.head(fcgi.request("POST", name)))
    expect((await slow.answer()).status).toBe(408)
    idle.write(fcgi.head(fcgi.request("GET", "/health")), fcgi.record(fcgi.STDIN))
    expect((await idle.answer()).status).toBe(200)
  })

  test("also as CGI", async () => {
    const database = path.join(folder(), "streams.db")
    const name = fresh()
    expect(cgi(database, fcgi.request("PUT", name)).status).toBe(201)
    const child = spawn(program, [], {
      env: cgiEnv(database, fcgi.request("POST", name, { CONTENT_LENGTH: "100" }), {
        DS_UPLOAD_TIMEOUT_MS: "300",
      }),
    })
    let text = ""
    child.stdout.on("data", (data) => (text += data))
    child.stdin.on("error", () => {})
    child.stdin.write("some of it")
    await new Promise((resolve) => child.on("close", resolve))
    expect(text).toMatch(/^Status: 408 /)
  })
})

describe("limits of the host", () => {
  /** A supervisor that a shell starts after these words; { socket, child, ask }. */
  async function startedBy(words, env = {}) {
    const dir = folder()
    const database = path.join(dir, "streams.db")
    const socket = path.join(dir, "app.sock")
    const log = path.join(dir, "log")
    const child = launch("sh", ["-c", words, program, socket], {
      log,
      cwd: dir,
      env: cleanEnv({ DS_DATABASE: database, ...env }),
    })
    undo.push(() => end(child))
    await until(() => fs.existsSync(socket), () => fs.readFileSync(log, "utf8"))
    const responders = () => respondersOf(child.pid)
    await until(() => responders().length === 1, "its responder")
    const ask = async (params, content = "") => {
      const connection = await fcgi.connect(socket)
      connection.write(fcgi.head(params), fcgi.body(Buffer.from(content)), fcgi.record(fcgi.STDIN))
      const answer = await connection.answer()
      connection.close()
      return answer
    }
    return { dir, database, socket, child, responders, ask, log }
  }

  test("a write beyond the limit on file sizes is 507 by FastCGI and CGI, and ends neither", async () => {
    // of 512 bytes each
    const { ask, responders, database } = await startedBy(
      'ulimit -f 4096; exec "$0" --listen "unix:$1"'
    )
    const before = responders()
    const name = fresh()
    const content = Buffer.alloc(400_000, "x")
    expect((await ask(fcgi.request("PUT", name))).status).toBe(201)
    const codes = []
    for (let i = 0; i < 8; i++) codes.push((await ask(fcgi.request("POST", name), content)).status)
    expect(new Set(codes)).toEqual(new Set([204, 507]))
    expect((await ask(fcgi.request("GET", name))).status).toBe(200)
    expect(responders()).toEqual(before)
    const input = Buffer.alloc(2_000_000, "x")
    const params = fcgi.request("POST", name, { CONTENT_LENGTH: String(input.length) })
    const { stdout, status } = spawnSync("sh", ["-c", 'ulimit -f 2048; exec "$0"', program], {
      env: cgiEnv(database, params),
      input,
      encoding: "latin1",
    })
    expect(stdout).toMatch(/^Status: 507 /)
    expect(status).toBe(0)
  })

  test("a limit on CPU time ends a responder gracefully, and another one starts", async () => {
    const { ask, responders, log } = await startedBy('exec "$0" --listen "unix:$1"')
    const [before] = responders()
    expect((await ask(fcgi.request("GET", "/health"))).status).toBe(200)
    process.kill(before, "SIGXCPU")
    await until(() => responders().length === 1 && responders()[0] !== before, "a new one")
    expect((await ask(fcgi.request("GET", "/health"))).status).toBe(200)
    expect(fs.readFileSync(log, "utf8")).toMatch(/ended with status 0/)
  })

  test("without a descriptor for the first connection, the responder waits until one is free", async () => {
    if (sanitized) return // a sanitizer needs descriptors of its own
    const { ask, responders, log } = await startedBy('exec "$0" --listen "unix:$1"')
    const [pid] = responders()
    const limit = (soft) =>
      expect(spawnSync("prlimit", ["--pid", String(pid), `--nofile=${soft}:`]).status).toBe(0)
    limit(5)
    const answer = ask(fcgi.request("GET", "/health"))
    await until(() => fs.readFileSync(log, "utf8").includes("cannot accept"), "it has none")
    await sleep(100)
    limit(1000)
    expect((await answer).status).toBe(200)
    expect(responders()).toEqual([pid])
  })

  test("a new connection does not wait until the others end", async () => {
    if (sanitized) return
    const { ask, socket, responders, log } = await startedBy('exec "$0" --listen "unix:$1"')
    const [pid] = responders()
    const limit = (soft) =>
      expect(spawnSync("prlimit", ["--pid", String(pid), `--nofile=${soft}:`]).status).toBe(0)
    const idle = await fcgi.connect(socket)
    expect((await ask(fcgi.request("GET", "/health"))).status).toBe(200)
    limit(5)
    const answer = ask(fcgi.request("GET", "/health"))
    await until(() => fs.readFileSync(log, "utf8").includes("cannot accept"), "it has none")
    limit(1000)
    expect((await answer).status).toBe(200)
    idle.close()
  })

  /** descriptor → what it is, of a process that opens and closes some meanwhile. */
  const descriptors = (pid) =>
    Object.fromEntries(
      fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [[fd, fs.readlinkSync(`/proc/${pid}/fd/${fd}`)]]
        } catch {
          return []
        }
      })
    )
  const onlyNothing = (pid, besides = /^$/) => {
    const open = descriptors(pid)
    for (const fd of [0, 1, 2])
      expect(open[fd], `descriptor ${fd} of ${JSON.stringify(open)}`).toMatch(
        besides.test(open[fd]) ? besides : /^\/dev\/null$/
      )
    expect(Object.values(open).join()).toContain("streams.db")
  }

  test("started without standard descriptors, the program opens no file under their numbers", async () => {
    const dir = folder()
    const hook = path.join(dir, "hook")
    const told = path.join(dir, "told")
    // its output must not get into a file, and its own descriptors must be intact
    fs.writeFileSync(
      hook,
      `#!/bin/sh\ncat\necho done\necho done >&2\nseen=$(readlink /proc/$$/fd/1 /proc/$$/fd/2)\necho "$seen" >${told}.new\nmv ${told}.new ${told}\n`
    )
    fs.chmodSync(hook, 0o755)
    const { ask, responders, child, database } = await startedBy(
      'exec "$0" --listen "unix:$1" <&- >&- 2>&-',
      { DS_HOOK: hook }
    )
    onlyNothing(child.pid)
    onlyNothing(responders()[0], /^socket:/)
    expect((await ask(fcgi.request("PUT", fresh()), "x")).status).toBe(201)
    await until(() => fs.existsSync(told), "the hook was run")
    expect(fs.readFileSync(told, "utf8")).toBe("/dev/null\n/dev/null\n")
    for (const file of fs.readdirSync(path.dirname(database)))
      if (file.startsWith("streams.db"))
        expect(fs.readFileSync(path.join(path.dirname(database), file), "latin1")).not.toContain("done")
  })

  test("the same as CGI", async () => {
    const database = path.join(folder(), "streams.db")
    const name = fresh()
    expect(cgi(database, fcgi.request("PUT", name)).status).toBe(201)
    const child = launch("sh", ["-c", 'exec "$0" <&- >&- 2>&-', program], {
      env: cgiEnv(database, fcgi.request("GET", `${name}?offset=now&live=long-poll`)),
    })
    undo.push(() => end(child, "SIGKILL"))
    await until(() => Object.values(descriptors(child.pid)).join().includes("streams.db"), "it has begun")
    onlyNothing(child.pid)
  })
})

test("a graceful stop takes DS_STOP_TIMEOUT_MS once, not twice", async () => {
  const server = await startServer({ door: "none", env: { DS_STOP_TIMEOUT_MS: "4000" } })
  undo.push(() => server.stop().catch(() => {}))
  await until(() => fs.existsSync(server.sockets[0]), "it listens")
  const connection = await fcgi.connect(server.sockets[0])
  undo.push(() => connection.close())
  const name = fresh()
  connection.write(
    fcgi.head(fcgi.request("PUT", name)),
    fcgi.body(Buffer.alloc(8 << 20, "x")),
    fcgi.record(fcgi.STDIN)
  )
  expect((await connection.answer()).status).toBe(201)
  // an answer that its client does not read
  connection.pause()
  connection.write(
    fcgi.head(fcgi.request("GET", `${name}?offset=-1`)),
    fcgi.record(fcgi.STDIN)
  )
  await sleep(300)
  const began = performance.now()
  const how = await end(server.supervisors[0], "SIGTERM", 30_000)
  const took = performance.now() - began
  expect(how).toMatchObject({ code: 0, killed: false })
  expect(server.logs()).toContain("were not answered in time")
  expect(took).toBeGreaterThan(3000)
  expect(took).toBeLessThan(7500)
})

// a sanitizer has its own malloc()
describe("without memory", () => {
  function plan(dir) {
    const library = path.join(dir, "failing_malloc.so")
    const file = path.join(dir, "plan")
    const source = path.join(root, "tests/system/gateway/failing_malloc.c")
    const { status, stderr } = spawnSync(
      process.env.CC ?? "cc",
      ["-shared", "-fPIC", "-O1", "-o", library, source],
      { encoding: "utf8" }
    )
    expect(stderr).toBe("")
    expect(status).toBe(0)
    const set = (left) => {
      const bytes = Buffer.alloc(16)
      bytes.writeBigInt64LE(BigInt(left))
      const fd = fs.openSync(file, fs.existsSync(file) ? "r+" : "w")
      fs.writeSync(fd, bytes, 0, 16, 0)
      fs.closeSync(fd)
    }
    set(-1)
    return {
      env: { LD_PRELOAD: library, DS_TEST_MALLOC: file },
      set,
      failed: () => fs.readFileSync(file).readBigInt64LE(8) > 0n,
    }
  }

  const fine = { PUT: [200, 201], POST: [204], GET: [200], HEAD: [200], DELETE: [204, 404] }
  const requests = (name) => [
    [fcgi.request("PUT", `${name}-2`), "x"],
    [fcgi.request("POST", name), "hello"],
    [fcgi.request("GET", `${name}?offset=-1`), ""],
    [fcgi.request("HEAD", name), ""],
    [fcgi.request("DELETE", `${name}-2`), ""],
  ]

  /**
   * Lets the first, the second, the third … allocation of each request fail until none is left; or
   * every step-th of them, and other ones of each request.
   */
  async function loop(name, { set, failed }, ask, step = 1) {
    let refused = 0
    for (const [i, [params, content]] of requests(name).entries()) {
      const method = params.REQUEST_METHOD
      for (let n = i % step; ; n += step) {
        expect(n, `${method} ends`).toBeLessThan(2000)
        set(n)
        const { status, text } = await ask(params, content)
        const met = failed()
        set(-1)
        expect([...fine[method], 503], `${method}, allocation ${n}: ${text}`).toContain(status)
        if (status === 503) {
          expect(text).toMatch(/\r\nRetry-After: \d+\r\n/)
          refused++
        }
        if (!met) break
        await sleep(0) // lets the test runner run
      }
    }
    return refused
  }

  test.skipIf(sanitized)("a FastCGI request is answered, as usual or with 503", { timeout: 300_000 }, async () => {
    const failing = plan(folder())
    const { server, ask } = await responder({ ...failing.env, DS_LOG_LEVEL: "error" })
    const name = fresh()
    await ask(fcgi.request("PUT", name))
    const before = server.pids()
    expect(await loop(name, failing, ask)).toBeGreaterThan(5)
    expect(server.pids()).toEqual(before)
  })

  test.skipIf(sanitized)("and so is a CGI request", { timeout: 300_000 }, async () => {
    const dir = folder()
    const failing = plan(dir)
    const database = path.join(dir, "streams.db")
    const name = fresh()
    cgi(database, fcgi.request("PUT", name))
    const ask = (params, content) =>
      cgi(database, { ...params, CONTENT_LENGTH: String(content.length) }, content, failing.env)
    // most allocations are SQLite's, which reads the same schema for each request
    expect(await loop(name, failing, ask, full ? 1 : 7)).toBeGreaterThan(5)
  })
})
