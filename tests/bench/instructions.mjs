// Instructions for each request: `make callgrind`, and `make test` by
// tests/system/instructions.test.mjs.
//
//   node tests/bench/instructions.mjs [--update REASON]
//
// Each row is counted in the responder only, with one worker and one request at a time, so that two
// runs differ by less than a hundredth. instructions.tsv has the agreed figures; a row that grows
// by more than a tenth fails the test until the table is updated with a reason. Instructions of the
// kernel do not count.
//
// To add a row: in `rows` or `cgiRows`, then `make callgrind UPDATE='a new row'`.

import { execFileSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { build, program, sleep, sqlite } from "../system/harness.mjs"
import { annotate, runCgi, startResponder } from "./callgrind.mjs"

const tableFile = fileURLToPath(new URL("instructions.tsv", import.meta.url))
export const folder = path.join(build, "callgrind")

/** A row that grows by more fails; one that shrinks by more is reported. */
export const LIMIT = 0.1
/** In an update, a row that changed by less keeps its figure and its reason. */
const SETTLED = 0.02

const BINARY = { "content-type": "application/octet-stream" }
const JSON_TYPE = { "content-type": "application/json" }
const MESSAGE = "m".repeat(256)
const BATCH = JSON.stringify(
  Array.from({ length: 100 }, (_, i) => ({ n: i, text: "x".repeat(80) }))
)
const STREAMS = 10_000
const READERS = 100

const url = (name) => `/v1/stream/${name}`

// ----------------------------------------------------------------------------------- requests

const append = (api, name) => api.request(204, "POST", url(name), BINARY, MESSAGE)

/** Readers that wait at the tail of a stream, after their first control event. */
async function sseReaders(responder, name, n) {
  const heard = (events) => (text) => text.split("event: control").length > events
  const readers = []
  for (let i = 0; i < n; i++) {
    const connection = await responder.connect()
    const answer = connection.begin("GET", `${url(name)}?offset=now&live=sse`)
    await answer.until(heard(1))
    readers.push({ connection, answer })
  }
  let events = 1
  return {
    next() {
      events++
      return Promise.all(readers.map(({ answer }) => answer.until(heard(events))))
    },
    close: () => readers.forEach(({ connection }) => connection.close()),
  }
}

/** Appends to a stream, and waits each time until all readers have the message. */
const deliveries = (name, readers) => ({
  prepare: ({ responder }) => sseReaders(responder, name, readers),
  async once({ api, made, responder }) {
    await append(api, name)
    await made.next()
    await responder.rest()
  },
})

/**
 * Each row: `turns` calls of once(context, i) are counted, after WARM calls that are not. A call is
 * one request, or `per` requests. prepare(context) runs first; its result is context.made. Of several
 * `rounds`, the cheapest counts, because the desk also checks the streams of waiting readers once a
 * second.
 */
export const rows = {
  append: { turns: 200, once: ({ api }) => append(api, "one") },
  "append-streams": {
    turns: 200,
    once: ({ api }, i) => append(api, `many-${(i * 7919) % STREAMS}`),
  },
  "append-producer": {
    turns: 150,
    once: ({ api }, i) =>
      api.request(
        200,
        "POST",
        url("producer"),
        { ...BINARY, "producer-id": "writer-1", "producer-epoch": "0", "producer-seq": String(i) },
        MESSAGE
      ),
  },
  "append-json-100": {
    turns: 20,
    once: ({ api }) => api.request(204, "POST", url("json"), JSON_TYPE, BATCH),
  },
  read: {
    turns: 400,
    once: ({ api }) => api.request(200, "GET", `${url("ten")}?offset=-1`),
  },
  "not-modified": {
    turns: 500,
    async prepare({ api }) {
      const tail = `${url("ten")}?offset=0000000000000000_0000000000002560`
      const answer = await api.request(200, "GET", tail)
      return { tail, etag: answer.match(/^ETag: (.*)\r$/m)[1] }
    },
    once: ({ api, made }) => api.request(304, "GET", made.tail, { "if-none-match": made.etag }),
  },
  head: { turns: 500, once: ({ api }) => api.request(200, "HEAD", url("ten")) },
  // an append and its delivery
  "sse-1": { turns: 10, rounds: 10, ...deliveries("sse-1", 1) },
  // an append and 100 deliveries, for each delivery
  "sse-100": { turns: 6, rounds: 8, per: READERS, ...deliveries("sse-100", READERS) },
  // a request that waits, an append, the answer
  "long-poll": {
    turns: 10,
    rounds: 10,
    async prepare({ responder }) {
      const connection = await responder.connect()
      return { connection, close: () => connection.close() }
    },
    async once({ api, made, responder }) {
      const uri = `${url("poll")}?offset=now&live=long-poll`
      const answer = made.connection.begin("GET", uri)
      await responder.rest()
      await append(api, "poll")
      const text = await answer.whole()
      if (!text.startsWith("Status: 200 ")) throw new Error(`long-poll: ${text}`)
      await responder.rest()
    },
  },
}

const WARM = 20

/** Rows with a process for each request, from its first instruction to its last. */
export const cgiRows = {
  "cgi-append": (own, out) => runCgi(own, 204, out, "POST", url("cgi"), BINARY, MESSAGE),
  "cgi-read": (own, out) => runCgi(own, 200, out, "GET", `${url("cgi")}?offset=-1`),
}

// ----------------------------------------------------------------------------------- counting

/** Creates the streams that the rows use. */
async function fill(responder) {
  const connections = await Promise.all(Array.from({ length: 32 }, () => responder.connect()))
  const [api] = connections
  for (const name of ["one", "producer", "ten", "sse-1", "sse-100", "poll"])
    await api.request(201, "PUT", url(name), BINARY)
  await api.request(201, "PUT", url("json"), JSON_TYPE)
  for (let i = 0; i < 10; i++) await append(api, "ten")
  await Promise.all(
    connections.map(async (connection, first) => {
      for (let i = first; i < STREAMS; i += connections.length)
        await connection.request(201, "PUT", url(`many-${i}`), BINARY)
    })
  )
  connections.forEach((connection) => connection.close())
}

const cheapest = (counts) => counts.reduce((a, b) => (b.all < a.all ? b : a))

/** The cost of marking the end of a round. */
async function countMark(responder) {
  const counts = []
  for (let i = 0; i < 5; i++) counts.push(await responder.mark("mark"))
  return cheapest(counts)
}

async function countRow(responder, name, mark) {
  const { turns, rounds = 1, per = 1, prepare, once } = rows[name]
  const api = await responder.connect()
  const context = { responder, api }
  const counts = []
  let i = 0
  context.made = await prepare?.(context)
  // the longer the log, the more it costs to find a page in it
  await sqlite(responder.database, "PRAGMA wal_checkpoint(TRUNCATE)")
  while (i < WARM) await once(context, i++)
  await responder.mark()
  for (let round = 1; round <= rounds; round++) {
    while (i < WARM + round * turns) await once(context, i++)
    counts.push(await responder.mark(name))
  }
  context.made?.close?.()
  api.close()
  await responder.rest()
  const { own, all, functions } = cheapest(counts)
  const each = (count) => Math.round(count / turns / per)
  return {
    own: each(own - mark.own),
    all: each(all - mark.all),
    functions: functions.slice(0, 100).map(([what, count]) => [what, each(count)]),
  }
}

async function countCgi(own, name) {
  const out = path.join(folder, `${name}.out`)
  // this includes the upkeep of once a second
  await sleep(1100)
  return cgiRows[name](own, out)
}

/** Counts all rows, or the named ones: { name: { own, all, functions } }; raw files go to `folder`. */
export async function count(names = [...Object.keys(rows), ...Object.keys(cgiRows)]) {
  const own = fs.mkdtempSync(path.join(os.tmpdir(), "ds-callgrind-"))
  const counts = {}
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  const started = []
  const start = async (options) => {
    const responder = await startResponder(own, options)
    started.push(responder)
    return responder
  }
  try {
    // This responder runs at full speed, and does the duties of once a second for all processes. So
    // the counted one does none of them, and no checkpoint.
    const env = { DS_DURABILITY: "normal", DS_CHECKPOINT: "off" }
    await fill(await start({ env }))
    const counted = await start({ out: folder, env: { DS_CHECKPOINT: "off" } })
    const mark = await countMark(counted)
    for (const name of names) if (rows[name]) counts[name] = await countRow(counted, name, mark)
    const apart = path.join(own, "cgi")
    fs.mkdirSync(apart)
    runCgi(apart, 201, undefined, "PUT", url("cgi"), BINARY, MESSAGE)
    for (const name of names) if (cgiRows[name]) counts[name] = await countCgi(apart, name)
  } finally {
    for (const responder of started.reverse()) await responder.stop()
    fs.rmSync(own, { recursive: true, force: true })
  }
  return counts
}

// -------------------------------------------------------------------------------------- table

/** The versions of everything besides the sources that the figures depend on. */
export function versions() {
  const debug = execFileSync("readelf", ["--debug-dump=info", "--dwarf-depth=1", program], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  })
  return {
    compiler: debug.match(/DW_AT_producer.*?: (GNU C.*|clang.*)$/m)?.[1].trim() ?? "unknown",
    sqlite: execFileSync("sqlite3", ["--version"], { encoding: "utf8" }).split(" ")[0],
    libc: process.report.getReport().header.glibcVersionRuntime ?? "unknown",
  }
}

