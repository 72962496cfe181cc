// The workloads. Each row:
//
//   name, unit   what is printed
//   servers      where it runs; ratios refer to the first one, or to `base`
//   base         name of a server, or a number: the figure to reach
//   own          servers only of this row and its neighbours, as in servers.mjs
//   rounds       another number of rounds, for rows that take long
//   quick        also in `make bench-quick`
//   id           the name by which goals.mjs and plot.mjs find it
//   prepare      runs once at each server, before the first round
//   run          runs one round: { value, note }, and the latency of its requests if it has any
//   check        runs after the last round: reads back the acknowledged data, throws if any is missing
//
// prepare, run and check are called with { name, server, load, wrk, seconds, quick, ledger }:
//
//   load(words)   the load generator; the line it printed, parsed
//   wrk(words)    wrk: { per_second, latency }
//   ledger(of)    a file of the acknowledged messages, for this server; load.h describes it
//
// wrk measures rows that repeat the same request and accept any answer without an error. It cannot
// measure appends, because each message must say whose it is, so that it can be found afterwards;
// nor HEAD, because wrk waits for a body.

import { request } from "../system/http.mjs"
import { servers } from "./servers.mjs"

const JSON_TYPE = "application/json"
const BINARY = "application/octet-stream"
const TEXT = "text/plain"

/** All servers of the appends; the empty responder first, as the most that is possible. */
const all = [
  "empty",
  "ours",
  "ours-memory",
  "reference-memory",
  "reference-memory-nginx",
  "reference-files",
]
const ours = ["empty", "ours", "ours-memory"]

const ms = (us) => `${(us / 1000).toFixed(2)} ms`
export const latency = ({ p50_us, p99_us }) => `p50 ${ms(p50_us)}, p99 ${ms(p99_us)}`

/** The figure of a round of requests, each with this number of messages. */
const rate = (result, messages = 1) => ({
  value: result.per_second * messages,
  note: latency(result.latency),
  latency: result.latency,
})

/** Options as words of a command line; true means an option without a value. */
export const words = (mode, options) => [
  mode,
  ...Object.entries(options).flatMap(([name, value]) =>
    value === undefined || value === false
      ? []
      : value === true
        ? [`--${name}`]
        : [`--${name}`, value]
  ),
]

// a peer keeps the streams of earlier runs
const run = Date.now().toString(36)
let unique = 0
const fresh = (name) => `/v1/stream/${name}-${run}-${unique++}`

/** Where a server has this stream: a peer and the peer behind nginx are one server. */
const pathAt = (prefix, name) => (name.startsWith("peer") ? `${prefix}-${name}` : prefix)

/** The streams of a row, which are checked at its end; the empty responder has none. */
function streamsOf(prefix, { streams = 1, type = BINARY, body = 256 }) {
  const common = ({ server, name }) => ({
    port: server.port,
    path: pathAt(prefix, name),
    streams,
    type,
    body,
  })
  return {
    async create(context) {
      if (context.name === "empty") return
      await context.load(
        words("create", { ...common(context), connections: Math.min(streams, 16) })
      )
    },
    /** Arguments for the load generator that writes to them. */
    write: (context, mode, options) =>
      context.load(words(mode, { ...common(context), ledger: context.ledger(prefix), ...options })),
    /** Checks that every acknowledged message is there once, whole and in order, and no other. */
    async verify(context) {
      if (context.name === "empty") return
      await context.load(
        words("verify", {
          ...common(context),
          ledger: context.ledger(prefix),
          connections: Math.min(streams, 16),
        })
      )
    },
  }
}

export function appends({
  connections,
  streams = 1,
  servers = all,
  producer = false,
  batch = 1,
  quick = false,
  id,
}) {
  const type = batch > 1 ? JSON_TYPE : BINARY
  const at = streamsOf(fresh("append"), { streams, type })
  return {
    name: `append ${batch > 1 ? `JSON × ${batch}` : "256 B"}${producer ? ", producer" : ""}, ${connections} connections, ${streams} streams`,
    unit: batch > 1 ? "messages/s" : "requests/s",
    servers,
    quick,
    id,
    prepare: at.create,
    async run(context) {
      const result = await at.write(context, "requests", {
        connections,
        batch,
        producer,
        seconds: context.seconds,
        warmup: context.seconds / 4,
      })
      return rate(result, batch)
    },
    check: at.verify,
  }
}

/** The same load on one stream and on many, each at a server of its own, so that they take turns. */
function spread({ connections, streams, id }) {
  const rows = Object.fromEntries(
    streams.map((count) => [
      count === 1 ? "1 stream" : `${count.toLocaleString("en")} streams`,
      appends({ connections, streams: count }),
    ])
  )
  const at = (step) => (context) => rows[context.name][step](context)
  return {
    name: `append 256 B, ${connections} connections, to one stream and to many`,
    unit: "requests/s",
    servers: Object.keys(rows),
    own: Object.fromEntries(
      Object.keys(rows).map((title) => [title, { ...servers.ours, title: `ours, ${title}` }])
    ),
    id,
    prepare: at("prepare"),
    run: at("run"),
    check: at("check"),
  }
}

