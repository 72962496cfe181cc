// What durable-streams-subscriptions(7) shows, run as it is shown: its commands in their order, and its
// receiver of webhooks. Then a worker as that page advises, with @durable-streams/client, over a kill.

import { afterAll, beforeAll, expect, test } from "vitest"
import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { stream } from "@durable-streams/client"
import { cleanEnv, freePort, launch, root, sleep, startServer, until } from "./harness.mjs"
import { checkSignature, startReceiver } from "./deliver/receiver.mjs"
import { client } from "./http.mjs"

const PATIENCE = { timeout: 20_000 }
const JSON_TYPE = "application/json"
const undo = []
let server
let api

beforeAll(async () => {
  server = await startServer({ responders: 2, env: { DS_WEBHOOK_LOCAL: "1" } })
  api = client(server.url)
})
afterAll(async () => {
  for (const step of undo.reverse()) await step()
  await server?.stop()
})

// ---------------------------------------------------------------------------------------- the page

/** The examples of the page, in order, as a reader sees them. */
function examples() {
  const page = fs.readFileSync(path.join(root, "deploy/man/durable-streams-subscriptions.7"), "utf8")
  const blocks = page.matchAll(/^\.Bd -literal\n(.*?)^\.Ed$/gms)
  return [...blocks].map(([, text]) => text.replaceAll("\\e", "\\"))
}

/** The only example with this text. */
function example(text) {
  const found = examples().filter((one) => one.includes(text))
  expect([text, found.length]).toEqual([text, 1])
  return found[0]
}