/** The table: { versions, rows: { name: { own, all, why } } }. */
export function readTable() {
  const table = { versions: {}, rows: {} }
  if (!fs.existsSync(tableFile)) return table
  for (const line of fs.readFileSync(tableFile, "utf8").split("\n").filter(Boolean)) {
    const [name, own, all, why] = line.split("\t")
    const [, key, value] = line.match(/^# (compiler|sqlite|libc): (.*)$/) ?? []
    if (key) table.versions[key] = value
    else if (!line.startsWith("#")) table.rows[name] = { own: Number(own), all: Number(all), why }
  }
  return table
}

const HEAD = `\
# Instructions a request, see instructions.mjs: of the program itself, and with its libraries.
# Written by: make callgrind UPDATE='why they changed'
`

function writeTable(table) {
  const lines = Object.entries(table.versions).map(([name, value]) => `# ${name}: ${value}`)
  lines.push(["# row", "own", "all", "why"].join("\t"))
  for (const [name, { own, all, why }] of Object.entries(table.rows))
    lines.push([name, own, all, why].join("\t"))
  fs.writeFileSync(tableFile, `${HEAD}${lines.join("\n")}\n`)
}

/**
 * Whether the table's figures are comparable here: { own, all, reason }, with a reason if one of them
 * is not, and `strange` if only our own compiler flags differ.
 */
export function comparable(table, here) {
  const differs = (name) =>
    `${name} here: ${here[name]}; of the table: ${table.versions[name] ?? "none"}`
  const compiler = (text) => text?.split(" ").slice(0, 3).join(" ")
  if (here.compiler !== table.versions.compiler)
    return {
      own: false,
      all: false,
      strange: compiler(here.compiler) === compiler(table.versions.compiler),
      reason: differs("compiler"),
    }
  const others = ["sqlite", "libc"].filter((name) => here[name] !== table.versions[name])
  return { own: true, all: others.length === 0, reason: others.map(differs).join("; ") }
}

/** "grown", "shrunk" or "as it was", by the limit. */
export const judge = (now, agreed) =>
  now > agreed * (1 + LIMIT) ? "grown" : now < agreed * (1 - LIMIT) ? "shrunk" : "as it was"

function update(table, counts, here, why) {
  const anew = !comparable(table, here).all
  const moved = (now, agreed) => !agreed || Math.abs(now / agreed - 1) > SETTLED
  const updated = { versions: here, rows: {} }
  for (const [name, { own, all }] of Object.entries(counts)) {
    const agreed = table.rows[name]
    updated.rows[name] =
      anew || moved(own, agreed?.own) || moved(all, agreed?.all) ? { own, all, why } : agreed
  }
  writeTable(updated)
}

// --------------------------------------------------------------------------------------- main

const TOP = 5
const change = (now, agreed) =>
  agreed ? `${now >= agreed ? "+" : ""}${((now / agreed - 1) * 100).toFixed(1)} %` : "new"

function print(counts, table) {
  const columns = (cells) =>
    console.log(cells.map((cell, i) => (i ? String(cell).padStart(10) : cell.padEnd(18))).join(""))
  columns(["", "own", "table", "", "all", "table", ""])
  for (const [name, { own, all, functions }] of Object.entries(counts)) {
    const agreed = table.rows[name] ?? {}
    columns([
      name,
      own,
      agreed.own ?? "-",
      change(own, agreed.own),
      all,
      agreed.all ?? "-",
      change(all, agreed.all),
    ])
    for (const [what, count] of functions.slice(0, TOP))
      console.log(`      ${((100 * count) / all).toFixed(1).padStart(5)} %  ${what}`)
  }
}

async function main() {
  const why = process.argv[2] === "--update" ? process.argv[3].replace(/\s+/g, " ").trim() : ""
  const table = readTable()
  const here = versions()
  const counts = await count()
  for (const name of Object.keys(counts)) {
    const file = path.join(folder, `${name}.out`)
    for (const inclusive of [false, true])
      fs.writeFileSync(
        path.join(folder, `${name}.${inclusive ? "inclusive" : "self"}.txt`),
        annotate(file, inclusive)
      )
  }
  print(counts, table)
  const { reason } = comparable(table, here)
  if (reason) console.log(`\nnot to be compared with the table: ${reason}`)
  console.log(`\nby function: ${path.relative(process.cwd(), folder)}/*.txt`)
  if (why) update(table, counts, here, why)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
