// The published client of subscriptions, that of Electric's agents, against this server, over a
// kill -9. README.md says how to run it.
//
//   node tests/proof/agents.mjs FOLDER
//
// FOLDER is a checkout of electric-sql/electric. The modules in `theirs` are bundled as they are, into
// a temporary folder. Their agents server needs PostgreSQL for its entities, so front() takes its
// place: it serves the two routes that a runner calls, by means of their client, and passes everything
// else on with their own forwarding function.

import { spawnSync } from "node:child_process"
import assert from "node:assert/strict"
import fs from "node:fs"
import http from "node:http"
import os from "node:os"
import path from "node:path"
import { pathToFileURL } from "node:url"
import { build as bundle } from "esbuild"
import { root, sqlite, startServer, until } from "../system/harness.mjs"
import { startReceiver } from "../system/deliver/receiver.mjs"

const theirs = {
  "agents-server/src/stream-client.ts": ["StreamClient", "DurableStreamsSubscriptionError"],
  "agents-server/src/utils/server-utils.ts": ["forwardFetchRequest"],
  "agents-runtime/src/webhook-signature.ts": ["verifyWebhookSignature"],
  "agents-runtime/src/pull-wake-runner.ts": ["createPullWakeRunner"],
}
// what they need besides the published client, which is among the packages of the tests
const needed = [
  ["agents-runtime", "xstate"],
  ["agents-server", "@opentelemetry/api"],
]
const ZERO = "0000000000000000_0000000000000000"
const HOOK = "webhook:chat:7"
const POOL = "runner:r1:5f0c2a9d11e86b34"
const WORK = "runner:r2:0be47d3c9a51f266"
const PATIENCE = { timeout: 60_000 }

const undo = []
let passed = 0
let failed = 0

/** One step; the later ones need what it has left, so the first failure ends the run. */
async function step(name, body) {
  const began = Date.now()
  try {
    await body()
  } catch (error) {
    failed++
    console.log(`agents: ${name}: FAILED`)
    throw error
  }
  passed++
  console.log(`agents: ${name}: ok (${Date.now() - began} ms)`)
}

/** Their modules, bundled into the folder `into`. */
async function load(checkout, into) {
  const source = (name) => path.join(checkout, "packages", name)
  for (const name of Object.keys(theirs))
    if (!fs.existsSync(source(name))) throw new Error(`${source(name)} is missing`)
  const packages = needed.map(([owner, name]) => {
    const own = JSON.parse(fs.readFileSync(source(`${owner}/package.json`), "utf8"))
    return `${name}@${own.dependencies[name]}`
  })
  const installed = spawnSync(
    "npm",
    ["install", "--prefix", into, "--ignore-scripts", "--no-audit", "--no-fund", ...packages],
    { encoding: "utf8" }
  )
  if (installed.status !== 0) throw new Error(`npm install ${packages.join(" ")}: ${installed.stderr}`)
  const outfile = path.join(into, "theirs.mjs")
  await bundle({
    stdin: {
      contents: Object.entries(theirs)
        .map(([name, names]) => `export { ${names} } from ${JSON.stringify(source(name))}`)
        .join("\n"),
      resolveDir: into,
    },
    bundle: true,
    platform: "node",
    format: "esm",
    nodePaths: [path.join(into, "node_modules"), path.join(root, "tests/node_modules")],
    outfile,
    logLevel: "warning",
    // their configuration extends files that a partial checkout does not have
    tsconfigRaw: {},
  })
  return import(pathToFileURL(outfile).href)
}

const refusal = async (promise, status, code) => {
  const error = await promise.then(
    (value) => assert.fail(`${code} expected, not ${JSON.stringify(value)}`),
    (reason) => reason
  )
  assert.deepEqual([error.name, error.status, error.code], ["DurableStreamsSubscriptionError", status, code])
  assert.ok(code === "ALREADY_CLAIMED" || error.errorMessage, `${code} has a message`)
  return error
}

const json = (response, status, body) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))

