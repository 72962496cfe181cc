// What subscriptions cost, and how fast they wake: rows like those of workloads.mjs, each with
// servers of its own, which take turns.
//
//   subscriptions(1)      the full size; subscriptions(0.01) has a hundredth of it, to try it out
//
//   append     to a stream with a subscription, against one without
//   notice     from the answer to an append until a webhook or a worker hears of it
//   delivery   webhooks a second
//   creation   of streams that a pattern matches, against creation without a subscription
//   large      one subscription with many streams: creating, acking and deleting it
//
// The receivers of webhooks are on this machine, so the servers have DS_WEBHOOK_LOCAL=1.

import { freePort, until } from "../system/harness.mjs"
import { request } from "../system/http.mjs"
import { filled, serve } from "./servers.mjs"
import { latency, words } from "./workloads.mjs"

const JSON_TYPE = "application/json"
const CONTROL = "/v1/stream/__ds/subscriptions/"

const atLeast = (least, number) => Math.max(least, Math.round(number))
const count = (number) => number.toLocaleString("en")
const start = () => serve({ env: { DS_WEBHOOK_LOCAL: "1" } })

/** Sends a request and returns its answer; throws if the status is another one. */
async function expect(server, status, method, path, { body, headers } = {}) {
  const answer = await request(server.url, method, path, { body, headers })
  if (answer.status !== status)
    throw new Error(`${method} ${path}: ${answer.status}, not ${status}: ${answer.body}`)
  return answer
}

/** A request about a subscription; `what` begins with its name. Returns the JSON of the answer. */
async function control(server, status, method, what, body, token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {}
  const given = { headers, body: body && JSON.stringify(body) }
  const answer = await expect(server, status, method, CONTROL + what, given)
  return status === 204 ? undefined : JSON.parse(answer.body.toString())
}

const subscribe = (server, name, configuration) =>
  control(server, 201, "PUT", name, { lease_ttl_ms: 30_000, ...configuration })

/** A pull-wake subscription with its wake stream; patterns do not match it. */
async function subscribePull(server, name, configuration) {
  const wake_stream = `wakes/${name}`
  await expect(server, 201, "PUT", `/v1/stream/${wake_stream}`, {
    headers: { "Content-Type": JSON_TYPE },
  })
  await subscribe(server, name, { type: "pull-wake", wake_stream, ...configuration })
}

/** A webhook subscription for each of the streams; a process that delivers is awaited. */
async function subscribeWebhooks(server, path, streams, url) {
  for (let i = 0; i < streams; i++) {
    const put = () =>
      subscribe(server, `${path}-${i}`, {
        type: "webhook",
        webhook: { url },
        streams: [`${path}-${i}`],
      })
    if (i === 0) await until(() => put().catch(() => null), "a process delivers webhooks")
    else await put()
  }
}

const create = ({ server, load }, path, options = {}) =>
  load(words("create", { port: server.port, path: `/v1/stream/${path}`, ...options }))

/** Checks that every message is there once, whole and in order. */
const verify = ({ server, load, ledger }, path, options = {}) =>
  load(
    words("verify", {
      port: server.port,
      path: `/v1/stream/${path}`,
      ledger: ledger(path),
      ...options,
    })
  )

// ------------------------------------------------------------------------------------ appends

/** Appends to one stream, whose subscription is woken all the time, or once, or is absent. */
function appends({ connections }) {
  const path = "appends"
  const own = {
    without: { title: "no subscription", start: start() },
    unclaimed: { title: "a subscription, unclaimed", start: start() },
    claimed: { title: "a subscription, a busy worker", start: start() },
  }
  return {
    id: `subscribed-append-${connections}`,
    name: `append 256 B to a stream with a subscription, ${connections} connections`,
    unit: "requests/s",
    servers: Object.keys(own),
    own,
    rounds: 15,
    async prepare(context) {
      await create(context, path)
      if (context.name !== "without")
        await subscribePull(context.server, "all", { streams: [`${path}-0`] })
    },
    async run(context) {
      const { server, load, ledger } = context
      const seconds = context.seconds / 3 // many short rounds compare better than a few long ones
      const warmup = seconds / 4
      const writing = load(
        words("requests", {
          port: server.port,
          path: `/v1/stream/${path}`,
          ledger: ledger(path),
          connections,
          seconds,
          warmup,
        })
      )
      const working =
        context.name === "claimed" &&
        load(words("work", { port: server.port, wake: "all", seconds: seconds + warmup }))
      const [result, work] = await Promise.all([writing, working])
      return {
        value: result.per_second,
        latency: result.latency,
        note: latency(result.latency) + (work ? `, ${Math.round(work.per_second)} acks/s` : ""),
      }
    },
    check: (context) => verify(context, path),
  }
}

// ------------------------------------------------------------------------------------- notices

/** One append at a time at a server that has nothing else to do. */
function notices() {
  const path = "notices"
  const type = "text/plain" // whose SSE events are not encoded
  const hook = {}
  const own = {
    sse: { title: "SSE reader of the stream", start: start() },
    "pull-wake": { title: "pull-wake, SSE worker", start: start() },
    webhook: { title: "webhook", start: start() },
  }
  const heard = {
    sse: {},
    "pull-wake": { wake: "all", heard: "/v1/stream/wakes/all" },
    webhook: hook,
  }
  return {
    id: "notice",
    name: "from the answer to an append until its notice, one at a time",
    unit: "p50 µs, 1 connection",
    servers: Object.keys(own),
    own,
    rounds: 5,
    async prepare(context) {
      const { server, name } = context
      await create(context, path, { type })
      if (name === "pull-wake") await subscribePull(server, "all", { streams: [`${path}-0`] })
      if (name !== "webhook") return
      hook.listen = await freePort()
      await subscribeWebhooks(server, path, 1, `http://127.0.0.1:${hook.listen}/hook`)
    },
    async run({ server, name, load, seconds, ledger }) {
      const result = await load(
        words("notice", {
          port: server.port,
          path: `/v1/stream/${path}`,
          ledger: ledger(path),
          type,
          seconds,
          warmup: seconds / 4,
          pause: 0.02,
          ...heard[name],
        })
      )
      const { p50_us, p99_us } = result.whole
      return {
        value: result.latency.p50_us,
        latency: result.latency,
        note: `${latency(result.latency)}; from sending ${latency({ p50_us, p99_us })}`,
      }
    },
    check: (context) => verify(context, path, { type }),
  }
}

