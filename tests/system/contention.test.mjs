// Two responders and the sqlite3 CLI write to one database at the same time. A minute with FULL=1.

import { afterAll, beforeAll, expect, test } from "vitest"
import { spawn } from "node:child_process"
import fs from "node:fs"
import { cleanEnv, full, program, sleep, sqlite, startServer, until } from "./harness.mjs"
import { client, fresh } from "./http.mjs"

const DURATION_MS = full ? 60_000 : 10_000
const BUSY_MS = 1000

let server

beforeAll(async () => {
  server = await startServer({
    responders: 2,
    direct: true,
    env: { DS_BUSY_TIMEOUT_MS: String(BUSY_MS) },
  })
})

afterAll(() => server?.stop())

test(
  "no server error and no lost append while all of them write",
  { timeout: DURATION_MS + 60_000 },
  async () => {
    await sqlite(server.database, "create table visitor (n integer primary key, note text)")
    const end = Date.now() + DURATION_MS
    let visits = 0
    const touched = fresh("touched")
    await client(server.url).create(touched)

    const visitor = async () => {
      while (Date.now() < end) {
        // as a person might: own rows, and a row of the server, in one transaction
        await sqlite(
          server.database,
          `begin immediate;
         insert into visitor (note) values ('visit ${visits}');
         update stream set ttl_seconds = NULL where path = '${touched}';
         commit`,
          { timeoutMs: 20_000 }
        )
        visits++
      }
    }

    const writer = async (i) => {
      const api = client(server.urls[i % 2])
      const path = fresh(`contended-${i}`)
      await api.create(path, "application/json")
      let sent = 0
      let slowest = 0
      while (Date.now() < end) {
        const answer = await api.post(path, { "content-type": "application/json" }, `{"n":${sent}}`)
        if (answer.status !== 204)
          throw new Error(
            `append ${sent} of ${path}: ${answer.status} ${answer.text} after ${answer.ms.toFixed(0)} ms`
          )
        slowest = Math.max(slowest, answer.ms)
        sent++
      }
      return { path, sent, slowest }
    }

    const [, ...writers] = await Promise.all([
      visitor(),
      ...Array.from({ length: 16 }, (_, i) => writer(i)),
    ])
    for (const { path, sent } of writers) {
      const { messages } = await client(server.url).readJson(path)
      expect(
        messages.map((message) => message.n),
        path
      ).toEqual(Array.from({ length: sent }, (_, n) => n))
    }
    expect(Number(await sqlite(server.database, "select count(*) from visitor"))).toBe(visits)
    expect(visits).toBeGreaterThan(5)
    expect(await sqlite(server.database, "PRAGMA integrity_check")).toBe("ok")
    const sent = writers.reduce((sum, one) => sum + one.sent, 0)
    const slowest = Math.max(...writers.map((one) => one.slowest))
    console.log(
      `contention: ${DURATION_MS / 1000} s, ${sent} appends by 16 writers through 2 responders, ` +
        `${visits} transactions of the sqlite3 CLI, slowest append ${slowest.toFixed(0)} ms, nothing lost`
    )
  }
)

/** Holds the write lock with the sqlite3 CLI for so long. */
async function holdLock(ms) {
  const cli = spawn("sqlite3", ["-batch", server.database], { stdio: ["pipe", "pipe", "inherit"] })
  cli.stdin.write(".timeout 5000\nbegin immediate;\nselect 'locked';\n")
  await new Promise((resolve) => cli.stdout.once("data", resolve))
  const released = sleep(ms).then(async () => {
    cli.stdin.end("rollback;\n")
    await new Promise((resolve) => cli.once("exit", resolve))
  })
  return { released }
}

test("a lock held longer than DS_BUSY_TIMEOUT_MS: 503 with Retry-After, and reads go on", async () => {
  const path = fresh("locked")
  const [one, other] = server.urls.map(client)
  await one.create(path, "text/plain", "before ")
  const { released } = await holdLock(BUSY_MS * 3)
  const began = performance.now()
  const attempts = [one, other].flatMap((api) => [
    api.post(path, { "content-type": "text/plain" }, "refused "),
    api.put(fresh("locked"), { "content-type": "text/plain" }),
    api.del(path),
  ])
  // readers do not wait for writers
  const read = await other.get(path)
  expect(read.text).toBe("before ")
  expect(read.ms).toBeLessThan(BUSY_MS * 0.9)
  for (const answer of await Promise.all(attempts)) {
    expect(answer.status, answer.text).toBe(503)
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0)
  }
  const took = performance.now() - began
  expect(took).toBeGreaterThan(BUSY_MS * 0.8)
  expect(took).toBeLessThan(BUSY_MS * 2.9)
  await released
  // refused means not carried out
  await one.append(path, "text/plain", "after")
  expect((await other.get(path)).text).toBe("before after")
})

