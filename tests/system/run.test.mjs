// `make run`, as a person at a terminal sees it.

import { afterEach, expect, test } from "vitest"
import { spawn, spawnSync } from "node:child_process"
import fs from "node:fs"
import net from "node:net"
import path from "node:path"
import {
  build,
  childrenOf,
  cleanEnv,
  cleanUp,
  freePort,
  isAlive,
  processesKnowing,
  respondersOf,
  root,
  sleep,
  sqlite,
  until,
} from "./harness.mjs"
import { client, fresh } from "./http.mjs"

const { undo, folder } = cleanUp(afterEach)

const settings = (more) => ({
  ...cleanEnv(more),
  TMPDIR: more.TMPDIR,
  B: path.relative(root, build),
})

/** Starts `make run` as the leader of a process group, as a shell does; Ctrl-C goes to the group. */
function makeRun(env) {
  const child = spawn("make", ["--no-print-directory", "run"], {
    cwd: root,
    env: settings(env),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  })
  const make = { child, out: "", err: "" }
  child.stdout.on("data", (data) => (make.out += data))
  child.stderr.on("data", (data) => (make.err += data))
  make.ended = new Promise((resolve) =>
    child.once("close", (code, signal) => resolve({ code, signal }))
  )
  undo.push(async () => {
    try {
      process.kill(-child.pid, "SIGKILL")
    } catch {
      // it has ended
    }
    await make.ended
  })
  make.said = () => `stdout:\n${make.out}\nstderr:\n${make.err}`
  return make
}

/** The values of WEB: the program speaks HTTP itself, or FastCGI behind nginx. */
const webs = ["", "nginx"]

async function started(WEB) {
  const dir = folder()
  const env = { WEB, PORT: String(await freePort()), DATA: path.join(dir, "data"), TMPDIR: dir }
  const make = makeRun({ ...env, DS_LONG_POLL_TIMEOUT_MS: "500", DS_LOG_LEVEL: "warn" })
  await until(() => make.out.includes("sqlite3 ") || make.child.exitCode !== null, make.said, {
    timeout: 60_000,
  })
  return { make, dir, env, url: `http://127.0.0.1:${env.PORT}` }
}

/** Waits until no process of it runs, and its temporary files are gone. */
async function nothingLeft(dir) {
  await until(
    () => processesKnowing(dir).length === 0,
    () => processesKnowing(dir).join("\n"),
    { timeout: 5000 }
  )
  expect(fs.readdirSync(dir).filter((name) => name !== "data")).toEqual([])
}

/** The shell line of this name that make run printed. */
const line = (out, name) => out.match(new RegExp(`^${name} +(.*)$`, "m"))[1]

const shell = (command) =>
  spawnSync("sh", ["-c", command], { encoding: "utf8", timeout: 20_000, cwd: root })

test.each(webs)("WEB=%s serves, and every command that it prints works", { timeout: 120_000 }, async (web) => {
  const { make, dir, env, url } = await started(web)
  expect(make.out, make.said()).toContain(url)
  expect(make.out).toContain(path.join(env.DATA, "streams.db"))
  expect(make.err).toBe("")

  expect(shell(line(make.out, "create")).stdout).toMatch(/^HTTP\/1.1 201 /)
  expect(shell(line(make.out, "append")).stdout).toMatch(/^HTTP\/1.1 204 /)
  const tail = shell(`timeout 2 ${line(make.out, "tail")}`)
  expect(tail.stdout).toContain("hello, world")
  const look = shell(line(make.out, "look"))
  expect(look.stdout, look.stderr).toContain("/v1/stream/hello")

  // settings pass through
  const waiting = await client(url).get("/v1/stream/hello?offset=now&live=long-poll")
  expect(waiting.status, make.said()).toBe(204)
  expect(waiting.ms).toBeLessThan(5000)

  process.kill(-make.child.pid, "SIGINT") // Ctrl-C
  await make.ended
  await nothingLeft(dir)
  expect(await sqlite(path.join(env.DATA, "streams.db"), "PRAGMA integrity_check")).toBe("ok")
})

test.each(webs)("WEB=%s: SIGTERM to make ends server and readers cleanly", { timeout: 120_000 }, async (web) => {
  const { make, dir, url } = await started(web)
  const api = client(url)
  const name = fresh()
  await api.create(name)
  const reader = await api.sse(`${name}?offset=now&live=sse`)
  await reader.waitFor((event) => event.control)
  process.kill(make.child.pid, "SIGTERM")
  await make.ended
  expect(await reader.ended).toEqual({ complete: true })
  await nothingLeft(dir)
})

