// The program itself: its command line, its settings, the ways to start it, and how it ends.

import { afterEach, describe, expect, test } from "vitest"
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import fs from "node:fs"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import {
  cleanEnv,
  cleanUp,
  end,
  expectNoReport,
  isAlive,
  launch,
  launchListening,
  program,
  root,
  sanitized,
  sleep,
  sqlite,
  startNginx,
  startServer,
  until,
} from "./harness.mjs"
import { client, fresh, isHealthy } from "./http.mjs"

const { undo, folder } = cleanUp(afterEach)

async function server(options) {
  const started = await startServer(options)
  undo.push(() => started.stop())
  return started
}

const run = (args, env = {}, input = "") =>
  spawnSync(program, args, {
    env: cleanEnv(env),
    input,
    encoding: "latin1",
    timeout: 20_000,
    cwd: os.tmpdir(),
  })

const oneLine = /^[^\n]+\n$/

describe("command line", () => {
  test("--help prints the table of settings", () => {
    const { status, stdout, stderr } = run(["--help"])
    expect(stderr).toBe("")
    expect(status).toBe(0)
    for (const name of [
      "DS_DATABASE",
      "DS_DURABILITY",
      "DS_LONG_POLL_TIMEOUT_MS",
      "DS_MAX_BODY_BYTES",
      "--listen",
    ])
      expect(stdout).toContain(name)
  })

  test("the manual page has the settings of --help=man", () => {
    const script = path.join(root, "deploy/man/settings.sh")
    const { status, stdout, stderr } = spawnSync("sh", [script, "check", program], {
      encoding: "utf8",
    })
    expect(stdout + stderr).toBe("")
    expect(status).toBe(0)
  })

  test("--version prints the version", () => {
    const { status, stdout } = run(["--version"])
    expect(status).toBe(0)
    expect(stdout).toMatch(/\d+\.\d+\.\d+\n$/)
  })

  test.each([
    ["an unknown option", ["--nonsense"], {}],
    ["--listen without an address", ["--listen"], {}],
    ["a malformed address", ["--listen", "nonsense"], {}],
    ["a setting that is not a number", ["--listen", "unix:x.sock"], { DS_WORKERS: "many" }],
    ["a setting out of its bounds", ["--listen", "unix:x.sock"], { DS_WORKERS: "0" }],
    ["an unknown durability", ["--listen", "unix:x.sock"], { DS_DURABILITY: "perhaps" }],
    ...[
      ["an origin without a scheme", { DS_CORS_ORIGIN: "app.example" }],
      ["an origin with a path", { DS_CORS_ORIGIN: "https://a.example https://b.example/" }],
      ["every origin and another one", { DS_CORS_ORIGIN: "*, https://a.example" }],
      ["credentials for every page", { DS_CORS_CREDENTIALS: "1" }],
      ["credentials for no page", { DS_CORS_CREDENTIALS: "1", DS_CORS_ORIGIN: "" }],
      ["a header with its value", { DS_CORS_HEADERS: "x-a: b" }],
    ].map(([name, env]) => [name, ["--listen", "unix:x.sock"], env]),
    ["a folder that does not exist", ["--listen", "unix:/no/such/folder/x.sock"], {}],
    ["an address of another machine", ["--listen", "http:192.0.2.1:4437"], {}],
  ])("%s: one clear line on stderr, and a status that is not 0", (_, args, env) => {
    const dir = folder()
    const { status, stderr } = spawnSync(program, args, {
      env: cleanEnv({ DS_DATABASE: path.join(dir, "streams.db"), ...env }),
      encoding: "utf8",
      timeout: 20_000,
      cwd: dir,
    })
    expect(stderr).toMatch(oneLine)
    expect(status).toBeGreaterThan(0)
    expect(fs.readdirSync(dir), "no file was left behind").toEqual([])
  })

  test.each([
    ["no address", ["nonsense"], /unix:\/path or host:port/],
    ["a URL", ["http://127.0.0.1:4437"], /unix:\/path or host:port/],
    ["a port that is no number", ["http:127.0.0.1:443x"], /port/],
    ["an IPv6 address without brackets", ["http:::1:4437"], /brackets/],
    ["systemd twice", ["systemd", "systemd"], /once/],
    ["too many", Array(20).fill("http:127.0.0.1:0"), /more than 16/],
    ["one of several", ["unix:x.sock", "nonsense"], /nonsense/],
  ])("a mistyped address, %s: one line and status 78, which no restart follows", (_, addresses, line) => {
    const dir = folder()
    const { status, stderr } = spawnSync(program, addresses.flatMap((address) => ["--listen", address]), {
      env: cleanEnv({ DS_DATABASE: path.join(dir, "streams.db") }),
      encoding: "utf8",
      timeout: 20_000,
      cwd: dir,
    })
    expect(stderr).toMatch(oneLine)
    expect(stderr).toMatch(line)
    expect(status).toBe(78)
    expect(fs.readdirSync(dir), "no file was left behind").toEqual([])
  })

  test("a database that cannot be written: one line and status 1", () => {
    const dir = folder()
    const file = path.join(dir, "file")
    fs.writeFileSync(file, "")
    // below a file, where not even root can write
    const { status, stderr } = run(["--listen", `unix:${dir}/x.sock`], {
      DS_DATABASE: `${file}/streams.db`,
    })
    expect(stderr).toMatch(oneLine)
    expect(stderr).toContain(file)
    expect(status).toBe(1)
  })

  test("another program's file as database: one line and status 1, and the file is untouched", () => {
    const dir = folder()
    const file = path.join(dir, "letter.txt")
    fs.writeFileSync(file, "Dear reader, this is no database. ".repeat(100))
    const before = fs.readFileSync(file)
    const { status, stderr } = run(["--listen", `unix:${dir}/x.sock`], { DS_DATABASE: file })
    expect(stderr).toMatch(oneLine)
    expect(status).toBe(1)
    expect(fs.readFileSync(file).equals(before)).toBe(true)
  })

  test("a taken TCP port: one line and status 1", async () => {
    const holder = net.createServer()
    await new Promise((resolve) => holder.listen(0, "127.0.0.1", resolve))
    undo.push(() => new Promise((resolve) => holder.close(resolve)))
    const { status, stderr } = run(["--listen", `127.0.0.1:${holder.address().port}`], {
      DS_DATABASE: path.join(folder(), "streams.db"),
    })
    expect(stderr).toMatch(oneLine)
    expect(status).toBe(1)
  })
})

