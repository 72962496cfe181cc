// Runs the program under valgrind's callgrind, which counts instructions: the figures are exact,
// and the same on an idle machine and on a busy one.
//
// Counts are taken between two requests for /health: callgrind writes its counters down and resets
// them whenever op_health() is entered.

import { execFileSync, spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { cleanEnv, end, launch, launchListening, program, until } from "../system/harness.mjs"
import { connect, parameters } from "./fcgi.mjs"

const MARK = "op_health"

/** Callgrind takes each byte of a `rep stosb` for an instruction: have glibc use vectors. */
const VECTORS = {
  GLIBC_TUNABLES: ["stosb", "movsb"]
    .map((what) => `glibc.cpu.x86_rep_${what}_threshold=${1 << 30}`)
    .join(":"),
}

/**
 * Instructions in a file of callgrind: { all, own, functions }. own counts those of the program
 * itself, without its libraries; functions has [name, instructions], the largest first.
 */
export function readCounts(text, own = path.basename(program)) {
  const names = { ob: new Map(), fn: new Map() }
  const functions = new Map()
  const counts = { all: 0, own: 0 }
  let object = ""
  let name = ""
  let isCall = false
  // "(3) name" gives the number, "(3)" uses it; callees are numbered with the rest
  const lookUp = (map, value) => {
    const [, number, fresh] = value.match(/^\((\d+)\)(?: (.*))?$/)
    if (fresh !== undefined) map.set(number, fresh)
    return map.get(number)
  }
  for (const line of text.split("\n")) {
    const [, key, value] = line.match(/^(c?ob|c?fn|calls)=(.*)$/) ?? []
    if (key === "ob") object = lookUp(names.ob, value)
    else if (key === "fn") name = lookUp(names.fn, value)
    else if (key === "cob") lookUp(names.ob, value)
    else if (key === "cfn") lookUp(names.fn, value)
    else if (key === "calls") isCall = true
    else if (/^[-+*\d]/.test(line)) {
      // the cost of a callee is counted there
      const cost = isCall ? 0 : Number(line.split(" ")[1])
      isCall = false
      counts.all += cost
      if (path.basename(object) === own) counts.own += cost
      functions.set(name, (functions.get(name) ?? 0) + cost)
    }
  }
  return { ...counts, functions: [...functions].sort((a, b) => b[1] - a[1]) }
}

/** True when no thread of the process runs, so that all requests are done. */
function rests(pid) {
  return fs.readdirSync(`/proc/${pid}/task`).every((thread) => {
    const stat = fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1")
    return stat[stat.lastIndexOf(")") + 2] === "S"
  })
}

const valgrind = (file, ...options) => [
  "valgrind",
  "--quiet",
  "--tool=callgrind",
  `--callgrind-out-file=${file}`,
  ...options,
  program,
]

/**
 * A responder on a database in this folder: { connect, rest, mark, database, pid, stop }. With
 * `out` it runs under callgrind, whose files go to that folder: mark(name) then returns the counts
 * since the previous mark, and keeps them there as NAME.out.
 */
export async function startResponder(folder, { out, env } = {}) {
  const socket = path.join(folder, `${out ? "counted" : "plain"}.sock`)
  const database = path.join(folder, "streams.db")
  const log = path.join(folder, "log")
  const raw = out && path.join(out, "raw")
  const command = out ? valgrind(raw, `--dump-before=${MARK}`) : [program]
  const child = await launchListening(socket, command[0], command.slice(1), {
    log,
    cwd: folder,
    env: cleanEnv({ DS_DATABASE: database, DS_WORKERS: "1", ...VECTORS, ...env }),
  })
  const said = () => fs.readFileSync(log, "utf8").slice(-3000)
  let marker
  let marks = 0

  const responder = {
    database,
    pid: child.pid,
    connect: () => connect(socket),
    rest: () => until(() => rests(child.pid), "the responder rests", { timeout: 60_000, every: 1 }),
    async mark(name) {
      await responder.rest()
      await marker.request(200, "GET", "/health")
      if (!out) return undefined
      const written = `${raw}.${++marks}`
      if (!fs.existsSync(written))
        throw new Error(`callgrind wrote no ${written}: is there a function ${MARK}()?\n${said()}`)
      const text = fs.readFileSync(written, "utf8")
      fs.rmSync(written)
      if (!name) return undefined
      // callgrind_annotate would add the cost of a call that began earlier to the caller itself
      fs.writeFileSync(path.join(out, `${name}.out`), text.replace(/^calls=0 /gm, "calls=1 "))
      return readCounts(text)
    },
    async stop() {
      marker?.close()
      const how = await end(child)
      fs.rmSync(socket, { force: true })
      if (how.code !== 0)
        throw new Error(`the responder ended with ${JSON.stringify(how)}\n${said()}`)
    },
  }
  try {
    marker = await responder.connect()
    await marker.request(200, "GET", "/health")
    marks++
  } catch (error) {
    await responder.stop().catch(() => {})
    throw new Error(`${error.message}\n${said()}`, { cause: error })
  }
  return responder
}

/** One request to a CGI process of its own; with `out`, returns the cost of the whole process. */
export function runCgi(folder, status, out, method, uri, headers, body = "") {
  const [command, ...args] = out ? valgrind(out) : [program]
  const { stdout, stderr } = spawnSync(command, args, {
    input: body,
    encoding: "latin1",
    env: cleanEnv({
      DS_DATABASE: path.join(folder, "streams.db"),
      GATEWAY_INTERFACE: "CGI/1.1",
      ...VECTORS,
      ...parameters(method, uri, headers, body),
    }),
  })
  if (!stdout?.startsWith(`Status: ${status} `))
    throw new Error(`CGI ${method} ${uri}, expected ${status}: ${stdout}${stderr}`)
  return out ? readCounts(fs.readFileSync(out, "utf8")) : undefined
}

/** The report of callgrind_annotate about a file, by own cost or including callees. */
export const annotate = (file, inclusive) => {
  const options = [`--inclusive=${inclusive ? "yes" : "no"}`, "--auto=no"]
  return execFileSync("callgrind_annotate", [...options, file], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  })
}
