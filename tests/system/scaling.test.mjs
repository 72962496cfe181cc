// The promises of deploy/scaling.md: a crowd of readers costs the responder a handful of requests,
// and streams are spread over several databases, each stream together with its forks.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { execFile, execFileSync } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import net from "node:net"
import os from "node:os"
import path from "node:path"
import { promisify } from "node:util"
import { countedSocket } from "./counted.mjs"
import { openCrowd } from "./crowd.mjs"
import {
  build,
  cleanEnv,
  cleanUp,
  end,
  freePort,
  launch,
  program,
  root,
  sleep,
  sqlite,
  until,
} from "./harness.mjs"
import { client, fresh } from "./http.mjs"
import { expectSeen } from "./seen.mjs"
import { fill } from "./web/fill.mjs"
import { startNginx } from "./web/nginx.mjs"

const { undo } = cleanUp(afterEach)

let folder, log

const logs = () => fs.readFileSync(log, "utf8").slice(-3000)

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  log = path.join(folder, "log")
  fs.writeFileSync(log, "")
})

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

/** A responder of its own on folder/NAME.sock and folder/NAME.db. */
async function startResponder(name, env = {}) {
  const responder = {
    socket: path.join(folder, `${name}.sock`),
    database: path.join(folder, `${name}.db`),
  }
  responder.start = async () => {
    responder.child = launch(program, ["--listen", `unix:${responder.socket}`], {
      log,
      env: cleanEnv({ DS_DATABASE: responder.database, DS_LOG_LEVEL: "warn", ...env }),
    })
    await until(() => listens({ path: responder.socket }), logs)
  }
  responder.stop = () => end(responder.child)
  await responder.start()
  return responder
}

const listens = (where) =>
  new Promise((resolve) => {
    const probe = net.connect(where, () => resolve(true))
    probe.once("error", () => resolve(false))
    probe.once("connect", () => probe.destroy())
  })

/** nginx for this test, once it listens. */
async function nginx(options) {
  const web = await startNginx({ folder, log, ...options })
  undo.push(() => end(web.child))
  const { hostname: host, port } = new URL(web.url)
  await until(() => {
    if (web.child.exitCode !== null) throw new Error(`nginx did not start:\n${logs()}`)
    return listens({ host, port: Number(port) })
  }, logs)
  return web
}

// ------------------------------------------------------------------------------ a crowd of readers

