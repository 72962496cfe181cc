// A long run of subscriptions: `make soak MINUTES=60`.
//
//   node tests/bench/soak.mjs [MINUTES]
//
// 1,000 subscriptions (800 webhooks, 200 pull-wakes) on 10,000 streams, 500 appends a second, receivers
// that fail a third of the time, workers that die, streams and subscriptions that are deleted and made
// again. Every half minute it prints memory, descriptors and states, and asks the database, in one read
// transaction, whether its tables agree with each other. At the end receivers stop failing, and all
// that was acknowledged must have been acked by its subscriptions.

import http from "node:http"
import { sleep, sqlite, startServer, until, usage, delivererOf, respondersOf } from "../system/harness.mjs"
import { request } from "../system/http.mjs"

const MINUTES = Number(process.argv[2] ?? 60)
const GROUPS = 980
const WIDE = 20
const STREAMS = 10_000
const PULL_FROM = 780
const PER_SECOND = 500
const SAMPLE_MS = 30_000
const TYPE = { "Content-Type": "application/json" }
const ROOT = "/v1/stream/"
const CONTROL = ROOT + "__ds/subscriptions/"

/** Each must find nothing, at any moment. */
const laws = {
  "pending and no wake": `SELECT count(*) FROM subscription AS s WHERE wake_id IS NULL AND EXISTS
    (SELECT 1 FROM subscription_link WHERE subscription_id = s.id AND pending = 1)`,
  "pending is wrong": `SELECT count(*) FROM subscription_link AS l LEFT JOIN stream AS s
    ON s.id = l.stream_id WHERE l.pending <> (s.id IS NOT NULL AND s.tail > max(l.acked, 0))`,
  "cursor beyond the tail": `SELECT count(*) FROM subscription_link AS l JOIN stream AS s
    ON s.id = l.stream_id WHERE l.acked > s.tail OR l.path <> s.path`,
  "holder without a lease": `SELECT count(*) FROM subscription WHERE holder IS NOT NULL
    AND lease_until IS NULL`,
  "webhook without a lease": `SELECT count(*) FROM subscription WHERE type = 'webhook'
    AND wake_id IS NOT NULL AND lease_until IS NULL`,
  "idle with the rest of a wake": `SELECT count(*) FROM subscription WHERE wake_id IS NULL AND
    (holder IS NOT NULL OR lease_until IS NOT NULL OR next_attempt_at IS NOT NULL)`,
  "overdue": `SELECT count(*) FROM subscription WHERE
    (next_attempt_at IS NULL AND lease_until < (julianday('now') - 2440587.5) * 86400000 - 15000) OR
    next_attempt_at < (julianday('now') - 2440587.5) * 86400000 - 45000`,
  "link without a subscription": `SELECT count(*) FROM subscription_link WHERE subscription_id NOT IN
    (SELECT id FROM subscription)`,
}

const counts = { appends: 0, posts: 0, failed: 0, callbacks: 0, claims: 0, acks: 0, fenced: 0, remade: 0 }
const wakes = new Map() // "subscription generation" → wake_id
let failing = true
let running = true
let url
let receiver

const random = (n) => Math.floor(Math.random() * n)
const pathOf = (i) => `soak/${i % GROUPS}/${Math.floor(i / GROUPS)}`
const acknowledged = new Int32Array(STREAMS) // messages of the stream that lives now
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

function startReceiver() {
  const server = http.createServer((incoming, outgoing) => {
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
  })
  server.keepAliveTimeout = 60_000
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)))
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

async function followWakes(stream) {
  let offset = "-1"
  while (running) {
    const live = offset === "-1" ? "" : "&live=long-poll"
    const read = await ask("GET", `${ROOT}${stream}?offset=${offset}${live}`)
    if (read.status !== 200 && read.status !== 204) {
      await sleep(200)
      continue
    }
    offset = read.headers["stream-next-offset"] ?? offset
    const names = new Set(
      read.status === 200 ? JSON.parse(read.text).map((event) => event.subscription_id) : []
    )
    await Promise.all([...names].map(workOn))
    if (live === "" && names.size === 0) await sleep(50)
  }
}

// ------------------------------------------------------------------------------------- streams

async function make(i) {
  const { status, text } = await ask("PUT", ROOT + pathOf(i))
  if (status !== 201) fail(`creating ${pathOf(i)}: ${status} ${text}`)
}

async function append(i) {
  if (busy.has(i)) return
  const { status, text } = await ask("POST", ROOT + pathOf(i), { n: counts.appends })
  if (status === 204) {
    counts.appends++
    if (!busy.has(i)) acknowledged[i]++
  } else if (!(busy.has(i) && status === 404)) fail(`append to ${pathOf(i)}: ${status} ${text}`)
}

