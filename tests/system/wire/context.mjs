// The two servers that the wire cases use, started once for all of them. SETUP chooses the gateway
// (harness.mjs).

import { afterAll, beforeAll } from "vitest"
import { chosenSetup, startServer } from "../harness.mjs"
import { client, fresh } from "../http.mjs"
import { checked } from "./checks.mjs"

export { decent, expectStatus, status } from "./checks.mjs"

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

/** Creates a stream with these messages, and returns its path. */
export async function stream(type = "text/plain", ...messages) {
  const path = fresh()
  await api.create(path, type)
  for (const message of messages) await api.append(path, type, message)
  return path
}