/** An example as a list of { command, shown }; shown is the answer that follows the command, or "". */
function commandsOf(text) {
  const steps = []
  let open = false // the command goes on in the next line
  for (const line of text.split("\n")) {
    const at = steps.at(-1)
    if (open) at.command += `\n${line}`
    else if (/^(curl|sqlite3|[A-Z]=)/.test(line)) steps.push({ command: line, shown: "" })
    else at.shown += line
    const { command } = steps.at(-1)
    open = command.endsWith("\\") || (command.match(/'/g) ?? []).length % 2 === 1
  }
  return steps
}

/** What the page cannot know: replaced in the commands that follow, and left out of comparisons. */
const ownValues = ["wake_id", "token", "ts", "callback_token"]
const withoutOwn = (value) =>
  JSON.parse(JSON.stringify(value, (key, of) => (ownValues.includes(key) ? typeof of : of)))

/** A shell that runs the commands of the page, with the addresses of this test. */
function shell(addresses) {
  const replaced = new Map(addresses)
  let before = 'curl() { command curl -sS --fail-with-body "$@"; }\n'
  const ours = (text) => {
    for (const [shown, real] of replaced) text = text.replaceAll(shown, real)
    return text
  }
  return {
    ours,
    /** Runs a command; returns what it has printed. */
    run(command) {
      if (/^[A-Z]=/.test(command)) return void (before += `${ours(command)}\n`)
      const { status, stdout, stderr } = spawnSync("sh", ["-c", before + ours(command)], {
        encoding: "utf8",
        env: cleanEnv(),
      })
      expect([command, status, stderr + (status === 0 ? "" : stdout)]).toEqual([command, 0, ""])
      return stdout
    },
    /** Compares an answer with the one that the page shows, and remembers its values. */
    compare(printed, shown) {
      const [real, expected] = [JSON.parse(printed), JSON.parse(ours(shown))]
      expect(withoutOwn(real)).toEqual(withoutOwn(expected))
      for (const name of ownValues)
        if (typeof expected[name] === "string") replaced.set(expected[name], real[name])
      return real
    },
  }
}

test("the manual page: pull-wake, a webhook with its receiver, streams, exactly once, the prompt", async () => {
  const port = await freePort()
  const give = (body, { "webhook-signature": signature }) =>
    fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      headers: { "webhook-signature": signature ?? "" },
      body,
    })
  // stands before the receiver of the page, to see what it gets
  const passed = await startReceiver(undo, async (_, response, { headers, raw }) => {
    const answer = await give(raw, headers)
    response.writeHead(answer.status).end(await answer.text())
  })
  const sh = shell([
    ["http://127.0.0.1:4437", server.url],
    ["http://127.0.0.1:8000/", passed.url],
    ["data/streams.db", server.database],
  ])
  const walk = (text) => {
    let printed
    for (const { command, shown } of commandsOf(text)) {
      printed = sh.run(command)
      if (shown) sh.compare(printed, shown)
    }
    return printed
  }

  sh.compare(walk(example("B=http")), example('"type":"wake"'))
  walk(example('claim -d \'{"worker":"w1"}\''))
  expect(sh.run("curl $B/__ds/subscriptions/pool")).toContain(
    '"acked_offset":"0000000000000000_0000000000000020"'
  )

  // the receiver prints what it reads
  const file = path.join(server.folder, "receiver.mjs")
  const log = path.join(server.folder, "receiver.log")
  fs.writeFileSync(file, sh.ours(example("createServer")).replace("listen(8000)", `listen(${port})`))
  const receiver = launch(process.execPath, [file], { log })
  undo.push(() => receiver.kill())
  await until(
    () =>
      give("{}", {}).then(
        ({ status }) => status === 401,
        () => false
      ),
    "the receiver listens, and refuses what is not signed",
    PATIENCE
  )
  walk(example('"type":"webhook"'))
  await until(() => passed.got.length > 0, "the webhook arrives", PATIENCE)
  const [got] = passed.got
  const { streams, ...body } = got.body
  const shown = sh.ours(example('"callback_token"')).replace(/"streams":\[…\],/, "")
  expect(withoutOwn(body)).toEqual(withoutOwn(JSON.parse(shown)))
  expect(streams.map((one) => [one.path, one.has_pending])).toEqual([["jobs/1", true]])
  const { keys } = JSON.parse((await api.get("/v1/stream/__ds/jwks.json")).text)
  checkSignature(got, keys)
  const printed = () => fs.readFileSync(log, "utf8").trim()
  await until(() => printed() !== "", "it prints the job", PATIENCE)
  expect(printed()).toBe('jobs/1 [{"resize":"dog.png"}]')
  await until(
    () => sh.run("curl $B/__ds/subscriptions/hook").includes(streams[0].tail_offset),
    "it is done",
    PATIENCE
  )
  expect((await give(`${got.raw} `, got.headers)).status).toBe(401)

  const [add, remove] = commandsOf(example('"streams":["other/a"]'))
  sh.run(add.command)
  expect(sh.run("curl $B/__ds/subscriptions/pool")).toContain('"other/a"')
  sh.run(remove.command)
  expect(sh.run("curl $B/__ds/subscriptions/pool")).not.toContain('"other/a"')

  sh.run('curl -X PUT $B/results -H "$J"')
  walk(example("Producer-Epoch: 7"))
  expect(sh.run("curl $B/results")).toContain('"from":"jobs/1"')
  const late = sh.ours(example("Producer-Epoch: 7")).replace("Epoch: 7", "Epoch: 6")
  expect(sh.run(late.replace(/^curl/, "command curl -sS -o /dev/null -w '%{http_code}'"))).toBe("403")

  const prompt = commandsOf(example("subscription_overview"))
  expect(sh.run(prompt[0].command)).toMatch(/pool[^]*hook|hook[^]*pool/)
  sh.run(prompt[1].command)
})

// -------------------------------------------------------------------------------------- the worker

/** A request that is repeated until it is answered: a killed server answers 502, or not at all. */
async function patient(url, body, headers = {}) {
  for (;;) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": JSON_TYPE, ...headers },
      body: JSON.stringify(body),
    }).catch(() => undefined)
    const text = await answer?.text().catch(() => undefined)
    if (text !== undefined && answer.status < 500) return { status: answer.status, text }
    await sleep(20)
  }
}

/** What is in the stream after the offset, and the offset of its end. */
async function readAfter(url, offset) {
  const response = await stream({ url, offset, live: false, json: true })
  const items = await response.json()
  return { items, offset: response.offset }
}

class Refused extends Error {}

/**
 * A worker of the subscription: follows its wake stream, and makes a message of each input. It begins
 * each wake with a message of its own, which fences its predecessor, and then looks how far that one
 * got. `pause` is called with each wake between output and ack.
 */
