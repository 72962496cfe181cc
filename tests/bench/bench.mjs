// The benchmark: `make bench`, or parts of it:
//
//   node tests/bench/bench.mjs [--quick] [--json] [--rounds N] [--seconds S] [--plot FILE]
//                              [--scale F] [--subscriptions F] [--doors] [WORKLOAD…]
//
// All servers run at once and take turns, round after round, so that a noisy machine slows all of
// them alike. Figures are medians of the rounds with their spread (least to most). Ratios come
// first, because absolute figures of a shared machine mean little. One unexpected answer, one failed
// request, or one message that is not there once and whole when everything is read back fails the
// run.
//
// --scale takes the rows of scale.mjs instead of those of workloads.mjs. F is their size: 1 is the
// full size, 0.01 takes a hundred thousand messages instead of ten million, to try them out.
// --subscriptions does the same with the rows of subscriptions.mjs, and --doors takes those of doors.mjs. A
// WORKLOAD may be of any file. --plot draws the rows that plot.mjs knows.
// build/bench/result.json keeps the figures.

import { execFile, execFileSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { build, root, usage } from "../system/harness.mjs"
import { doors } from "./doors.mjs"
import { goals } from "./goals.mjs"
import { plot } from "./plot.mjs"
import { scale } from "./scale.mjs"
import { servers } from "./servers.mjs"
import { subscriptions } from "./subscriptions.mjs"
import { workloads } from "./workloads.mjs"

const argv = process.argv.slice(2)
const flag = (name) => argv.includes(`--${name}`) && argv.splice(argv.indexOf(`--${name}`), 1)
const option = (name, preset) => {
  const at = argv.indexOf(`--${name}`)
  return at < 0 ? preset : argv.splice(at, 2)[1]
}
const quick = Boolean(flag("quick"))
const json = Boolean(flag("json"))
const rounds = Number(option("rounds", 3))
const seconds = Number(option("seconds", quick ? 0.6 : 3))
const byDoor = Boolean(flag("doors"))
const drawing = option("plot")
const factor = option("scale")
const subscribed = option("subscriptions")
const preset = factor
  ? scale(Number(factor))
  : subscribed
    ? subscriptions(Number(subscribed))
    : byDoor
      ? doors
      : workloads
const named = (row) => argv.some((name) => row.name.startsWith(name))
const chosen = (
  argv.length > 0
    ? [
        ...workloads,
        ...scale(Number(factor ?? 1)),
        ...subscriptions(Number(subscribed ?? 1)),
        ...doors,
      ].filter(named)
    : preset
).filter((row) => !quick || row.quick)

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "load-"))

/** Runs a program to its end and returns its output. Throws with its errors if it failed. */
const run = (program, words) =>
  new Promise((resolve, reject) =>
    execFile(program, words.map(String), (error, out, err) =>
      error
        ? reject(
            new Error(
              `${path.basename(program)} ${words.join(" ")}: ${err || error.message}\n${out}`
            )
          )
        : resolve(out)
    )
  )

const load = async (words) => JSON.parse(await run(path.join(build, "bench/load"), words))

/** Runs wrk, and throws on errors that wrk itself ignores: bad statuses and broken connections. */
async function wrk(words) {
  const out = await run("wrk", ["--latency", ...words])
  const bad = out.match(/(Non-2xx|Socket errors).*/) ?? out.match(/^ +0 requests .*/m)
  if (bad) throw new Error(`wrk ${words.join(" ")}: ${bad[0]}`)
  const us = (share) => {
    const [, value, unit] = out.match(new RegExp(`${share}% +([\\d.]+)(us|ms|s)`))
    return Number(value) * { us: 1, ms: 1000, s: 1e6 }[unit]
  }
  return {
    per_second: Number(out.match(/Requests\/sec: +([\d.]+)/)[1]),
    latency: { p50_us: us(50), p90_us: us(90), p99_us: us(99) },
  }
}

const least = (values) => Math.min(...values)
const most = (values) => Math.max(...values)
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const spread = (values) => ({ median: median(values), least: least(values), most: most(values) })

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

/**
 * Microseconds in which this disk makes a page durable, one page after the other. It overwrites
 * existing pages, as a write-ahead log does after its first turn.
 */
function fdatasync() {
  const page = Buffer.alloc(4096)
  const pages = 256
  const file = path.join(scratch, "fdatasync")
  if (!fs.existsSync(file))
    fs.writeFileSync(file, Buffer.alloc(pages * page.length), { flush: true })
  const fd = fs.openSync(file, "r+")
  const times = []
  const end = performance.now() + 50
  do {
    const began = performance.now()
    fs.writeSync(fd, page, 0, page.length, (times.length % pages) * page.length)
    fs.fdatasyncSync(fd)
    times.push((performance.now() - began) * 1000)
  } while (performance.now() < end)
  fs.closeSync(fd)
  return median(times)
}