describe("supervisor", () => {
  test("a responder that dies is started again at once", async () => {
    const one = await server({ processes: 2 })
    const path = fresh()
    await client(one.url).create(path, "text/plain", "x")
    for (let i = 0; i < 5; i++) {
      const before = one.pids()
      expect(before.length).toBe(2)
      one.kill("SIGKILL")
      await until(
        () => one.pids().length === 2 && !one.pids().some((pid) => before.includes(pid)),
        "both are new",
        { timeout: 3000 }
      )
      expect((await client(one.url).get(path)).text).toBe("x")
    }
  })

  test("with more processes than CPUs only some accept connections, and others step in", async () => {
    const places = Math.max(1, Math.floor(os.cpus().length / 2))
    const one = await server({ processes: places + 2 })
    const path = fresh()
    const descriptors = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length
    const connect = async () => {
      const socket = net.connect(one.sockets[0])
      await once(socket, "connect")
      return socket
    }

    await client(one.url).create(path, "text/plain", "x")
    const before = new Map(one.pids().map((pid) => [pid, descriptors(pid)]))
    const connections = () =>
      [...before].map(([pid, idle]) => ({ pid, count: descriptors(pid) - idle }))
    const all = () => connections().reduce((sum, { count }) => sum + count, 0)
    const open = []
    const letIn = new Map(one.pids().map((pid) => [pid, 0]))
    for (let wave = 0; wave < 10; wave++) {
      for (const socket of open.splice(0)) socket.destroy()
      await until(() => all() <= 0, "all are gone")
      while (open.length < 100) open.push(await connect())
      await until(() => all() >= 100, "all are let in")
      for (const { pid, count } of connections()) letIn.set(pid, letIn.get(pid) + count)
    }
    // mostly the same processes; on a busy machine others are sometimes faster
    const busy = [...letIn]
      .map(([pid, count]) => ({ pid, count }))
      .sort((a, b) => b.count - a.count)
      .slice(0, places)
    expect(busy.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(750)

    // these are stopped: the others accept
    for (const { pid } of busy) process.kill(pid, "SIGSTOP")
    try {
      const most = all() + 10
      for (let i = 0; i < 10; i++) open.push(await connect())
      await until(() => all() >= most, "others accept")
    } finally {
      for (const { pid } of busy) process.kill(pid, "SIGCONT")
    }

    // these are gone: some of the others take their places
    for (const { pid } of busy) process.kill(pid, "SIGKILL")
    await until(
      () => one.pids().length === places + 2 && !busy.some(({ pid }) => isAlive(pid)),
      "new ones"
    )
    for (let i = 0; i < 10; i++) expect((await client(one.url).get(path)).text).toBe("x")
    for (const socket of open) socket.destroy()
  })

  test("ends although a responder hangs", async () => {
    const one = await server({ env: { DS_STOP_TIMEOUT_MS: "100" } })
    const [pid] = one.pids()
    process.kill(pid, "SIGSTOP")
    expect(await end(one.supervisors[0], "SIGTERM", 30_000)).toMatchObject({ code: 0, killed: false })
    expect(isAlive(pid)).toBe(false)
    expect(one.logs()).toContain(`responder ${pid} hangs`)
  })

  test("says why and ends if no responder can start", async () => {
    const dir = folder()
    const database = path.join(dir, "streams.db")
    const one = await server({ processes: 2, database })
    // makes responders fail to start, after the supervisor has started
    fs.renameSync(database, `${database}.away`)
    fs.mkdirSync(database)
    one.kill("SIGKILL")
    expect(await one.supervisors[0].gone).toMatchObject({ code: 1 })
    expect(one.logs()).toContain("no responder can start")
    expect(one.logs()).toContain(database)
    expect(fs.existsSync(one.sockets[0])).toBe(false)
  })

  test.each([
    ["a wrong setting", { DS_WORKERS: "many" }, 78],
    ["a database that cannot be opened", { DS_DATABASE: "/no/such/folder/streams.db" }, 1],
  ])("%s: connections on a socket that stays open are closed, not left to wait", async (_, env, code) => {
    const dir = folder()
    const socket = path.join(dir, "app.sock")
    const log = path.join(dir, "log")
    // as under systemd: the socket exists before the program starts, and after it has exited
    const manager = launch("perl", [path.join(root, "tests/system/doors/activate.pl"), socket, program, "--listen", "systemd"], {
      log,
      cwd: dir,
      env: cleanEnv({ DS_DATABASE: path.join(dir, "streams.db"), ...env }),
    })
    undo.push(() => end(manager, "SIGKILL"))
    // not when the file exists: between bind() and listen(), connections are refused
    const accepts = () =>
      new Promise((resolve) => {
        const connection = net.connect(socket, () => resolve(Boolean(connection.destroy())))
        connection.on("error", () => resolve(false))
      })
    await until(accepts, "the manager listens")
    for (let i = 0; i < 3; i++) {
      const connection = net.connect(socket)
      connection.on("error", () => {})
      await once(connection, "close")
    }
    expect(fs.readFileSync(log, "utf8")).toContain(Object.keys(env)[0].startsWith("DS_W") ? "DS_WORKERS" : "/no/such/folder")
    const { status } = spawnSync(program, ["--listen", `unix:${socket}.2`], { env: cleanEnv(env) })
    expect(status).toBe(code)
  })

  test("--print-url prints the URL of the first HTTP port once it answers, and closes the output", async () => {
    const dir = folder()
    const env = cleanEnv({ DS_DATABASE: path.join(dir, "streams.db") })
    const listen = (...addresses) => addresses.flatMap((address) => ["--listen", address])
    const addresses = listen(`unix:${dir}/x.sock`, `http:unix:${dir}/y.sock`, "http:0.0.0.0:0")
    // with the output of $(...), which would otherwise last as long as the server
    const { stdout } = spawnSync("sh", ["-c", '"$@" & echo $!', "sh", program, ...addresses, "--print-url"], {
      env,
      encoding: "utf8",
      timeout: 30_000,
      stdio: ["ignore", "pipe", "ignore"],
    })
    const [pid, url] = stdout.trim().split("\n")
    undo.push(() => process.kill(Number(pid), "SIGKILL"))
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect((await client(url).get("/health")).status).toBe(200)

    const log = path.join(dir, "log")
    const said = () => fs.readFileSync(log, "utf8")
    const more = launch(program, [...listen(`unix:${dir}/z.sock`), "--print-url"], { env, log })
    await until(() => /--print-url needs an HTTP address/.test(said()), said)
    expect(await end(more)).toMatchObject({ code: 0, killed: false })
  })

  test("the children of a killed supervisor end with it", async () => {
    const one = await server({ processes: 3 })
    const children = one.pids()
    expect(children.length).toBe(3)
    await end(one.supervisors[0], "SIGKILL")
    await until(() => !children.some(isAlive), "they have died", { timeout: 3000 })
    // the socket that it left does not hinder the next one
    one.startSupervisor(0)
    await one.ready()
  })

  test.each(["SIGTERM", "SIGINT"])(
    "%s stops it and its responders with status 0, and removes the socket",
    async (signal) => {
      const one = await server({ processes: 2 })
      const children = one.pids()
      const how = await end(one.supervisors[0], signal)
      expect(how).toMatchObject({ code: 0, killed: false })
      expect(children.some(isAlive)).toBe(false)
      expect(fs.existsSync(one.sockets[0]), "its socket").toBe(false)
    }
  )

  test.each(["SIGTERM", "SIGUSR1"])(
    "a responder stops gracefully on %s, which web servers send",
    async (signal) => {
      const one = await server()
      const api = client(one.url)
      const path = fresh()
      await api.create(path)
      const reader = await api.sse(`${path}?offset=now&live=sse`)
      await reader.waitFor((event) => event.control)
      const [pid] = one.pids()
      one.kill(signal)
      expect(await reader.ended).toEqual({ complete: true })
      await until(() => !isAlive(pid) && one.pids().length === 1, "a new one runs", {
        timeout: 5000,
      })
      await api.append(path, "text/plain", "x")
    }
  )
})

/**
 * Starts a command with a listening socket as descriptor 0, as lighttpd does with bin-path, and
 * nginx in front of it.
 */
async function inherited(command, args, env) {
  const dir = folder()
  const socket = path.join(dir, "app.sock")
  const log = path.join(dir, "log")
  fs.writeFileSync(log, "")
  const child = await launchListening(socket, command, args, {
    log,
    cwd: dir,
    env: cleanEnv({ DS_DATABASE: path.join(dir, "streams.db"), ...env }),
  })
  undo.push(async () => {
    await end(child, "SIGKILL")
    expectNoReport(fs.readFileSync(log, "utf8"))
  })
  const web = await startNginx({ folder: dir, sockets: [socket], log })
  undo.push(() => end(web.child))
  const api = client(web.url)
  await until(
    () => isHealthy(api, {}, { timeout: 20_000 }),
    () => fs.readFileSync(log, "utf8").slice(-3000),
    { timeout: 30_000, every: 100 }
  )
  return { child, api, dir }
}

describe("other ways to start it", () => {
  test("a listening socket as descriptor 0 makes it a FastCGI responder", async () => {
    const { child, api } = await inherited(program, [])
    const name = fresh()
    await api.create(name, "text/plain", "x")
    expect((await api.get(name)).text).toBe("x")
    expect(await end(child, "SIGTERM")).toMatchObject({ code: 0, killed: false })
  })

  const cgi = (database, method, uri, headers = {}, body = "") =>
    run(
      [],
      {
        GATEWAY_INTERFACE: "CGI/1.1",
        SERVER_PROTOCOL: "HTTP/1.1",
        SERVER_NAME: "streams.example",
        SERVER_PORT: "80",
        REQUEST_METHOD: method,
        REQUEST_URI: uri,
        QUERY_STRING: uri.split("?")[1] ?? "",
        CONTENT_LENGTH: body ? String(body.length) : "",
        DS_DATABASE: database,
        DS_LONG_POLL_TIMEOUT_MS: "300",
        DS_SSE_LIFETIME_MS: "500",
        DS_LOG_LEVEL: "warn",
        ...headers,
      },
      body
    )

  test("CGI: it answers one request and ends", () => {
    const database = path.join(folder(), "streams.db")
    // CGI does not warn of a misspelt setting at each request
    const health = cgi(database, "GET", "/health", { DS_WORKER: "3" })
    expect(health.stderr).toBe("")
    expect(health.status).toBe(0)
    expect(health.stdout).toMatch(/^Status: 200 OK\r\n/)
    expect(cgi(database, "PUT", "/v1/stream/x", { CONTENT_TYPE: "text/plain" }).stdout).toMatch(
      /^Status: 201 Created\r\n/
    )
    expect(
      cgi(database, "POST", "/v1/stream/x", { CONTENT_TYPE: "text/plain" }, "hello").stdout
    ).toMatch(/^Status: 204 /)
    const read = cgi(database, "GET", "/v1/stream/x?offset=-1")
    expect(read.stdout).toMatch(/\r\n\r\nhello$/)
    expect(cgi(database, "GET", "/v1/stream/x?offset=now&live=long-poll").stdout).toMatch(
      /^Status: 204 /
    )
    const sse = cgi(database, "GET", "/v1/stream/x?offset=-1&live=sse")
    expect(sse.stdout).toMatch(/event: data\ndata: ?hello\nid: ?\d{16}_\d{16}\n\nevent: control\ndata:/)
    for (const answer of [read, sse]) expect(answer.status).toBe(0)
  })

  test("CGI: it does not store a body that was cut off", () => {
    const database = path.join(folder(), "streams.db")
    cgi(database, "PUT", "/v1/stream/x", { CONTENT_TYPE: "text/plain" })
    const cut = cgi(
      database,
      "POST",
      "/v1/stream/x",
      { CONTENT_TYPE: "text/plain", CONTENT_LENGTH: "100" },
      "hello"
    )
    expect(cut.stdout).not.toMatch(/^Status: 2/)
    expect(cgi(database, "GET", "/v1/stream/x").stdout).toMatch(/\r\n\r\n$/)
  })
})

describe("settings", () => {
  test("DS_DURABILITY=memory: serves, and the data is gone at stop", async () => {
    const one = await server({ responders: 2, env: { DS_DURABILITY: "memory" } })
    const api = client(one.url)
    const stream = fresh()
    await api.create(stream)
    for (let i = 0; i < 10; i++) await api.append(stream, "text/plain", "x")
    expect((await api.get(stream)).text).toBe("xxxxxxxxxx")
    expect(fs.existsSync(one.database), "nothing on the disk").toBe(false)
    const place = run(["--database"], { DS_DURABILITY: "memory", DS_DATABASE: one.database })
    const database = place.stdout.trim()
    expect(database).toMatch(new RegExp(`^/dev/shm/durable-streams-${process.getuid()}/`))
    const mode = (name) => (fs.statSync(name).mode & 0o777).toString(8)
    expect(mode(path.dirname(database))).toBe("700")
    for (const end of ["", "-wal", "-shm", "-wake"]) expect(mode(database + end), end).toBe("600")
    await one.restart()
    expect((await api.get(stream)).status).toBe(404)
    await one.stop()
    expect(fs.existsSync(database)).toBe(false)
    expect(fs.existsSync(`${database}-wake`)).toBe(false)
  })

  test("a database is the same one by whatever path and links it is reached", () => {
    const dir = fs.realpathSync(folder())
    fs.mkdirSync(path.join(dir, "data"))
    fs.symlinkSync("data", path.join(dir, "link"))
    fs.symlinkSync("link/streams.db", path.join(dir, "other.db"))
    for (const durability of ["full", "memory"]) {
      const names = ["data/streams.db", "link/streams.db", "other.db", "link/../data//streams.db"]
        .flatMap((name) => [name, path.join(dir, name)])
        .map(
          (name) =>
            spawnSync(program, ["--database"], {
              cwd: dir,
              env: cleanEnv({ DS_DATABASE: name, DS_DURABILITY: durability }),
              encoding: "utf8",
            }).stdout
        )
      expect(new Set(names).size, names.join("")).toBe(1)
      if (durability === "full") expect(names[0]).toBe(`${dir}/data/streams.db\n`)
    }
  })

  test("DS_DURABILITY=normal: serves, and the data is there after a restart", async () => {
    const one = await server({ env: { DS_DURABILITY: "normal" } })
    const path = fresh()
    await client(one.url).create(path, "text/plain", "x")
    await one.restart("SIGKILL")
    expect((await client(one.url).get(path)).text).toBe("x")
  })

  test.each([
    ["private", "private, max-age=0", "private, max-age=60, stale-while-revalidate=300"],
    ["off", "no-store", "no-store"],
  ])("DS_CACHE=%s: no shared cache keeps anything", async (scope, open, closed) => {
    const one = await server({ env: { DS_CACHE: scope } })
    const api = client(one.url)
    const path = fresh()
    await api.create(path, "text/plain", "x")
    expect((await api.get(path)).headers["cache-control"]).toBe(open)
    await api.post(path, { "stream-closed": "true" })
    expect((await api.get(path)).headers["cache-control"]).toBe(closed)
  })

  test("DS_CORS_ORIGIN empty: no CORS headers", async () => {
    const one = await server({ env: { DS_CORS_ORIGIN: "" } })
    const { headers } = await client(one.url).get("/health")
    expect(Object.keys(headers).filter((name) => name.startsWith("access-control-"))).toEqual([])
  })

  test("DS_MAX_PARKED: one reader more is 503 with Retry-After", async () => {
    const one = await server({ env: { DS_MAX_PARKED: "3", DS_LONG_POLL_TIMEOUT_MS: "5000" } })
    const api = client(one.url)
    const path = fresh()
    await api.create(path)
    const readers = []
    for (let i = 0; i < 3; i++) readers.push(await api.sse(`${path}?offset=now&live=sse`))
    for (const reader of readers) await reader.waitFor((event) => event.control)
    const refused = await api.get(`${path}?offset=now&live=long-poll`)
    expect(refused.status).toBe(503)
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0)
    readers.pop().close()
    await sleep(200)
    const waiting = api.get(`${path}?offset=now&live=long-poll`)
    await sleep(200)
    await api.append(path, "text/plain", "x")
    expect((await waiting).status).toBe(200)
    for (const reader of readers) reader.close()
  })

  test("under systemd, lines have a priority instead of time and name", () => {
    const dir = folder()
    // as systemd starts it: JOURNAL_STREAM names what standard error is, here a pipe
    const start = 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) "$0" --listen "$1"'
    const { stdout } = spawnSync("sh", ["-c", `{ ${start}; } 2>&1 | cat`, program, "unix:/no/such/folder/x"], {
      cwd: dir,
      env: cleanEnv({ DS_DATABASE: path.join(dir, "streams.db"), DS_WORKER: "3" }),
      encoding: "utf8",
    })
    expect(stdout).toBe(
      "<4>DS_WORKER is not a setting; did you mean DS_WORKERS?\n" +
        "<3>cannot listen on unix:/no/such/folder/x: No such file or directory\n"
    )
  })

  test("a misspelt setting is named once, by a server of several processes", async () => {
    const one = await server({ processes: 2, env: { DS_WORKER: "3", DS_DATABASES: "secret" } })
    await client(one.url).create(fresh())
    const warnings = one.logs().match(/DS_\w+ is not a setting.*/g).sort()
    expect(warnings).toEqual([
      "DS_DATABASES is not a setting; did you mean DS_DATABASE?",
      "DS_WORKER is not a setting; did you mean DS_WORKERS?",
    ])
    expect(one.logs()).not.toContain("secret")
  })

  test("logs never contain a payload", async () => {
    const one = await server({ env: { DS_LOG_LEVEL: "debug" } })
    const api = client(one.url)
    const path = fresh()
    await api.create(path, "application/json", '["secret-payload-1"]')
    await api.append(path, "application/json", '"secret-payload-2"')
    await api.post(path, { "content-type": "application/json" }, '"secret-payload-3" broken')
    await api.get(path)
    await api.del(path)
    await one.restart()
    expect(one.logs()).not.toContain("secret-payload")
    expect(one.logs().length).toBeGreaterThan(0)
  })

  test("a database of a later version is refused, not changed", async () => {
    const dir = folder()
    const database = path.join(dir, "streams.db")
    const one = await startServer({ database })
    await one.stop()
    await sqlite(database, "pragma user_version = 9999")
    const { status, stderr } = run(["--listen", `unix:${dir}/x.sock`], { DS_DATABASE: database })
    expect(stderr).toMatch(oneLine)
    expect(status).toBe(1)
    expect(await sqlite(database, "pragma user_version")).toBe("9999")
  })

  test("a database from before the first release is refused, and says what to do", async () => {
    const dir = folder()
    const database = path.join(dir, "streams.db")
    const one = await startServer({ database })
    await one.stop()
    await sqlite(database, "pragma user_version = 5")
    const { status, stderr } = run(["--listen", `unix:${dir}/x.sock`], { DS_DATABASE: database })
    expect(stderr).toMatch(/export it with the dsctl of that version, and import that/)
    expect(status).toBe(1)
    expect(await sqlite(database, "pragma user_version")).toBe("5")
  })
})