/** HEAD of a stream with a message. */
export function heads({ connections, servers = ours, ...row }) {
  const prefix = fresh("head")
  const at = streamsOf(prefix, {})
  return {
    name: `HEAD, ${connections} connections`,
    unit: "requests/s",
    servers,
    ...row,
    async prepare(context) {
      await at.create(context)
      await at.write(context, "requests", { count: 1 })
    },
    async run({ server, name, load, seconds }) {
      const result = await load(
        words("requests", {
          port: server.port,
          path: pathAt(prefix, name),
          method: "HEAD",
          connections,
          seconds,
          warmup: seconds / 4,
        })
      )
      return rate(result)
    },
  }
}

/** A client that has everything asks again: GET at the tail with If-None-Match. */
export function unchanged({ connections, servers = ours, ...row }) {
  const prefix = fresh("unchanged")
  const at = streamsOf(prefix, {})
  const asked = {}
  const ask = ({ server, name }, offset, tag) =>
    request(server.url, "GET", `${pathAt(prefix, name)}-0?offset=${offset}`, {
      headers: tag ? { "If-None-Match": tag } : {},
    })
  const expect304 = async (context) => {
    const { offset, tag } = asked[context.name]
    const { status } = await ask(context, offset, tag)
    if (context.name !== "empty" && status !== 304) throw new Error(`${offset}: ${status}, not 304`)
  }
  const run = async ({ name, server, wrk }, seconds) => {
    const { offset, tag } = asked[name]
    const result = await wrk([
      ...["-t1", `-c${connections}`, `-d${seconds}s`, "-H", `If-None-Match: ${tag}`],
      `${server.url}${pathAt(prefix, name)}-0?offset=${offset}`,
    ])
    return rate(result)
  }
  return {
    name: `304 at the tail, ${connections} connections`,
    unit: "requests/s, by wrk",
    servers,
    ...row,
    async prepare(context) {
      await at.create(context)
      await at.write(context, "requests", { count: 1 })
      const offset = (await ask(context, "-1")).headers["stream-next-offset"]
      const tag = (await ask(context, offset)).headers.etag ?? '"none"'
      asked[context.name] = { offset, tag }
      await expect304(context)
      await run(context, 1)
    },
    run: (context) => run(context, Math.ceil(context.seconds)),
    check: expect304,
  }
}

// empty.c sends as many bytes to readers of a stream of this name
const MESSAGES = 10_000
const KIB = 1024

/** A stream of 10,000 messages of 1 KB, for reading. */
function readable(name) {
  const prefix = fresh(name)
  const at = streamsOf(prefix, { body: KIB })
  return {
    prefix,
    async prepare(context) {
      await at.create(context)
      await at.write(context, "requests", { count: MESSAGES, connections: 16 })
    },
    /** Arguments for readers of the whole stream, each of which must get all bytes. */
    reading: ({ server, name }, options) =>
      words("catch-up", { port: server.port, path: pathAt(prefix, name), bytes: MESSAGES * KIB, ...options }),
    check: at.verify,
  }
}

export function catchUps({ connections, servers, ...row }) {
  const stream = readable("catch-up")
  return {
    name: `catch-up of ${MESSAGES} × 1 KB, ${connections} connections`,
    unit: "bytes/s",
    servers,
    ...row,
    prepare: stream.prepare,
    async run(context) {
      const { seconds } = context
      const result = await context.load(
        stream.reading(context, { connections, seconds, warmup: seconds / 4 })
      )
      return {
        value: result.bytes_per_second,
        note: `the whole: ${latency(result.latency)}`,
        latency: result.latency,
      }
    },
    check: stream.check,
  }
}

/** A note if the server got fewer messages than were due, because its writers had to wait. */
function delivered(result, due) {
  const { delivery, commit } = result
  const rate = commit.count < 0.95 * due ? `; ${commit.count} of ${Math.round(due)} appends` : ""
  return {
    value: delivery.p50_us,
    note: `p99 ${ms(delivery.p99_us)}, commit p50 ${ms(commit.p50_us)}${rate}`,
    latency: delivery,
    commit,
  }
}

export function live({
  kind,
  readers,
  streams = 1,
  rate = 50,
  servers = ["ours", "ours-memory", "reference-memory-nginx"],
  quick = false,
  id,
}) {
  const at = streamsOf(fresh("live"), { streams, type: TEXT })
  return {
    name: `delivery, ${kind}, ${readers} readers, ${streams} streams, ${rate}/s`,
    unit: "p50 µs from append to reader",
    servers,
    quick,
    id,
    prepare: at.create,
    run: async (context) =>
      delivered(
        await at.write(context, "live", {
          readers,
          rate: rate / streams,
          seconds: context.seconds,
          warmup: context.seconds / 4,
          "long-poll": kind === "long-poll",
        }),
        rate * context.seconds
      ),
    check: at.verify,
  }
}