/** Measures one workload at all its servers, and the disk in each round. */
async function measure(row, running) {
  const figures = Object.fromEntries(row.servers.map((name) => [name, []]))
  const disk = []
  const at = async (name, call) => {
    const ledger = (of) => path.join(scratch, `${name}${of}`.replaceAll("/", "-"))
    const context = { server: running[name], name, load, wrk, seconds, quick, ledger }
    try {
      return await call?.(context)
    } catch (error) {
      throw new Error(`${row.name}, ${name}: ${error.message}`, { cause: error })
    }
  }
  for (const name of row.servers) await at(name, row.prepare)
  for (let round = 0; round < (row.rounds ?? rounds); round++) {
    disk.push(fdatasync())
    for (const name of row.servers) figures[name].push(await at(name, row.run))
  }
  for (const name of row.servers) await at(name, row.check)
  return {
    name: row.name,
    id: row.id,
    unit: row.unit,
    base: row.base,
    fdatasync_us: spread(disk),
    results: Object.fromEntries(
      Object.entries(figures).map(([name, rounds]) => {
        const values = spread(rounds.map((figure) => figure.value))
        const of = (percentile) => median(rounds.map((figure) => figure.latency[percentile]))
        return [
          name,
          {
            title: (row.own ?? servers)[name].title,
            ...values,
            ...(rounds[0].latency && { p50_us: of("p50_us"), p99_us: of("p99_us") }),
            detail: rounds.find((figure) => figure.value === values.median),
          },
        ]
      })
    ),
  }
}

function print({ name, unit, base, results }) {
  const one = typeof base === "number" ? base : (results[base] ?? Object.values(results)[0]).median
  console.log(`\n${name}   (${unit})`)
  for (const { title, median, least, most, detail } of Object.values(results)) {
    const ratio = (median / one).toFixed(2).padStart(6)
    const range = least === most ? "" : `   (${format(least)} … ${format(most)})`
    const note = detail.note ? `   ${detail.note}` : ""
    console.log(`  ${title.padEnd(26)} ${ratio} ×   ${format(median).padStart(8)}${range}${note}`)
  }
}

const loadAverage = () => os.loadavg().map((value) => value.toFixed(2))

function machine() {
  const said = (pattern, command, ...words) => {
    try {
      const out = execFileSync("sh", ["-c", '"$@" 2>&1 || :', "sh", command, ...words], {
        encoding: "utf8",
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
      })
      return out.match(pattern)[1]
    } catch {
      return "?"
    }
  }
  const reference = path.join(root, "tests/node_modules/@durable-streams/server/package.json")
  const changed = said(/^([^]*)$/, "git", "-C", root, "status", "--porcelain", "-uno") !== ""
  return {
    commit:
      said(/(.*)/, "git", "-C", root, "rev-parse", "--short", "HEAD") +
      (changed ? ", changed" : ""),
    date: new Date().toISOString().slice(0, 10),
    kernel: `${os.type()} ${os.release()}`,
    cpus: `${os.cpus().length} × ${os.cpus()[0]?.model}`,
    nginx: said(/nginx\/(\S+)/, "nginx", "-v"),
    sqlite: said(/^(\S+)/, "sqlite3", "--version"),
    gcc: said(/(.*)/, "cc", "--version"),
    node: process.version,
    reference: fs.existsSync(reference)
      ? JSON.parse(fs.readFileSync(reference, "utf8")).version
      : "?",
    wrk: said(/^wrk (\S+)/, "wrk", "-v"),
    load_before: loadAverage(),
  }
}

const names = new Set(chosen.flatMap((row) => (row.own ? [] : row.servers)))
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

/** The servers of a workload; those of its group are started with the first row of the group. */
async function serversOf(row) {
  if (!row.own) return running
  if (row.own !== group) {
    await stop(own)
    group = row.own
    for (const [name, server] of Object.entries(group)) own[name] = await server.start()
  }
  return own
}

try {
  for (const name of names) running[name] = await servers[name].start()
  for (const row of chosen) {
    const measured = await measure(row, await serversOf(row))
    report.workloads.push(measured)
    if (!json) print(measured)
  }
  report.load_after = loadAverage()
  for (const name of names)
    if (name.startsWith("ours"))
      report[`${name}_rss_kib`] = running[name].pids().map((pid) => usage(pid).rssKiB)
} catch (error) {
  console.error(`\nbench: ${error.message}`)
  process.exitCode = 1
} finally {
  await stop(own)
  await stop(running)
}

if (!process.exitCode) {
  const disk = report.workloads.map((row) => row.fdatasync_us.median)
  report.fdatasync_us = spread(disk)
  report.goals = goals(report)
  fs.writeFileSync(path.join(build, "bench/result.json"), `${JSON.stringify(report, null, 2)}\n`)
  if (drawing) fs.writeFileSync(drawing, plot(report))
  if (json) console.log(JSON.stringify(report, null, 2))
  else conclude()
}

function conclude() {
  if (report.goals.length > 0) console.log("\ngoals")
  for (const { goal, wanted, got, reached } of report.goals)
    console.log(`  ${reached ? "yes" : "NO "}  ${goal.padEnd(68)} ${wanted.padEnd(20)} ${got}`)
  console.log()
  const { workloads: _, goals: __, fdatasync_us: disk, ...rest } = report
  const { median, least, most } = disk
  console.log(
    `fdatasync: ${Math.round(1e6 / median)}/s, ${Math.round(median)} µs (${Math.round(least)} … ${Math.round(most)})`
  )
  for (const [name, value] of Object.entries(rest))
    console.log(`${name}: ${Array.isArray(value) ? value.join(" ") : value}`)
}