describe("durable-streams.fcgi(8)", () => {
  const sources = (dir) =>
    fs.readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
      const name = path.join(dir, entry.name)
      return entry.isDirectory() ? sources(name) : /\.[ch]$/.test(name) ? [name] : []
    })

  /** The strings with which a call of log_warn() or log_error() begins, as C joins them. */
  const messages = (text) =>
    [...text.matchAll(/\blog_(?:warn|error)\(\s*((?:"(?:[^"\\]|\\.)*"|PRI\w+|\s)+)/g)].map(([, format]) =>
      [...format.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, part]) => part).join("")
    )

  test("every warning and error that the server may log is in its DIAGNOSTICS", () => {
    const words = (text) => text.replace(/[^\w/=]+/g, " ").trim()
    const [, section] = fs
      .readFileSync(path.join(root, "deploy/man/durable-streams.fcgi.8"), "utf8")
      .match(/^\.Sh DIAGNOSTICS\n([^]*?)^\.Sh /m)
    const page = words(section.replace(/^\.[A-Z][a-z]\b|\b(?:Ar|No|Ns|Po|Pc)\b/gm, " "))
    const src = path.join(root, "src")
    const formats = ["base", "protocol", "config", "hints", "store", "engine", "http", "exchange"]
      .concat("live", "server", "gateway", "deliver")
      .flatMap((floor) => sources(path.join(src, floor)))
      .concat(path.join(src, "main.c"), path.join(src, "deliver.c"))
      .flatMap((file) => messages(fs.readFileSync(file, "utf8")))
    // of each message the longest part between two values, such as "was damaged: it is made anew"
    const parts = formats
      .map((format) =>
        format
          .split(/%(?:ll?)?[a-z]?/)
          .map(words)
          .reduce((longest, part) => (part.length > longest.length ? part : longest), "")
      )
      .filter((part) => part.length > 8)
    expect(parts.length).toBeGreaterThan(60)
    const missing = parts.filter((part) => !page.includes(part))
    expect(missing, `not in DIAGNOSTICS: ${missing.join("; ")}`).toEqual([])
  })
})

