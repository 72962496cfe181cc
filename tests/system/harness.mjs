// Real servers for the tests: web server, supervisors and responders in a folder of their own
// under the system's temporary folder, on ports that were free.
//
//   const server = await startServer({ responders: 3, env: { DS_LONG_POLL_TIMEOUT_MS: "500" } })
//   ...
//   await server.stop()            // in afterAll: throws if a log holds a sanitizer's report
//
// Doors:
//   The rows of doors/list.mjs. If the door's responder is a service, `responders` is the number of
//   supervisors. Each has a socket of its own and `processes` responder processes; all are in one
//   upstream and on one database.
//   "none"    only supervisors, for tests that start a web server of their own
//
// No process outlives a test: children get SIGTERM when their parent dies (setpriv), and node kills
// the rest when it exits.

import { spawn, spawnSync, execFile } from "node:child_process"
import fs from "node:fs"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { doors } from "./doors/list.mjs"
import { request } from "./http.mjs"

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..")
export const build = path.resolve(root, process.env.B || "build")
export const program = path.join(build, "durable-streams.fcgi")
const activate = path.join(root, "tests/system/doors/activate.pl")
export const hookedProgram = path.join(build, "hooked/durable-streams.fcgi")

/** True for a build with a sanitizer, which is several times slower and larger. */
export const sanitized = /address|thread|undefined/.test(path.relative(root, build))
/** Longer, larger runs: FULL=1 tests/run.sh */
export const full = process.env.FULL === "1"

const SANITIZER_REPORT =
  /ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|ERROR: LeakSanitizer|LeakSanitizer has encountered|Assertion .* failed/

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until check() returns a true value, and returns it; otherwise throws with `what`. */
export async function until(check, what, { timeout = 10_000, every = 20 } = {}) {
  const end = Date.now() + timeout
  for (;;) {
    const value = await check()
    if (value) return value
    if (Date.now() > end)
      throw new Error(`not within ${timeout} ms: ${typeof what === "function" ? what() : what}`)
    await sleep(every)
  }
}

/** Steps that clean up after a test, the last one first, and folders that are removed with them. */
export function cleanUp(afterEach) {
  const undo = []
  const folder = () => {
    const made = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
    undo.push(() => fs.rmSync(made, { recursive: true, force: true }))
    return made
  }
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })
  return { undo, folder }
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = net.createServer()
    probe.once("error", () => resolve(false))
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)))
  })
}

/**
 * A port that was free a moment ago, because the web servers need a number before they start. It is
 * below the ports that the kernel gives to clients, one of which might take it meanwhile.
 */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if (await isFree(port)) return port
  }
}

/** Does anybody listen on this unix socket, or at this { host, port }? */
function listened(socket) {
  return new Promise((resolve) => {
    const probe = net.connect(socket, () => resolve(true))
    probe.once("error", () => resolve(false))
    probe.once("connect", () => probe.destroy())
  })
}

// ---------------------------------------------------------------------------------- processes

const started = new Set()
process.on("exit", () => {
  // an Apache that is killed leaves its children behind
  for (const child of started)
    if (child.exitCode === null) tryKill(child.pid, setpriv ? "SIGTERM" : "SIGKILL")
})

