// The workloads. Each row:
//
//   name, unit   what is printed
//   servers      where it runs; the first one, or `base`, is what the ratios refer to
//   base         name of a server, or a number: what the figure is to reach
//   own          servers of this row and its neighbours alone, as in servers.mjs
//   rounds       where it takes long, another number of them
//   quick        also in `make bench-quick`
//   prepare      once at each server, before the first round
//   run          one round: { value, note }
//   check        after the last one: reads back what was acknowledged, throws when it is not there

import { request } from "../system/http.mjs"

const JSON_TYPE = "application/json"
const BINARY = "application/octet-stream"
const all = [
  "empty",
  "ours",
  "ours-memory",
  "reference-memory",
  "reference-memory-nginx",
  "reference-files",
]

export const latency = ({ p50_us, p99_us }) =>
  `p50 ${(p50_us / 1000).toFixed(2)} ms, p99 ${(p99_us / 1000).toFixed(2)} ms`

export async function create({ server, name }, prefix, streams, type) {
  if (name === "empty") return
  for (let first = 0; first < streams; first += 64)
    await Promise.all(
      Array.from({ length: Math.min(64, streams - first) }, async (_, i) => {
        const answer = await request(server.url, "PUT", `${prefix}-${first + i}`, {
          headers: { "Content-Type": type },
        })
        if (answer.status !== 201 && answer.status !== 200)
          throw new Error(`PUT ${prefix}-${first + i}: ${answer.status}`)
      })
    )
}

/** Bytes that the server says it has, over all streams of a prefix. */
async function stored(server, prefix, streams) {
  let bytes = 0
  for (let i = 0; i < streams; i++) {
    const answer = await request(server.url, "HEAD", `${prefix}-${i}`)
    bytes += Number(answer.headers["stream-next-offset"].split("_")[1])
  }
  return bytes
}

let unique = 0

export function appends({
  connections,
  streams = 1,
  servers = all,
  producer = false,
  batch = 1,
  quick = false,
}) {
  const prefix = `/v1/stream/bench-${unique++}`
  const type = batch > 1 ? JSON_TYPE : BINARY
  const acknowledged = {}
  return {
    name: `append ${batch > 1 ? `JSON × ${batch}` : "256 B"}${producer ? ", producer" : ""}, ${connections} connections, ${streams} streams`,
    unit: batch > 1 ? "messages/s" : "requests/s",
    servers,
    quick,
    prepare: (context) => create(context, prefix, streams, type),
    async run({ name, server, load, seconds }) {
      const result = await load([
        "requests",
        "--port",
        server.port,
        "--path",
        prefix,
        "--connections",
        connections,
        "--streams",
        streams,
        "--type",
        type,
        "--batch",
        batch,
        "--seconds",
        seconds,
        "--warmup",
        seconds / 4,
        ...(producer ? ["--producer"] : []),
      ])
      acknowledged[name] = (acknowledged[name] ?? 0) + result.acknowledged
      return {
        value: result.per_second * batch,
        note: latency(result.latency),
        latency: result.latency,
      }
    },
    async check({ name, server }) {
      if (name === "empty" || batch > 1 || streams > 1000) return
      const bytes = await stored(server, prefix, streams)
      // what was under way when the load ended may be stored without having been acknowledged
      if (bytes < acknowledged[name] * 256)
        throw new Error(`${name}: ${acknowledged[name]} appends acknowledged, ${bytes} bytes there`)
    },
  }
}