describe("deploy/migrating.md", () => {
  test("every proof that its table of features names is there", () => {
    const page = fs.readFileSync(path.join(root, "deploy/migrating.md"), "utf8")
    const makefile = fs.readFileSync(path.join(root, "Makefile"), "utf8")
    const proofs = page
      .split("\n\n")
      .filter((block) => /^\|.*\| *proof *\|$/m.test(block))
      .flatMap((table) => table.split("\n").filter((line) => /^\| .*`/.test(line)))
      .flatMap((line) => [...line.split(" | ").at(-1).matchAll(/`([^`]+)`/g)])
      .map(([, name]) => name)
    expect(proofs.length).toBeGreaterThan(25)
    const missing = proofs.filter((name) => {
      if (name.startsWith("make ")) return !makefile.includes(`\n${name.slice(5)}:`)
      const file = name.startsWith("test_") ? `tests/unit/${name}.c` : `tests/system/${name}.test.mjs`
      return !fs.existsSync(path.join(root, file))
    })
    expect(missing).toEqual([])
  })
})

describe("at the sqlite3 prompt", () => {
  test("stream_overview and message_text show streams in readable form", async () => {
    const one = await server()
    const api = client(one.url)
    const path = fresh("look")
    await api.create(path, "text/plain", "hello, ", { "stream-ttl": "3600" })
    const next = (await api.append(path, "text/plain", "wörld")).headers["stream-next-offset"]
    const fork = fresh("fork")
    expect(
      (await api.put(fork, { "stream-forked-from": path, "stream-closed": "true" })).status
    ).toBe(201)
    const row = async (name, columns) =>
      JSON.parse(
        await sqlite(
          one.database,
          `select json_array(${columns}) from stream_overview where path = '${name}'`
        )
      )
    const [type, messages, bytes, tail, state, created, expires] = await row(
      path,
      "content_type, messages, bytes, tail, state, created, expires"
    )
    expect([type, messages, bytes, tail, state]).toEqual(["text/plain", 2, 13, next, "open"])
    expect(Math.abs(Date.parse(created) - Date.now())).toBeLessThan(60_000)
    expect(Math.abs(Date.parse(expires) - Date.now() - 3_600_000)).toBeLessThan(60_000)
    expect(await row(fork, "state, forked_from, tail")).toEqual(["closed", path, next])
    const payloads = await sqlite(
      one.database,
      `select payload from message_text where path = '${path}' order by "offset"`
    )
    expect(payloads).toBe("hello, \nwörld")
  })
})

describe("valgrind", () => {
  const there = spawnSync("valgrind", ["--version"]).status === 0
  // valgrind cannot run a program with a sanitizer, which then looks for leaks itself
  test.skipIf(sanitized || !there)(
    "finds no error and no leak in a responder",
    { timeout: 120_000 },
    async () => {
      const report = path.join(folder(), "report")
      const { child, api } = await inherited(
        "valgrind",
        [
          "--quiet",
          "--leak-check=full",
          "--show-leak-kinds=definite,indirect,possible",
          "--errors-for-leak-kinds=definite,indirect,possible",
          `--log-file=${report}`,
          "--error-exitcode=9",
          program,
        ],
        { DS_LONG_POLL_TIMEOUT_MS: "500" }
      )
      for (let i = 0; i < 20; i++) {
        const name = fresh()
        await api.create(name, "application/json", '[{"a":1}]', {
          "stream-ttl": i % 2 ? "1" : "60",
        })
        const reader = await api.sse(`${name}?offset=-1&live=sse`, {}, { timeout: 20_000 })
        const waiting = api.get(`${name}?offset=now&live=long-poll`)
        const idle = i % 5 === 0 ? api.get(`${name}?offset=now&live=long-poll`) : undefined
        await api.append(name, "application/json", "[1,2,3]", {
          "producer-id": "p",
          "producer-epoch": "0",
          "producer-seq": "0",
        })
        await reader.waitFor((event) => event.data.includes("3"), "its event", 20_000)
        await waiting
        await idle
        const { headers } = await api.get(name)
        await api.get(name, { "if-none-match": headers.etag })
        await api.put(fresh(), { "stream-forked-from": name })
        await api.post(name, { "content-type": "application/json" }, "broken")
        await api.post(name, { "stream-closed": "true" })
        await reader.ended
        await api.del(name)
        await api.get(name)
        await api.options(name)
      }
      const quiet = fresh()
      await api.create(quiet)
      const leftWaiting = await api.sse(`${quiet}?offset=now&live=sse`)
      await sleep(1500) // the sweep runs
      const how = await end(child, "SIGTERM", 30_000)
      await leftWaiting.ended
      const text = fs.existsSync(report) ? fs.readFileSync(report, "utf8") : ""
      expect(text).toBe("")
      expect(how).toMatchObject({ code: 0, killed: false })
    }
  )
})
