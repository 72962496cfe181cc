// One server for the cases of subscriptions, a receiver of webhooks, and subscriptions as objects.
// SETUP chooses the gateway (harness.mjs). Cases run beside each other, so each has streams below a
// folder of its own, and a wake stream outside of it.

import { randomBytes } from "node:crypto"
import { afterAll, beforeAll, expect } from "vitest"
import { chosenSetup, sqlite, startServer, until } from "../harness.mjs"
import { client } from "../http.mjs"
import { checked, expectStatus } from "./checks.mjs"
import { startReceiver } from "./subscription-receiver.mjs"

export { expectStatus } from "./checks.mjs"
export const TEXT = { "content-type": "text/plain" }
export const JSON_TYPE = { "content-type": "application/json" }
export const ROOT = "/v1/stream/"
export const CONTROL = `${ROOT}__ds`
export const START = "0000000000000000_0000000000000000"
export const OPTIONS = { ...chosenSetup().options, env: { DS_WEBHOOK_LOCAL: "1" } }

/** server, and ways to talk to it (see talk()); receiver: of webhooks. */
export let server, receiver, api, ask, pull, webhook, make, append, remove

beforeAll(async () => {
  receiver = await startReceiver()
  server = await startServer(OPTIONS)
  ;({ api, ask, pull, webhook, make, append, remove } = talk(server))
})

afterAll(async () => {
  await server?.stop()
  await receiver?.stop()
})

/** Starts a server for one test, which ends with it: {server} with the ways to talk to it. */
export async function own(onTestFinished, options = {}) {
  const server = await startServer({ ...OPTIONS, ...options })
  onTestFinished(() => server.stop())
  return { server, ...talk(server) }
}

export const unique = (name = "t") => `${name}-${randomBytes(6).toString("hex")}`
export const place = (id) => `${CONTROL}/subscriptions/${encodeURIComponent(id)}`
export const bearer = (token) => ({ authorization: `Bearer ${token}` })
export const offset = (position) => `0000000000000000_${String(position).padStart(16, "0")}`

// ---------------------------------------------------------------------------- answers in JSON

/** Checks what is true of every answer about subscriptions, and adds its JSON as `json`. */
function judge(answer, method, path) {
  const shown = `${method} ${path.slice(0, 200)} → ${answer.status} ${answer.text.slice(0, 300)}`
  if (answer.status !== 204) {
    const keys = answer.status === 200 && path.endsWith("/jwks.json")
    const type = keys ? "application/jwk-set+json" : "application/json"
    expect(answer.headers["content-type"], shown).toBe(type)
    if (method !== "HEAD") answer.json = JSON.parse(answer.text)
    // nobody may keep an empty set, which is about to have its first key
    const kept = keys && answer.json?.keys.length !== 0
    expect(answer.headers["cache-control"], shown).toBe(kept ? "public, max-age=300" : "no-store")
  } else if (method !== "OPTIONS") {
    expect(answer.headers["cache-control"], shown).toBe("no-store")
  }
  if (answer.status >= 400 && method !== "HEAD") {
    expect(Object.keys(answer.json), shown).toEqual(["error"])
    expect(answer.json.error.code, shown).toMatch(/^[A-Z_]+$/)
    expect(answer.json.error.message, shown).toMatch(/./)
  }
  return answer
}

export function expectError(answer, status, code) {
  const { json, text } = answer
  expect(`${answer.status} ${json?.error?.code}`, text).toBe(`${status} ${code}`)
}

// ------------------------------------------------------------------------- a server's clients

/**
 * Ways to talk to a server:
 *
 *   api                         a checked client (http.mjs)
 *   ask(method, path, …)        one request about subscriptions; the body is JSON unless it is a text
 *   make, append, remove        streams of text/plain, by their path below /v1/stream/; the result is
 *                               the tail
 *   pull, webhook               create a subscription, and return it as an object
 */
