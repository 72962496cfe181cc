// Runs the table at the door that SETUP names.

import { afterAll, beforeAll, test } from "vitest"
import { startServer } from "../harness.mjs"
import { client } from "../http.mjs"
import { doors } from "./list.mjs"
import { write } from "./results.mjs"
import { SETTINGS } from "./settings.mjs"
import { table } from "./table.mjs"

const door = process.env.SETUP
const t = { door }
const results = {}

beforeAll(async () => {
  if (!doors[door]) throw new Error(`SETUP=${door}: idle, or one of ${Object.keys(doors)}`)
  const { responder } = doors[door]
  t.server = await startServer({ door, env: SETTINGS })
  t.start = (env) => startServer({ door, env: { ...SETTINGS, ...env } })
  t.url = t.server.url
  t.api = client(t.url)
  t.at = (path) => new URL(t.url).pathname.replace(/\/$/, "") + path
  t.managed = responder === "service" || responder === "activated"
  t.oneProcess = doors[door].oneProcess ?? t.managed
})

afterAll(async () => {
  write(door, { [door]: results })
  await t.server?.stop()
})

for (const { name, run, cannot = {} } of table) {
  const other = cannot[door]?.()
  const title = other ? `${name}: cannot, ${other.why}` : name
  test(title, { timeout: 120_000 }, async () => {
    results[name] = { ok: false, why: other?.why }
    const figure = await (other ? other.instead : run)(t)
    results[name] = { ok: true, why: other?.why, figure: other ? undefined : figure }
  })
}