function reads({
  name,
  connections,
  query = "",
  method = "GET",
  header,
  size = 0,
  servers,
  quick = false,
}) {
  const prefix = `/v1/stream/read-${unique++}`
  const tags = {}
  return {
    name: `${name}, ${connections} connections`,
    unit: size > 0 ? "bytes/s" : "requests/s",
    servers,
    quick,
    async prepare(context) {
      await create(context, prefix, 1, BINARY)
      if (context.name === "empty") return
      const { url } = context.server
      if (size > 0)
        for (let i = 0; i < size / (1 << 20); i++)
          await request(url, "POST", `${prefix}-0`, {
            headers: { "Content-Type": BINARY },
            body: Buffer.alloc(1 << 20, 46),
          })
      tags[context.name] = (await request(url, "GET", `${prefix}-0${query}`)).headers.etag
    },
    async run({ name: at, server, load, seconds }) {
      const result = await load([
        "requests",
        "--port",
        server.port,
        "--path",
        prefix,
        "--connections",
        connections,
        "--method",
        method,
        "--query",
        query,
        "--seconds",
        seconds,
        "--warmup",
        seconds / 4,
        ...(header ? ["--header", `${header}: ${tags[at] ?? '"x"'}\r\n`] : []),
      ])
      return {
        value: size > 0 ? result.bytes_per_second : result.per_second,
        note: latency(result.latency),
      }
    },
  }
}

export function live({
  kind,
  readers,
  streams = 1,
  rate = 50,
  servers = ["ours", "ours-memory", "reference-memory-nginx"],
  quick = false,
}) {
  const prefix = `/v1/stream/live-${unique++}`
  return {
    name: `delivery, ${kind}, ${readers} readers, ${streams} streams, ${rate}/s`,
    unit: "p50 µs from append to reader",
    servers,
    quick,
    prepare: (context) => create(context, prefix, streams, "text/plain"),
    async run({ server, load, seconds }) {
      const result = await load([
        "live",
        "--port",
        server.port,
        "--path",
        prefix,
        "--type",
        "text/plain",
        "--readers",
        readers,
        "--streams",
        streams,
        "--rate",
        streams > 1 ? rate / streams : rate,
        "--seconds",
        seconds,
        ...(kind === "long-poll" ? ["--long-poll"] : []),
      ])
      return {
        value: result.delivery.p50_us,
        note: `p99 ${(result.delivery.p99_us / 1000).toFixed(2)} ms, commit p50 ${(result.commit.p50_us / 1000).toFixed(2)} ms`,
      }
    },
  }
}

const ours = ["empty", "ours", "ours-memory"]

export const workloads = [
  appends({ connections: 1, quick: true }),
  appends({ connections: 16 }),
  appends({ connections: 64, quick: true }),
  appends({ connections: 256 }),
  appends({ connections: 64, streams: 100, servers: ours }),
  appends({ connections: 64, streams: 10_000, servers: ours, quick: true }),
  appends({ connections: 64, streams: 100_000, servers: ours }),
  appends({ connections: 1, streams: 1, producer: true, servers: ours }),
  appends({ connections: 64, streams: 64, producer: true, servers: ours, quick: true }),
  appends({ connections: 1, batch: 100 }),
  appends({ connections: 64, batch: 100, quick: true }),
  reads({ name: "HEAD", method: "HEAD", connections: 64, servers: ours, quick: true }),
  reads({
    name: "304 at the tail",
    header: "If-None-Match",
    query: "?offset=-1",
    connections: 64,
    servers: ours,
    quick: true,
  }),
  reads({
    name: "catch-up of 10 MB",
    size: 10 << 20,
    query: "?offset=-1",
    connections: 1,
    servers: ["ours", "reference-memory", "reference-memory-nginx"],
  }),
  reads({
    name: "catch-up of 10 MB",
    size: 10 << 20,
    query: "?offset=-1",
    connections: 16,
    servers: ["ours", "reference-memory", "reference-memory-nginx"],
    quick: true,
  }),
  live({ kind: "sse", readers: 1, quick: true }),
  live({ kind: "sse", readers: 100 }),
  live({ kind: "sse", readers: 1000, quick: true }),
  live({ kind: "sse", readers: 5000, servers: ["ours", "ours-memory"] }),
  live({ kind: "sse", readers: 1000, streams: 1000, rate: 1000 }),
  live({ kind: "long-poll", readers: 1 }),
  live({ kind: "long-poll", readers: 100 }),
  live({ kind: "long-poll", readers: 1000 }),
]
