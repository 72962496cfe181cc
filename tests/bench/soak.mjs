// A long run of subscriptions: `make soak MINUTES=60`.
//
//   node tests/bench/soak.mjs [MINUTES]
//
// 1,000 subscriptions (800 webhooks, 200 pull-wakes) on 10,000 streams, 500 appends a second, receivers
// that fail a third of the time, workers that die, streams and subscriptions that are deleted and made
// again, some at the prompt. A peak of five minutes comes first, with 2,000 appends a second: memory that a
// busy moment needs is kept for the next one, so what grows afterwards is a leak. Four times a minute it prints memory, descriptors and states, and asks the
// database, in one read transaction, whether its tables agree with each other (soak_laws.mjs). At the
// end receivers stop failing, and all that was acknowledged must have been acked by its subscriptions.
// The exit status is 1 if anything was wrong, if memory has grown by more than a tenth, or if a descriptor
// is open that was not open before.

import http from "node:http"
import fs from "node:fs"
import {
  childrenOf,
  delivererOf,
  respondersOf,
  sleep,
  sqlite,
  startServer,
  until,
  usage,
} from "../system/harness.mjs"
import { request, sse } from "../system/http.mjs"
import { lawCount, watchLaws } from "./soak_laws.mjs"

const MINUTES = Number(process.argv[2] ?? 60)
const GROUPS = 980
const WIDE = 20
const STREAMS = 10_000
const PULL_FROM = 780
const PER_SECOND = 500
const PEAK_PER_SECOND = 2000 // in the minutes before
const PEAK_MINUTES = Math.min(5, MINUTES / 4)
const HOSTS = 20 // of receivers: 127.0.0.1 and so on
const WAKE_STREAMS = 4
const WORKERS = 20 // half of them by SSE
const SAMPLE_MS = 15_000
const KEPT_CONNECTIONS = 64 // as in deliver_loop.c
const TYPE = { "Content-Type": "application/json" }
const ROOT = "/v1/stream/"
const CONTROL = ROOT + "__ds/subscriptions/"

const counts = {
  appends: 0,
  posts: 0,
  failed: 0,
  callbacks: 0,
  claims: 0,
  acks: 0,
  fenced: 0,
  remade: 0,
  laws: 0,
}
const wakes = new Map() // "subscription generation" → wake_id
let failing = true
let running = true
let url
let receivers

const random = (n) => Math.floor(Math.random() * n)
const pathOf = (i) => `soak/${i % GROUPS}/${Math.floor(i / GROUPS)}`
const acknowledged = new Int32Array(STREAMS) // messages of the stream that lives now
const underWay = new Int32Array(STREAMS) // appends
const busy = new Set() // streams that are being made again

function fail(text) {
  console.error(`soak: ${text}`)
  process.exitCode = 1
}

async function ask(method, path, body, headers = TYPE) {
  try {
    return await request(url, method, path, {
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      timeout: 60_000,
    })
  } catch (error) {
    return { status: 0, text: String(error) }
  }
}

function noteWake({ subscription_id, generation, wake_id }) {
  const key = `${subscription_id} ${generation}`
  const known = wakes.get(key)
  if (known && known !== wake_id) fail(`two wakes of ${key}: ${known} and ${wake_id}`)
  wakes.set(key, wake_id)
  if (wakes.size > 200_000) wakes.delete(wakes.keys().next().value)
}

// ----------------------------------------------------------------------------------- webhooks

const acksOf = (streams) =>
  streams
    .filter((link) => link.has_pending)
    .map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset }))

async function callBack(wake) {
  await sleep(100)
  const path = new URL(wake.callback_url).pathname
  const { status } = await ask(
    "POST",
    path,
    { wake_id: wake.wake_id, generation: wake.generation, acks: acksOf(wake.streams), done: true },
    { ...TYPE, Authorization: `Bearer ${wake.callback_token}` }
  )
  counts.callbacks++
  if (status !== 200) counts.fenced++
}

