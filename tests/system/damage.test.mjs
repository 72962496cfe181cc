// Damaged rows over HTTP. Each column of streams and messages gets absurd values, one for each of
// many streams of one database. Every answer must be an ordinary one and come in time, no header
// may be forged, and the responders must survive. test_store_damage.c does the same below HTTP, for
// all tables.

import { afterAll, beforeAll, expect, test } from "vitest"
import { sqlite, startServer } from "./harness.mjs"
import { client, request } from "./http.mjs"

const VALUES = [
  "1",
  "-1",
  "9999999999999999",
  "10000000000000000",
  "9223372036854775807",
  "-9223372036854775807 - 1",
  "1.5",
  "'abc'",
  "x'00ff0d0a'",
  "'text/plain' || char(13, 10) || 'Set-Cookie: a=b'",
  "zeroblob(200000)",
  "(SELECT max(id) FROM stream)",
]
const COLUMNS = {
  stream: [
    "content_type",
    "tail",
    "messages",
    "created_at",
    "closed_at",
    "closed_producer",
    "ttl_seconds",
    "expires_at",
    "last_seq",
    "source_id",
    "fork_position",
    "fork_offset",
    "deleted_at",
  ],
  message: ["position", "part", "appended_at", "payload"],
}
const TYPES = ["text/plain", "application/json"]
const ORDINARY = [200, 201, 204, 304, 400, 404, 409, 410, 413, 500]

let server, api
const paths = []

beforeAll(async () => {
  server = await startServer({ responders: 2, env: { DS_SSE_LIFETIME_MS: "300" } })
  api = client(server.url)
  await api.create("/v1/stream/source", "text/plain", "0123456789")
  let sql = ""
  for (const [table, columns] of Object.entries(COLUMNS))
    for (const column of columns)
      for (const value of VALUES) {
        const path = `/v1/stream/d${paths.length}`
        const fork = paths.length % 3 === 2
        paths.push(path)
        sql += `INSERT INTO stream (path, content_type, tail, messages, created_at${fork ? ", source_id, fork_position, fork_offset, fork_sub_offset" : ""})
          VALUES ('${path}', '${TYPES[paths.length % 2]}', 14, 2, 1${fork ? ", 1, 5, 5, 0" : ""});
          INSERT INTO message (stream_id, position, part, appended_at, payload)
          SELECT id, ${fork ? "5, 0, 1, x'31323334'" : "0, 0, 1, x'313233343536373839'"} FROM stream WHERE path = '${path}' UNION ALL
          SELECT id, 9, 0, 1, x'3132333435' FROM stream WHERE path = '${path}';
          UPDATE ${table} SET ${column} = ${value} WHERE ${
            table === "stream"
              ? `path = '${path}'`
              : `stream_id = (SELECT id FROM stream WHERE path = '${path}') AND position = 9`
          };`
      }
  await sqlite(server.database, `BEGIN; ${sql} COMMIT;`)
})
afterAll(() => server?.stop())

test("every answer is an ordinary one", { timeout: 120_000 }, async () => {
  const pids = server.pids().sort()
  const ask = async (method, path, headers = {}, body) => {
    const answer = await request(server.url, method, path, { headers, body, timeout: 15_000 })
    expect(ORDINARY, `${method} ${path}: ${answer.status} ${answer.text}`).toContain(answer.status)
    expect(answer.headers["set-cookie"], `${method} ${path}`).toBeUndefined()
    return answer
  }
  const failed = new Set()
  const drive = async (path, i) => {
    const type = { "content-type": TYPES[(i + 1) % 2] }
    for (const query of ["", "?offset=0000000000000000_0000000000000009", "?offset=now"])
      if ((await ask("GET", path + query)).status === 500) failed.add(path)
    await ask("HEAD", path)
    const [sse, poll] = await Promise.all([
      ask("GET", `${path}?offset=-1&live=sse`),
      ask("GET", `${path}?offset=now&live=long-poll`),
    ])
    expect(sse.text).not.toMatch(/^Set-Cookie/m)
    expect(poll.text.length).toBeLessThan(1 << 20)
    await ask("PUT", path, type)
    await ask("PUT", `${path}-fork`, { ...type, "stream-forked-from": path })
    await ask("POST", path, { ...type, "stream-seq": "z" }, "1")
    await ask("GET", `${path}-fork`)
    await ask("DELETE", path)
    await ask("GET", path)
  }
  const queue = paths.map((path, i) => [path, i])
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      for (let next = queue.pop(); next; next = queue.pop()) await drive(...next)
    })
  )
  expect(server.pids().sort(), server.logs().slice(-2000)).toEqual(pids)
  expect(failed.size, "some are refused as damaged").toBeGreaterThan(20)
  expect(failed.size, "and many are not").toBeLessThan(paths.length * 0.8)
  expect((await api.get("/v1/stream/source")).text).toBe("0123456789")
})
