// 100 processes claim the same wake at once: exactly one wins. See claims.c.
//
//   node tests/proof/claims.mjs [--rounds N] [--cgi N: every N-th round is by CGI processes]

import path from "node:path"
import { build, cleanEnv, program, startServer } from "../system/harness.mjs"
import { request } from "../system/http.mjs"
import { spawn } from "node:child_process"

const settings = { rounds: 1000, cgi: 50 }
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].replace(/^--/, "")
  if (!(name in settings) || !/^\d+$/.test(process.argv[i + 1] ?? "")) {
    console.error("claims.mjs [--rounds N] [--cgi N]")
    process.exit(2)
  }
  settings[name] = Number(process.argv[i + 1])
}

const server = await startServer({ processes: 2 })
const put = async (name, body) => {
  const answer = await request(server.url, "PUT", `/v1/stream/${name}`, {
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })
  if (answer.status !== 201) throw new Error(`PUT ${name}: ${answer.status} ${answer.text}`)
}
await put("work", [])
await put("wakes", [])
const pool = { type: "pull-wake", streams: ["work"], wake_stream: "wakes", lease_ttl_ms: 600_000 }
await put("__ds/subscriptions/pool", pool)

const { port } = new URL(server.url)
const child = spawn(
  path.join(build, "proof/claims"),
  [port, program, String(settings.rounds), String(settings.cgi)],
  { stdio: "inherit", env: cleanEnv({ DS_DATABASE: server.database, DS_LOG_LEVEL: "error" }) }
)
const code = await new Promise((resolve) => child.once("exit", resolve))
await server.stop()
process.exit(code ?? 1)