export function talk(server) {
  const plain = client(server.url)
  const api = checked(plain)
  const verbs = { GET: "get", HEAD: "head", PUT: "put", POST: "post", DELETE: "del", OPTIONS: "options" }

  async function ask(method, path, body, headers = {}) {
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body)
    const answer =
      method === "GET"
        ? await api.get(path, headers)
        : await api[verbs[method]](path, headers, sent)
    return judge(answer, method, path)
  }
  const streams = {
    async make(path, body, headers = {}) {
      const answer = await api.put(ROOT + path, { ...TEXT, ...headers }, body)
      expectStatus(answer, 201)
      return answer.headers["stream-next-offset"]
    },
    async append(path, body = "more", headers = {}) {
      const answer = await api.post(ROOT + path, { ...TEXT, ...headers }, body)
      expectStatus(answer, 200, 204)
      return answer.headers["stream-next-offset"]
    },
    async remove(path) {
      expectStatus(await api.del(ROOT + path), 204)
    },
  }

  /** Makes a wake stream, unless the configuration has one, and a subscription that uses it. */
  async function pull(config, id = unique("pull")) {
    const wake = config.wake_stream ?? unique("wake")
    if (!config.wake_stream)
      expectStatus(await api.put(ROOT + wake, JSON_TYPE, "[]"), 201)
    return created({ type: "pull-wake", wake_stream: wake, ...config }, id)
  }

  function webhook(hook, config, id = unique("hook")) {
    return created({ type: "webhook", webhook: { url: hook.url }, ...config }, id)
  }

  // leases are long, so that none ends by itself where nobody waits for that
  async function created(wanted, id) {
    const config = { lease_ttl_ms: 600_000, ...wanted }
    expectStatus(await ask("PUT", place(id), config), 201)
    return subscription({ server, api, ask }, id, config)
  }
  return { api, plain, ask, pull, webhook, subscription: (id, config) => subscription({ server, api, ask }, id, config), ...streams }
}

/**
 * A subscription that exists. Requests return answers with `json`; a lease is what claim() returns, or
 * the body of a webhook.
 */
function subscription({ server, api, ask }, id, config) {
  const at = place(id)
  const shown = async () => {
    const answer = await ask("GET", at)
    expectStatus(answer, 200)
    return answer.json
  }
  const reply = (verb, lease, body) => {
    const { wake_id, generation, token, callback_token } = lease
    return ask("POST", `${at}/${verb}`, { wake_id, generation, ...body }, bearer(token ?? callback_token))
  }
  const self = {
    id,
    at,
    config,
    wake: config.wake_stream,
    /** As GET shows it. */
    shown,
    /** The link to a stream, or undefined. */
    link: async (path) => (await shown()).streams.find((link) => link.path === path),
    /** Its paths, sorted. */
    paths: async () => (await shown()).streams.map(({ path }) => path).sort(),
    confirm: (changes = {}) => ask("PUT", at, { ...config, ...changes }),
    end: () => ask("DELETE", at),
    add: (...streams) => ask("POST", `${at}/streams`, { streams }),
    drop: (path) => ask("DELETE", `${at}/streams/${encodeURIComponent(path)}`),
    tryClaim: (worker = "worker") => ask("POST", `${at}/claim`, { worker }),
    ack: (lease, body = {}) => reply("ack", lease, body),
    callback: (lease, body = {}) => reply("callback", lease, body),
    release: (lease, body = {}) => reply("release", lease, body),
    /** The lease, with the links by path as `of`. */
    async claim(worker) {
      const answer = await self.tryClaim(worker)
      expectStatus(answer, 200)
      return withLinks(answer.json)
    },
    /** Acks these offsets, {path: offset}, and ends the lease; the answer's next_wake. */
    async finish(lease, offsets = {}) {
      const acks = Object.entries(offsets).map(([stream, offset]) => ({ stream, offset }))
      const verb = config.type === "webhook" ? "callback" : "ack"
      const answer = await reply(verb, lease, { acks, done: true })
      expectStatus(answer, 200)
      expect(Object.keys(answer.json)).toEqual(["ok", "next_wake"])
      return answer.json.next_wake
    },
    /** The events of this subscription on its wake stream, so far. */
    async events() {
      const answer = await api.get(`${ROOT}${self.wake}?offset=-1`)
      expectStatus(answer, 200)
      return JSON.parse(answer.text).filter((event) => event.subscription_id === id)
    },
    /** Waits for the event of this generation. */
    event: (generation) =>
      until(
        async () => (await self.events()).find((event) => event.generation === generation),
        `the event of generation ${generation}`,
        { timeout: 30_000 }
      ),
    /** Columns of its row, as the sqlite3 prompt shows them. */
    row: (columns) => sqlite(server.database, `SELECT ${columns} FROM subscription WHERE name = '${id}'`),
    /** Changes its row at the sqlite3 prompt. */
    set: (assignments) =>
      sqlite(server.database, `UPDATE subscription SET ${assignments} WHERE name = '${id}'`),
    /** Makes the lease end now. */
    expire: () => self.set("lease_until = 1"),
  }
  return self
}

/** A lease with its links by path. */
export const withLinks = (lease) => ({
  ...lease,
  of: Object.fromEntries(lease.streams.map((link) => [link.path, link])),
})
