// A database file is replaced under a running server. The server must write nothing into the old
// file, which nobody would find again; it must log the fact within a second or so; and when all
// files are new, the responder must start again with them.

import { afterEach, expect, test } from "vitest"
import fs from "node:fs"
import path from "node:path"
import { sqlite, startServer, until } from "./harness.mjs"
import { client, fresh } from "./http.mjs"

const ends = []

afterEach(async () => {
  while (ends.length) await ends.pop()()
})

async function serve() {
  // without the process that delivers webhooks, which notices it too, and says so
  const server = await startServer({ responders: 1, env: { DS_WEBHOOKS: "off" } })
  ends.push(() => server.stop())
  return { server, api: client(server.url), database: server.database }
}

/** A copy of the database as it is, beside it. */
async function backup(database) {
  const copy = `${path.dirname(database)}/copy.db`
  await sqlite(database, `VACUUM INTO '${copy}'`)
  return copy
}

const refused = async (api, name) => {
  const answer = await api.post(name, { "content-type": "text/plain" }, "lost").catch(() => null)
  return answer?.status === 503 && answer.headers["retry-after"] === "1"
}

test("all files are replaced: the responder goes on with the new ones", { timeout: 60_000 }, async () => {
  const { server, api, database } = await serve()
  const name = fresh()
  await api.create(name, "text/plain", "before")
  const copy = await backup(database)
  await api.append(name, "text/plain", ", and after the copy")
  for (const suffix of ["", "-wal", "-shm", "-reserve"]) fs.rmSync(database + suffix)
  await until(
    () => refused(api, name),
    () => server.logs()
  )
  expect(server.logs()).toMatch(/was removed while it is in use/)
  expect(fs.existsSync(database), "nobody makes another one").toBe(false)
  fs.renameSync(copy, database)
  await until(
    async () => (await api.get(name).catch(() => null))?.text === "before",
    () => server.logs(),
    { timeout: 20_000 }
  )
  await api.append(name, "text/plain", " and now")
  expect((await api.get(name)).text).toBe("before and now")
  expect(await sqlite(database, "PRAGMA integrity_check")).toBe("ok")
})

test("the database is replaced beside its old log: nothing is written", { timeout: 60_000 }, async () => {
  const { server, api, database } = await serve()
  const name = fresh()
  await api.create(name, "text/plain", "before")
  const copy = await backup(database)
  await api.append(name, "text/plain", ", and after")
  fs.renameSync(copy, database)
  await until(
    () => refused(api, name),
    () => server.logs()
  )
  expect(server.logs()).toMatch(/beside the log of the old one/)
  expect(server.logs().match(/was replaced by another file/g).length).toBe(1)
})
