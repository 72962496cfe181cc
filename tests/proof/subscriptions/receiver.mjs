// A receiver of webhooks: a process of its own, which is killed again and again. It writes down what
// it has got and what it is about to say, before it says it.
//
//   node receiver.mjs PORT FILE SEED     then lines on its input: calm

import fs from "node:fs"
import http from "node:http"
import { chanceFrom } from "./chance.mjs"

const [port, file, seed] = process.argv.slice(2)
const log = fs.openSync(file, "a")
const chance = chanceFrom(Number(seed))
let calm = false

const note = (what, fields) =>
  fs.writeSync(log, JSON.stringify({ what, time: Date.now(), ...fields }) + "\n")

process.on("disconnect", () => process.exit(0))
process.on("message", () => (calm = true))

/** What this receiver does with a wake. */
function choose() {
  if (calm) return chance.oneIn(3) ? "callback" : "done"
  const n = chance.below(20)
  if (n < 9) return "done"
  if (n < 14) return "callback"
  if (n < 16) return "500"
  return ["hang", "close", "late", "silent"][n - 16]
}

http
  .createServer((request, response) => {
    const chunks = []
    request.on("error", () => {})
    request.on("data", (chunk) => chunks.push(chunk))
    request.on("end", () => {
      const wake = JSON.parse(Buffer.concat(chunks).toString("utf8"))
      void receive(wake, response).catch((error) => note("error", { text: error.stack }))
    })
  })
  .listen(Number(port), "127.0.0.1")

const acksOf = (wake) =>
  wake.streams.filter((link) => link.has_pending).map((link) => [link.path, link.tail_offset])

async function receive(wake, response) {
  const how = choose()
  const { subscription_id: subscription, generation, wake_id: wakeId } = wake
  const fields = { subscription, generation, wakeId }

  note("wake", { ...fields, how })
  if (how === "done" || how === "late") {
    if (how === "late") await sleep(chance.between(500, 3500))
    // which of these the server counts, nobody tells: it is the answer to an answer
    note("done", { ...fields, acks: acksOf(wake) })
    answer(response, 200, { done: true })
  } else if (how === "500") {
    answer(response, 500, { error: "no" })
  } else if (how === "close") {
    response.destroy()
  } else if (how === "silent") {
    answer(response, 200, {})
  } else if (how === "hang") {
    setTimeout(() => response.destroy(), 5000)
  } else {
    answer(response, 202, {})
    await callBack(wake, fields)
  }
}

function answer(response, status, body) {
  response.on("error", () => {})
  response.writeHead(status, { "content-type": "application/json", connection: "close" })
  response.end(JSON.stringify(body))
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Some heartbeats with acks, then done. */
async function callBack(wake, fields) {
  const acks = acksOf(wake)
  if (chance.oneIn(2)) await sleep(chance.between(5, 900))
  while (acks.length > 1 && chance.oneIn(2))
    if (!(await post(wake, fields, acks.splice(0, 1), false))) return
  if (chance.oneIn(10)) await sleep(chance.between(500, 3500))
  await post(wake, fields, acks, true)
}

/** Repeats a callback until it is answered; whether it was accepted. */
async function post(wake, fields, acks, done) {
  const id = `${process.pid}-${Date.now()}-${chance.below(1e9)}`
  note("callback", { ...fields, id, acks, done })
  for (let tries = 1; tries < 200; tries++) {
    const status = await postOnce(wake, acks, done)
    if (status > 0 && status < 500) {
      note("answered", { id, status, tries })
      return status === 200
    }
    await sleep(chance.between(10, 80))
  }
  return false
}

function postOnce(wake, acks, done) {
  const body = JSON.stringify({
    wake_id: wake.wake_id,
    generation: wake.generation,
    acks: acks.map(([stream, offset]) => ({ stream, offset })),
    ...(done ? { done: true } : {}),
  })
  return new Promise((resolve) => {
    const request = http.request(
      wake.callback_url,
      {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          authorization: `Bearer ${wake.callback_token}`,
        },
        timeout: 10_000,
      },
      (answer) => {
        answer.resume()
        answer.on("end", () => resolve(answer.statusCode))
        answer.on("error", () => resolve(0))
      }
    )
    request.on("timeout", () => request.destroy())
    request.on("error", () => resolve(0))
    request.end(body)
  })
}