/** A subscription for each stream, whose webhook is called for each append. */
function deliveries({ streams, connections }) {
  const path = "deliveries"
  const own = { ours: { title: "ours", start: start() } }
  let listen
  return {
    id: "webhook-deliveries",
    name: `webhook deliveries, ${count(streams)} subscriptions`,
    unit: "deliveries/s, beside as many appends",
    base: 2000,
    servers: ["ours"],
    own,
    async prepare(context) {
      await create(context, path, { streams, connections: 16 })
      listen = await freePort()
      await subscribeWebhooks(context.server, path, streams, `http://127.0.0.1:${listen}/hook`)
    },
    async run({ server, load, seconds, ledger }) {
      const result = await load(
        words("notice", {
          port: server.port,
          path: `/v1/stream/${path}`,
          ledger: ledger(path),
          streams,
          connections,
          listen,
          seconds,
          warmup: seconds / 4,
        })
      )
      return {
        value: result.per_second,
        latency: result.latency,
        note: latency(result.latency),
      }
    },
    check: (context) => verify(context, path, { streams, connections: 16 }),
  }
}

// ----------------------------------------------------------------------------------- creations

/** Streams made one by one, in slices that take turns, so that all databases are equally large. */
function creations({ streams, rounds, subscriptions }) {
  const made = {}
  const own = {
    without: { title: "no subscription", start: start() },
    glob: { title: "one subscription, it matches", start: start() },
    patterns: { title: `${count(subscriptions)} subscriptions, one matches`, start: start() },
  }
  const row = ({ connections, rounds, size, ...rest }) => ({
    id: `creation-${connections}`,
    name: `creation of ${count(rounds * size)} streams, ${connections} connections`,
    unit: "streams/s",
    servers: Object.keys(own),
    own,
    rounds,
    async run(context) {
      const first = made[context.name] ?? 0
      const result = await create(context, "many/m", { first, streams: size, connections })
      made[context.name] = first + size
      return { value: result.per_second, latency: result.latency, note: latency(result.latency) }
    },
    async check({ server, name }) {
      if (name === "without") return
      const { streams } = await control(server, 200, "GET", "all")
      if (streams.length === 0) throw new Error("the subscription has no streams")
    },
    ...rest,
  })
  return [
    row({
      connections: 64,
      rounds,
      size: atLeast(64, streams / rounds),
      async prepare({ server, name }) {
        if (name === "without") return
        await subscribePull(server, "all", { pattern: "many/*" })
        for (let i = 1; name === "patterns" && i < subscriptions; i++)
          await subscribe(server, `other-${i}`, {
            type: "pull-wake",
            wake_stream: "wakes/others",
            pattern: `other-${i}/**`,
          })
      },
    }),
    row({ connections: 1, rounds, size: atLeast(10, streams / rounds / 20) }),
  ]
}

/** One subscription whose pattern matches all streams of a large database. */
function large({ streams }) {
  const prefix = "/v1/stream/large/m"
  const own = {
    ours: { title: "ours", start: filled({ prefix, streams, messages: 1, bytes: 128 }) },
  }
  const timed = async (call) => {
    const began = performance.now()
    const result = await call()
    return [performance.now() - began, result]
  }
  return {
    id: "large-subscription",
    name: `one subscription with ${count(streams)} streams`,
    unit: "ms for the PUT",
    servers: ["ours"],
    own,
    rounds: 3,
    async run({ server }) {
      const [put] = await timed(() => subscribePull(server, "all", { pattern: "large/*" }))
      const append = () =>
        expect(server, 204, "POST", `${prefix}-7`, {
          headers: { "Content-Type": JSON_TYPE },
          body: "{}",
        })
      const [appended] = await timed(append)
      const [claimed, { generation, wake_id, token, streams }] = await timed(() =>
        control(server, 200, "POST", "all/claim", { worker: "bench" })
      )
      const pending = streams.filter((one) => one.has_pending)
      if (pending.length !== 1) throw new Error(`${pending.length} streams are pending, not 1`)
      const acks = pending.map((one) => ({ stream: one.path, offset: one.tail_offset }))
      const [acked] = await timed(() =>
        control(server, 200, "POST", "all/ack", { generation, wake_id, acks, done: true }, token)
      )
      const [ended] = await timed(() => control(server, 204, "DELETE", "all"))
      await expect(server, 204, "DELETE", "/v1/stream/wakes/all")
      const ms = (value) => `${value.toFixed(1)} ms`
      return {
        value: put,
        note: `append ${ms(appended)}, claim ${ms(claimed)}, ack ${ms(acked)}, DELETE ${ms(ended)}`,
      }
    },
  }
}

/** The rows; a factor below 1 makes them smaller, to try them out. */
export function subscriptions(factor) {
  const streams = atLeast(100, 100_000 * factor)
  return [
    appends({ connections: 64 }),
    notices(),
    deliveries({ streams: atLeast(10, 1000 * factor), connections: 64 }),
    ...creations({ streams, rounds: 10, subscriptions: atLeast(10, 1000 * factor) }),
    large({ streams }),
  ]
}
