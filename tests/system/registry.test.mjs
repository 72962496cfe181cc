// The registry of streams and messages of the state protocol, read by the published
// @durable-streams/state. Whatever happens to streams, and whoever causes it, the registry must say
// exactly which streams exist.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { randomBytes } from "node:crypto"
import { spawnSync } from "node:child_process"
import path from "node:path"
import { DurableStream, stream } from "@durable-streams/client"
import { MaterializedState, createStateSchema } from "@durable-streams/state"
import { createStreamDB } from "@durable-streams/state/db"
import { cleanEnv, cleanUp, program, sleep, sqlite, startServer, until } from "./harness.mjs"
import { client, fresh } from "./http.mjs"

const REGISTRY = "/v1/stream/__registry__"
const JSON_TYPE = { "content-type": "application/json" }

const anyObject = {
  "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) },
}
const schemaOf = (type, primaryKey) =>
  createStateSchema({ items: { schema: anyObject, type, primaryKey } })

/** Follows a stream with a StreamDB until done() is called. */
async function follow(url, schema, live = true) {
  const db = createStreamDB({
    streamOptions: { url, ...{ contentType: "application/json" } },
    state: schema,
    live,
  })
  await db.preload()
  return {
    keys: () => [...db.collections.items.keys()].sort(),
    get: (key) => db.collections.items.get(key),
    offset: () => db.offset,
    done: () => db.close(),
  }
}

/** The streams that a reader of the whole registry sees. */
async function materialise(api, at = REGISTRY) {
  const { messages } = await api.readJson(at)
  const state = new MaterializedState()
  state.applyBatch(messages)
  return [...state.getType("stream").keys()].sort()
}

/** The same from the table itself. */
const there = async (server, registry = REGISTRY) =>
  (
    await sqlite(
      server.database,
      `select replace(path, '/v1/stream/', '') from stream
       where deleted_at is null and path <> '${registry}' order by 1`,
    )
  )
    .split("\n")
    .filter(Boolean)
    .sort()

const short = (name) => name.replace("/v1/stream/", "")