/**
 * Everything at once: appends at 60 % of the ceiling by 64 connections, 100 readers that catch up
 * with 10,000 × 1 KB, wait ten seconds and begin anew (that is 100 MB/s), and 1,000 SSE readers of
 * one stream with 50 messages/s; for twenty times as long as other rows take.
 *
 * The ceiling is the rate of the empty responder just before. Each append is due at a moment of its
 * own, from which its latency counts. The same rate without readers, and at the empty responder, comes
 * first: the ratio is the cost of readers to a writer.
 */
function mixed({ share = 0.6, catching = 100, pause = 10, readers = 1000, rate = 50, id }) {
  const appended = streamsOf(fresh("mixed"), {})
  const watched = streamsOf(fresh("mixed-live"), { type: TEXT })
  const stream = readable("mixed-catch-up")
  const connections = 64
  const warmup = 3
  const time = ({ seconds }) => Math.max(2 * pause, 20 * seconds)
  let pace

  return {
    name: `mixed: appends at ${100 * share} % of the ceiling, ${catching} catch-up and ${readers} SSE readers`,
    unit: "p99 µs of an append",
    servers: ["empty", "alone", "with readers"],
    base: "alone",
    own: {
      empty: servers.empty,
      alone: { ...servers.ours, title: "ours, without readers" },
      "with readers": { ...servers.ours, title: "ours, with readers" },
    },
    rounds: 1,
    id,
    async prepare(context) {
      await appended.create(context)
      if (context.name !== "with readers") return
      await watched.create(context)
      await stream.prepare(context)
    },
    async run(context) {
      const write = (options) => appended.write(context, "requests", { connections, ...options })
      if (context.name === "empty")
        pace = share * (await write({ seconds: Math.max(2, context.seconds) })).per_second
      const seconds = time(context)
      // the readers are there before the first append, and until after the last
      const around = { warmup: warmup - 1, seconds: seconds + 2 }
      const reading = context.name === "with readers" && [
        watched.write(context, "live", { readers, rate, ...around }),
        context.load(stream.reading(context, { connections: catching, pause, ...around })),
      ]
      const [appends, live, caught] = await Promise.all([
        write({ pace, seconds, warmup }),
        ...(reading || []),
      ])
      const note = `p50 ${ms(appends.latency.p50_us)}, ${Math.round(appends.per_second)} of ${Math.round(pace)} appends/s`
      const figure = { value: appends.latency.p99_us, latency: appends.latency, pace, appends }
      if (!reading) return { ...figure, note }
      if (caught.least_passes === 0) throw new Error(`a catch-up reader starved for ${seconds} s`)
      return {
        ...figure,
        live,
        caught,
        note:
          `${note}; deliveries all there, p99 ${ms(live.delivery.p99_us)}; ` +
          `catch-ups a reader ${caught.least_passes} … ${caught.most_passes}, p99 ${ms(caught.latency.p99_us)}`,
      }
    },
    async check(context) {
      await appended.verify(context)
      if (context.name !== "with readers") return
      await watched.verify(context)
      await stream.check(context)
    },
  }
}

const reading = ["empty", "ours", "ours-cache", "reference-memory", "reference-memory-nginx"]
const ourLive = ["ours", "ours-memory"]

export const workloads = [
  appends({ id: "append-1", connections: 1, quick: true }),
  appends({ id: "append-16", connections: 16 }),
  appends({ id: "append-64", connections: 64, quick: true }),
  appends({ id: "append-256", connections: 256 }),
  appends({ connections: 64, streams: 100, servers: ours }),
  appends({ connections: 64, streams: 10_000, servers: ours, quick: true }),
  appends({ connections: 64, streams: 100_000, servers: ours }),
  spread({ id: "append-spread", connections: 64, streams: [1, 10_000, 100_000] }),
  appends({ connections: 1, producer: true, servers: ours }),
  appends({ connections: 64, streams: 64, producer: true, servers: ours, quick: true }),
  appends({ connections: 1, batch: 100 }),
  appends({ connections: 64, batch: 100, quick: true }),
  heads({ id: "head", connections: 64, quick: true }),
  unchanged({ id: "unchanged", connections: 64, quick: true }),
  catchUps({ connections: 1, servers: reading }),
  catchUps({ id: "catch-up-16", connections: 16, servers: reading, quick: true }),
  live({ id: "sse-1", kind: "sse", readers: 1, quick: true }),
  live({ kind: "sse", readers: 100 }),
  live({ id: "sse-1000", kind: "sse", readers: 1000, quick: true }),
  live({ kind: "sse", readers: 5000, servers: ourLive }),
  live({ kind: "sse", readers: 1000, streams: 1000, rate: 1000 }),
  live({ kind: "long-poll", readers: 1 }),
  live({ kind: "long-poll", readers: 100 }),
  live({ kind: "long-poll", readers: 1000 }),
  live({ kind: "long-poll", readers: 5000, servers: ourLive }),
  live({ kind: "long-poll", readers: 1000, streams: 1000, rate: 1000 }),
  mixed({ id: "mixed" }),
]