/** Deletes a stream and makes it again, when no append to it is under way. */
async function remake(i) {
  busy.add(i)
  await sleep(1000)
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
    return { type: "pull-wake", pattern, wake_stream: `wakes/${k % 4}`, lease_ttl_ms }
  const port = receiver.address().port
  return { type: "webhook", pattern, webhook: { url: `http://127.0.0.1:${port}/${k}` }, lease_ttl_ms }
}

async function subscribe(k) {
  const { status, text } = await ask("PUT", `${CONTROL}s${k}`, subscription(k))
  if (status !== 201) fail(`subscribing s${k}: ${status} ${text}`)
}

async function churn() {
  for (let turn = 0; running; turn++) {
    await remake(random(STREAMS))
    if (turn % 2) continue
    const k = random(GROUPS + WIDE)
    await ask("DELETE", `${CONTROL}s${k}`)
    await subscribe(k)
  }
}

async function appendAll(end) {
  const began = Date.now()
  for (let sent = 0; Date.now() < end; ) {
    const due = Math.floor(((Date.now() - began) * PER_SECOND) / 1000)
    for (; sent < due; sent++) void append(random(STREAMS))
    await sleep(20)
  }
}

// ------------------------------------------------------------------------------------- samples

const samples = []

async function checkLaws(database) {
  const names = Object.keys(laws)
  const sql = `BEGIN; ${names.map((name) => laws[name] + ";").join("\n")} COMMIT`
  const found = (await sqlite(database, sql)).split("\n")
  names.forEach((name, i) => Number(found[i]) > 0 && fail(`${name}: ${found[i]}`))
}

async function sample(server, began) {
  const supervisor = server.supervisors[0].pid
  const pids = { supervisor, deliverer: delivererOf(supervisor) }
  respondersOf(supervisor).forEach((pid, i) => (pids[`responder${i}`] = pid))
  const row = { minute: (Date.now() - began) / 60_000, of: {} }
  for (const [name, pid] of Object.entries(pids)) row.of[name] = { pid, ...usage(pid) }
  samples.push(row)
  await checkLaws(server.database)
  const states = await sqlite(
    server.database,
    "SELECT group_concat(state || ' ' || n, ', ') FROM (SELECT state, count(*) AS n FROM subscription_overview GROUP BY state)"
  )
  const memory = Object.entries(row.of)
    .map(([name, use]) => `${name} ${use.rssKiB} KiB ${use.descriptors} fds ${use.threads} threads`)
    .join("; ")
  console.log(`${row.minute.toFixed(1)} min: ${memory} | ${JSON.stringify(counts)} | ${states}`)
}

/** Compares the last sixth of the run with the second one. */
function compareSamples() {
  const sixth = samples.length / 6
  const mean = (from, to, name, field) => {
    const rows = samples.slice(Math.floor(from * sixth), Math.floor(to * sixth))
    return rows.reduce((sum, row) => sum + row.of[name][field], 0) / rows.length
  }
  for (const name of Object.keys(samples[0].of))
    for (const field of ["rssKiB", "descriptors"]) {
      const early = mean(1, 2, name, field)
      const late = mean(5, 6, name, field)
      console.log(`${name} ${field}: ${early.toFixed(1)} → ${late.toFixed(1)}`)
      const slack = field === "rssKiB" ? 2048 : 32
      if (late > early * 1.1 + slack) fail(`${name} grows: ${field} ${early} → ${late}`)
    }
}

async function checkEnd(database) {
  const idle = async () =>
    (await sqlite(database, "SELECT count(*) FROM subscription WHERE wake_id IS NOT NULL")) === "0"
  await until(idle, "every subscription is idle", { timeout: 300_000, every: 1000 })
  await checkLaws(database)
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
url = server.url
receiver = await startReceiver()
try {
  for (let i = 0; i < 4; i++) await ask("PUT", `${ROOT}wakes/${i}`)
  for (let k = 0; k < GROUPS + WIDE; k++) await subscribe(k)
  for (let i = 0; i < STREAMS; i += 50)
    await Promise.all(Array.from({ length: 50 }, (_, j) => make(i + j)))
  const began = Date.now()
  const end = began + MINUTES * 60_000
  const workers = [0, 1, 2, 3].flatMap((i) => [followWakes(`wakes/${i}`), followWakes(`wakes/${i}`)])
  const timer = setInterval(() => void sample(server, began).catch((error) => fail(error)), SAMPLE_MS)
  const churning = churn()
  await appendAll(end)
  clearInterval(timer)
  failing = false
  running = false
  await churning
  running = true // the workers go on until all is idle
  workers.push(...[0, 1, 2, 3].map((i) => followWakes(`wakes/${i}`)))
  await checkEnd(server.database)
  running = false
  await Promise.all(workers)
  compareSamples()
  console.log(process.exitCode ? "failed" : `held for ${MINUTES} minutes: ${JSON.stringify(counts)}`)
} finally {
  receiver.closeAllConnections()
  receiver.close()
  await server.stop()
}
