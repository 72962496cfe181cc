// 100,000 messages in 500 streams of every kind, exported from one server's database and imported into
// another's: clients must not be able to tell the two servers apart. Also dsctl's tools for database
// files, beside servers that are running.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { execFile, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import {
  build,
  cleanEnv,
  cleanUp,
  end,
  launch,
  root,
  sanitized,
  sleep,
  sqlite,
  startServer,
  until,
} from "./harness.mjs"
import { client } from "./http.mjs"

const dsctl = path.join(build, "dsctl")
const { undo, folder } = cleanUp(afterEach)
const SMALL = sanitized ? 10 : 1 // a sanitizer takes a tenth
const JSON_TYPE = "application/json"
const at = (name) => `/v1/stream/${name}`

/** Runs dsctl; its output is a Buffer. */
const run = (database, args, { env = {}, input } = {}) =>
  new Promise((resolve) => {
    const child = execFile(
      dsctl,
      ["--db", database, ...args],
      { env: cleanEnv(env), maxBuffer: 1 << 28, encoding: "buffer" },
      (error, out, err) =>
        resolve({ code: error ? error.code : 0, signal: error?.signal, out, err: err.toString() })
    )
    child.stdin.on("error", () => {})
    child.stdin.end(input)
  })

const ok = async (database, args, options) => {
  const result = await run(database, args, options)
  expect(result, `${args} ${result.err}`).toMatchObject({ code: 0 })
  return result
}

/** fn(item) for all items, a limited number at a time. */
async function each(items, fn, width = 48) {
  const left = items.entries()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const [i, item] of left) await fn(item, i)
    })
  )
}

const sound = async (database) => {
  const result = await run(database, ["check"])
  expect(result.out.toString()).toBe("")
  expect(result.code).toBe(0)
}

// ------------------------------------------------------------------------------- 500 streams

/** The number of a stream decides its properties. `offsets`: places to read from later. */
const made = []

async function makeJson(api, i) {
  const stream = { path: at(`json/${i}`), type: JSON_TYPE, offsets: ["-1"], producer: i % 3 === 0 }
  const headers = i % 5 === 1 ? { "stream-ttl": "3600" } : {}
  await api.create(stream.path, i % 2 ? JSON_TYPE : "application/json; charset=utf-8", undefined, headers)
  const batches = 9
  for (let batch = 0; batch < batches; batch++) {
    const messages = Array.from({ length: Math.ceil(48 / SMALL) }, (_, n) =>
      n % 7 ? `{"stream":${i}, "n":${batch * 100 + n}, "x":1.0}` : ` ["ünïcode \\u0000 \\"${n}\\"", 1e400] `
    )
    const extra = {}
    if (stream.producer)
      Object.assign(extra, {
        "producer-id": `loader-${i}`,
        "producer-epoch": "2",
        "producer-seq": String(batch),
      })
    if (i % 4 === 0) extra["stream-seq"] = String(batch).padStart(4, "0")
    if (i % 10 === 3 && batch === batches - 1) extra["stream-closed"] = "true"
    const answer = await api.append(stream.path, JSON_TYPE, `[${messages}]`, extra)
    if (batch % 3 === 0) stream.offsets.push(answer.headers["stream-next-offset"])
  }
  stream.closed = i % 10 === 3
  stream.seq = i % 4 === 0
  stream.batches = batches
  made.push(stream)
}

async function makeBytes(api, i) {
  const text = i % 2 === 0
  const stream = {
    path: at(`${text ? "text" : "binary"}%2F${i}/~x`),
    type: text ? "text/plain" : "image/png",
    offsets: ["-1"],
  }
  const headers =
    i % 5 === 2 ? { "stream-expires-at": new Date(Date.now() + 86400_000).toISOString() } : {}
  await api.create(stream.path, stream.type, undefined, headers)
  for (let n = 0; n < Math.ceil(70 / SMALL); n++) {
    const body = text ? `line ${n} of ${i} ünïcode\r\n` : randomBytes(n % 90 || 300)
    const answer = await api.append(stream.path, stream.type, body)
    if (n % 30 === 0) stream.offsets.push(answer.headers["stream-next-offset"])
  }
  if (i % 20 === 1) await api.append(stream.path, stream.type, randomBytes(600_000)) // in parts
  if (i % 10 === 4) {
    await api.append(stream.path, stream.type, undefined, { "stream-closed": "true" })
    stream.closed = true
  }
  made.push(stream)
}