function receive(incoming, outgoing) {
  const parts = []
  incoming.on("data", (part) => parts.push(part))
  incoming.on("end", () => {
    const wake = JSON.parse(Buffer.concat(parts))
    const chance = failing ? random(9) : 8
    noteWake(wake)
    counts.posts++
    if (chance < 3) counts.failed++
    if (chance === 0) outgoing.writeHead(500).end()
    else if (chance === 1) incoming.socket.destroy()
    else if (chance === 2) setTimeout(() => incoming.socket.destroy(), 8000)
    else if (chance < 6) {
      outgoing.end("{}")
      void callBack(wake)
    } else outgoing.end('{"done":true}')
  })
}

function startReceiver(i) {
  const server = http.createServer(receive)
  server.keepAliveTimeout = 60_000
  return new Promise((resolve) => server.listen(0, `127.0.0.${i + 1}`, () => resolve(server)))
}

// ---------------------------------------------------------------------------------- pull-wake

async function workOn(name) {
  const claimed = await ask("POST", `${CONTROL}${name}/claim`, { worker: "soak" })
  if (claimed.status !== 200) return
  const { wake_id, generation, token, streams } = JSON.parse(claimed.text)
  counts.claims++
  noteWake({ subscription_id: name, generation, wake_id })
  if (failing && random(10) === 0) return // the worker dies
  const first = streams.find((link) => link.has_pending)
  if (first) await ask("GET", `${ROOT}${first.path}?offset=${first.acked_offset}`)
  const { status } = await ask(
    "POST",
    `${CONTROL}${name}/ack`,
    { wake_id, generation, acks: acksOf(streams), done: true },
    { ...TYPE, Authorization: `Bearer ${token}` }
  )
  counts.acks++
  if (status !== 200) counts.fenced++
}

const namesIn = (events) => new Set(events.map((event) => event.subscription_id))

async function followByLongPoll(stream) {
  let offset = "-1"
  while (running) {
    const live = offset === "-1" ? "" : "&live=long-poll"
    const read = await ask("GET", `${ROOT}${stream}?offset=${offset}${live}`)
    if (read.status !== 200 && read.status !== 204) {
      await sleep(200)
      continue
    }
    offset = read.headers["stream-next-offset"] ?? offset
    const events = read.status === 200 ? JSON.parse(read.text) : []
    await Promise.all([...namesIn(events)].map(workOn))
    if (live === "" && events.length === 0) await sleep(50)
  }
}

async function followBySse(stream) {
  let offset = "-1"
  while (running) {
    const reader = await sse(url, `${ROOT}${stream}?offset=${offset}&live=sse`).catch(() => null)
    if (reader?.status !== 200) {
      await sleep(200)
      continue
    }
    let over = false
    void reader.ended.then(() => (over = true))
    while (running && (!over || reader.events.length > 0)) {
      const events = reader.events.splice(0)
      offset = events.findLast((event) => event.control)?.control.streamNextOffset ?? offset
      const wakes = events.filter((event) => event.type === "data")
      await Promise.all([...namesIn(wakes.flatMap((event) => JSON.parse(event.data)))].map(workOn))
      if (wakes.length === 0) await sleep(20)
    }
    reader.close()
  }
}

const startWorkers = () =>
  Array.from({ length: WORKERS }, (_, i) =>
    (i % 2 ? followBySse : followByLongPoll)(`wakes/${(i >> 1) % WAKE_STREAMS}`)
  )

// ------------------------------------------------------------------------------------- streams

async function make(i) {
  const { status, text } = await ask("PUT", ROOT + pathOf(i))
  if (status !== 201) fail(`creating ${pathOf(i)}: ${status} ${text}`)
}

async function append(i) {
  if (busy.has(i)) return
  underWay[i]++
  const { status, text } = await ask("POST", ROOT + pathOf(i), { n: counts.appends })
  underWay[i]--
  if (status !== 204) return fail(`append to ${pathOf(i)}: ${status} ${text}`)
  counts.appends++
  acknowledged[i]++
}

/** Deletes a stream and makes it again, when no append to it is under way. */
async function remake(i) {
  busy.add(i)
  while (underWay[i] > 0) await sleep(20)
  await ask("DELETE", ROOT + pathOf(i))
  await make(i)
  acknowledged[i] = 0
  counts.remade++
  busy.delete(i)
}

