// Cases of the table (table.mjs): subscriptions, whose tokens, names and paths pass the web server.

import { expect } from "vitest"
import { fresh } from "../http.mjs"
import { JSON_TYPE, TEXT, expectStatus } from "./context.mjs"

const ROOT = "/v1/stream/__ds"
const below = (path) => path.replace("/v1/stream/", "")

/** The JSON of an answer of the program, which must have this status. */
function json(answer, status) {
  expectStatus(answer, status)
  expect(answer.headers["content-type"]).toBe("application/json")
  expect(answer.headers["cross-origin-resource-policy"]).toBe("cross-origin")
  return JSON.parse(answer.text)
}

/** Names of subscriptions that a web server might take for something else. */
export const NAMES = ["plain", "webhook:type:name", "a/b", "50% of a/b", "Ä"]

/** A subscription of such a name, from creation to deletion. */
export async function lifeOf(t, name) {
  const base = fresh("doors")
  name += base.slice(-12)
  const at = `${ROOT}/subscriptions/${encodeURIComponent(name)}`
  const paths = [`${below(base)}/a%2Fb`, `${below(base)}/plain`]
  const post = (verb, body, headers = {}) =>
    t.api.post(`${at}/${verb}`, { ...JSON_TYPE, ...headers }, JSON.stringify(body))
  const linked = async () => json(await t.api.get(at), 200).streams.map(({ path }) => path)

  const config = { type: "pull-wake", streams: paths, wake_stream: `${below(base)}/wake` }
  const made = json(await t.api.put(at, JSON_TYPE, JSON.stringify(config)), 201)
  expect(made.id).toBe(name)
  expect((await t.api.head(at)).status).toBe(200)
  await t.api.create(`/v1/stream/${paths[0]}`, "text/plain", "work")

  const claim = json(await post("claim", { worker: "w" }), 200)
  const work = claim.streams.find(({ path }) => path === paths[0])
  expect(work).toMatchObject({ has_pending: true })
  const done = { wake_id: claim.wake_id, generation: claim.generation, acks: [], done: true }
  expect(json(await post("ack", done), 401).error.code).toBe("TOKEN_INVALID")
  const wrong = { authorization: `Bearer ${claim.token.slice(0, -1)}` }
  expect(json(await post("ack", done, wrong), 401).error.code).toBe("TOKEN_INVALID")
  const token = { authorization: `Bearer ${claim.token}` }
  const acks = [{ stream: paths[0], offset: work.tail_offset }]
  expect(json(await post("ack", { ...done, acks }, token), 200)).toEqual({ ok: true, next_wake: false })
  expect(json(await post("ack", done, token), 409).error.code).toBe("FENCED")

  expect((await linked()).sort()).toEqual([...paths].sort())
  for (const path of paths) {
    expectStatus(await t.api.del(`${at}/streams/${encodeURIComponent(path)}`), 204)
    expect(await linked()).not.toContain(path)
  }
  expectStatus(await t.api.del(at), 204)
  expect(json(await t.api.get(at), 404).error.code).toBe("SUBSCRIPTION_NOT_FOUND")
}

export const subscriptions = [
  {
    name: "subscriptions: tokens, and names with %2F, %3A and %25",
    async run(t) {
      for (const name of NAMES) await lifeOf(t, name)
    },
  },
  {
    name: "subscriptions: other methods, the public keys, and streams beside them",
    async run(t) {
      const callback = `${ROOT}/subscriptions/nobody/callback`
      for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
        const { status, headers } = await t.api.any(method, callback)
        expect([status, headers.allow], method).toEqual([405, "POST, OPTIONS"])
      }
      expectStatus(await t.api.options(callback), 204)
      const keys = await t.api.get(`${ROOT}/jwks.json`)
      expectStatus(keys, 200)
      expect(keys.headers["content-type"]).toBe("application/jwk-set+json")
      // there is one where something delivers webhooks
      for (const key of JSON.parse(keys.text).keys) expect(key).toMatchObject({ kty: "OKP", use: "sig" })
      expect((await t.api.head(`${ROOT}/jwks.json`)).text).toBe("")
      for (const path of [`${fresh("x")}/__ds`, `/v1/stream/__ds${fresh().slice(-12)}`])
        expectStatus(await t.api.put(path, TEXT), 201)
    },
  },
]