describe("the registry, on three responders", () => {
  let server, api, direct

  beforeAll(async () => {
    server = await startServer({
      responders: 3,
      direct: true,
      env: { DS_REGISTRY: REGISTRY, DS_LONG_POLL_TIMEOUT_MS: "20000" },
    })
    api = client(server.url)
    direct = server.urls.map(client)
  })
  afterAll(() => server?.stop())

  test("@durable-streams/state follows creation, deletion, expiry, cascades and the prompt", async () => {
    const sse = await follow(server.url + REGISTRY, schemaOf("stream", "path"), "sse")
    const poll = await follow(server.urls[1] + REGISTRY, schemaOf("stream", "path"), "long-poll")
    const names = Array.from({ length: 12 }, (_, i) => fresh(`reg${i}`))
    await Promise.all(
      names.map((name, i) => direct[i % 3].create(name, i % 2 ? "text/plain" : "application/json")),
    )
    const [kept, deleted, source, fork, second, prompted] = names
    const brief = fresh("brief")
    await api.create(brief, "text/plain", "x", { "stream-ttl": "1" })
    const forked = async (name, from) =>
      expect((await api.put(name, { "stream-forked-from": from })).status).toBe(201)
    const grandchild = fresh("grandchild")
    await api.del(fork)
    await forked(fork, source)
    await forked(grandchild, fork)
    expect((await api.del(deleted)).status).toBe(204)
    expect((await api.del(source)).status, "kept for its forks, but deleted").toBe(204)
    expect((await api.del(fork)).status).toBe(204)
    await sqlite(server.database, `delete from stream where path in ('${prompted}', '${second}')`)

    const gone = [deleted, source, fork, prompted, second, brief].map(short)
    const settled = async (view) => {
      await until(
        async () => {
          const now = JSON.stringify(await there(server))
          return !now.includes(short(brief)) && JSON.stringify(view.keys()) === now
        },
        async () => `${view.keys()}\nagainst\n${await there(server)}`,
      )
      for (const name of gone) expect(view.keys()).not.toContain(name)
      for (const name of [kept, grandchild].map(short)) expect(view.keys()).toContain(name)
    }
    await settled(sse)
    await settled(poll)
    expect(await materialise(api)).toEqual(await there(server))

    const { messages } = await api.readJson(REGISTRY)
    const row = Number(
      await sqlite(server.database, `select created_at from stream where path = '${kept}'`),
    )
    const first = messages.find((message) => message.key === short(kept))
    expect(first).toEqual({
      type: "stream",
      key: short(kept),
      value: { path: short(kept), contentType: "application/json", createdAt: row },
      headers: { operation: "insert", offset: expect.stringMatching(/^\d{16}_\d{16}$/) },
    })
    expect(Math.abs(row - Date.now())).toBeLessThan(60_000)
    const about = (name) =>
      messages.filter((m) => m.key === short(name)).map((m) => m.headers.operation)
    expect(about(source), "announced when it was deleted, not again with its row").toEqual([
      "insert",
      "delete",
    ])
    expect((await api.del(grandchild)).status).toBe(204)
    await until(async () => !(await there(server)).includes(short(grandchild)), "deleted")
    expect(
      Number(await sqlite(server.database, `select count(*) from stream where path = '${source}'`)),
    ).toBe(0)
    const after = (await api.readJson(REGISTRY)).messages.slice(messages.length)
    expect(after.map((m) => [m.key, m.headers.operation])).toEqual([[short(grandchild), "delete"]])
    sse.done()
    poll.done()
  })

  test("an expired stream is announced as deleted before its path is used again", async () => {
    const name = fresh("again")
    await api.create(name, "text/plain", "x", { "stream-ttl": "0" })
    await api.create(name, "application/json")
    const { messages } = await api.readJson(REGISTRY)
    expect(
      messages.filter((m) => m.key === short(name)).map((m) => m.value?.contentType ?? "deleted"),
    ).toEqual(["text/plain", "deleted", "application/json"])
  })

  test("waiting readers of any process are woken at once", async () => {
    // a reader that is not woken would be checked only once a second
    const others = await Promise.all(
      Array.from({ length: 80 }, async (_, i) => {
        const name = fresh("other")
        await api.create(name)
        return direct[i % 2].sse(`${name}?offset=now&live=sse`)
      }),
    )
    const reader = await direct[0].sse(`${REGISTRY}?offset=now&live=sse`)
    await reader.waitFor((event) => event.control)
    const began = performance.now()
    for (let i = 0; i < 20; i++) {
      const name = fresh("wake")
      const offset = (await direct[1].head(REGISTRY)).headers["stream-next-offset"]
      const poll = direct[1].get(`${REGISTRY}?offset=${offset}&live=long-poll`)
      await direct[2].create(name)
      await reader.waitFor((event) => event.type === "data" && event.data.includes(short(name)))
      const answer = await poll
      expect(answer.status).toBe(200)
      expect(JSON.parse(answer.text)[0].key).toBe(short(name))
    }
    const took = performance.now() - began
    for (const one of [reader, ...others]) one.close()
    expect(took, "ms for twenty rounds; each takes half a second without").toBeLessThan(6000)
  })

  test("clients read it in every way, fork it, and cannot write it", async () => {
    const before = await api.head(REGISTRY)
    expect(before.status).toBe(200)
    expect(before.headers["content-type"]).toBe("application/json")
    const refused = async (answer, ...reasons) => {
      const { status, text, headers } = await answer
      expect(status, text).toBe(403)
      expect(text).toMatch(/^[^\n]*registry[^\n]*\n?$/)
      expect(headers["cache-control"]).toBe("no-store")
    }
    const event = '{"type":"stream","key":"x","headers":{"operation":"delete"}}'
    await refused(api.post(REGISTRY, JSON_TYPE, event))
    await refused(api.post(REGISTRY, { "content-type": "text/plain" }, "x"))
    await refused(api.post(REGISTRY, { ...JSON_TYPE, "stream-closed": "true" }, event))
    await refused(api.post(REGISTRY, { "stream-closed": "true" }))
    await refused(
      api.post(
        REGISTRY,
        { ...JSON_TYPE, "producer-id": "p", "producer-epoch": "0", "producer-seq": "0" },
        event,
      ),
    )
    await refused(api.del(REGISTRY))
    expect((await api.put(REGISTRY, JSON_TYPE)).status, "it is there, just like that").toBe(200)
    expect((await api.put(REGISTRY, { "content-type": "text/plain" })).status).toBe(409)
    expect((await api.put(REGISTRY, { ...JSON_TYPE, "stream-ttl": "1" })).status).toBe(409)
    expect((await api.head(REGISTRY)).headers["stream-next-offset"]).toBe(
      before.headers["stream-next-offset"],
    )
    const fork = fresh("fork")
    expect((await api.put(fork, { "stream-forked-from": REGISTRY })).status).toBe(201)
    expect((await api.post(fork, JSON_TYPE, event)).status).toBe(204)
    expect((await api.readJson(fork)).messages.at(-1)).toMatchObject({ key: "x" })
    expect((await api.readJson(REGISTRY)).messages.at(-1)).toMatchObject({ key: short(fork) })
    expect((await api.del(fork)).status).toBe(204)
  })

  test(
    "no event is lost or repeated when responders are killed",
    { timeout: 60_000 },
    async () => {
      let stop = false
      const writers = Array.from({ length: 8 }, async () => {
        while (!stop) {
          const name = fresh("crash")
          await api.put(name, { "content-type": "text/plain" }).catch(() => {})
          if (Math.random() < 0.5) await api.del(name).catch(() => {})
        }
      })
      for (let i = 0; i < 4; i++) {
        await sleep(300)
        server.kill("SIGKILL")
        await server.ready()
      }
      stop = true
      await Promise.all(writers)
      expect(await materialise(api)).toEqual(await there(server))
      const { messages } = await api.readJson(REGISTRY)
      const living = new Set()
      for (const { key, headers } of messages) {
        expect(living.has(key), `${headers.operation} of ${key}`).toBe(
          headers.operation === "delete",
        )
        if (headers.operation === "delete") living.delete(key)
        else living.add(key)
      }
      expect(messages.length).toBeGreaterThan(20)
    },
  )

  test("after a deletion at the prompt, only the next start creates it again, not a client", async () => {
    await sqlite(server.database, `delete from stream where registry = 1`)
    expect((await api.get(REGISTRY)).status).toBe(404)
    const refused = await api.put(REGISTRY, JSON_TYPE)
    expect(refused.status).toBe(403)
    expect(refused.text).toMatch(/registry/)
    const unseen = fresh("unseen")
    await api.create(unseen)
    await server.restart()
    expect(await materialise(api)).toEqual(await there(server))
    expect(await materialise(api)).toContain(short(unseen))
  })
})