/** Of every kind, and some of these of forks. */
async function makeFork(api, i, sources) {
  const source = sources[i % sources.length]
  const stream = { path: at(`fork/${i}`), type: source.type, offsets: ["-1"], source }
  const headers = { "stream-forked-from": source.path }
  if (i % 3) headers["stream-fork-offset"] = source.offsets[1]
  if (i % 3 === 2) headers["stream-fork-sub-offset"] = source.type === JSON_TYPE ? "2" : "1"
  stream.headers = headers
  await api.create(stream.path, source.type, undefined, headers)
  for (let n = 0; n < 5; n++) {
    const body = source.type === JSON_TYPE ? `{"fork":${i},"n":${n}}` : `fork ${i} ${n}\n`
    const answer = await api.append(stream.path, source.type, body)
    if (n === 2) stream.offsets.push(answer.headers["stream-next-offset"])
  }
  made.push(stream)
}

/** 200 JSON streams, 200 of bytes, 60 forks, 40 forks of forks; then 20 sources are deleted. */
async function fill(api) {
  const numbers = (n) => Array.from({ length: n }, (_, i) => i)
  await each(numbers(200), (i) => makeJson(api, i))
  await each(numbers(200), (i) => makeBytes(api, i))
  const plain = [...made].sort((a, b) => (a.path < b.path ? -1 : 1))
  await each(numbers(60), (i) => makeFork(api, i, plain.filter((_, n) => n % 4 === 0)))
  const forks = made.slice(400).sort((a, b) => (a.path < b.path ? -1 : 1))
  await each(numbers(40), (i) => makeFork(api, 1000 + i, forks))
  // sorted by path, because the order of creation is random; without the streams that tests name
  const read = [...new Set(made.slice(400).map((stream) => stream.source))]
    .filter(({ path }) => !/\/json\/\d$/.test(path))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  await each(read.filter((_, n) => n % 4 === 0).slice(0, 20), async (stream) => {
    expect((await api.del(stream.path)).status).toBe(204)
    stream.deleted = true
  })
}

// --------------------------------------------------------------------------------- comparing

/** The part of an answer that must be equal: not ETag (incarnation) and cursor (time). */
const seen = ({ status, headers, body }) => {
  const { date, etag, "stream-cursor": cursor, connection, location, ...rest } = headers
  return {
    status,
    headers: rest,
    length: body.length,
    body: createHash("sha256").update(body).digest("hex"),
    etag: Boolean(etag),
  }
}

const same = async (what, request) => {
  const [there, here] = await Promise.all([request(apiA), request(apiB)])
  expect(seen(here), what).toEqual(seen(there))
  return here
}

let a
let b
let apiA
let apiB
let scratch
let file

beforeAll(async () => {
  scratch = fs.mkdtempSync(path.join(fs.realpathSync("/tmp"), "ds-test-"))
  file = path.join(scratch, "all.ndjson")
  a = await startServer()
  apiA = client(a.url)
  await fill(apiA)
})

afterAll(async () => {
  await a?.stop()
  await b?.stop()
  fs.rmSync(scratch, { recursive: true, force: true })
})