describe("collapse", () => {
  const READERS = 500

  let responder

  beforeAll(async () => {
    responder = await startResponder("one", { DS_LONG_POLL_TIMEOUT_MS: "2000" })
  })

  afterAll(() => responder.stop())

  // windows of a second in place of ten, and polls of two in place of thirty
  const quick = (name, text) =>
    name === "collapse-zone.conf"
      ? text.replace("[0-9]+)[0-9]\\.", "[0-9]+)\\.").replace("[0-9]{2,}\\.", "[1-9][0-9]*\\.")
      : text

  async function front(options = ["cache", "collapse"], more = {}) {
    const counter = await countedSocket(responder.socket)
    undo.push(counter.close)
    const web = await nginx({ sockets: [counter.socket], options, edit: quick, ...more })
    const api = client(web.url)
    return { ...web, api, counter }
  }

  async function crowdOf(url, count) {
    const crowd = await openCrowd(url, count)
    undo.push(crowd.close)
    return crowd
  }

  /** A stream, where it ends, and a crowd at that place until `last` is received. */
  async function waiting({ url, api }, last, count = READERS) {
    const stream = fresh("poll")
    await api.create(stream, "text/plain", "start ")
    const { next } = await api.readAll(stream)
    const crowd = await crowdOf(url, count)
    const polls = crowd.readers.map((reader) =>
      crowd.poll(reader, stream, next, (received, { headers }) =>
        last ? received.endsWith(last) : headers["stream-closed"] === "true"
      )
    )
    return { stream, next, crowd, polls: Promise.all(polls) }
  }

  test(`${READERS} readers catch up by a handful of requests`, async () => {
    // a machine that is busy with other things may take longer than 200 ms to answer one
    const patient = (name, text) => (name === "cache.conf" ? text.replace("200ms", "10s") : text)
    const { url, api, counter } = await front(["cache"], { edit: patient })
    const stream = fresh("catch-up")
    await api.create(stream, "text/plain", "x".repeat(10_000))
    const crowd = await crowdOf(url, READERS)
    const before = counter.requests
    const answers = await crowd.read(`${stream}?offset=-1`)
    for (const { status, text } of answers) expect([status, text.length]).toEqual([200, 10_000])
    expect(counter.requests - before).toBeLessThanOrEqual(4)
  })

  test(`${READERS} long-polls get each message once, by a handful of requests`, async () => {
    const server = await front()
    const { stream, crowd, polls } = await waiting(server, "<3>")
    const before = server.counter.requests
    for (const n of [1, 2, 3]) {
      await server.api.append(stream, "text/plain", `<${n}>`)
      const all = () => crowd.readers.every(({ received }) => received.endsWith(`<${n}>`))
      await until(all, `everybody has message ${n}: ${JSON.stringify(crowd.answers)}`)
    }
    await polls
    for (const { received } of crowd.readers) expect(received).toBe("<1><2><3>")
    const requests = server.counter.requests - before - 3
    console.log(
      `scaling: ${crowd.requests} long-polls of ${READERS} readers for 3 messages, ` +
        `${crowd.hits} shared, ${requests} to the responder`
    )
    // each message, and each window of a second that readers began to wait in
    expect(requests).toBeLessThanOrEqual(20)
    expect(crowd.hits).toBeGreaterThanOrEqual(crowd.requests - 20)
  })

  test("without news all readers get 204 together, and none asks again at once", async () => {
    const server = await front()
    const before = server.counter.requests
    const { stream, crowd, polls } = await waiting(server, "<1>", 50)
    const setUp = server.counter.requests - before
    await sleep(5000)
    // two polls of two seconds, of which each may wait for one that began in its window
    const asked = crowd.requests
    expect(asked).toBeGreaterThan(50)
    expect(asked).toBeLessThanOrEqual(4 * 50)
    expect(server.counter.requests - before - setUp).toBeLessThanOrEqual(12)
    await server.api.append(stream, "text/plain", "<1>")
    await polls
    for (const { received } of crowd.readers) expect(received).toBe("<1>")
  })

  test("readers go on waiting while a responder restarts", async () => {
    const server = await front()
    const { stream, crowd, polls } = await waiting(server, "<1>", 50)
    await sleep(300)
    await responder.stop()
    await responder.start()
    await sleep(700)
    expect(crowd.requests).toBeLessThanOrEqual(3 * 50)
    await server.api.append(stream, "text/plain", "<1>")
    const statuses = new Set((await polls).map(({ status }) => status))
    // as with any restart, a request got 502 while no process listened
    for (const status of statuses) expect([200, 502]).toContain(status)
  })

  test("the end of a stream and its deletion reach all readers", async () => {
    const server = await front()
    const closed = await waiting(server, undefined, 100)
    const deleted = await waiting(server, "never", 100)
    await sleep(1200)
    const before = server.counter.requests
    await server.api.post(closed.stream, { "stream-closed": "true" })
    for (const { status } of await closed.polls) expect(status).toBe(204)
    expect(server.counter.requests - before).toBeLessThanOrEqual(12)
    await server.api.del(deleted.stream)
    for (const { status } of await deleted.polls) expect(status).toBe(404)
  })

  test("when the reader that asks leaves, the others still get the answer", async () => {
    const server = await front()
    const { stream, crowd, polls } = await waiting(server, "<1>", 20)
    await sleep(200)
    crowd.readers[0].socket.destroy()
    await server.api.append(stream, "text/plain", "<1>")
    await polls
    for (const { received } of crowd.readers.slice(1)) expect(received).toBe("<1>")
  })

  test("readers at older offsets get the data from there", async () => {
    const { api } = await front()
    const stream = fresh()
    const next = (answer) => answer.headers["stream-next-offset"]
    const first = next(await api.create(stream, "text/plain", "one "))
    const second = next(await api.append(stream, "text/plain", "two "))
    await api.append(stream, "text/plain", "three")
    const poll = (offset) => api.get(`${stream}?live=long-poll&offset=${offset}`)
    for (let i = 0; i < 2; i++) {
      expect((await poll("-1")).text).toBe("one two three")
      expect((await poll(first)).text).toBe("two three")
      expect((await poll(second)).text).toBe("three")
    }
  })

  test("a request that differs from such a poll goes to the responder each time", async () => {
    const { api, counter } = await front()
    const stream = fresh()
    await api.create(stream, "text/plain", "data")
    const { next } = await api.readAll(stream)
    const zero = next.replace(/\d/g, "0")
    for (const query of [
      `offset=${zero}&live=long-poll&other=1`,
      `OFFSET=${next}&offset=${zero}&live=long-poll`,
      `offset=${zero}&l%69ve=long-poll`,
      `offset=%30${zero.slice(1)}&live=long-poll`,
      `offset=${zero}&live=long-poll&cursor=x`,
    ]) {
      const before = counter.requests
      for (let i = 0; i < 2; i++) {
        const answer = await api.get(`${stream}?${query}`)
        expect([answer.status, answer.text], query).toEqual([200, "data"])
        expect(answer.headers["x-cache-status"], query).not.toBe("HIT")
      }
      expect(counter.requests - before, query).toBe(2)
    }
    const twice = `offset=${zero}&offset=${next}&live=long-poll`
    expect((await api.get(`${stream}?${twice}`)).status).toBe(400)
    expect((await api.get(`/.poll?offset=${zero}&live=long-poll`)).status).toBe(404)
    // in any order, it is
    const spellings = ["offset&live&cursor", "cursor&live&offset", "live&cursor&offset"]
    const values = { offset: `offset=${zero}`, live: "live=long-poll", cursor: "cursor=7" }
    await until(() => Date.now() % 1000 < 300, "the beginning of a window")
    const before = counter.requests
    for (const spelling of spellings) {
      const query = spelling.replace(/\w+/g, (name) => values[name])
      expect((await api.get(`${stream}?${query}`)).text).toBe("data")
    }
    expect(counter.requests - before).toBeLessThan(spellings.length)
  })

  test("a client that may not read is refused before it waits", async () => {
    const hash = execFileSync("openssl", ["passwd", "-apr1", "secret"]).toString()
    fs.writeFileSync(path.join(folder, "users"), `alice:${hash}`)
    const basic = `Basic ${Buffer.from("alice:secret").toString("base64")}`
    const service = http.createServer((question, answer) => {
      answer.writeHead(question.headers.authorization === basic ? 204 : 401).end()
    })
    await new Promise((resolve) => service.listen(0, "127.0.0.1", resolve))
    undo.push(() => new Promise((resolve) => service.close(resolve)))
    for (const [option, values] of [
      ["group-writes", { "/etc/durable-streams/users": path.join(folder, "users") }],
      ["password", { "/etc/durable-streams/users": path.join(folder, "users") }],
      ["auth-request", { "127.0.0.1:9000": `127.0.0.1:${service.address().port}` }],
    ]) {
      const { api } = await front([option, "collapse"], { values })
      const stream = fresh()
      await api.create(stream, "text/plain", "private", { authorization: basic })
      const poll = async (headers) => {
        const answer = await api.get(`${stream}?live=long-poll&offset=-1`, headers)
        return [answer.status, answer.text.includes("private"), answer.headers["x-cache-status"]]
      }
      const shared = option === "password" ? undefined : expect.stringMatching(/HIT|MISS/)
      const all = option === "group-writes"
      const refused = all ? [200, true, shared] : [401, false, undefined]
      expect(await poll({ authorization: basic }), option).toEqual([200, true, shared])
      expect(await poll({}), option).toEqual(refused)
      expect(await poll({ authorization: "Basic YTpi" }), option).toEqual(refused)
      expect((await api.post(stream, { "content-type": "text/plain" }, "x")).status).toBe(401)
      service.closeIdleConnections()
    }
  })
})

