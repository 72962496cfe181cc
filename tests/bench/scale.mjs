// How the cost grows: rows like those of workloads.mjs, each with servers of its own.
//
//   scale(1)      the full size; scale(0.01) has a hundredth of it, to try it out
//
//   processes   one, two and four responder processes on one database
//   growth      ten million messages in one stream, a million streams; recovery: a log after a kill
//   memory      of the responder: at rest, with many streams, with many readers
//   disk, log   bytes stored for each byte appended; the write-ahead log under a constant load
//   cgi         plain CGI, against an empty CGI program
//
// A lost message fails the run here too. If `base` is a number, that is the goal.

import { execFileSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { build, end, sleep, sqlite, until, usage } from "../system/harness.mjs"
import { request } from "../system/http.mjs"
import { filled, serve } from "./servers.mjs"
import { appends, latency, live, words } from "./workloads.mjs"

const JSON_TYPE = "application/json"
const KIB = 1024
const MIB = 1024 * KIB
const WAL_BYTES = 16 * MIB // the default of DS_WAL_BYTES

const atLeast = (least, number) => Math.max(least, Math.round(number))
const count = (number) => number.toLocaleString("en")
const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`
const position = (bytes) => `0000000000000000_${String(bytes).padStart(16, "0")}`
const sizeOf = (file) => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0

/** Checks that every message in this ledger, that of all writers, is there once, whole and in order. */
const verify = ({ server, load, ledger }, prefix, options) =>
  load(words("verify", { port: server.port, path: prefix, ledger: ledger(prefix), ...options }))

/** Bytes of payload in the database, and the number of its messages. */
async function total(server) {
  const text = await sqlite(server.database, "SELECT sum(tail), sum(messages) FROM stream")
  const [bytes, messages] = text.split("|").map(Number)
  return { bytes, messages }
}

async function expectTotal(server, least) {
  const { bytes } = await total(server)
  if (bytes < least) throw new Error(`${least} bytes acknowledged, ${bytes} bytes there`)
}

/** Calls look() every `ms` until the promise is settled; returns its results and that of the promise. */
async function sampled(promise, ms, look) {
  const samples = []
  let settled = false
  const done = promise.finally(() => (settled = true))
  done.catch(() => {}) // it is awaited below
  while (!settled) {
    samples.push(look())
    await Promise.race([sleep(ms), done.catch(() => {})])
  }
  return { samples, result: await done }
}

// -------------------------------------------------------------------------------- processes

/** One database, and this number of responder processes on one socket. */
function processes(factor) {
  const own = {
    "1 process": { title: "1 process", start: serve() },
    "2 processes": { title: "2 processes", start: serve({ processes: 2 }) },
    "4 processes": { title: "4 processes", start: serve({ processes: 4 }) },
  }
  const servers = Object.keys(own)
  const readers = atLeast(10, 1000 * factor)
  return [
    {
      ...appends({ id: "processes-append", connections: 64, servers }),
      name: "processes, append, 64 connections",
      own,
    },
    {
      ...live({ id: "processes-sse", kind: "sse", readers, servers }),
      name: `processes, delivery, sse, ${count(readers)} readers`,
      own,
    },
  ]
}

// ----------------------------------------------------------------------------------- growth

/** Drops the files from the page cache, except for pages that are not on the disk yet. */
function forget(files) {
  for (const file of files)
    if (fs.existsSync(file)) {
      execFileSync("sync", [file])
      execFileSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"])
    }
}

/**
 * Restarts the program; returns the milliseconds from the start of the process to its first answer
 * about a stream through nginx, which runs all the time. `signal` ends the old process.
 */
async function reopen(server, stream, { signal = "SIGTERM", cold = false } = {}) {
  const responders = server.pids()
  const ended = end(server.supervisors[0], signal)
  // responders that outlive their supervisor would stop gracefully
  if (signal === "SIGKILL") for (const pid of responders) process.kill(pid, signal)
  await ended
  while (responders.some((pid) => fs.existsSync(`/proc/${pid}`))) await sleep(10)
  if (cold)
    forget([server.database, `${server.database}-wal`, path.join(build, "durable-streams.fcgi")])
  const wal = sizeOf(`${server.database}-wal`)
  const began = performance.now()
  server.startSupervisor(0)
  for (;;) {
    const answer = await request(server.url, "HEAD", stream)
    const value = performance.now() - began
    if (answer.status === 200)
      return {
        value,
        note: `write-ahead log ${mib(wal)}`,
        tail: answer.headers["stream-next-offset"],
      }
    if (answer.status !== 502) throw new Error(`HEAD ${stream}: ${answer.status}`)
    if (value > 60_000) throw new Error(`no answer a minute after the start: ${server.logs()}`)
    await sleep(1)
  }
}

/**
 * The same requests to a small database and to a large one of the same kind; `what` names their
 * kind. Rows that only read come first: appends change what there is to read.
 */
function growth(what, small, large) {
  const prefix = "/v1/stream/growth"
  // so that both answer equally much to a catch-up in the middle
  const env = { DS_READ_CHUNK_BYTES: String(16 * KIB) }
  const server = (given) => ({
    title: what(given),
    start: filled({ prefix, bytes: 100, ...given }, { env }),
  })
  const own = { small: server(small), large: server(large) }
  const servers = ["small", "large"]
  const kind = large.streams > 1 ? "streams" : "messages"
  const called = (rest) => ({
    id: `growth-${kind}-${rest.replace(/\W+/g, "-")}`,
    name: `growth, ${what(large)}, ${rest}`,
  })
  const acknowledged = { small: 0, large: 0 }
  const bytes = ({ filled }) => filled.streams * filled.messages * filled.bytes

  const read = (rest, options, offset) => ({
    ...called(rest),
    unit: "p50 µs, 1 connection",
    servers,
    own,
    prepare: ({ server }) => expectTotal(server, bytes(server)),
    async run({ server, load, seconds }) {
      const result = await load(
        words("requests", {
          port: server.port,
          path: prefix,
          streams: server.filled.streams,
          method: "GET",
          query: offset ? `?offset=${offset(server.filled)}` : "",
          seconds,
          warmup: seconds / 4,
          ...options,
        })
      )
      const filling = `filled in ${server.filled.seconds.toFixed(0)} s, ${mib(sizeOf(server.database))}`
      return { value: result.latency.p50_us, note: `${latency(result.latency)}, ${filling}` }
    },
  })

  const opening = (rest, cold) => ({
    ...called(rest),
    unit: "ms from the start to the first answer, of 100",
    base: 100,
    servers,
    own,
    async run({ server }) {
      const path = `${prefix}-0`
      const before = (await request(server.url, "HEAD", path)).headers["stream-next-offset"]
      const result = await reopen(server, path, { cold })
      if (result.tail !== before) throw new Error(`${path} ends at ${result.tail}, not ${before}`)
      return result
    },
  })

  return [
    read("HEAD", { method: "HEAD" }),
    read("read at the tail", {}, () => "now"),
    read("read of the last message", {}, (given) => position((given.messages - 1) * given.bytes)),
    ...(large.messages > 1
      ? [
          read("catch-up in the middle", {}, (given) =>
            position(Math.floor(given.messages / 2) * given.bytes)
          ),
        ]
      : []),
    {
      ...called("append 256 B"),
      unit: "p50 µs, 1 connection",
      servers,
      own,
      async run({ name, server, load, seconds }) {
        const result = await load(
          words("requests", {
            port: server.port,
            path: prefix,
            streams: server.filled.streams,
            type: JSON_TYPE,
            seconds,
            warmup: seconds / 4,
          })
        )
        acknowledged[name] += result.acknowledged
        return { value: result.latency.p50_us, note: latency(result.latency) }
      },
      check: ({ name, server }) => expectTotal(server, bytes(server) + acknowledged[name] * 256),
    },
    opening("opening"),
    opening("opening, nothing in memory", true),
  ]
}

const growths = (factor) => [
  ...growth(
    ({ messages }) => `${count(messages)} messages`,
    { streams: 1, messages: 1000 },
    { streams: 1, messages: atLeast(1000, 1e7 * factor) }
  ),
  ...growth(
    ({ streams }) => `${count(streams)} streams`,
    { streams: 1000, messages: 1 },
    { streams: atLeast(1000, 1e6 * factor), messages: 1 }
  ),
]

/** After a kill in the middle of large appends, with a log that was never checkpointed. */
function recovery(factor) {
  const prefix = "/v1/stream/recovery"
  const body = 64 * KIB
  const given = { prefix, streams: 1, messages: 0, bytes: 0 }
  const limit = atLeast(16 * MIB, 1024 * MIB * factor)
  return [
    {
      name: "recovery, a large write-ahead log",
      unit: "ms from the start to the first answer, of 100",
      base: 100,
      servers: ["ours"],
      own: {
        ours: { title: "ours", start: filled(given, { env: { DS_WAL_BYTES: String(limit) } }) },
      },
      rounds: 1,
      async run({ server, load, ledger, seconds }) {
        await load(
          words("requests", {
            port: server.port,
            path: prefix,
            connections: 16,
            type: JSON_TYPE,
            body,
            ledger: ledger(prefix),
            seconds,
            warmup: 0,
          })
        )
        return reopen(server, `${prefix}-0`, { signal: "SIGKILL" })
      },
      check: (context) => verify(context, prefix, { type: JSON_TYPE, body }),
    },
  ]
}

// ----------------------------------------------------------------------------------- memory

/** Resident bytes of a process: its own (anonymous), and of files, by which ones they are. */
function resident(pid) {
  const sum = { total: 0, own: 0, shared: 0, mapped: 0, files: 0 }
  let file = ""
  for (const line of fs.readFileSync(`/proc/${pid}/smaps`, "latin1").split("\n")) {
    const mapping = line.match(/^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$/)
    const field = line.match(/^(\w+): +(\d+) kB$/)
    if (mapping) file = mapping[1]
    if (!field) continue
    const bytes = Number(field[2]) * KIB
    if (field[1].startsWith("Shared_")) sum.shared += bytes
    if (field[1] === "Anonymous") sum.own += bytes
    if (field[1] !== "Rss") continue
    sum.total += bytes
    if (/-(shm|wake)$/.test(file)) sum.mapped += bytes
  }
  sum.files = sum.total - sum.own - sum.mapped
  return sum
}

const memoryNote = (sum) =>
  `${mib(sum.total)}: ${mib(sum.own)} its own, ${mib(sum.mapped)} -shm and -wake, ${mib(sum.files)} program and libraries`

/** A responder that has answered only a few requests. */
async function freshResponder(server) {
  await server.restart()
  await sleep(200)
  return server.pids()[0]
}

function memoryAtRest() {
  return {
    id: "memory-rest",
    name: "memory, at rest",
    unit: "bytes resident, of 8 MiB",
    base: 8 * MIB,
    servers: ["ours"],
    own: { ours: { title: "ours", start: serve() } },
    async run({ server }) {
      const sum = resident(await freshResponder(server))
      const supervisor = resident(server.supervisors[0].pid)
      return {
        value: sum.total,
        note: `${memoryNote(sum)}; its supervisor ${mib(supervisor.total)}`,
      }
    },
  }
}

function memoryUnderLoad(factor) {
  const prefix = "/v1/stream/memory"
  const streams = atLeast(100, 1e5 * factor)
  const given = { prefix, streams, messages: 1, bytes: 256 }
  let acknowledged = streams
  return {
    id: "memory-streams",
    name: `memory, ${count(streams)} streams under load`,
    unit: "most bytes resident, of 48 MiB",
    base: 48 * MIB,
    servers: ["ours"],
    own: { ours: { title: "ours", start: filled(given) } },
    async run({ server, load, seconds }) {
      const pid = await freshResponder(server)
      const { samples, result } = await sampled(
        load(
          words("requests", {
            port: server.port,
            path: prefix,
            connections: 64,
            streams,
            type: JSON_TYPE,
            seconds,
            warmup: seconds,
          })
        ),
        100,
        () => resident(pid)
      )
      const most = samples.reduce((a, b) => (b.total > a.total ? b : a))
      acknowledged += result.acknowledged
      return { value: most.total, note: memoryNote(most) }
    },
    check: ({ server }) => expectTotal(server, acknowledged * 256),
  }
}

/**
 * Waiting readers, who get a message every ten seconds. Each costs nginx two descriptors, so half of
 * them come through another nginx before the same responder, to a stream of their own.
 */
function memoryOfReaders(kind, readers) {
  const prefix = "/v1/stream/parked"
  const env = { DS_LONG_POLL_TIMEOUT_MS: "60000", DS_SSE_LIFETIME_MS: "600000" }
  return {
    id: `memory-${kind}`,
    name: `memory, ${count(readers)} readers, ${kind}`,
    unit: "bytes resident a parked reader, of 1 KiB",
    base: KIB,
    servers: ["ours"],
    own: { ours: { title: "ours", start: serve({ env, direct: true }) } },
    rounds: 1,
    async prepare({ server }) {
      for (const half of ["a", "b"])
        await request(server.url, "PUT", `${prefix}-${half}-0`, {
          headers: { "Content-Type": "text/plain" },
        })
    },
    async run({ server, load, seconds }) {
      const pid = await freshResponder(server)
      const before = resident(pid)
      const { threads, descriptors } = usage(pid)
      const half = (url, name) =>
        load([
          ...["live", "--port", new URL(url).port, "--path", `${prefix}-${name}`],
          ...["--type", "text/plain", "--readers", readers / 2, "--rate", 0.1],
          ...["--seconds", Math.max(seconds, 15), ...(kind === "long-poll" ? ["--long-poll"] : [])],
        ])
      const { samples } = await sampled(
        Promise.all([half(server.url, "a"), half(server.urls[0], "b")]),
        200,
        () => ({ ...resident(pid), ...usage(pid) })
      )
      // the first readers come on connections that the web servers have kept open
      const parked = samples.filter((sample) => sample.descriptors > descriptors + readers - 4)
      if (parked.length < 5) {
        const most = Math.max(...samples.map((sample) => sample.descriptors))
        throw new Error(`of ${readers} readers, ${most - descriptors} at once were most`)
      }
      if (samples.some((sample) => sample.threads !== threads))
        throw new Error(`${threads} threads before the readers came, another number then`)
      const last = parked.at(-1)
      const most = samples.reduce((a, b) => (b.total > a.total ? b : a))
      return {
        value: (last.total - before.total) / readers,
        most: most.total,
        note: `${mib(before.total)} before; ${memoryNote(last)}; most ${mib(most.total)}, of 30 MB; ${threads} threads`,
      }
    },
  }
}

const memories = (factor) => {
  const readers = 2 * atLeast(10, 5000 * factor)
  return [
    memoryAtRest(),
    memoryUnderLoad(factor),
    memoryOfReaders("sse", readers),
    memoryOfReaders("long-poll", readers),
  ]
}

// ------------------------------------------------------------------------------------- disk

/**
 * The size of a database with all its messages, divided by the bytes appended. Without waiting for
 * the disk, which only saves time.
 */
function stored(streams, factor) {
  const prefix = `/v1/stream/stored-${streams}`
  const given = { prefix, streams, messages: 0, bytes: 0 }
  const env = { DS_DURABILITY: "normal" }
  return {
    id: streams === 1 ? "disk-stream" : "disk-streams",
    name: `disk, ${count(streams)} streams`,
    unit: "bytes stored a byte appended, of 1.35",
    base: 1.35,
    servers: ["ours"],
    own: { ours: { title: "ours", start: filled(given, { env }) } },
    rounds: 1,
    async run({ server, load, ledger, seconds }) {
      await load(
        words("requests", {
          port: server.port,
          path: prefix,
          connections: 64,
          streams,
          type: JSON_TYPE,
          ledger: ledger(prefix),
          seconds: Math.max(seconds, 60 * factor),
          warmup: 0,
        })
      )
      // busy while the server does the same
      const empty = async () =>
        (await sqlite(server.database, "PRAGMA wal_checkpoint(TRUNCATE)")).startsWith("0|")
      await until(empty, "the write-ahead log is empty", { every: 200 })
      const { bytes, messages } = await total(server)
      const value = sizeOf(server.database) / bytes
      return { value, note: `${value.toFixed(3)}, of ${count(messages)} messages` }
    },
    check: (context) => verify(context, prefix, { streams, type: JSON_TYPE, connections: 16 }),
  }
}

/**
 * The size of the write-ahead log once a second, under a load without pauses; with `reader`, also
 * under constant large catch-ups. A log of sixteen times its setting counts as growing for ever.
 */
function log(reader, factor) {
  const prefix = `/v1/stream/log-${reader ? "read" : "alone"}`
  const time = atLeast(3, 600 * factor)
  const given = { prefix, streams: 1, messages: atLeast(20_000, 1e6 * factor), bytes: 1024 }
  const appended = `${prefix}-appended`
  return {
    id: reader ? "log-catch-ups" : "log",
    name: `log, ${time} s of appends${reader ? ", and catch-ups" : ""}`,
    unit: "most bytes of the write-ahead log, of 16 MiB",
    base: WAL_BYTES,
    servers: ["ours"],
    own: { ours: { title: "ours", start: filled(given) } },
    rounds: 1,
    async run({ server, load, ledger }) {
      const common = { port: server.port, seconds: time, warmup: 0 }
      await request(server.url, "PUT", `${appended}-0`, {
        headers: { "Content-Type": JSON_TYPE },
      })
      const writing = load(
        words("requests", {
          ...common,
          path: appended,
          connections: 16,
          type: JSON_TYPE,
          ledger: ledger(appended),
        })
      )
      const reading =
        reader &&
        load(
          words("requests", {
            ...common,
            path: prefix,
            connections: 4,
            method: "GET",
            query: "?offset=-1",
          })
        )
      const { samples, result } = await sampled(Promise.all([writing, reading]), 1000, () =>
        sizeOf(`${server.database}-wal`)
      )
      const [written, read] = result
      const most = Math.max(...samples)
      if (most > 16 * WAL_BYTES) throw new Error(`the write-ahead log has grown to ${mib(most)}`)
      const speed = `${Math.round(written.per_second)} appends/s, ${latency(written.latency)}`
      return {
        value: most,
        note: `last ${mib(samples.at(-1))}, ${speed}${read ? `, ${mib(read.bytes_per_second)}/s read` : ""}`,
      }
    },
    check: (context) => verify(context, appended, { type: JSON_TYPE }),
  }
}

// -------------------------------------------------------------------------------- plain CGI

/** Puts another program under the name that the web servers start. */
const inPlaceOfOurs = (file, door) => () => {
  const program = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "cgi-")), "durable-streams.fcgi")
  fs.copyFileSync(path.join(build, "bench", file), program)
  return serve({ door, program })()
}

/**
 * Plain CGI against a program that uses only libc, and against our gateway with nothing behind it. Our
 * program as `make` builds it, and as hosts that have only CGI should have it: built with STATIC=1.
 */
function cgi(server, door) {
  const prefix = `/v1/stream/cgi-${server}`
  const program = path.join(build, "static/durable-streams.fcgi")
  const own = {
    empty: { title: "empty CGI program", start: inPlaceOfOurs("empty.cgi", door) },
    "without routes": { title: "ours, without routes", start: inPlaceOfOurs("empty.fcgi", door) },
    ours: { title: "ours", start: serve({ door }) },
    static: { title: "ours, STATIC=1", start: serve({ door, program }) },
    normal: {
      title: "ours, STATIC=1, normal",
      start: serve({ door, program, env: { DS_DURABILITY: "normal" } }),
    },
  }
  const isOurs = (name) => ["ours", "static", "normal"].includes(name)
  const headers = { "Content-Type": "application/octet-stream" }

  const row = (what, connections, options, extra) => ({
    id: `cgi-${server}-${what}-${connections}`,
    name: `cgi, ${server}, ${what}, ${connections} connections`,
    unit: "requests/s",
    servers: Object.keys(own),
    own,
    async prepare({ name, server }) {
      const answer = await request(server.url, "PUT", `${prefix}-${what}-0`, {
        headers,
        body: what === "read" ? Buffer.alloc(256, ".") : undefined,
      })
      const expected = isOurs(name) ? [200, 201] : [204]
      if (!expected.includes(answer.status)) throw new Error(`${name}: PUT: ${answer.status}`)
    },
    async run({ name, server, load, ledger, seconds }) {
      const result = await load(
        words("requests", {
          port: server.port,
          path: `${prefix}-${what}`,
          connections,
          seconds,
          warmup: seconds / 4,
          ledger: what === "append" && isOurs(name) && ledger(prefix),
          ...options,
        })
      )
      return { value: result.per_second, note: latency(result.latency) }
    },
    ...extra,
  })
  const check = async (context) => {
    if (isOurs(context.name))
      await verify(context, `${prefix}-append`, { ledger: context.ledger(prefix) })
  }

  return [1, 4].flatMap((connections) => [
    row("append", connections, {}, { check }),
    row("read", connections, { method: "GET", query: "?offset=-1" }),
  ])
}

export const scale = (factor) => [
  ...processes(factor),
  ...growths(factor),
  ...recovery(factor),
  ...memories(factor),
  stored(1, factor),
  stored(atLeast(100, 10_000 * factor), factor),
  log(false, factor),
  log(true, factor),
  ...cgi("lighttpd", "lighttpd-cgi"),
  ...cgi("apache", "apache-cgi"),
]