describe("all streams into an empty database", () => {
  const database = () => path.join(scratch, "copy.db")

  test("are exported and imported by the thousand", async () => {
    const began = performance.now()
    await ok(a.database, ["export", "--output", file])
    const exported = performance.now()
    await ok(database(), ["import", file])
    const imported = performance.now()
    const [streams, messages] = (
      await sqlite(database(), "select count(*), sum(messages) from stream", {})
    ).split("|")
    expect(Number(streams)).toBe(500)
    expect(Number(messages)).toBeGreaterThanOrEqual(100_000 / SMALL)
    console.log(
      `export: ${messages} messages, ${Math.round(fs.statSync(file).size / 1024)} KiB out in ` +
        `${Math.round(exported - began)} ms, in in ${Math.round(imported - exported)} ms`
    )
    expect(fs.readdirSync(scratch).filter((name) => /new$|import-/.test(name))).toEqual([])
    await sound(database())
    await sound(a.database)
  })

  test("answer clients as before: reads from any offset, HEAD", async () => {
    b = await startServer({ database: database() })
    apiB = client(b.url)
    await each(made, async (stream) => {
      const head = await same(stream.path, (api) => api.any("HEAD", stream.path))
      expect(head.status).toBe(stream.deleted ? 410 : 200)
      for (const offset of stream.offsets)
        await same(`${stream.path} ${offset}`, (api) => api.get(`${stream.path}?offset=${offset}`))
      if (stream.deleted) return
      const [there, here] = await Promise.all([
        apiA.readAll(stream.path),
        apiB.readAll(stream.path),
      ])
      expect(here.next, stream.path).toBe(there.next)
      expect(here.body.equals(there.body), stream.path).toBe(true)
      expect(here.body.length).toBeGreaterThan(100)
    })
  })

  test("recognise producers: a repeated request, the next one, one that skips", async () => {
    const producing = made.filter((stream) => stream.producer && !stream.deleted)
    expect(producing.length).toBeGreaterThan(50)
    await each(producing, async (stream) => {
      const id = `loader-${stream.path.split("/").pop()}`
      const send = (seq, epoch = 2) =>
        same(`${stream.path} ${seq}`, (api) =>
          api.post(
            stream.path,
            {
              "content-type": JSON_TYPE,
              "producer-id": id,
              "producer-epoch": String(epoch),
              "producer-seq": String(seq),
              ...(stream.seq ? { "stream-seq": `${String(seq).padStart(4, "0")}` } : {}),
            },
            `{"again":${seq}}`
          )
        )
      const closed = stream.closed
      expect((await send(stream.batches + 1)).status).toBe(409)
      expect((await send(stream.batches - 1)).status).toBe(204) // if closed, by this very request
      expect((await send(stream.batches)).status).toBe(closed ? 409 : 200)
      expect((await send(stream.batches)).status).toBe(closed ? 409 : 204)
      expect((await send(0, 1)).status).toBe(closed ? 409 : 403)
    })
  })

  test("keep closure, Stream-Seq, expiry and forks", async () => {
    const live = made.filter((stream) => !stream.deleted)
    await each(live, async (stream) => {
      if (stream.closed) {
        const answer = await same(stream.path, (api) =>
          api.post(stream.path, { "content-type": stream.type }, "1")
        )
        expect(answer.status).toBe(409)
        expect(answer.headers["stream-closed"]).toBe("true")
      } else if (stream.seq) {
        const answer = await same(stream.path, (api) =>
          api.post(stream.path, { "content-type": stream.type, "stream-seq": "0000" }, "1")
        )
        expect(answer.status).toBe(409)
      }
      if (stream.source) {
        const answer = await same(stream.path, (api) =>
          api.put(stream.path, { "content-type": stream.type, ...stream.headers })
        )
        expect(answer.status).toBe(200)
        expect(
          (await same(stream.path, (api) => api.put(stream.path, { "content-type": stream.type })))
            .status
        ).toBe(409)
      }
    })
    for (const stream of made.filter(({ deleted }) => deleted)) {
      const answer = await same(stream.path, (api) =>
        api.put(stream.path, { "content-type": stream.type })
      )
      expect(answer.status).toBe(409)
    }
  })

  test("can be changed further: the end of the last fork also deletes its deleted source", async () => {
    const source = made.find((stream) => stream.deleted)
    const family = new Set([source])
    for (const stream of made.slice(400)) if (family.has(stream.source)) family.add(stream)
    for (const stream of [...family].reverse())
      if (stream !== source) expect((await apiB.del(stream.path)).status).toBe(204)
    expect((await apiB.any("HEAD", source.path)).status).toBe(404)
    await ok(b.database, ["check"]) // it may note rows that are still to be removed
  })
})