// ------------------------------------------------------------------------------------------ shards

describe("shards", () => {
  const GROUPS = 120

  const shards = []

  beforeAll(async () => {
    for (const n of [1, 2, 3])
      shards[n] = await startResponder(`app-${n}`, { DS_REGISTRY: "/v1/stream/__registry__" })
  })

  afterAll(() => Promise.all(shards.map((shard) => shard?.stop())))

  const sharded = async (options = [], more = {}) => {
    const sockets = shards.slice(1, 4).map(({ socket }) => socket)
    const web = await nginx({ sockets, options: ["shards", ...options], ...more })
    return { ...web, api: client(web.url) }
  }

  const streamsOf = async (n) => {
    const sql = "select path from stream where path <> '/v1/stream/__registry__'"
    return (await sqlite(shards[n].database, sql)).split("\n").filter(Boolean)
  }

  /** The numbers of the shards that have this stream. */
  async function placesOf(stream) {
    const found = []
    for (let n = 1; n < shards.length; n++)
      if ((await streamsOf(n)).includes(stream)) found.push(n)
    return found
  }

  const allStreams = async () =>
    (await Promise.all(Object.keys(shards).map((n) => streamsOf(n)))).flat()

  const TEXT = { "content-type": "text/plain" }

  test("each stream is in one database, and streams are in all of them", async () => {
    const { api } = await sharded()
    const made = []
    for (let i = 0; i < GROUPS; i++) {
      const stream = fresh("spread")
      await api.create(stream, "text/plain", stream)
      await api.append(stream, "text/plain", " more")
      expect((await api.get(stream)).text).toBe(`${stream} more`)
      made.push(stream)
    }
    const lists = [await streamsOf(1), await streamsOf(2), await streamsOf(3)]
    const found = lists.flat().filter((stream) => made.includes(stream))
    expect(found.sort()).toEqual(made.sort())
    const lengths = lists.map((list) => list.length)
    console.log(`scaling: ${GROUPS} streams over three: ${lengths.join(", ")}`)
    for (const list of lists) expect(list.length).toBeGreaterThan(GROUPS / 12)
  })

  test("one name is one stream, however it is spelled", async () => {
    const { api } = await sharded()
    for (let i = 0; i < 10; i++) {
      const stream = fresh("name")
      await api.create(stream, "text/plain", "x")
      const spelled = stream.replace("name", "n%61m%65")
      expect((await api.get(spelled)).text).toBe("x")
      expect((await api.put(spelled, TEXT)).status).toBe(200)
      const deep = `${stream}/a%2Fb`
      await api.create(deep, "text/plain", "y")
      expect((await api.get(deep.replace("2F", "2f"))).text).toBe("y")
      expect(await placesOf(deep)).toEqual(await placesOf(stream))
    }
  })

  test("a fork is in the database of its source, and one from another shard is refused", async () => {
    const { api } = await sharded()
    for (let i = 0; i < 5; i++) {
      const source = `${fresh("doc")}/1`
      await api.create(source, "text/plain", "shared ")
      const inGroup = `${source}-what-if`
      await api.create(inGroup, "text/plain", undefined, { "stream-forked-from": source })
      await api.append(inGroup, "text/plain", "own")
      expect((await api.get(inGroup)).text).toBe("shared own")
      expect(await placesOf(inGroup)).toEqual(await placesOf(source))
    }
    const source = fresh("doc")
    await api.create(source, "text/plain", "shared")
    const [place] = await placesOf(source)
    const statuses = new Set()
    for (let i = 0; i < 20; i++) {
      const elsewhere = fresh("elsewhere")
      const answer = await api.put(elsewhere, { ...TEXT, "stream-forked-from": source })
      const made = await placesOf(elsewhere)
      // the hash may put two groups on one shard: then it works
      expect([answer.status, made]).toEqual(made.length > 0 ? [201, [place]] : [404, []])
      statuses.add(answer.status)
      // otherwise it would keep its source on the old shard when its group moves
      if (made.length > 0) expect((await api.del(elsewhere)).status).toBe(204)
    }
    expect(statuses).toContain(404)
  })

  test("producers, live readers and conditional reads find their shard", async () => {
    const { api } = await sharded(["cache", "collapse"])
    for (let i = 0; i < 6; i++) {
      const stream = fresh("live")
      const made = await api.create(stream, "text/plain", "0")
      const next = made.headers["stream-next-offset"]
      const poll = api.get(`${stream}?live=long-poll&offset=${next}`)
      const live = await api.sse(`${stream}?live=sse&offset=-1`)
      const producer = { ...TEXT, "producer-id": "p", "producer-epoch": "0", "producer-seq": "0" }
      expect((await api.post(stream, producer, "1")).status).toBe(200)
      expect((await api.post(stream, producer, "1")).status).toBe(204)
      expect((await poll).text).toBe("1")
      await live.waitFor((event) => event.data?.endsWith("1"))
      live.close()
      const read = await api.get(stream)
      expect(read.text).toBe("01")
      expect((await api.get(stream, { "if-none-match": read.headers.etag })).status).toBe(304)
      expect((await api.del(stream)).status).toBe(204)
    }
  })

  test("writes and reads go to the same shard, also with access control", async () => {
    const hash = execFileSync("openssl", ["passwd", "-apr1", "secret"]).toString()
    fs.writeFileSync(path.join(folder, "users"), `alice:${hash}`)
    const values = { "/etc/durable-streams/users": path.join(folder, "users") }
    const alice = { authorization: `Basic ${Buffer.from("alice:secret").toString("base64")}` }
    for (const option of ["group-writes", "password"]) {
      const { api } = await sharded([option], { values })
      for (let i = 0; i < 10; i++) {
        const stream = fresh("mine")
        await api.create(stream, "text/plain", "x", alice)
        expect((await api.get(stream, alice)).text).toBe("x")
      }
    }
  })

  test("each shard has its own health check and registry", async () => {
    const { api } = await sharded()
    const stream = fresh("told")
    await api.create(stream)
    const [place] = await placesOf(stream)
    for (const n of [1, 2, 3]) {
      expect((await api.get(`/shards/${n}/health`)).status).toBe(200)
      const registry = await api.get(`/shards/${n}/v1/stream/__registry__?offset=-1`)
      expect(registry.status).toBe(200)
      expect(registry.text.includes(stream.replace("/v1/stream/", ""))).toBe(n === place)
    }
    expect((await api.get("/shards/4/health")).status).toBe(502)
    expect((await api.post("/shards/1/health", TEXT, "x")).status).toBe(403)
    expect((await api.get(`/shards/${place}${stream}`)).status).toBe(404)
  })

  test("there are no subscriptions: nobody is told half of what matches", async () => {
    const { api } = await sharded()
    const ask = async (method, target) => {
      const answer = await api.any(method, target, {}, method === "GET" ? undefined : "{}")
      expect([answer.status, answer.headers["content-type"]], target).toEqual([501, "application/json"])
      expect(JSON.parse(answer.text).error.code).toBe("NOT_IMPLEMENTED")
      expect(answer.headers["access-control-allow-origin"]).toBe("*")
    }
    await ask("PUT", "/v1/stream/__ds/subscriptions/s")
    await ask("POST", "/v1/stream/__ds/subscriptions/a%2Fb/callback")
    await ask("GET", "/v1/stream/%5F_ds/jwks.json")
    // a stream beside it
    await api.create(`/v1/stream/__dsx/${fresh().slice(11)}`, "text/plain", "x")
  })

  test("when one shard is down the others serve, and no request goes to a wrong shard", async () => {
    const { api } = await sharded()
    const streams = []
    while (streams.length < 3) {
      const stream = fresh("down")
      await api.create(stream, "text/plain", "x")
      const [place] = await placesOf(stream)
      if (!streams.some((row) => row.place === place)) streams.push({ stream, place })
    }
    const [gone] = streams
    await shards[gone.place].stop()
    const made = []
    for (const { stream, place } of streams) {
      const expected = place === gone.place ? [502, 502] : [200, 204]
      const read = await api.get(stream)
      const append = await api.post(stream, TEXT, "y")
      expect([read.status, append.status], `shard ${place}`).toEqual(expected)
    }
    for (let i = 0; i < 20; i++) {
      const stream = fresh("meanwhile")
      made.push({ stream, status: (await api.put(stream, TEXT)).status })
    }
    await shards[gone.place].start()
    expect(new Set(made.map(({ status }) => status))).toEqual(new Set([201, 502]))
    for (const { stream, status } of made)
      expect((await api.get(stream)).status, stream).toBe(status === 201 ? 200 : 404)
    expect((await api.get(gone.stream)).text).toBe("x")
  })

  // must be the last test, because it moves streams
  test("a shard is added by the scripts of deploy/scaling.md: nothing is lost", async () => {
    const before = await sharded()
    const producer = (seq) => ({
      ...TEXT,
      "producer-id": "p",
      "producer-epoch": "0",
      "producer-seq": String(seq),
    })
    const streams = []
    // names with a meaning for shells and curl, and one that looks like a registry
    const ends = ["", "[1-3]", "$(id)*", "'&;", "/__registry__"]
    for (let i = 0; i < 40; i++) {
      const stream = fresh("moving") + ends[i % ends.length]
      await before.api.create(stream, "text/plain", "first ")
      expect((await before.api.post(stream, producer(0), "second ")).status).toBe(200)
      const what = await before.api.readAll(stream)
      streams.push({ stream, text: what.body.toString(), next: what.next })
    }
    for (const { stream } of streams) {
      const from = { "stream-forked-from": stream }
      await before.api.create(`${stream}/fork`, "text/plain", "own", from)
    }

    // steps 1 and 2
    shards[4] = await startResponder("app-4", { DS_REGISTRY: "/v1/stream/__registry__" })
    const ringPort = await freePort()
    const during = await sharded(["shards-next", "read-only"], {
      values: { "127.0.0.1:4438": `127.0.0.1:${ringPort}` },
    })
    const refused = await during.api.post(streams[0].stream, TEXT, "x")
    expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "5"])
    expectSeen(refused)
    expect((await during.api.put(fresh(), TEXT)).status).toBe(503)
    expect((await during.api.get(streams[0].stream)).text).toBe(streams[0].text)

    const page = fs.readFileSync(path.join(root, "deploy/scaling.md"), "utf8")
    const scripts = [...page.matchAll(/^```sh\n(shard\(\)[^]*?)^```/gm)].map((found) =>
      fill(found[1], {
        "/var/lib/durable-streams-$1/streams.db": path.join(folder, "app-$1.db"),
        ...(found[1].includes("4438") ? { "127.0.0.1:4438": `127.0.0.1:${ringPort}` } : {}),
      })
    )
    expect(scripts.length).toBe(2)
    const run = (script) =>
      promisify(execFile)("sh", ["-euc", script], {
        cwd: folder,
        env: cleanEnv({ PATH: `${build}:${process.env.PATH}` }),
      })
    const count = (await allStreams()).length
    await run(scripts[0])
    const moves = fs.readFileSync(path.join(folder, "moves"), "utf8").trim().split("\n")
    expect(new Set(moves.map((line) => line.split(" ")[1]))).toEqual(new Set(["4"]))
    console.log(`scaling: ${moves.length} of ${count} streams move to a fourth shard`)
    expect(moves.length).toBeGreaterThan(count / 12)
    expect(moves.length).toBeLessThan(count / 2)
    const moving = streams.filter(({ stream }) => moves.some((line) => line.endsWith(stream)))
    expect(moving.length).toBeGreaterThan(0)

    // steps 4 and 5
    const fourth = `server unix:${shards[4].socket} max_fails=0;\n`
    const after = await sharded([], {
      edit: (name, text) => (name === "shards-servers.conf" ? text + fourth : text),
    })
    await run(scripts[1])
    // a source that was deleted before its fork goes a moment after that
    await until(async () => (await allStreams()).length === count, "each is in one place")
    for (const { stream, text, next } of streams) {
      const what = await after.api.readAll(stream)
      expect([what.body.toString(), what.next]).toEqual([text, next])
      // the retry is recognised, and the next request accepted
      expect((await after.api.post(stream, producer(0), "second ")).status).toBe(204)
      expect((await after.api.post(stream, producer(1), "third")).status).toBe(200)
      expect((await placesOf(stream)).length).toBe(1)
      expect((await after.api.get(`${stream}/fork`)).text).toBe(`${text}own`)
    }
    const told = await after.api.get("/shards/4/v1/stream/__registry__?offset=-1")
    for (const { stream } of moving) expect(told.text).toContain(stream.replace("/v1/stream/", ""))
  })
})