function subscription(k) {
  const pattern = k < GROUPS ? `soak/${k}/*` : `soak/*/${(k - GROUPS) % 10}`
  const lease_ttl_ms = 1000 + (k % 5) * 1000
  if (k >= PULL_FROM && k < GROUPS)
    return { type: "pull-wake", pattern, wake_stream: `wakes/${k % WAKE_STREAMS}`, lease_ttl_ms }
  const { address, port } = receivers[k % HOSTS].address()
  return {
    type: "webhook",
    pattern,
    webhook: { url: `http://${address}:${port}/${k}` },
    lease_ttl_ms,
  }
}

async function subscribe(k) {
  const { status, text } = await ask("PUT", `${CONTROL}s${k}`, subscription(k))
  if (status !== 201) fail(`subscribing s${k}: ${status} ${text}`)
}

async function churn(database) {
  for (let turn = 0; running; turn++) {
    await sleep(1000)
    await remake(random(STREAMS))
    if (turn % 2) continue
    const k = random(GROUPS + WIDE)
    if (turn % 8) await ask("DELETE", `${CONTROL}s${k}`)
    else
      await sqlite(database, `DELETE FROM subscription WHERE name = 's${k}'`, { timeoutMs: 60_000 })
    await subscribe(k)
  }
}

async function appendAll(end, perSecond) {
  const began = Date.now()
  for (let sent = 0; Date.now() < end; ) {
    const due = Math.floor(((Date.now() - began) * perSecond) / 1000)
    for (; sent < due; sent++) void append(random(STREAMS))
    await sleep(20)
  }
}

// ------------------------------------------------------------------------------------- samples

const samples = []

const ROWS = ["stream", "message", "subscription", "subscription_link", "subscription_tombstone"]

async function checkLaws() {
  const { broken, found } = await lawsHold({
    states: "SELECT state, count(*) FROM subscription_overview GROUP BY state",
    ...Object.fromEntries(ROWS.map((table) => [`${table} rows`, `SELECT count(*) FROM ${table}`])),
  })
  counts.laws += lawCount
  broken.forEach(fail)
  return found
}

function pidsOf(server) {
  const supervisor = server.supervisors[0].pid
  const pids = { supervisor, deliverer: delivererOf(supervisor) }
  respondersOf(supervisor).forEach((pid, i) => (pids[`responder ${i}`] = pid))
  // the worker of nginx is the child of its master
  for (const child of childrenOf(process.pid))
    for (const pid of childrenOf(child)) if (child !== supervisor) pids.nginx = pid
  return pids
}

const megabytes = (file) => (fs.statSync(file).size / 2 ** 20).toFixed(0)

async function sample(server, began) {
  const row = { minute: (Date.now() - began) / 60_000, of: {} }
  for (const [name, pid] of Object.entries(pidsOf(server))) row.of[name] = usage(pid)
  samples.push(row)
  const found = await checkLaws()
  const memory = Object.entries(row.of)
    .map(([name, use]) => `${name} ${use.rssKiB} KiB ${use.descriptors} fds ${use.threads} threads`)
    .join("; ")
  const rows = ROWS.map((table) => `${table} ${found[`${table} rows`]}`).join(", ")
  const sizes = ["", "-wal"].map((end) => `${megabytes(server.database + end)} MiB`).join(" and ")
  console.log(
    `${row.minute.toFixed(1)} min: ${memory} | ${JSON.stringify(counts)} | ` +
      `${found.states.join(", ").replaceAll("|", " ")} | database and log ${sizes} | ${rows}`
  )
}

/** Compares the mean of resident memory in the last sixth of the run with that in the second one. */
function compareMemory() {
  if (samples.length < 12) return console.log("too short to compare memory")
  const sixth = samples.length / 6
  const meanOf = (nth, name) => {
    const rows = samples.slice(Math.floor((nth - 1) * sixth), Math.floor(nth * sixth))
    return rows.reduce((sum, row) => sum + (row.of[name]?.rssKiB ?? 0), 0) / rows.length
  }
  for (const name of Object.keys(samples[0].of)) {
    const [early, late] = [meanOf(2, name), meanOf(6, name)]
    console.log(`${name} KiB: ${early.toFixed(0)} → ${late.toFixed(0)}`)
    if (late > early * 1.1) fail(`${name} grows: ${early} → ${late} KiB`)
  }
}