describe("an import that is killed", () => {
  test("leaves whole streams, and can be continued with --skip-existing", async () => {
    const database = path.join(folder(), "killed.db")
    const lines = fs.readFileSync(file, "utf8").split("\n")
    const rows = new Map()
    for (const line of lines) {
      if (!line.startsWith('{"end_of"')) continue
      const { end_of: name, rows: n } = JSON.parse(line)
      rows.set(name, n)
    }
    for (const after of [1, 150]) {
      const child = launch(dsctl, ["--db", database, "import", "--skip-existing", file])
      await until(
        async () =>
          child.exitCode !== null ||
          Number(await sqlite(database, "select count(*) from stream").catch(() => 0)) >= after,
        "streams come in",
        { every: 5, timeout: 30_000 }
      )
      const how = await end(child, "SIGKILL")
      expect(how.signal).toBe("SIGKILL")
      const there = await sqlite(
        database,
        "select path, (select count(*) from message where stream_id = s.id) from stream s"
      )
      const found = there.split("\n").map((line) => line.split("|"))
      expect(found.length).toBeGreaterThanOrEqual(after)
      expect(found.length).toBeLessThan(500)
      for (const [name, n] of found) expect(Number(n), name).toBe(rows.get(name))
      await sound(database)
    }
    expect((await run(database, ["import", file])).code).toBe(4)
    const { err } = await ok(database, ["import", "--skip-existing", file])
    expect(err).toMatch(/streams existed already/)
    const { out } = await ok(database, ["export"])
    const body = (text) => text.slice(text.indexOf("\n"))
    expect(body(out.toString()) === body(lines.join("\n"))).toBe(true)
  })
})