describe("settings", () => {
  const { undo, folder } = cleanUp(afterEach)
  const start = async (options) => {
    const server = await startServer(options)
    undo.push(() => server.stop())
    return server
  }

  test("it is off by default, and otherwise stays as the database has it", async () => {
    const one = await start({})
    const name = fresh("off")
    await client(one.url).create(name)
    expect((await client(one.url).get(REGISTRY)).status).toBe(404)
    expect((await client(one.url).put(REGISTRY, JSON_TYPE)).status, "a path like others").toBe(201)
    const two = await start({ database: one.database, env: { DS_REGISTRY: REGISTRY } })
    expect(await materialise(client(two.url))).toEqual([short(name)])
    const later = fresh("later")
    await client(one.url).create(later) // by a process that was started without
    expect(await materialise(client(two.url))).toEqual([name, later].map(short).sort())
    expect((await client(one.url).del(REGISTRY)).status).toBe(403)
    const three = await start({ database: one.database, env: { DS_REGISTRY: "off" } })
    expect((await client(three.url).del(REGISTRY)).status).toBe(204)
  })

  test("a stream that cannot become the registry stops the start, with the reason", async () => {
    const server = await start({})
    await client(server.url).create("/v1/stream/text", "text/plain")
    const run = (registry) =>
      spawnSync(program, ["--listen", `unix:${path.join(folder(), "s.sock")}`], {
        env: cleanEnv({ DS_DATABASE: server.database, DS_REGISTRY: registry }),
        encoding: "utf8",
        timeout: 10_000,
      })
    const text = run("/v1/stream/text")
    expect(text.status).toBe(1)
    expect(text.stderr).toMatch(
      /DS_REGISTRY: the stream \/v1\/stream\/text .* not of application\/json/,
    )
    for (const wrong of ["on", "/a/../b", "/a b", "/%41", "/a?b"]) {
      const result = run(wrong)
      expect(result.status, wrong).toBe(78)
      expect(result.stderr).toMatch(/DS_REGISTRY must be off or the path of a stream/)
    }
  })

  test("CGI processes write it too", async () => {
    const server = await start({ door: "lighttpd-cgi", env: { DS_REGISTRY: REGISTRY } })
    const api = client(server.url)
    const names = Array.from({ length: 6 }, () => fresh("cgi"))
    await Promise.all(names.map((name) => api.create(name)))
    await api.del(names[0])
    expect(await materialise(api)).toEqual(names.slice(1).map(short).sort())
    expect((await api.post(REGISTRY, JSON_TYPE, "{}")).status).toBe(403)
  })
})

