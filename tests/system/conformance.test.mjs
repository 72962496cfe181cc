// The official conformance suite, all of it but subscriptions, in the setup that SETUP names
// (harness.mjs): one responder, three on one database, or plain CGI.

import { afterAll, beforeAll } from "vitest"
import { runConformanceTests } from "@durable-streams/server-conformance-tests"
import { chosenSetup, startServer } from "./harness.mjs"

const LONG_POLL_TIMEOUT_MS = 500

// the suite reads its options when tests run, not before: beforeAll may fill them in
const options = { baseUrl: "", longPollTimeoutMs: LONG_POLL_TIMEOUT_MS, subscriptions: false }
let server

beforeAll(async () => {
  const setup = chosenSetup()
  server = await startServer({
    ...setup.options,
    env: { DS_LONG_POLL_TIMEOUT_MS: String(LONG_POLL_TIMEOUT_MS) },
  })
  options.baseUrl = server.url
  console.log(`conformance: ${setup.name}, ${server.url}`)
})

afterAll(() => server?.stop())

runConformanceTests(options)