describe("beside a running server", () => {
  test("an export shows one moment", async () => {
    const server = await startServer({ responders: 2 })
    undo.push(() => server.stop())
    const api = client(server.url)
    const names = Array.from({ length: 8 }, (_, i) => at(`pair-${i}`))
    for (const name of names) {
      await api.create(`${name}/first`)
      await api.create(`${name}/second`)
    }
    let stopped = false
    const writers = names.map(async (name, i) => {
      for (let n = 0; !stopped; n++)
        for (const part of ["first", "second"]) // the second after the first was acknowledged
          await api.append(`${name}/${part}`, "text/plain", `${n},`, {
            "producer-id": `w${i}`,
            "producer-epoch": "0",
            "producer-seq": String(n),
          })
    })
    try {
      for (let round = 0; round < 4; round++) {
        await sleep(150)
        const { out } = await ok(server.database, ["export"])
        const copy = path.join(folder(), "copy.db")
        await ok(copy, ["import"], { input: out })
        await sound(copy)
        await sound(server.database)
        const pairs = await sqlite(
          copy,
          `select f.messages, s.messages, fp.last_seq + 1, sp.last_seq + 1
           from stream f join stream s on s.path = replace(f.path, 'first', 'second')
           join producer fp on fp.stream_id = f.id join producer sp on sp.stream_id = s.id
           where f.path like '%/first'`
        )
        for (const row of pairs.split("\n")) {
          const [first, second, firstSeq, secondSeq] = row.split("|").map(Number)
          expect(first, row).toBeGreaterThan(0)
          expect([second, second + 1], row).toContain(first)
          expect([firstSeq, secondSeq], row).toEqual([first, second])
        }
      }
    } finally {
      stopped = true
      await Promise.all(writers)
    }
  })

  test("readers see imported streams, and the registry lists them", async () => {
    const server = await startServer({
      responders: 2,
      env: { DS_REGISTRY: at("__registry__"), DS_LONG_POLL_TIMEOUT_MS: "20000" },
    })
    undo.push(() => server.stop())
    const api = client(server.url)
    const before = await api.any("HEAD", at("__registry__"))
    const registry = await api.sse(
      `${at("__registry__")}?offset=${before.headers["stream-next-offset"]}&live=sse`
    )
    const writing = (async () => {
      await api.create(at("meanwhile"))
      for (let i = 0; i < 50; i++) await api.append(at("meanwhile"), "text/plain", `${i},`)
    })()
    const { out } = await ok(a.database, ["export", made[0].path])
    await ok(server.database, ["import"], { input: out })
    await writing
    await registry.waitFor(
      ({ type, data }) => type === "data" && data.includes(made[0].path.slice("/v1/stream/".length)),
      "the event of the imported stream"
    )
    registry.close()
    const [there, here] = [await apiA.readAll(made[0].path), await api.readAll(made[0].path)]
    expect(here.body.equals(there.body)).toBe(true)
    expect((await api.readAll(at("meanwhile"))).body.toString()).toMatch(/^0,1,.*49,$/)
    await sound(server.database)

    // a whole database with a registry, into an empty one: the same to the letter
    const all = (await ok(server.database, ["export"])).out.toString()
    const copy = path.join(folder(), "copy.db")
    await ok(copy, ["import"], { input: all })
    const again = (await ok(copy, ["export"])).out.toString()
    expect(again.slice(again.indexOf("\n"))).toBe(all.slice(all.indexOf("\n")))
    expect(again).toContain('"registry":1')
  })

  test("vacuum frees space while clients write, or names the process in its way", async () => {
    const server = await startServer()
    undo.push(() => server.stop())
    const api = client(server.url)
    await api.create(at("kept"))
    await api.create(at("large"), "image/png", randomBytes(4_000_000))
    await api.del(at("large"))
    await until(
      async () => (await sqlite(server.database, "select count(*) from garbage")) === "0",
      "the messages are cleared away"
    )
    let n = 0
    let stopped = false
    const writing = (async () => {
      while (!stopped) await api.append(at("kept"), "text/plain", `${n++},`)
    })()
    const { out } = await ok(server.database, ["vacuum"])
    stopped = true
    await writing
    const [, before, after] = out.toString().match(/^(\d+) bytes before, (\d+) after\n$/).map(Number)
    expect(before).toBeGreaterThan(4_000_000)
    expect(after).toBeLessThan(1_000_000)
    const numbers = (await api.readAll(at("kept"))).body.toString().split(",").slice(0, -1)
    expect(numbers).toEqual(Array.from({ length: n }, (_, i) => String(i)))
    await sound(server.database)

    const holder = spawn("sqlite3", ["-batch", server.database], {
      stdio: ["pipe", "pipe", "inherit"],
    })
    undo.push(() => end(holder, "SIGKILL"))
    holder.gone = new Promise((resolve) => holder.once("exit", (code, signal) => resolve({ code, signal })))
    holder.stdin.write("begin immediate; select 'held';\n")
    await new Promise((resolve) => holder.stdout.once("data", resolve))
    const busy = await run(server.database, ["vacuum"], { env: { DS_BUSY_TIMEOUT_MS: "200" } })
    expect(busy.code).toBe(1)
    expect(busy.err).toMatch(/another program.*nothing was changed/)
    const closed = await run(server.database, ["import"], {
      env: { DS_BUSY_TIMEOUT_MS: "200" },
      input: fs.readFileSync(file),
    })
    expect(closed.code).toBe(1)
    expect(closed.err).toMatch(/line 2: the database is busy/)
    await sound(server.database) // a mere reader is in nobody's way
    holder.stdin.end("rollback;\n")
    await holder.gone
  })
})