test("a lock held for a shorter time only delays writes", async () => {
  const path = fresh("delayed")
  const api = client(server.url)
  await api.create(path)
  const { released } = await holdLock(BUSY_MS * 0.4)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => api.post(path, { "content-type": "text/plain" }, "x"))
  )
  for (const answer of answers) expect(answer.status, answer.text).toBe(204)
  await released
  expect((await api.get(path)).text).toBe("x".repeat(10))
})

/** The same bytes in every run: xorshift. */
function noise(bytes, seed) {
  const words = new Uint32Array(bytes / 4)
  for (let i = 0, state = seed; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return Buffer.from(words.buffer)
}

test("random bytes in the shared file cost at most a wait", { timeout: 60_000 }, async () => {
  const file = `${server.database}-wake`
  const size = fs.statSync(file).size & ~3
  const apis = server.urls.map(client)
  const pids = server.pids()
  const [path, short] = [fresh("noise"), fresh("short")]
  await apis[0].create(path, "text/plain")
  const readers = await Promise.all(apis.map((api) => api.sse(`${path}?offset=-1&live=sse`)))
  await apis[1].create(short, "text/plain", "x", { "stream-ttl": "2" })

  let sent = ""
  const log = server.logs().length
  const write = fs.openSync(file, "r+")
  for (let round = 1; round <= 12; round++) {
    // from the start, after the header, and at a random place
    const from = [0, 8, 88, (round * 20_011) & ~3][round % 4]
    fs.writeSync(write, noise(size - from, round), 0, size - from, from)
    for (let i = 0; i < 10; i++) {
      const answer = await apis[i % 2].post(
        path,
        { "content-type": "text/plain" },
        `${round}.${i} `
      )
      expect(answer.status, answer.text).toBe(204)
      sent += `${round}.${i} `
    }
    await apis[round % 2].get(short) // its renewal may be lost, but must not last for ever
    await sleep(round < 12 ? 200 : 0)
  }
  for (const reader of readers)
    await reader.waitFor((event) => event.data?.includes("12.9 "), "the last message", 20_000)
  for (const [i, reader] of readers.entries()) {
    expect(reader.text(), `reader ${i}`).toBe(sent)
    reader.close()
  }
  for (const api of apis) expect((await api.get(path)).text).toBe(sent)

  // then a stream without readers must expire
  await sleep(5000)
  expect((await apis[0].head(short)).status).toBe(404)
  // a new process finds a file that works
  fs.writeSync(write, noise(size, 99), 0, size, 0)
  fs.closeSync(write)
  const one = spawn(program, ["--listen", `unix:${server.database}.sock`], {
    env: cleanEnv({ DS_DATABASE: server.database }),
    stdio: "ignore",
  })
  await until(() => fs.existsSync(`${server.database}.sock`), "it listens")
  await apis[0].append(path, "text/plain", "after")
  one.kill()
  expect(await new Promise((resolve) => one.once("exit", resolve))).toBe(0)
  expect((await apis[1].get(path)).text).toBe(`${sent}after`)
  expect(server.pids(), server.logs().slice(log)).toEqual(pids)
  expect(server.logs().slice(log)).not.toMatch(/ error: /)
})

test("the server notices a removed or replaced shared file, and loses nothing", async () => {
  const file = `${server.database}-wake`
  const apis = server.urls.map(client)
  const path = fresh("removed")
  await apis[0].create(path, "text/plain")
  const reader = await apis[1].sse(`${path}?offset=-1&live=sse`)
  fs.rmSync(file)
  await apis[0].append(path, "text/plain", "one ")
  await reader.waitFor((event) => event.data?.includes("one"), "what was written meanwhile", 20_000)
  await until(() => server.logs().match(/was removed or replaced/g)?.length >= 2, "both have seen it")
  expect(fs.existsSync(file)).toBe(true)
  await apis[0].append(path, "text/plain", "two")
  await reader.waitFor((event) => event.data?.includes("two"), "what came then")
  expect(reader.text()).toBe("one two")
  reader.close()
})
