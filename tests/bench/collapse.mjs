// Ten thousand readers at one nginx with its options cache and collapse, and how many of their
// requests reach the responder:
//
//   node tests/bench/collapse.mjs [--readers N] [--messages N]
//
// Each reader holds a connection all the time, so `ulimit -n` must allow twice as many. The times
// include those of this program, which is the readers.

import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { countedSocket } from "../system/counted.mjs"
import { openCrowd } from "../system/crowd.mjs"
import { childrenOf, end, sleep, startNginx, startServer, usage } from "../system/harness.mjs"
import { client, fresh } from "../system/http.mjs"

const option = (name, preset) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? preset : Number(process.argv[at + 1])
}
const READERS = option("readers", 10_000)
const MESSAGES = option("messages", 10)

const seconds = (began) => ((performance.now() - began) / 1000).toFixed(2)
/** Resident memory of nginx's worker. */
const workerKiB = ({ child }) => Math.max(...childrenOf(child.pid).map((pid) => usage(pid).rssKiB))
const row = (what, options, crowd, requests, time, more = "") => {
  const ratio = ((100 * crowd.hits) / crowd.requests).toFixed(2)
  console.log(
    `${what.padEnd(34)} ${options.padEnd(14)} ${String(crowd.requests).padStart(7)} requests, ` +
      `${String(requests).padStart(6)} to the responder, hit ratio ${ratio} %, ${time} s ${more}`
  )
  if (crowd.errors.length > 0) throw new Error(`broken connections: ${crowd.errors[0]}`)
}

/** All readers read the same 10 KB. */
async function catchUp(front, counter, api, options) {
  const stream = fresh("catch-up")
  await api.create(stream, "text/plain", "x".repeat(10_000))
  const crowd = await openCrowd(front.url, READERS)
  const before = counter.requests
  const began = performance.now()
  const answers = await crowd.read(`${stream}?offset=-1`)
  const time = seconds(began)
  if (answers.some(({ status, text }) => status !== 200 || text.length !== 10_000))
    throw new Error(`not everybody got everything: ${JSON.stringify(crowd.answers)}`)
  row("catching up", options, crowd, counter.requests - before, time)
  crowd.close()
}

/** All readers wait; each message is appended when all of them have the previous one. */
async function waitFor(front, counter, api, options, arrival) {
  const stream = fresh("poll")
  await api.create(stream, "text/plain", "start ")
  const { next } = await api.readAll(stream)
  const crowd = await openCrowd(front.url, READERS)
  const polls = []
  const last = `<${MESSAGES}>`
  const begin = (reader, offset) =>
    polls.push(crowd.poll(reader, stream, offset, (received) => received.endsWith(last)))
  const before = counter.requests
  let slowest = 0
  let began
  if (arrival === "together") for (const reader of crowd.readers) begin(reader, next)
  let joined = arrival === "together" ? READERS : 0
  let offset = next
  for (let n = 1; n <= MESSAGES; n++) {
    // more readers join before each message, at the tail of that moment
    const more = arrival === "together" ? READERS : Math.ceil((READERS * n) / MESSAGES)
    for (; joined < more; joined++) begin(crowd.readers[joined], offset)
    await sleep(1000)
    began = performance.now()
    offset = (await api.append(stream, "text/plain", `<${n}>`)).headers["stream-next-offset"]
    while (crowd.readers.slice(0, joined).some(({ received }) => !received.endsWith(`<${n}>`)))
      await sleep(5)
    slowest = Math.max(slowest, performance.now() - began)
  }
  await Promise.all(polls)
  const appends = MESSAGES
  row(
    `waiting, ${MESSAGES} messages, ${arrival}`,
    options,
    crowd,
    counter.requests - before - appends,
    (slowest / 1000).toFixed(2),
    `at most from an append to the last reader; nginx ${Math.round(workerKiB(front) / 1024)} MiB`
  )
  crowd.close()
}

const server = await startServer({ door: "none", env: { DS_LONG_POLL_TIMEOUT_MS: "30000" } })
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-bench-"))
const counter = await countedSocket(server.sockets[0])
try {
  const front = await startNginx({
    folder,
    log: path.join(folder, "log"),
    sockets: [counter.socket],
    options: ["cache", "collapse"],
  })
  try {
    await sleep(300)
    const api = client(front.url)
    await catchUp(front, counter, api, "cache")
    await waitFor(front, counter, api, "collapse", "together")
    await waitFor(front, counter, api, "collapse", "one after another")
  } finally {
    await end(front.child)
  }
} finally {
  await counter.close()
  await server.stop()
  if (process.env.DS_TEST_KEEP !== "1") fs.rmSync(folder, { recursive: true, force: true })
  else console.log(folder)
}