describe("subscriptions", () => {
  const json = { "content-type": JSON_TYPE }
  const base = at("__ds/subscriptions/pool")
  const body = (answer) => JSON.parse(answer.body.toString())

  /** A pool with one message read, one claimed and not acked, and one deleted before it. */
  async function makePool(api) {
    await api.create(at("wakes"), JSON_TYPE)
    const put = () =>
      api.put(base, json, JSON.stringify({ type: "pull-wake", pattern: "e/*", wake_stream: "wakes" }))
    expect((await put()).status).toBe(201)
    expect((await api.del(base)).status).toBe(204)
    expect((await put()).status).toBe(201)
    await api.create(at("e/a"), JSON_TYPE, "[1]")
    const claim = body(await api.post(`${base}/claim`, json, '{"worker":"w"}'))
    const first = claim.streams[0].tail_offset
    await api.append(at("e/a"), JSON_TYPE, "[2]")
    const ack = { wake_id: claim.wake_id, generation: claim.generation, acks: [{ stream: "e/a", offset: first }] }
    const answer = await api.post(
      `${base}/ack`,
      { ...json, authorization: `Bearer ${claim.token}` },
      JSON.stringify(ack)
    )
    expect(answer.status).toBe(200)
    return { first, generation: claim.generation, token: claim.token, wake_id: claim.wake_id }
  }

  test("go on at their cursors in another server, by a later generation", async () => {
    const [source, target] = [await startServer(), await startServer()]
    undo.push(() => source.stop(), () => target.stop())
    const made = await makePool(client(source.url))
    const api = client(target.url)
    const { out } = await ok(source.database, ["export"])
    expect(out.toString()).not.toContain(made.wake_id)
    await ok(target.database, ["import"], { input: out })
    await until(
      async () => (await api.readAll(at("wakes"))).body.toString().includes(`"generation":${made.generation + 1}`),
      "the wake after the import",
      { timeout: 20_000 }
    )
    await sound(target.database)
    const claim = body(await api.post(`${base}/claim`, json, '{"worker":"w"}'))
    expect(claim.generation).toBe(made.generation + 1)
    expect(claim.streams).toMatchObject([{ path: "e/a", acked_offset: made.first, has_pending: true }])
    const stale = await api.post(
      `${base}/ack`,
      { ...json, authorization: `Bearer ${made.token}` },
      JSON.stringify({ wake_id: made.wake_id, generation: made.generation, done: true })
    )
    expect([401, 409]).toContain(stale.status)
    expect((await run(target.database, ["import"], { input: out })).code).toBe(4)
  })

  test("stay behind if asked, and keys are guarded", async () => {
    const source = await startServer({ env: { DS_WEBHOOKS: "off" } })
    undo.push(() => source.stop())
    await makePool(client(source.url))
    const target = folder()
    const copy = path.join(target, "copy.db")
    const { out } = await ok(source.database, ["export"])
    const { err } = await ok(copy, ["import", "--no-subscriptions"], { input: out })
    expect(err).toMatch(/1 subscriptions were left out/)
    expect(await sqlite(copy, "select count(*) from sqlite_schema where name = 'subscription'")).toBe("0")

    await sqlite(
      source.database,
      `begin; ${fs.readFileSync(path.join(root, "sql/webhook_keys.sql"), "utf8")};
       insert into webhook_key values ('ds_k', '${"x".repeat(43)}', zeroblob(32), 1, 1, null); commit`
    )
    const file = path.join(target, "all.ndjson")
    fs.writeFileSync(file, "", { mode: 0o644 })
    const open = await run(source.database, ["export", "--keys", "--output", file])
    expect(open.code).toBe(2)
    expect(open.err).toMatch(/mode must be 600/)
    fs.unlinkSync(file)
    await ok(source.database, ["export", "--keys", "--output", file])
    expect(fs.statSync(file).mode & 0o777).toBe(0o600)
    expect(fs.readFileSync(file, "utf8")).toContain('{"webhook_key":"ds_k"')
    const command = `${dsctl} --db ${source.database} export --keys`
    const terminal = await new Promise((resolve) =>
      execFile("script", ["-qec", command, "/dev/null"], { env: cleanEnv() }, (error, shown) => resolve(shown))
    )
    expect(terminal).toMatch(/private keys/)
    expect(terminal).not.toContain("ds_k")
  })
})