describe("messages of the state protocol", () => {
  let server, api
  beforeAll(async () => {
    server = await startServer({ responders: 2 })
    api = client(server.url)
  })
  afterAll(() => server?.stop())

  test.each(["sse", "long-poll"])("a StreamDB over %s follows a user's stream", async (live) => {
    const url = server.url + fresh("state")
    const handle = await DurableStream.create({ url, contentType: "application/json" })
    const users = schemaOf("user", "id").items
    await handle.append(JSON.stringify(users.insert({ value: { id: "1", name: "Ann" } })))
    const db = await follow(url, schemaOf("user", "id"), live)
    expect(db.get("1")).toMatchObject({ id: "1", name: "Ann" })
    await handle.append(JSON.stringify(users.insert({ value: { id: "2", name: "Bob" } })))
    await handle.append(JSON.stringify(users.update({ value: { id: "1", name: "Anne" } })))
    await handle.append(JSON.stringify(users.delete({ key: "2" })))
    await handle.append(JSON.stringify(users.upsert({ value: { id: "3", name: "Cy" } })))
    await until(
      () => db.get("3") && !db.get("2"),
      () => `${db.keys()}`,
    )
    expect(db.keys()).toEqual(["1", "3"])
    expect(db.get("1").name).toBe("Anne")
    db.done()
  })

  test("headers.offset is the next offset in every mode, and stored bytes are as sent", async () => {
    const name = fresh("offsets")
    await api.create(name, "application/json")
    const sent = Array.from(
      { length: 30 },
      (_, i) =>
        `{"n":${i}.0, "headers" : {"operation":"insert"${i % 2 ? ',"offset":"mine"' : ""} }}`,
    )
    const sse = await api.sse(`${name}?offset=-1&live=sse`)
    const poll = api.get(`${name}?offset=now&live=long-poll`)
    await sse.waitFor((event) => event.control)
    await api.append(name, "application/json", `[${sent}]`)
    const { messages, next } = await api.readJson(name)
    for (const [i, message] of messages.entries()) {
      const rest = await api.readJson(name, message.headers.offset)
      expect(rest.messages).toEqual(messages.slice(i + 1))
    }
    expect(messages.at(-1).headers.offset).toBe(next)
    const text = (await api.get(name)).text
    expect(text).toBe(
      `[${sent
        .map((one, i) =>
          i % 2
            ? one.replace('"mine"', `"${messages[i].headers.offset}"`)
            : one.replace('"insert"', `"insert","offset":"${messages[i].headers.offset}"`),
        )
        .join(",")}]`,
    )
    const data = (await sse.waitFor((event) => event.type === "data")).data
    expect(JSON.parse(data)).toEqual(messages.slice(0, JSON.parse(data).length))
    expect(JSON.parse((await poll).text)[0].headers.offset).toMatch(/^\d{16}_\d{16}$/)
    const stored = await sqlite(
      server.database,
      `select payload from message_text where path = '${name}' order by "offset"`,
    )
    expect(stored.split("\n")).toEqual(sent)
    sse.close()
  })

  test("the same messages get an offset as with the reference server", async () => {
    // the same on parsed values
    const enrich = (value, offset) => {
      const headers = value && typeof value === "object" && !Array.isArray(value) && value.headers
      return headers &&
        (typeof headers.operation === "string" || typeof headers.control === "string")
        ? { ...value, headers: { ...headers, offset } }
        : value
    }
    const pick = (list) => list[randomBytes(1)[0] % list.length]
    const space = () => pick(["", "", "", " ", "\n\t", "\r\n "])
    const names = [
      "headers",
      "\\u0068eaders",
      "operation",
      "control",
      "c\\u006Fntrol",
      "offset",
      "value",
      "Headers",
    ]
    const value = (depth) =>
      pick([
        () => '"x"',
        () => '"\\"headers\\":{\\"operation\\":\\"x\\"},\\\\"',
        () => "1.50",
        () => "null",
        () => "true",
        () => `[${space()}${depth ? value(depth - 1) : ""}${space()}]`,
        () => (depth ? object(depth - 1) : "{}"),
        () => (depth ? object(depth - 1) : "{ }"),
      ])()
    const object = (depth) =>
      `{${space()}${Array.from({ length: randomBytes(1)[0] % 5 }, () => `"${pick(names)}"${space()}:${space()}${value(depth)}${space()}`).join(`,${space()}`)}}`
    let enriched = 0
    // several streams, so that chance makes enough messages that get an offset
    for (let round = 0; round < 4; round++) {
      const name = fresh("random")
      await api.create(name, "application/json")
      const sent = Array.from({ length: 3000 }, () => object(3))
      for (let i = 0; i < sent.length; i += 500)
        await api.append(name, "application/json", `[${sent.slice(i, i + 500).join(",")}]`)
      const { messages } = await api.readJson(name)
      let position = 0
      for (const [i, text] of sent.entries()) {
        position += Buffer.byteLength(text)
        const offset = `${"0".repeat(16)}_${String(position).padStart(16, "0")}`
        const wanted = enrich(JSON.parse(text), offset)
        expect(messages[i], text).toEqual(wanted)
        if (wanted.headers?.offset === offset) enriched++
      }
    }
    expect(enriched).toBeGreaterThan(30)
  })
})
