// A full disk: appends are refused with 507, deletions make room, and nothing that was acknowledged
// is lost, whatever filled the disk, and behind each kind of gateway. test_store_reserve.c has the
// same cases with quotas, readers in the way and limits on file sizes, and needs no root.

import { afterEach, describe, expect, test } from "vitest"
import { execFileSync, spawnSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { build, cleanEnv, program, sleep, sqlite, startServer, until } from "./harness.mjs"
import { client } from "./http.mjs"

const TYPE = { "content-type": "application/octet-stream" }
const dsctl = path.join(build, "dsctl")
const ends = []

afterEach(async () => {
  while (ends.length) await ends.pop()()
})

/** The path of a database on a disk of its own. */
function disk(megabytes) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-disk-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder])
  ends.push(() => {
    execFileSync("umount", ["-l", folder])
    fs.rmdirSync(folder)
  })
  return path.join(folder, "streams.db")
}

async function serve(database, env = {}) {
  const server = await startServer({ door: "nginx", responders: 2, database, env })
  ends.push(() => server.stop())
  return server
}

/** Appends bodies of so many bytes to the streams in turn, until three are refused. */
async function fill(append, streams, bytes) {
  for (let i = 0, refused = 0; refused < 3 && i < 3000; i++) {
    const stream = streams[i % streams.length]
    const body = Buffer.alloc(bytes, 33 + (stream.length % 90))
    const status = await append(stream.name, body)
    expect([204, 507]).toContain(status)
    if (status === 204) {
      stream.length += bytes
      stream.bodies.push(body)
    } else refused++
  }
}

const stream = (name) => ({ name: `/v1/stream/${name}`, length: 0, bodies: [] })

describe.skipIf(process.getuid() !== 0)("a full disk", () => {
  test("deletion and expiry make room, appends go on", { timeout: 120_000 }, async () => {
    const server = await serve(disk(40))
    const api = client(server.url)
    const append = async (name, body) => (await api.post(name, TYPE, body)).status
    const [a, b, brief, other] = ["a", "b", "brief", "other"].map(stream)
    for (const { name } of [a, b, other]) await api.create(name, TYPE["content-type"])
    await api.create(brief.name, TYPE["content-type"], undefined, { "stream-ttl": "8" })
    const began = Date.now()
    await fill(append, [a, b, brief], 700_000)
    await fill(append, [a, b], 30_000)
    await fill(append, [b], 2_000)
    expect(a.length + b.length, "most of the disk is for data").toBeGreaterThan(10 << 20)
    expect((await api.get("/health")).text).toMatch(/^ok, but the disk is full/)
    expect((await api.put("/v1/stream/new", TYPE, Buffer.alloc(500_000))).status).toBe(507)
    expect((await api.get("/v1/stream/new")).status).toBe(404)

    // another program takes the rest of the space
    const file = fs.openSync(path.join(path.dirname(server.database), "else"), "w")
    expect(() => {
      for (;;) fs.writeSync(file, Buffer.alloc(65536))
    }).toThrow(/ENOSPC/)
    fs.closeSync(file)
    expect((await api.del(a.name)).status).toBe(204)
    const goesOn = async (name) =>
      until(
        async () => (await append(name, Buffer.alloc(100_000, 7))) === 204,
        () => "appends go on",
        { every: 200 }
      )
    await goesOn(other.name)
    // an expired stream makes room as well
    await fill(append, [b], 100_000)
    await sleep(Math.max(0, 8500 - (Date.now() - began)))
    await until(
      async () => (await sqlite(server.database, "select count(*) from garbage")) === "0",
      () => "swept"
    )
    await goesOn(other.name)
    const { body } = await api.readAll(b.name)
    expect(body.equals(Buffer.concat(b.bodies)), "all that was acknowledged, once").toBe(true)
    const said = server.logs().match(/ is full: appends may be refused/g)
    expect(said?.length, server.logs()).toBeLessThan(4)

    // when the other program frees its space, all is as before
    fs.rmSync(path.join(path.dirname(server.database), "else"))
    await api.del(b.name)
    execFileSync("mount", ["-o", "remount,size=120m", path.dirname(server.database)])
    await until(
      async () => (await api.get("/health")).text === "ok\n",
      async () => (await api.get("/health")).text
    )
    expect(spawnSync(dsctl, ["--db", server.database, "check"]).status).toBe(0)
  })

  test("the same as CGI, where no process stays", { timeout: 120_000 }, async () => {
    const database = disk(16)
    const request = (method, uri, body) => {
      const answer = spawnSync(program, {
        env: cleanEnv({
          GATEWAY_INTERFACE: "CGI/1.1",
          SERVER_PROTOCOL: "HTTP/1.1",
          SERVER_NAME: "streams.example",
          SERVER_PORT: "80",
          REQUEST_METHOD: method,
          REQUEST_URI: uri,
          CONTENT_TYPE: TYPE["content-type"],
          CONTENT_LENGTH: body ? String(body.length) : "",
          DS_DATABASE: database,
          DS_LOG_LEVEL: "warn",
        }),
        input: body ?? "",
      })
      return Number(/^Status: (\d+)/.exec(answer.stdout.toString())?.[1])
    }
    const [a, b] = ["a", "b"].map(stream)
    for (const { name } of [a, b]) expect(request("PUT", name)).toBe(201)
    await fill((name, body) => request("POST", name, body), [a, b], 300_000)
    await fill((name, body) => request("POST", name, body), [b], 3_000)
    expect(request("DELETE", a.name)).toBe(204)
    await until(
      () => request("POST", b.name, Buffer.alloc(100_000, 7)) === 204,
      () => "appends go on",
      { every: 300 }
    )
    const length = await sqlite(database, "select tail from stream where path like '%/b'")
    expect(Number(length)).toBe(b.length + 100_000)
  })

  test("a disk that an import has filled", { timeout: 120_000 }, async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
    ends.push(() => fs.rmSync(folder, { recursive: true }))
    const run = (database, args, input) =>
      spawnSync(dsctl, ["--db", database, ...args], {
        input,
        env: cleanEnv(),
        maxBuffer: 1 << 28,
      })
    for (let i = 0; i < 12; i++) {
      const made = run(`${folder}/from.db`, ["create", `s${i}`, "--data", "-"], Buffer.alloc(2 << 20))
      expect(made.status, made.stderr.toString()).toBe(0)
    }
    fs.writeFileSync(`${folder}/dump`, run(`${folder}/from.db`, ["export"]).stdout)
    const database = disk(32)
    const imported = run(database, ["import", `${folder}/dump`])
    expect(imported.status).not.toBe(0)
    expect(imported.stderr.toString()).toMatch(/disk is full/)
    const list = run(database, ["ls"])
    const names = list.stdout.toString().match(/\bs\d+/g)
    expect(names?.length, list.stdout + list.stderr + imported.stderr).toBeGreaterThan(3)
    const filler = fs.openSync(path.join(path.dirname(database), "else"), "w")
    expect(() => {
      for (;;) fs.writeSync(filler, Buffer.alloc(4096))
    }).toThrow(/ENOSPC/)
    fs.closeSync(filler)
    const removed = run(database, ["rm", names[0]])
    expect(removed.status, removed.stderr.toString()).toBe(0)
    const server = await serve(database)
    const made = await client(server.url).put("/v1/stream/new", TYPE, Buffer.alloc(10_000))
    expect(made.status).toBe(201)
  })
})