/**
 * Clients are gone: what was open before the first of them, and no more, is open again. The process that
 * delivers keeps some connections that receivers have closed, until libcurl wants their place.
 */
async function compareDescriptors(server, before) {
  const most = { ...before, deliverer: before.deliverer + KEPT_CONNECTIONS }
  const rest = () =>
    Object.entries(pidsOf(server)).map(([name, pid]) => [name, most[name], usage(pid).descriptors])
  await until(
    () => rest().every(([, may, is]) => is <= may),
    () => `descriptors are closed: ${rest().map(([name, may, is]) => `${name} ${is} of ${may}`)}`,
    { timeout: 180_000, every: 1000 }
  ).catch((error) => fail(error.message))
  for (const [name, may, is] of rest()) console.log(`${name} descriptors: ${is} of ${may}`)
}

async function checkEnd(database) {
  const idle = async () =>
    (await sqlite(database, "SELECT count(*) FROM subscription WHERE wake_id IS NOT NULL")) === "0"
  await until(idle, "every subscription is idle", { timeout: 300_000, every: 1000 })
  await checkLaws()
  const found = new Map(
    (await sqlite(database, "SELECT path, messages FROM stream WHERE path GLOB '/v1/stream/soak/*'"))
      .split("\n")
      .map((line) => line.split("|"))
  )
  let wrong = 0
  for (let i = 0; i < STREAMS; i++)
    if (Number(found.get(ROOT + pathOf(i))) !== acknowledged[i]) wrong++
  if (wrong > 0) fail(`${wrong} streams have other messages than were acknowledged`)
  const behind = await sqlite(
    database,
    "SELECT count(*) FROM subscription_link AS l JOIN stream AS s ON s.id = l.stream_id WHERE max(l.acked, 0) < s.tail"
  )
  if (behind !== "0") fail(`${behind} cursors are behind at the end`)
}

const server = await startServer({
  processes: 2,
  env: { DS_WEBHOOK_LOCAL: "1", DS_LONG_POLL_TIMEOUT_MS: "20000", DS_MAX_SUBSCRIPTIONS: "2000" },
})
const lawsHold = watchLaws(server.database)
url = server.url
receivers = await Promise.all(Array.from({ length: HOSTS }, (_, i) => startReceiver(i)))
const before = Object.fromEntries(
  Object.entries(pidsOf(server)).map(([name, pid]) => [name, usage(pid).descriptors])
)
try {
  for (let i = 0; i < WAKE_STREAMS; i++) await ask("PUT", `${ROOT}wakes/${i}`)
  for (let k = 0; k < GROUPS + WIDE; k++) await subscribe(k)
  for (let i = 0; i < STREAMS; i += 50)
    await Promise.all(Array.from({ length: 50 }, (_, j) => make(i + j)))
  const workers = startWorkers()
  const churning = churn(server.database)
  await appendAll(Date.now() + PEAK_MINUTES * 60_000, PEAK_PER_SECOND)
  const began = Date.now()
  const sampling = setInterval(() => void sample(server, began).catch(fail), SAMPLE_MS)
  await appendAll(began + MINUTES * 60_000, PER_SECOND)
  clearInterval(sampling)
  failing = false
  running = false
  await Promise.all([churning, ...workers])
  running = true
  workers.splice(0, Infinity, ...startWorkers()) // they see every event again
  await checkEnd(server.database)
  running = false
  await Promise.all(workers)
  compareMemory()
  await compareDescriptors(server, before)
  console.log(process.exitCode ? "failed" : `held for ${MINUTES} minutes: ${JSON.stringify(counts)}`)
} finally {
  for (const receiver of receivers) {
    receiver.closeAllConnections()
    receiver.close()
  }
  await server.stop()
}