describe("the command line", () => {
  const small = async () => {
    const database = path.join(folder(), "small.db")
    await ok(database, ["create", "x", "--content-type", "text/plain", "--data", "hello"])
    return database
  }

  test("names the faulty line of an input, and imports nothing from a truncated file", async () => {
    const text = fs.readFileSync(file, "utf8")
    const cases = [
      [text.slice(0, text.length / 2), /cut short/],
      [text.replace('{"position":0,', '{"position":-1,'), /^dsctl import: line 3: /],
      [text.replace('"version":1', '"version":7'), /line 1: the export has version 7/],
    ]
    for (const [input, says] of cases) {
      const database = path.join(folder(), "wrong.db")
      const result = await run(database, ["import"], { input })
      expect(result.code).toBe(1)
      expect(result.err).toMatch(says)
      expect(await sqlite(database, "select count(*) from stream")).toBe("0")
    }
  })

  test("check finds damage that was done to a database", async () => {
    for (const [sql, says] of [
      ["update stream set tail = 9", "damage /v1/stream/x: the tail is 9, but the rows end at 5\n"],
      ["update stream set messages = 2", "damage /v1/stream/x: it counts 2 messages, but there are 1\n"],
      [
        "insert into producer values (77, 'p', 0, 0, 0)",
        "damage 1 producers belong to no stream (id 77)\n",
      ],
      ["drop index stream_by_source", "damage the index stream_by_source is missing\n"],
    ]) {
      const database = await small()
      await sound(database)
      await sqlite(database, sql)
      const found = await run(database, ["check"])
      expect(found.out.toString()).toBe(says)
      expect(found.code).toBe(1)
      const json = await run(database, ["check", "--json"])
      expect(JSON.parse(json.out.toString())).toMatchObject({ kind: "damage" })
      expect(json.code).toBe(1)
    }
    const database = await small()
    await sqlite(database, "update stream set deleted_at = 5")
    const note = await run(database, ["check"])
    expect(note.code).toBe(0)
    expect(note.out.toString()).toMatch(/^note \/v1\/stream\/x: /)
    expect((await run(database, ["check", "--quiet"])).out.toString()).toBe("")
  })

  test("has exit codes for scripts, and creates no files when it fails", async () => {
    const database = await small()
    const output = path.join(path.dirname(database), "out")
    expect((await run(database, ["export", "y", "--output", output])).code).toBe(3)
    expect((await run(database, ["export", "x", "--output", "/nowhere/out"])).code).toBe(1)
    const { out } = await ok(database, ["export", "x"])
    expect((await run(database, ["import"], { input: out })).code).toBe(4)
    for (const command of ["check", "export", "vacuum"]) {
      const missing = `${database}-missing`
      expect((await run(missing, [command])).code).toBe(1)
      expect((await run(`${database}-wake`, [command])).code).toBe(1)
    }
    expect(fs.readdirSync(path.dirname(database)).sort()).toEqual(
      ["small.db", "small.db-reserve", "small.db-shm", "small.db-wake", "small.db-wal"].sort()
    )
  })

  test("draws a progress bar only on a terminal", async () => {
    const target = folder()
    const some = path.join(target, "some.ndjson") // enough data for a bar
    await ok(a.database, ["export", at(`json/${sanitized ? 1 : 2}`), "--output", some])
    const command = `${dsctl} --db ${target}/bar.db import ${some}`
    const terminal = await new Promise((resolve) =>
      execFile("script", ["-qec", command, "/dev/null"], { env: cleanEnv() }, (error, out) =>
        resolve({ error, out })
      )
    )
    expect(terminal.error).toBe(null)
    expect(terminal.out).toMatch(/\r\[#* *\] +\d+ %/)
    expect(terminal.out).toMatch(/\r\x1b\[K/)
    const pipe = await ok(path.join(target, "pipe.db"), ["import", some])
    expect(pipe.err).toMatch(/^dsctl import: 1 streams, \d+ rows of messages, \d+ producers\n$/)
  })
})