function startWorker(base, { subscription, wakes, out, name }, pause = async () => {}) {
  const control = `${base}/__ds/subscriptions/${subscription}`
  const worker = { refused: [], generations: [] }
  const abort = new AbortController()

  async function work({ wake_id, generation, token, streams }) {
    let seq = 0
    const write = async (message) => {
      const { status } = await patient(`${base}/${out}`, message, {
        "producer-id": subscription,
        "producer-epoch": String(generation),
        "producer-seq": String(seq++),
      })
      if (status >= 300) throw new Refused(`output: ${status}`)
    }
    await write({ begun: generation })
    const { items: before } = await readAfter(`${base}/${out}`, "-1")
    const acks = []
    for (const { path: input, acked_offset, has_pending } of streams) {
      if (!has_pending) continue
      const last = before.findLast((message) => message.from === input)
      const from = last && last.offset > acked_offset ? last.offset : acked_offset
      const { items, offset } = await readAfter(`${base}/${input}`, from)
      if (items.length > 0) await write({ from: input, offset, made: items.map(({ n }) => n) })
      acks.push({ stream: input, offset })
    }
    await pause(generation)
    const { status, text } = await patient(
      `${control}/ack`,
      { wake_id, generation, acks, done: true },
      { authorization: `Bearer ${token}` }
    )
    if (status !== 200) throw new Refused(`ack: ${status} ${JSON.parse(text).error.code}`)
    worker.generations.push(generation)
  }

  async function onWake() {
    const { status, text } = await patient(`${control}/claim`, { worker: name })
    if (status === 200) await work(JSON.parse(text))
    else if (status !== 409) throw new Error(`claim: ${status} ${text}`)
  }

  worker.stop = () => abort.abort()
  const following = { offset: "-1", live: "sse", json: true, signal: abort.signal }
  worker.started = stream({ url: `${base}/${wakes}`, ...following }).then((response) => {
    response.closed?.catch(() => {})
    response.subscribeJson(async ({ items }) => {
      for (const event of items)
        if (event.subscription_id === subscription)
          await onWake().catch((error) => worker.refused.push(error.message))
    })
  })
  return worker
}

test("workers with the published client: output exactly once, over a kill of all processes", async () => {
  const base = `${server.url}/v1/stream`
  const names = { subscription: "lines", wakes: "lines-wakes", out: "lines-out" }
  for (const name of [names.wakes, names.out]) await api.create(`/v1/stream/${name}`, JSON_TYPE)
  const made = await api.put(
    "/v1/stream/__ds/subscriptions/lines",
    {},
    JSON.stringify({ type: "pull-wake", pattern: "lines/*", wake_stream: names.wakes, lease_ttl_ms: 2000 })
  )
  expect(made.status).toBe(201)
  const inputs = ["lines/a", "lines/b"]
  for (const name of inputs) await api.create(`/v1/stream/${name}`, JSON_TYPE)

  // the first worker stays between output and ack, from its second wake on
  let goOn
  const waits = new Promise((resolve) => (goOn = resolve))
  let stuck
  const reached = new Promise((resolve) => (stuck = resolve))
  const first = startWorker(base, { ...names, name: "w1" }, async (generation) => {
    if (generation < 2) return
    stuck()
    await waits
  })
  undo.push(first.stop, () => goOn())
  await first.started

  let sent = 0
  const feed = async (times) => {
    for (let i = 0; i < times; i++) {
      const name = inputs[i % 2]
      const headers = {
        "producer-id": "feed",
        "producer-epoch": "0",
        "producer-seq": String(Math.floor(sent / 2)),
      }
      expect((await patient(`${base}/${name}`, { n: sent++ }, headers)).status).toBeLessThan(300)
    }
  }
  const output = async () =>
    (await readAfter(`${base}/${names.out}`, "-1")).items.flatMap((message) => message.made ?? [])
  await feed(20)
  await until(
    async () => {
      await feed(2)
      return Promise.race([reached.then(() => true), sleep(50)])
    },
    "the worker has output that is not acked",
    PATIENCE
  )

  const second = startWorker(base, { ...names, name: "w2" })
  undo.push(second.stop)
  await second.started
  const feeding = feed(40)
  await server.crash()
  await feeding
  await until(async () => (await output()).length >= sent, `all ${sent} are dealt with`, PATIENCE)
  // it notes its turn after the last output
  await until(() => second.generations.length > 0, "the second worker has had a turn", PATIENCE)

  goOn()
  await until(
    () => first.refused.includes("ack: 409 FENCED"),
    () => `the first worker is fenced off: ${first.refused}`,
    PATIENCE
  )
  const all = await output()
  const sorted = (list) => [...list].sort((a, b) => a - b)
  expect(sorted(all)).toEqual(Array.from({ length: sent }, (_, i) => i))
  for (const rest of [0, 1]) {
    const own = all.filter((n) => n % 2 === rest)
    expect(own).toEqual(sorted(own))
  }
})