function tryKill(pid, signal) {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

// Debian keeps web servers where the PATH of an ordinary user does not look.
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`

/** The environment of a server, without any DS_* of the caller's shell. */
export function cleanEnv(env = {}) {
  const result = { PATH }
  for (const name of ["HOME", "TMPDIR", "LANG"])
    if (process.env[name]) result[name] = process.env[name]
  for (const name of Object.keys(process.env))
    if (/SAN_OPTIONS$/.test(name)) result[name] = process.env[name]
  return { ...result, ...env }
}

const setpriv = spawnSync("setpriv", ["--pdeathsig", "TERM", "true"]).status === 0

/** Starts a process whose output goes to the file `log`; it ends when node does. */
export function launch(command, args, { env = cleanEnv(), cwd, log, stdin = "ignore" } = {}) {
  const out = log ? fs.openSync(log, "a") : "ignore"
  const argv = setpriv ? ["setpriv", "--pdeathsig", "TERM", command, ...args] : [command, ...args]
  const child = spawn(argv[0], argv.slice(1), { env, cwd, stdio: [stdin, out, out] })
  if (log) fs.closeSync(out)
  started.add(child)
  child.gone = new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }))
    child.once("exit", (code, signal) => {
      started.delete(child)
      resolve({ code, signal })
    })
  })
  return child
}

/** Starts a process with a listening unix socket as descriptor 0, as web servers and supervisors do. */
export async function launchListening(socket, command, args, options = {}) {
  const listener = net.createServer()
  await new Promise((resolve) => listener.listen(`${socket}.new`, resolve))
  // node removes the name that it gave; only the descriptor is needed, because the child accepts
  fs.renameSync(`${socket}.new`, socket)
  const child = launch(command, args, { ...options, stdin: listener._handle.fd })
  listener._handle.close()
  return child
}

/** Asks a child to end, and kills it after `grace` ms; returns how it ended and whether it was killed. */
export async function end(child, signal = "SIGTERM", grace = 15_000) {
  if (child.exitCode === null && child.signalCode === null) tryKill(child.pid, signal)
  let killed = false
  const timer = setTimeout(() => {
    killed = true
    tryKill(child.pid, "SIGKILL")
  }, grace)
  const how = await child.gone
  clearTimeout(timer)
  return { ...how, killed }
}

/** pid → its row of /proc/PID/stat, zombies left out. */
function processTable() {
  const table = new Map()
  for (const name of fs.readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "latin1")
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      if (state !== "Z") table.set(Number(name), { parent: Number(parent) })
    } catch {
      // it ended meanwhile
    }
  }
  return table
}

/** The direct children of a process. */
export function childrenOf(pid) {
  return [...processTable()].filter(([, row]) => row.parent === pid).map(([child]) => child)
}

function isDeliverer(pid) {
  try {
    return path.basename(fs.readlinkSync(`/proc/${pid}/exe`)).startsWith("durable-streams-deliver")
  } catch {
    return false // it has ended
  }
}

/** The responders of a supervisor, and its process that delivers webhooks. */
export const respondersOf = (pid) => childrenOf(pid).filter((child) => !isDeliverer(child))
export const delivererOf = (pid) => childrenOf(pid).find(isDeliverer)

/** All processes, as "pid command line", of which one of these files below /proc/PID/ has the text. */
function processesWith(text, files) {
  const found = []
  for (const pid of processTable().keys()) {
    if (pid === process.pid) continue
    try {
      const read = (file) => fs.readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ")
      if (files.some((file) => read(file).includes(text))) found.push(`${pid} ${read("cmdline")}`)
    } catch {
      // it ended meanwhile, or another user has it
    }
  }
  return found
}

/** All processes whose command line names `text`, as "pid command line". */
export const processesNaming = (text) => processesWith(text, ["cmdline"])

/** The same, and those that were started with a variable that names it. */
export const processesKnowing = (text) => processesWith(text, ["cmdline", "environ"])

export const isAlive = (pid) => processTable().has(pid)

/** Processes of the program that were started with a setting below this folder. */
function programsOf(folder) {
  return [...processTable().keys()].filter((pid) => {
    try {
      return (
        path.basename(fs.readlinkSync(`/proc/${pid}/exe`)).startsWith("durable-streams.fcgi") &&
        !fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--listen") &&
        fs.readFileSync(`/proc/${pid}/environ`, "utf8").includes(folder)
      )
    } catch {
      return false // it has ended, or belongs to another user
    }
  })
}

/** The sockets of a process, as `socket:[inode]`. */
function socketsOf(pid) {
  const found = []
  try {
    for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
      const name = fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
      if (name.startsWith("socket:")) found.push(name)
    }
  } catch {
    // it ended meanwhile, or a descriptor did
  }
  return found
}

/** Threads and resident KiB of a process, and how many descriptors it holds. */
export function usage(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
  const number = (name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, "m"))[1])
  return {
    threads: number("Threads"),
    rssKiB: number("VmRSS"),
    descriptors: fs.readdirSync(`/proc/${pid}/fd`).length,
  }
}

// ------------------------------------------------------------------------------------- sqlite3

/** Runs SQL with the sqlite3 CLI, as a person would; waits for locks up to 5 s. */
export function sqlite(database, sql, { timeoutMs = 5000 } = {}) {
  return new Promise((resolve, reject) => {
    execFile(
      "sqlite3",
      ["-batch", "-cmd", `.timeout ${timeoutMs}`, database, sql],
      { maxBuffer: 1 << 28 },
      (error, out, err) =>
        error
          ? reject(new Error(`sqlite3: ${err || error.message}\n${sql}`))
          : resolve(out.trimEnd())
    )
  })
}

// --------------------------------------------------------------------------------- web servers

// The modules of the web servers import this one, so they are loaded only when they are needed.
export const startNginx = async (given) => (await import("./web/nginx.mjs")).startNginx(given)

async function answers(url, children, logs) {
  await until(
    async () => {
      const dead = children.find((child) => child.exitCode !== null || child.signalCode !== null)
      if (dead) throw new Error(`${dead.spawnargs.join(" ")} ended while starting:\n${logs()}`)
      try {
        return (await request(url, "GET", "/health", { timeout: 2000 })).status === 200
      } catch {
        return false
      }
    },
    () => `${url}/health answers 200\n${logs()}`,
    { timeout: sanitized ? 40_000 : 15_000 }
  )
}

// -------------------------------------------------------------------------------------- server

/**
 * options: door, responders, processes, env (DS_* settings for all), envOf(i) (further settings for
 * supervisor i), program, direct (`urls` has a port for each supervisor by itself), database, options
 * (of the web server: names of files in deploy/X/options), deliver (false: without a supervisor,
 * nothing delivers webhooks either).
 */
export async function startServer(options = {}) {
  const { door = "nginx", responders = 1, processes = 1, direct = false } = options
  const { responder, open, speaks, bare } = door === "none" ? { responder: "service" } : doors[door]
  const managed = responder === "service" || responder === "activated"
  const delivers =
    open &&
    (managed || options.deliver !== false) &&
    options.env?.DS_WEBHOOKS !== "off" &&
    fs.existsSync(path.join(path.dirname(options.program ?? program), "durable-streams-deliver"))
  const executable = options.program ?? program
  if (!fs.existsSync(executable))
    throw new Error(`${executable} is missing: run make test-programs first`)

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  const data = path.join(folder, "data")
  fs.mkdirSync(data)
  const database = options.database ?? path.join(data, "streams.db")
  const log = path.join(folder, "log")
  fs.writeFileSync(log, "")
  const env = {
    DS_DATABASE: database,
    DS_PROCESSES: String(processes),
    DS_LONG_POLL_TIMEOUT_MS: "500",
    DS_LOG_LEVEL: process.env.DS_LOG_LEVEL ?? "warn",
    ...options.env,
  }

  const sockets = []
  for (let i = 0; managed && i < responders; i++)
    sockets.push(
      bare ? { host: "127.0.0.1", port: await freePort() } : path.join(folder, `app-${i}.sock`)
    )
  const address = (socket) =>
    (speaks === "http" ? "http:" : "") +
    (bare ? `${socket.host}:${socket.port}` : `unix:${socket}`)
  let deliverer // where there is no supervisor
  // service managers in "activated"
  const supervisors = []
  const webServers = []
  // the supervisors themselves
  const parents = () => {
    const managers = supervisors.map((child) => child.pid)
    return responder === "activated" ? managers.flatMap(childrenOf) : managers
  }
  const logs = () => fs.readFileSync(log, "utf8")
  const recent = () => logs().slice(-3000)

  const startSupervisor = (i) => {
    const [command, ...args] =
      responder === "activated"
        ? ["perl", activate, sockets[i], executable, "--listen", "systemd"]
        : [executable, "--listen", address(sockets[i])]
    supervisors[i] = launch(command, args, {
      log,
      cwd: folder,
      env: cleanEnv({ ...env, ...options.envOf?.(i) }),
    })
  }

  const startDeliverer = () => {
    deliverer = launch(executable, ["--deliver"], {
      log,
      cwd: folder,
      env: cleanEnv({ ...env, DS_DATABASE: server.database }),
    })
  }

  const server = {
    door,
    responder,
    folder,
    database,
    sockets,
    supervisors,
    url: undefined,
    urls: [],
    logs,
    startSupervisor,

    /** Pids of the processes that answer requests; with plain CGI, of those that are answering one. */
    pids() {
      if (!managed) return programsOf(folder)
      return parents().flatMap(respondersOf)
    },

    /**
     * The resources that waiting readers hold: with plain CGI a process each, otherwise a socket
     * each, by names that are not used again.
     */
    held() {
      if (responder === "request") return new Set(server.pids())
      const names = new Set(server.pids().flatMap(socketsOf))
      if (door === "mixed")
        for (const pid of programsOf(folder)) if (!server.pids().includes(pid)) names.add(pid)
      return names
    },

    /** Sends a signal to every such process; its parent starts it again. */
    kill(signal = "SIGKILL") {
      const pids = server.pids()
      for (const pid of pids) tryKill(pid, signal)
      return pids
    },

    /**
     * Sends a signal to the supervisors themselves, waits until they and their responders have
     * ended, as a service manager does, and starts new ones. A service manager that holds the
     * socket does so by itself.
     */
    async restart(signal = "SIGTERM") {
      if (responder === "activated") {
        const before = server.pids()
        supervisors.forEach((child) => tryKill(child.pid, "SIGHUP"))
        await until(() => !before.some(isAlive) && server.pids().length > 0, "new responders")
        return []
      }
      const how = await Promise.all(supervisors.map((supervisor) => end(supervisor, signal)))
      for (const socket of sockets)
        await until(
          async () => !(await listened(socket)),
          "the responders ended with their supervisors"
        )
      supervisors.forEach((_, i) => startSupervisor(i))
      if (door !== "none") await server.ready()
      return how
    },

    /** Pids of the processes that deliver webhooks. */
    deliverers() {
      const own = deliverer ? [deliverer.pid] : []
      return [...parents().map(delivererOf).filter(Boolean), ...own]
    },

    /** Ends them; supervisors start new ones. */
    async endDeliverers(signal = "SIGTERM") {
      const before = server.deliverers()
      for (const pid of before) tryKill(pid, signal)
      await until(() => !before.some(isAlive), "the processes that deliver webhooks have ended")
    },

    /** Starts one where there is no supervisor, and waits until new ones run. */
    async awaitDeliverers() {
      if (deliverer) startDeliverer()
      const all = managed ? supervisors.length : 1
      await until(() => server.deliverers().length === all, "webhooks are delivered", {
        timeout: 30_000,
      })
    },

    /**
     * Kills the supervisors, the responders and the process that delivers, and starts new ones, if
     * no service manager does. Returns how many it has killed.
     */
    async crash() {
      const own = parents()
      const all = [...own, ...own.flatMap(childrenOf)]
      for (const pid of all) tryKill(pid, "SIGKILL")
      await until(() => !all.some(isAlive), "all have ended")
      if (responder !== "activated") {
        await Promise.all(supervisors.map(({ gone }) => gone))
        supervisors.forEach((_, i) => startSupervisor(i))
      }
      if (door !== "none") await server.ready()
      return all.length
    },

    async ready() {
      const children = [...supervisors, ...webServers.flatMap((web) => web.child ?? [])]
      if (managed)
        await until(
          () =>
            server.pids().length === supervisors.length * processes ||
            children.some((child) => child.exitCode),
          () => `all responders run\n${recent()}`
        )
      for (const url of [server.url, ...server.urls]) if (url) await answers(url, children, recent)
      // new webhooks are refused before that
      if (delivers)
        await until(
          async () =>
            (await request(server.url, "GET", "/v1/stream/__ds/jwks.json")).text.includes("kid"),
          () => `a process delivers webhooks\n${recent()}`
        )
    },

    /** Ends everything and removes the folder; throws if a process had to be killed, or on a report. */
    async stop() {
      if (server.stopped) return
      server.stopped = true
      const problems = []
      for (const supervisor of supervisors) {
        const how = await end(supervisor)
        if (how.killed) problems.push("a supervisor did not end on SIGTERM")
      }
      for (const web of webServers) if (web.child) await end(web.child)
      if (deliverer && (await end(deliverer)).killed)
        problems.push("the process that delivers webhooks did not end on SIGTERM")
      await until(() => processesNaming(folder).length === 0, "everything has ended", {
        timeout: 5000,
      }).catch(() => {
        const left = processesNaming(folder)
        problems.push(`still running: ${left.join("; ")}`)
        for (const line of left) tryKill(Number(line.split(" ")[0]), "SIGKILL")
      })
      try {
        expectNoReport(logs())
      } catch (error) {
        problems.push(error.message)
      }
      if (process.env.DS_TEST_KEEP !== "1") fs.rmSync(folder, { recursive: true, force: true })
      if (problems.length > 0) throw new Error(problems.join("\n"))
    },
  }

  try {
    sockets.forEach((_, i) => startSupervisor(i))
    if (open) {
      const given = { folder, program: executable, database, env: settings(env), log }
      if (options.options) given.options = options.options
      webServers.push(...(await open({ ...given, sockets })))
      server.url = webServers[0].url
      server.database = webServers[0].database ?? database
      if (delivers && !managed) startDeliverer()
      if (direct)
        for (const socket of sockets) {
          const [own] = await open({ ...given, sockets: [socket] })
          webServers.push(own)
          server.urls.push(own.url)
        }
    }
    await server.ready()
  } catch (error) {
    await server.stop().catch(() => {})
    throw error
  }
  return server
}

/** The variables that a web server must pass on to a program that it starts. */
const settings = (env) =>
  Object.fromEntries(
    Object.entries(cleanEnv(env)).filter(([name]) => /^DS_|SAN_OPTIONS$/.test(name))
  )

/** Throws if this log has a report of a sanitizer, with the text around the first one. */
export function expectNoReport(text) {
  const at = text.search(SANITIZER_REPORT)
  if (at >= 0)
    throw new Error(`a sanitizer reported:\n${text.slice(Math.max(0, at - 300), at + 4000)}`)
}

/**
 * The setups that the conformance suite, the table of wire cases and that of the doors run in:
 * SETUP=three|NAME OF A DOOR
 */
export function chosenSetup() {
  const name = process.env.SETUP || "nginx"
  if (name === "three")
    return { name: "three responders on one database behind nginx", options: { responders: 3 } }
  if (!doors[name]) throw new Error(`SETUP=${name}: three, or one of ${Object.keys(doors)}`)
  return { name: doors[name].server, options: { door: name } }
}