test(
  "a killed responder is started again; without nginx or supervisor everything ends",
  { timeout: 120_000 },
  async () => {
    for (const [web, victim] of [
      ["", "supervisor"],
      ["nginx", "supervisor"],
      ["nginx", "nginx"],
    ]) {
      const { make, dir, url } = await started(web)
      const processes = processesKnowing(dir)
      const pid = (test) => Number(processes.find(test)?.split(" ")[0])
      const supervisor = pid((text) => text.includes("--listen"))
      const nginx = pid((text) => text.includes("nginx: master"))
      expect(supervisor, processes.join("\n")).toBeTruthy()
      expect(Boolean(nginx), processes.join("\n")).toBe(web === "nginx")

      const [responder] = respondersOf(supervisor)
      process.kill(responder, "SIGKILL")
      await until(
        () => !isAlive(responder) && respondersOf(supervisor).length === 1,
        "a new responder"
      )
      expect((await client(url).get("/health")).status).toBe(200)

      process.kill(victim === "nginx" ? nginx : supervisor, "SIGKILL")
      const { code } = await make.ended
      expect(code, make.said()).not.toBe(0)
      await nothingLeft(dir)
    }
  }
)

const refusals = [
  [
    "a taken port",
    async () => {
      const holder = net.createServer()
      await new Promise((resolve) => holder.listen(0, "127.0.0.1", resolve))
      undo.push(() => new Promise((resolve) => holder.close(resolve)))
      return { PORT: String(holder.address().port) }
    },
    /: port \d+ on 127\.0\.0\.1 is taken|: cannot listen on http:127\.0\.0\.1:\d+: Address already in use/,
  ],
  [
    "a folder that cannot be written",
    async (dir) => {
      fs.writeFileSync(path.join(dir, "file"), "")
      return { DATA: path.join(dir, "file", "data") }
    },
    /cannot write/,
  ],
  ["a port that is no number", async () => ({ PORT: "http" }), /not a number/],
  ["a port that is none", async () => ({ PORT: "70000" }), /between 1 and 65535/],
  ["a web server that is none", async () => ({ WEB: "caddy" }), /WEB=caddy is neither nginx nor empty/],
  ["a setting that is wrong", async () => ({ DS_WORKERS: "many" }), /DS_WORKERS/],
]

test.each(webs.flatMap((web) => refusals.map((refusal) => [web, ...refusal])))(
  "WEB=%s, %s: status 1 and one clear line",
  { timeout: 60_000 },
  async (WEB, _, prepare, reason) => {
    const dir = folder()
    const env = {
      WEB,
      PORT: String(await freePort()),
      DATA: path.join(dir, "data"),
      TMPDIR: dir,
      ...(await prepare(dir)),
    }
    // runs the script itself, because make adds a line about the status
    const { status, stdout, stderr } = spawnSync("sh", [path.join(root, "deploy/run.sh")], {
      cwd: root,
      env: settings(env),
      encoding: "utf8",
      timeout: 30_000,
    })
    expect(stderr).toMatch(reason)
    expect(stderr).toMatch(/^[^\n]+\n$/)
    expect(stdout).toBe("")
    expect(status).toBe(1)
    await nothingLeft(dir).catch((error) => {
      if (!fs.existsSync(path.join(dir, "file"))) throw error
    })
  }
)

test("a program that was not built is named: status 1 and one line", async () => {
  const dir = folder()
  const env = {
    ...settings({ PORT: String(await freePort()), DATA: dir, TMPDIR: dir }),
    B: "build/none",
  }
  const { status, stderr } = spawnSync("sh", [path.join(root, "deploy/run.sh")], {
    env,
    encoding: "utf8",
  })
  expect(stderr).toMatch(/^[^\n]*build\/none\/durable-streams.fcgi is missing[^\n]*\n$/)
  expect(status).toBe(1)
})

/** The script itself, with standard output in a pipe of ours, in a folder of its own for TMPDIR. */
function runScript(shell, { TMPDIR, ...env }) {
  const child = spawn("sh", ["-c", shell, "sh", path.join(root, "deploy/run.sh")], {
    cwd: TMPDIR,
    env: settings({ DS_LOG_LEVEL: "warn", DATA: path.join(TMPDIR, "data"), PORT: "0", ...env, TMPDIR }),
    stdio: ["ignore", "pipe", "pipe"],
  })
  const run = { child, out: "", err: "" }
  child.stdout.on("data", (data) => (run.out += data))
  child.stderr.on("data", (data) => (run.err += data))
  run.said = () => `${run.out}\n${run.err}`
  run.ended = new Promise((resolve) => child.once("close", (code) => resolve(code)))
  undo.push(() => {
    for (const line of processesKnowing(TMPDIR)) process.kill(Number(line.split(" ")[0]), "SIGKILL")
  })
  return run
}

