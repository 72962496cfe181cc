// The two servers that the wire cases use, started once for all of them, and the checks of their
// answers. SETUP chooses the gateway (harness.mjs).

import { afterAll, beforeAll, expect } from "vitest"
import { chosenSetup, startServer } from "../harness.mjs"
import { client, fresh } from "../http.mjs"

const setup = chosenSetup()
export const TEXT = { "content-type": "text/plain" }
export const JSON_TYPE = { "content-type": "application/json" }
export const CLOSE = { "stream-closed": "true" }
export const OFFSET = /^\d{16}_\d{16}$/

// small limits, long waits, quick keep-alives, so that tests of these are short
const TUNED = {
  DS_MAX_BODY_BYTES: "65536",
  DS_READ_CHUNK_BYTES: "16384",
  DS_LONG_POLL_TIMEOUT_MS: "20000",
  DS_SSE_LIFETIME_MS: "2000",
  DS_SSE_KEEPALIVE_MS: "200",
  DS_CORS_ORIGIN: "https://app.example",
  DS_BASE_URL: "https://streams.example",
  DS_CURSOR_EPOCH: "1000000000",
  DS_CURSOR_INTERVAL_SECONDS: "3600",
}

/** api: client of the usual server, which checks all answers; narrow: client of the tuned one. */
export let server, tuned, api, narrow

beforeAll(async () => {
  server = await startServer(setup.options)
  tuned = await startServer({ ...setup.options, env: TUNED })
  api = checked(client(server.url))
  narrow = client(tuned.url)
})

afterAll(async () => {
  await tuned?.stop()
  await server?.stop()
})

/** Checks the headers that every answer of the program has, errors included. */
export function decent(answer, what) {
  const shown = `${what} → ${answer.status} ${JSON.stringify(answer.headers)}`
  expect(answer.headers["x-content-type-options"], `nosniff: ${shown}`).toBe("nosniff")
  expect(answer.headers["cross-origin-resource-policy"], `CORP: ${shown}`).toBe("cross-origin")
  expect(answer.headers["access-control-allow-origin"], `CORS: ${shown}`).toBe("*")
  expect(answer.reason, `a reason phrase: ${shown}`).not.toBe("")
  expect(answer.status, `no server error: ${shown} ${answer.text}`).toBeLessThan(500)
  expect(answer.headers["x-evil"], `no injected header: ${shown}`).toBeUndefined()
  if (answer.status >= 400 && !what.startsWith("HEAD"))
    expect(answer.text, `an error gives a reason without a line break, which clients compare: ${shown}`).toMatch(/[^\n]$/)
  if (what.startsWith("HEAD") || answer.status === 204 || answer.status === 304)
    expect(answer.body.length, `no body: ${shown}`).toBe(0)
}

function checked(plain) {
  const wrapped = { ...plain }
  for (const [name, method] of [
    ["put", "PUT"],
    ["post", "POST"],
    ["head", "HEAD"],
    ["del", "DELETE"],
    ["get", "GET"],
    ["options", "OPTIONS"],
  ])
    wrapped[name] = async (path, ...rest) => {
      const answer = await plain[name](path, ...rest)
      decent(
        answer,
        `${method} ${path.slice(0, 200)} ${JSON.stringify(rest[0] ?? {}).slice(0, 300)}`
      )
      return answer
    }
  return wrapped
}

export const status = (answer) => `${answer.status} ${answer.text.slice(0, 200)}`

export function expectStatus(answer, ...allowed) {
  expect(allowed, `answered ${status(answer)} ${JSON.stringify(answer.headers)}`).toContain(
    answer.status
  )
}

/** Creates a stream with these messages, and returns its path. */
export async function stream(type = "text/plain", ...messages) {
  const path = fresh()
  await api.create(path, type)
  for (const message of messages) await api.append(path, type, message)
  return path
}