/** Stands for their agents server: the routes of runners, and all of the streams. */
async function front({ StreamClient, DurableStreamsSubscriptionError, forwardFetchRequest }, base) {
  const client = new StreamClient(base)
  // their runner forgets a wake whose claim got no answer, so the claim is repeated here
  const claim = (id, worker) =>
    until(
      () =>
        client
          .claimSubscription(id, worker)
          .then((got) => got ?? "nothing")
          .catch((error) => (error.code && error.status === 409 ? error : undefined)),
      `a claim of ${id} is answered`,
      PATIENCE
    )
  const server = http.createServer(async (request, response) => {
    try {
      const pieces = []
      for await (const piece of request) pieces.push(piece)
      const body = Buffer.concat(pieces)
      const [, runner, what] =
        request.url.match(/^\/_electric\/runners\/([^/]+)\/(heartbeat|claim)$/) ?? []
      if (what === "heartbeat") return json(response, 200, { ok: true })
      if (what === "claim") {
        const event = JSON.parse(body)
        const got = await claim(event.subscription_id, runner)
        if (got instanceof DurableStreamsSubscriptionError)
          return json(response, got.status, { error: { code: got.code, message: got.errorMessage } })
        if (got === "nothing") return response.writeHead(204).end()
        return json(response, 200, { ...got, subscription: event.subscription_id })
      }
      const headers = new Headers(request.headers)
      headers.delete("host")
      headers.delete("connection")
      const upstream = await forwardFetchRequest({
        request: {
          method: request.method,
          url: `http://${request.headers.host}${request.url}`,
          headers,
        },
        body: body.length > 0 ? body : undefined,
        durableStreamsUrl: base,
        serviceId: "default",
      })
      const answered = new Headers(upstream.headers)
      // fetch has decoded the body
      for (const name of ["content-encoding", "content-length", "transfer-encoding"])
        answered.delete(name)
      response.writeHead(upstream.status, Object.fromEntries(answered))
      if (upstream.body)
        for await (const piece of upstream.body) {
          if (response.destroyed) break
          response.write(piece)
        }
      response.end()
    } catch {
      if (response.headersSent) response.destroy()
      else json(response, 502, { error: { code: "UPSTREAM", message: "no answer" } })
    }
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  undo.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${server.address().port}`
}

/**
 * What a runner is given: reads what is pending with their client, appends what it made of that by the
 * producer rule, and acks. Each output message names the offset up to which it goes.
 */
function worker(client) {
  const active = new Set()
  const nothing = async () => {}
  async function work({ subscription, wake_id, generation, token, streams: listed }) {
    const producer = { producerId: subscription, epoch: generation }
    let seq = 0
    const write = (message) =>
      client.appendWithProducerHeaders("work/out", JSON.stringify(message), { ...producer, seq: seq++ })
    await write({ begun: generation }) // whoever had an earlier wake can append nothing from now on
    const before = await client.readJson("work/out")
    const acks = []
    for (const { path: stream, acked_offset, tail_offset, has_pending } of listed) {
      if (!has_pending) continue
      const last = before.findLast((message) => message.stream === stream)
      let offset = last && last.upto > acked_offset ? last.upto : acked_offset
      if (offset < tail_offset) {
        const { messages } = await client.read(stream, offset)
        for (const message of messages) {
          offset = message.offset
          const made = JSON.parse(Buffer.from(message.data)).map(({ n }) => n)
          await write({ stream, upto: offset, made })
        }
      }
      acks.push({ path: `/${stream}`, offset })
      await client.ackSubscription(subscription, token, { wake_id, generation, acks: [] })
    }
    const { beforeDone } = own
    own.beforeDone = nothing
    await beforeDone(write)
    await client.ackSubscription(subscription, token, { wake_id, generation, acks, done: true })
  }
  const own = {
    cutOff: [],
    /** Called once, after the output and before its ack. */
    beforeDone: nothing,
    dispatchWake(notification) {
      const one = work(notification)
        .catch((error) => own.cutOff.push(error)) // the lease ends, and another wake follows
        .finally(() => active.delete(one))
      active.add(one)
    },
    drainWakes: () => Promise.allSettled([...active]),
    abortWakes() {},
    made: async () => (await client.readJson("work/out")).flatMap(({ made = [] }) => made),
  }
  return own
}

async function main(checkout) {
  const into = fs.mkdtempSync(path.join(os.tmpdir(), "ds-agents-"))
  undo.push(() => fs.rmSync(into, { recursive: true, force: true }))
  const theirModules = await load(path.resolve(checkout), into)
  const { StreamClient, verifyWebhookSignature, createPullWakeRunner } = theirModules
  console.log(`agents: bundled ${Object.keys(theirs).join(", ")}`)

  const server = await startServer({
    responders: 2,
    processes: 2,
    env: { DS_WEBHOOK_LOCAL: "1", DS_LONG_POLL_TIMEOUT_MS: "5000" },
  })
  undo.push(() => server.stop())
  const base = `${server.url}/v1/stream`
  const client = new StreamClient(base, {})
  const jwksUrl = `${base}/__ds/jwks.json`
  const append = (stream, value) => client.append(stream, JSON.stringify(value))
  const cursor = async (id, stream) =>
    (await client.getSubscription(id)).streams.find(({ path }) => path === stream)?.acked_offset
  const row = async (id) =>
    JSON.parse(
      await sqlite(
        server.database,
        "select json_object('wake', wake_id, 'generation', generation, 'attempts', attempts, 'next'," +
          ` next_attempt_at) from subscription where name = '${id}'`
      )
    )

  // a receiver that checks as their server does; what it answers is for each step to say
  const hook = await startReceiver(undo, (_, response) => response.end("{}"))
  const verified = async ({ raw, headers }, more = {}) =>
    await verifyWebhookSignature(raw, headers["webhook-signature"], { jwksUrl, ...more })
  const arrives = (n) => until(() => hook.got.length >= n, `${n} webhooks arrive`, PATIENCE)
  const callback = async ({ callback_url, callback_token, wake_id, generation }, more) => {
    const answer = await fetch(callback_url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${callback_token}` },
      body: JSON.stringify({ wake_id, generation, ...more }),
    })
    return [answer.status, await answer.json()]
  }

  await step("streams are made, appended to, read and waited for", async () => {
    for (const name of ["chat/7/main", "chat/8/main", "runners/r1/wake", "runners/r2/wake", "work/out"])
      await client.ensure(`/${name}`, { contentType: "application/json" })
    await client.ensure("/chat/7/main", { contentType: "application/json" })
    assert.equal(await client.exists("chat/nothing"), false)
    const { offset } = await append("/chat/8/main", { n: 0 })
    assert.deepEqual(await client.readJson("/chat/8/main"), [{ n: 0 }])
    const waiting = client.waitForMessages("/chat/8/main", offset, 10_000)
    await append("/chat/8/main", { n: 1 })
    const { messages, timedOut } = await waiting
    assert.deepEqual([timedOut, messages.length], [false, 1])
  })

  const hookInput = {
    type: "webhook",
    streams: ["/chat/7/main"],
    webhook: { url: hook.url },
    lease_ttl_ms: 20_000,
  }
  const poolInput = {
    type: "pull-wake",
    streams: ["/chat/8/main"],
    wake_stream: "/runners/r1/wake",
    lease_ttl_ms: 60_000,
    description: "runner r1",
  }
  await step("a webhook subscription is created, confirmed and read", async () => {
    assert.equal(await client.getSubscription(HOOK), null)
    const made = await client.putSubscription(HOOK, hookInput)
    assert.deepEqual([made.id, made.subscription_id, made.type], [HOOK, HOOK, "webhook"])
    assert.deepEqual([made.webhook.url, made.webhook.signing.alg], [hook.url, "ed25519"])
    assert.equal(made.webhook.signing.jwks_url, jwksUrl)
    assert.deepEqual(made.streams.map(({ path }) => path), ["chat/7/main"])
    assert.deepEqual(await client.putSubscription(HOOK, hookInput), made)
    assert.deepEqual(await client.getSubscription(HOOK), made)
  })

  await step("another configuration is SUBSCRIPTION_ALREADY_EXISTS", async () => {
    const other = { ...hookInput, lease_ttl_ms: 9000 }
    await refusal(client.putSubscription(HOOK, other), 409, "SUBSCRIPTION_ALREADY_EXISTS")
  })

  await step("createSubscription() takes a pattern, deleteSubscription() also what is not there", async () => {
    const id = "chat-handler"
    const made = await client.createSubscription("/none/**", id, hook.url, "by pattern")
    assert.deepEqual([made.pattern, made.description], ["none/**", "by pattern"])
    await client.deleteSubscription(id)
    await client.deleteSubscription(id)
    assert.equal(await client.getSubscription(id), null)
  })

  await step("bad requests are errors as their code reads them", async () => {
    const bad = { ...hookInput, webhook: { url: "http://10.0.0.1/hook" } }
    await refusal(client.putSubscription("bad", bad), 400, "WEBHOOK_URL_REJECTED")
    await refusal(client.putSubscription("bad", { type: "pull-wake" }), 400, "INVALID_REQUEST")
    await refusal(client.addSubscriptionStreams("bad", ["/a"]), 404, "SUBSCRIPTION_NOT_FOUND")
    assert.equal(await client.claimSubscription("bad", "r1"), null)
    await refusal(client.claimSubscription(HOOK, "r1"), 400, "INVALID_REQUEST")
  })

  await step("a pull-wake subscription gets and loses streams, paths as %2F", async () => {
    const made = await client.putSubscription(POOL, poolInput)
    assert.equal(made.wake_stream, "runners/r1/wake")
    assert.deepEqual(await client.addSubscriptionStreams(POOL, ["/chat/9/main", "/chat/10/a%20b%2Fc"]), {})
    await client.removeSubscriptionStream(POOL, "/chat/9/main")
    await client.removeSubscriptionStream(POOL, "/chat/9/main")
    const names = async () => (await client.getSubscription(POOL)).streams.map(({ path }) => path).sort()
    assert.deepEqual(await names(), ["chat/10/a%20b%2Fc", "chat/8/main"])
    await client.removeSubscriptionStream(POOL, "/chat/10/a%20b%2Fc")
    assert.deepEqual(await names(), ["chat/8/main"])
  })

  let claim
  await step("a wake is claimed once; the others read ALREADY_CLAIMED or NO_PENDING_WORK", async () => {
    await refusal(client.claimSubscription(POOL, "r1"), 409, "NO_PENDING_WORK")
    await append("/chat/8/main", { n: 2 })
    const [event] = await client.readJson("/runners/r1/wake")
    assert.deepEqual(
      [event.type, event.subscription_id, event.stream, event.generation],
      ["wake", POOL, "chat/8/main", 1]
    )
    claim = await client.claimSubscription(POOL, "r1")
    assert.deepEqual([claim.generation, claim.lease_ttl_ms, claim.streams[0].has_pending], [1, 60_000, true])
    const error = await refusal(client.claimSubscription(POOL, "r2"), 409, "ALREADY_CLAIMED")
    assert.equal(JSON.parse(error.body).error.current_holder, "r1")
  })

  const fence = ({ wake_id, generation }) => ({ wake_id, generation })
  const ack = (held, more) => client.ackSubscription(POOL, held.token, { ...fence(held), ...more })
  await step("heartbeats with acks: [], refusals, release, and the next generation", async () => {
    const beat = await ack(claim, { acks: [] })
    assert.equal(beat.ok, true)
    assert.ok(!("token" in beat) || typeof beat.token === "string")
    await refusal(ack({ ...claim, token: "nothing" }, { acks: [] }), 401, "TOKEN_INVALID")
    await refusal(ack({ ...claim, generation: 7 }, { acks: [] }), 409, "FENCED")
    const beyond = { stream: "/chat/8/main", offset: ZERO.replace(/0$/, "9") + "9" }
    await refusal(ack(claim, { acks: [beyond] }), 409, "INVALID_OFFSET")
    assert.deepEqual(await client.releaseSubscription(POOL, claim.token, fence(claim)), {})
    await refusal(ack(claim, { acks: [] }), 409, "FENCED")
    const next = await client.claimSubscription(POOL, "r1")
    assert.equal(next.generation, 2)
    claim = next
  })

  await step("webhooks pass their verifier, changed ones do not, and callbacks end the wake", async () => {
    await append("/chat/7/main", { n: 0 })
    await arrives(1)
    const [got] = hook.got
    assert.deepEqual(await verified(got), { ok: true })
    const changed = { ...got, raw: Buffer.concat([got.raw, Buffer.from(" ")]) }
    assert.equal((await verified(changed)).status, 401)
    const { path: stream, tail_offset: offset } = got.body.streams.find((one) => one.has_pending)
    assert.equal(typeof got.body.callback_token, "string")
    const [status, beat] = await callback(got.body, { acks: [] })
    assert.deepEqual([status, beat.ok], [200, true])
    const acks = [{ stream, offset }]
    assert.deepEqual(await callback(got.body, { acks, done: true }), [200, { ok: true, next_wake: false }])
    assert.equal((await callback(got.body, { acks, done: true }))[0], 409)
    assert.equal(await cursor(HOOK, stream), offset)
  })

  // a runner on its own subscription, from here to the end
  const address = await front(theirModules, base)
  const work = worker(client)
  await client.putSubscription(WORK, {
    type: "pull-wake",
    pattern: "work/in/*",
    wake_stream: "/runners/r2/wake",
    lease_ttl_ms: 2000,
  })
  const runner = createPullWakeRunner({
    baseUrl: address,
    runnerId: "r2",
    runtime: work,
    heartbeatIntervalMs: 500,
    onError() {},
  })
  runner.start()
  undo.push(() => runner.stop().catch(() => {}))
  let sent = 0
  const seqs = new Map()
  /** Appends a number to an input stream; repeats the request until it is answered. */
  const feed = async (stream) => {
    const seq = seqs.get(stream) ?? 0
    const message = JSON.stringify([{ n: sent++ }])
    seqs.set(stream, seq + 1)
    await until(
      () =>
        client
          .appendWithProducerHeaders(stream, message, { producerId: `feed-${stream}`, epoch: 0, seq })
          .then(() => true, () => false),
      `an append to ${stream}`,
      PATIENCE
    )
  }
  const inputs = ["work/in/a", "work/in/b", "work/in/c"]
  const processed = () =>
    until(async () => new Set(await work.made()).size === sent, "the runner has dealt with all", {
      ...PATIENCE,
      every: 100,
    })
  await step("their runner follows the wake stream, claims, and its worker acks", async () => {
    for (const stream of inputs) await client.ensure(stream, { contentType: "application/json" })
    for (let i = 0; i < 30; i++) await feed(inputs[i % 3])
    await processed()
    const health = runner.getHealth()
    assert.equal(health.status, "streaming")
    assert.ok(health.claims_succeeded > 0)
  })

  let before
  await step("a failing receiver has its next attempt planned", async () => {
    hook.answer = (_, response) => response.writeHead(500).end()
    const earlier = hook.got.length
    await append("/chat/7/main", { n: 1 })
    await arrives(earlier + 3)
    await until(async () => (await row(HOOK)).attempts === 3, "the end of the third is written", PATIENCE)
    before = {
      hook: await row(HOOK),
      seen: hook.got.length,
      pool: await client.getSubscription(POOL),
      keys: await (await fetch(jwksUrl)).json(),
    }
    assert.ok(before.hook.next > Date.now(), "it is not due yet")
  })

  let goOn // lets the worker go on that is between output and ack
  await step("kill -9 of every process, between the worker's output and its ack, and a start", async () => {
    const waits = new Promise((resolve) => (goOn = resolve))
    const reached = new Promise((resolve) => {
      work.beforeDone = async (write) => {
        resolve()
        await waits
        await assert.rejects(write({ late: true }), /append failed: 403/)
      }
    })
    const feeding = (async () => {
      for (let i = 0; i < 60; i++) await feed(inputs[i % 3])
    })()
    feeding.catch(() => {}) // if this step fails before it waits for that
    await reached
    console.log(`agents: killed ${await server.crash()} processes`)
    await feeding
  })

  await step("the claim, its token and the cursors go on", async () => {
    assert.deepEqual(await client.getSubscription(POOL), before.pool)
    await refusal(client.claimSubscription(POOL, "r9"), 409, "ALREADY_CLAIMED")
    assert.equal((await ack(claim, { acks: [] })).ok, true)
    const [{ path: stream, tail_offset: offset }] = claim.streams
    const end = await ack(claim, { acks: [{ path: `/${stream}`, offset }], done: true })
    assert.deepEqual(end, { ok: true, next_wake: false })
    assert.equal(await cursor(POOL, stream), offset)
    await append("/chat/8/main", { n: 3 })
    const next = await client.claimSubscription(POOL, "r1")
    assert.equal(next.generation, claim.generation + 1)
    await refusal(ack(claim, { acks: [] }), 409, "FENCED")
    claim = next
  })

  await step("the key is the same, and the retry comes at its time with its wake", async () => {
    assert.deepEqual(await (await fetch(jwksUrl)).json(), before.keys)
    hook.answer = (_, response) => json(response, 200, { done: true })
    await arrives(before.seen + 1)
    const got = hook.got[before.seen]
    assert.ok(got.at >= before.hook.next - 2, `planned ${before.hook.next}, sent ${got.at}`)
    assert.deepEqual([got.body.wake_id, got.body.generation], [before.hook.wake, before.hook.generation])
    assert.deepEqual(await verified(got), { ok: true }) // with the keys from before
    assert.deepEqual(await verified(got, { jwksUrl: `${jwksUrl}#fetched-again` }), { ok: true })
    await until(async () => (await row(HOOK)).wake === null, "it is done", PATIENCE)
    await append("/chat/7/main", { n: 2 })
    await arrives(before.seen + 2)
    assert.equal(hook.got[before.seen + 1].body.generation, before.hook.generation + 1)
  })

  await step("the runner connects again and its output is there exactly once", async () => {
    for (const stream of inputs) await feed(stream)
    await processed()
    goOn()
    await until(
      () => work.cutOff.some(({ code }) => code === "FENCED"),
      "the worker from before is fenced off",
      PATIENCE
    )
    const made = await work.made()
    assert.equal(made.length, sent)
    for (const stream of inputs) {
      const expected = (await client.readJson(stream)).map(({ n }) => n)
      const own = new Set(expected)
      assert.deepEqual(made.filter((n) => own.has(n)), expected)
    }
    const health = runner.getHealth()
    console.log(
      `agents: the runner: ${health.events_received} events, ${health.claims_succeeded} claims, ` +
        `${health.claims_skipped} without work, ${health.reconnect_count} reconnections; ` +
        `${work.cutOff.length} wakes cut off; ${made.length} messages`
    )
  })

  await step("deletion: the runner's claim is void, and generations go on", async () => {
    await client.deleteSubscription(POOL)
    await refusal(ack(claim, { acks: [] }), 404, "SUBSCRIPTION_NOT_FOUND")
    await client.putSubscription(POOL, poolInput)
    await append("/chat/8/main", { n: 4 })
    const next = await client.claimSubscription(POOL, "r1")
    assert.equal(next.generation, claim.generation + 1)
    await refusal(ack(claim, { acks: [] }), 409, "FENCED")
  })
}

if (process.argv.length !== 3) {
  console.error("node tests/proof/agents.mjs FOLDER: a checkout of electric-sql/electric")
  process.exit(2)
}
try {
  await main(process.argv[2])
} catch (error) {
  if (failed === 0) failed = 1
  console.error(error)
}
for (const one of undo.reverse()) await one()
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)