const odd = "R&D a|b \"c\" \\d $e; {f} 'g' #h"
const long = "deep".repeat(40)
test.each([
  ["odd characters", "", odd, true],
  ["odd characters", "nginx", odd, true],
  ["a name too long for a socket", "", long, true],
  ["a name too long for a socket", "nginx", long, false],
])("a TMPDIR with %s, WEB=%s", { timeout: 60_000 }, async (_, WEB, name, isUsed) => {
  const dir = path.join(folder(), name)
  fs.mkdirSync(dir)
  const run = runScript('exec sh "$1" --print-url --temporary', { WEB, TMPDIR: dir })
  await until(() => run.out.includes("\n") || run.child.exitCode !== null, run.said, { timeout: 30_000 })
  const api = client(run.out.trim())
  expect((await api.create(fresh())).status, run.said()).toBe(201)
  expect(fs.readdirSync(dir).length > 0).toBe(isUsed)
  run.child.kill("SIGTERM")
  expect(await run.ended).toBe(0)
  await nothingLeft(dir)
})

test("everything ends when the reader of its output goes away", { timeout: 60_000 }, async () => {
  for (const WEB of webs)
    for (const shell of ['sh "$1" 2>&1 | head -n 1', 'sh "$1" --print-url 2>&1 | true']) {
      const dir = folder()
      const run = runScript(shell, { WEB, TMPDIR: dir, DS_LOG_LEVEL: "info" })
      await run.ended
      await nothingLeft(dir)
    }
})

test("SIGTERM at any moment of the start ends everything soon", { timeout: 30_000 }, async () => {
  for (const delay of [1, 4, 7, 10, 13, 16, 20, 30, 50]) {
    const dir = folder()
    const run = runScript('exec sh "$1" --print-url --temporary', { TMPDIR: dir })
    await sleep(delay)
    run.child.kill("SIGTERM")
    await run.ended
    await nothingLeft(dir)
  }
})

test("needs no web server, and nothing that a small system lacks", { timeout: 60_000 }, async () => {
  const dir = folder()
  const bin = path.join(dir, "data") // which nothingLeft() expects
  fs.mkdirSync(bin)
  for (const name of ["cat", "mkdir", "mkfifo", "mktemp", "rm", "sed", "sh", "sleep"])
    fs.symlinkSync(shell(`command -v ${name}`).stdout.trim(), path.join(bin, name))
  const run = runScript('exec sh "$1" --temporary', { TMPDIR: dir, PATH: bin })
  await until(() => run.out.includes("sqlite3 ") || run.child.exitCode !== null, run.said, { timeout: 30_000 })
  const [url] = run.out.match(/http:\S+/) ?? []
  expect((await client(url).get("/health")).status, run.said()).toBe(200)
  run.child.kill("SIGTERM")
  expect(await run.ended, run.said()).toBe(0)
  await nothingLeft(dir)
})

test.each(webs)("WEB=%s, closed standard descriptors: no file is opened under their numbers", { timeout: 60_000 }, async (WEB) => {
  const dir = folder()
  const run = runScript('exec sh "$1" --print-url <&- 2>&-', { WEB, TMPDIR: dir })
  await until(() => run.out.includes("\n") || run.child.exitCode !== null, run.said, { timeout: 30_000 })
  expect((await client(run.out.trim()).create(fresh())).status, run.said()).toBe(201)
  const pids = processesKnowing(dir).map((line) => Number(line.split(" ")[0]))
  const workers = pids.flatMap(childrenOf).filter((pid) => !pids.includes(pid))
  for (const pid of [...pids, ...workers])
    for (const fd of [0, 1, 2])
      // a pipe, or of 0 the socket that FastCGI has there
      expect(fs.readlinkSync(`/proc/${pid}/fd/${fd}`)).not.toMatch(/^\/(?!dev\/null$)/)
  expect(pids.length).toBeGreaterThan(1)
  run.child.kill("SIGTERM")
  expect(await run.ended).toBe(0)
  await nothingLeft(dir)
})

test.each(["run", "nginx"])("packages.sh %s says nothing when nothing is missing", (target) => {
  const { status, stdout, stderr } = spawnSync(
    "sh",
    [path.join(root, "deploy/packages.sh"), target],
    {
      encoding: "utf8",
    }
  )
  expect([status, stdout, stderr]).toEqual([0, "", ""])
  expect(spawnSync("sh", [path.join(root, "deploy/packages.sh")]).status).toBe(2)
})

test("packages.sh deb names all packages that dpkg-buildpackage asks for", () => {
  const { stdout } = spawnSync(
    "sh",
    ["-c", `eval "$(sed -n '/^build=/,/^lint=/p' deploy/packages.sh)"; echo $deb`],
    { cwd: root, encoding: "utf8" }
  )
  const named = stdout.trim().split(/\s+/).map((word) => word.split(":")[0])
  const control = fs.readFileSync(path.join(root, "deploy/debian/control"), "utf8")
  const asked = control
    .match(/^Build-Depends:([^]*?)^\S/m)[1]
    .split(",")
    .map((need) => need.trim().split(/[ (]/)[0].replace("debhelper-compat", "debhelper"))
    .filter((need) => !need.startsWith("dh-sequence-"))
  expect(asked.length).toBeGreaterThan(5)
  // dpkg-buildpackage always asks for the last one
  for (const need of [...asked, "build-essential"]) expect(named).toContain(need)
})
