// The official conformance suite in the setup that SETUP names (harness.mjs): behind one web server,
// or three responders on one database behind nginx.

import { afterAll, beforeAll, beforeEach } from "vitest"
import { runConformanceTests } from "@durable-streams/server-conformance-tests"
import { chosenSetup, sleep, startServer } from "./harness.mjs"

const LONG_POLL_TIMEOUT_MS = 500

// the suite reads its options when tests run, not before: beforeAll may fill them in
const options = { baseUrl: "", longPollTimeoutMs: LONG_POLL_TIMEOUT_MS, subscriptions: true }
let server

beforeAll(async () => {
  const setup = chosenSetup()
  server = await startServer({
    ...setup.options,
    // the suite's receiver of webhooks is on this machine
    env: { DS_LONG_POLL_TIMEOUT_MS: String(LONG_POLL_TIMEOUT_MS), DS_WEBHOOK_LOCAL: "1" },
  })
  options.baseUrl = server.url
  console.log(`conformance: ${setup.name}, ${server.url}`)
})

afterAll(() => server?.stop())

// One test computes for seconds, longer than Apache and lighttpd keep a connection that is not used.
// fetch must have a moment to see that it was closed, or the next test writes to it.
beforeEach(() => sleep(5))

runConformanceTests(options)
