// Doors whose site cannot cut a client off: there, the web server's own error comes closest. And a
// program in a folder: the paths of faults may have its prefix.

import { afterAll, beforeAll, expect, test } from "vitest"
import { startServer } from "../harness.mjs"
import { client } from "../http.mjs"
import { BODY, inject, makeStream, ON } from "./inject.mjs"

const DOORS = { lighttpd: 500, "apache-proxy": 503, hosting: 500 }
const servers = {}

beforeAll(async () => {
  await Promise.all(
    Object.keys(DOORS).map(async (door) => (servers[door] = await startServer({ door, env: ON })))
  )
}, 60_000)
afterAll(() => Promise.all(Object.values(servers).map((server) => server.stop())))

test.each(Object.entries(DOORS))(
  "without the option, %s answers a dropped request with %d; nothing is carried out",
  async (door, status) => {
    const { url } = servers[door]
    const api = client(url)
    const stream = await makeStream(url)
    await inject(url, stream, { dropConnection: true, count: 2 })
    const answer = await api.post(stream, { "content-type": "application/json" }, "[1]")
    expect(answer.status).toBe(status)
    expect(answer.text).not.toContain(BODY)
    expect((await api.get(stream)).status).toBe(status)
    expect((await api.readJson(stream)).messages).toHaveLength(2)
  }
)

test("a program in a folder takes paths with and without its prefix", async () => {
  const { url } = servers.hosting
  const api = client(url)
  const stream = await makeStream(url)
  for (const prefix of [new URL(url).pathname, "/~alice", ""]) {
    await inject(url, prefix + stream, { status: 503 })
    expect((await api.get(stream)).text).toBe(BODY)
    expect((await api.get(stream)).status).toBe(200)
  }
})
