// The benchmark: `make bench`, or parts of it:
//
//   node tests/bench/bench.mjs [--quick] [--json] [--rounds N] [--seconds S] [--scale F] [WORKLOAD…]
//
// All servers run at once and take turns, round after round, so that a noisy machine hurts all
// alike; figures are medians of the rounds with their spread (least to most). Ratios come first:
// absolute figures of a shared machine mean little. A single answer that was not expected, a failed
// request, or a message that is missing when everything is read back fails the run. --scale shrinks
// the rows of scale.mjs, to try them: 0.01 takes ten million messages for a hundred thousand.

import { execFile, execFileSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { build, root, usage } from "../system/harness.mjs"
import { scale } from "./scale.mjs"
import { servers } from "./servers.mjs"
import { workloads } from "./workloads.mjs"

const argv = process.argv.slice(2)
const flag = (name) => argv.includes(`--${name}`) && argv.splice(argv.indexOf(`--${name}`), 1)
const option = (name, preset) => {
  const at = argv.indexOf(`--${name}`)
  return at < 0 ? preset : Number(argv.splice(at, 2)[1])
}
const quick = Boolean(flag("quick"))
const json = Boolean(flag("json"))
const rounds = option("rounds", quick ? 3 : 5)
const seconds = option("seconds", quick ? 1 : 3)
const rows = [...workloads, ...scale(option("scale", 1))]

/** Runs the load generator; its line of JSON. Throws when something was lost or refused. */
const load = (args) =>
  new Promise((resolve, reject) =>
    execFile(path.join(build, "bench/load"), args.map(String), (error, out, err) => {
      if (error) reject(new Error(`load ${args.join(" ")}: ${err || error.message}\n${out}`))
      else resolve(JSON.parse(out))
    })
  )

/** How often a second this disk makes 256 bytes durable, one after the other. */
function fdatasyncRate(folder) {
  const file = path.join(folder, `fsync-${process.pid}`)
  const fd = fs.openSync(file, "w")
  const page = Buffer.alloc(4096)
  const start = process.hrtime.bigint()
  let n = 0
  let spent = 0
  do {
    fs.writeSync(fd, page)
    fs.fdatasyncSync(fd)
    n++
    spent = Number(process.hrtime.bigint() - start) / 1e9
  } while (spent < 0.5)
  fs.closeSync(fd)
  fs.unlinkSync(file)
  return n / spent
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const format = (value) =>
  value >= 1e9
    ? `${(value / 1e9).toFixed(2)} G`
    : value >= 1e6
      ? `${(value / 1e6).toFixed(1)} M`
      : value >= 10000
        ? `${Math.round(value / 1000)} k`
        : value >= 100
          ? String(Math.round(value))
          : value.toPrecision(2)

/** One workload at all its servers: { server: { median, least, most, detail } }. */
async function measure(workload, running) {
  const results = {}
  const context = (name) => ({ server: running[name], name, load, seconds, quick })
  for (const name of workload.servers) await workload.prepare?.(context(name))
  for (let round = 0; round < (workload.rounds ?? rounds); round++)
    for (const name of workload.servers) {
      const figure = await workload.run(context(name))
      ;(results[name] ??= []).push(figure)
    }
  for (const name of workload.servers) await workload.check?.(context(name), results[name])
  return Object.fromEntries(
    Object.entries(results).map(([name, figures]) => {
      const values = figures.map((figure) => figure.value)
      const at = figures.find((figure) => figure.value === median(values))
      return [
        name,
        {
          median: median(values),
          least: Math.min(...values),
          most: Math.max(...values),
          detail: at,
        },
      ]
    })
  )
}

function machine() {
  const version = (command, ...args) => {
    try {
      return execFileSync(command, args, {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      }).trim()
    } catch {
      return "?"
    }
  }
  return {
    commit: version("git", "-C", root, "rev-parse", "--short", "HEAD"),
    kernel: `${os.type()} ${os.release()}`,
    cpus: `${os.cpus().length} × ${os.cpus()[0]?.model}`,
    load: os.loadavg().map((value) => value.toFixed(2)),
    node: process.version,
    sqlite: version("sqlite3", "--version").split(" ")[0],
    fdatasync_per_second: Math.round(fdatasyncRate(os.tmpdir())),
  }
}

const chosen = rows.filter(
  (workload) =>
    (!quick || workload.quick) &&
    (argv.length === 0 || argv.some((name) => workload.name.startsWith(name)))
)
const names = new Set(chosen.flatMap((workload) => (workload.own ? [] : workload.servers)))
const running = {}
let own = {} // the servers of the group of rows that are being measured
let group
const report = { ...machine(), rounds, seconds, workloads: [] }

async function stop(servers) {
  for (const name of Object.keys(servers)) {
    const server = servers[name]
    delete servers[name]
    await server.stop()
  }
}

/** The servers of a workload: those of its group are started with its first row. */
async function serversOf(workload) {
  if (!workload.own) return running
  if (workload.own !== group) {
    await stop(own)
    group = workload.own
    for (const [name, server] of Object.entries(group)) own[name] = await server.start()
  }
  return own
}

try {
  for (const name of names) running[name] = await servers[name].start()
  for (const workload of chosen) {
    const results = await measure(workload, await serversOf(workload))
    report.workloads.push({ name: workload.name, unit: workload.unit, base: workload.base, results })
    if (json) continue
    const base =
      typeof workload.base === "number"
        ? { median: workload.base }
        : results[workload.base ?? workload.servers[0]]
    console.log(`\n${workload.name}   (${workload.unit})`)
    for (const [name, result] of Object.entries(results)) {
      const ratio = result.median / base.median
      const spread = `${format(result.least)} … ${format(result.most)}`
      const extra = result.detail.note ? `   ${result.detail.note}` : ""
      console.log(
        `  ${(workload.own ?? servers)[name].title.padEnd(26)} ${ratio.toFixed(2).padStart(6)} ×   ${format(result.median).padStart(8)}   (${spread})${extra}`
      )
    }
  }
  report.load_after = os.loadavg().map((value) => value.toFixed(2))
  for (const name of names)
    if (name.startsWith("ours"))
      report[`${name}_rss_kib`] = running[name].pids().map((pid) => usage(pid).rssKiB)
} finally {
  await stop(own)
  await stop(running)
}

if (json) console.log(JSON.stringify(report, null, 2))
else {
  console.log()
  for (const [name, value] of Object.entries(report))
    if (name !== "workloads")
      console.log(`${name}: ${Array.isArray(value) ? value.join(" ") : value}`)
}
