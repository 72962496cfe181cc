// Webhooks: what receivers get, where they are never sent, and what survives when a process dies.

import { afterEach, describe, expect, test } from "vitest"
import { execFile, spawnSync } from "node:child_process"
import fs from "node:fs"
import net from "node:net"
import path from "node:path"
import {
  build,
  cleanEnv,
  cleanUp,
  delivererOf,
  end,
  isAlive,
  program,
  respondersOf,
  root,
  sanitized,
  sqlite,
  startServer,
  until,
} from "./harness.mjs"
import { client } from "./http.mjs"
import {
  checkSignature,
  done,
  failing,
  silent,
  startReceiver,
  startTrap,
  taken,
} from "./deliver/receiver.mjs"

const { undo, folder } = cleanUp(afterEach)
const PATIENCE = { timeout: 30_000 }
const LOCAL = { DS_WEBHOOK_LOCAL: "1" }

async function server(options = {}) {
  const one = await startServer({ ...options, env: { ...LOCAL, ...options.env } })
  undo.push(() => one.stop())
  const api = client(one.url)
  const at = (name) => `/v1/stream/__ds/subscriptions/${name}`
  return Object.assign(one, {
    api,
    put: (name, url, more = {}) =>
      api.put(
        at(name),
        {},
        JSON.stringify({ type: "webhook", pattern: `${name}/*`, webhook: { url }, ...more })
      ),
    /** Subscribes, or throws. */
    async subscribe(name, url, more) {
      const answer = await one.put(name, url, more)
      if (answer.status !== 201) throw new Error(`PUT ${name}: ${answer.status} ${answer.text}`)
    },
    unsubscribe: (name) => api.del(at(name)),
    show: async (name) => JSON.parse((await api.get(at(name))).text),
    keys: async () => JSON.parse((await api.get("/v1/stream/__ds/jwks.json")).text).keys,
    /** Makes a stream with a message, which wakes the subscription. */
    make: (name, body = "hello") => api.create(`/v1/stream/${name}`, "text/plain", body),
    append: (name) => api.append(`/v1/stream/${name}`, "text/plain", "more"),
    sql: (text) => sqlite(one.database, text),
    async row(name) {
      return JSON.parse(
        await one.sql(
          "select json_object('generation', generation, 'wake_id', wake_id, 'attempts', attempts," +
            " 'next', next_attempt_at, 'lease', lease_until, 'failed', failed_at, 'failure', failure)" +
            ` from subscription where name = '${name}'`
        )
      )
    },
    failed: (name, text) =>
      until(
        async () => text.test((await one.row(name)).failure ?? ""),
        `${name} fails with ${text}`,
        PATIENCE
      ),
    /** The process that delivers, of the only supervisor. */
    deliverer: () => delivererOf(one.supervisors[0].pid),
  })
}

const arrives = (receiver, n) =>
  until(() => receiver.got.length >= n, `${n} webhooks arrive`, PATIENCE)
/** Runs --deliver --once; not in the way of the receivers of this process. */
const once = (env) =>
  new Promise((resolve) => {
    const options = { env: cleanEnv({ DS_LOG_LEVEL: "warn", ...env }), timeout: 60_000 }
    execFile(program, ["--deliver", "--once"], options, (error, _, stderr) =>
      resolve({ status: error ? error.code : 0, stderr })
    )
  })

describe("a webhook", () => {
  test("is one signed POST, and `done` acks what it showed", async () => {
    const one = await server()
    const receiver = await startReceiver(undo)
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    await arrives(receiver, 1)
    const [got] = receiver.got
    expect([got.method, got.url]).toEqual(["POST", "/hook"])
    expect(got.headers["content-type"]).toBe("application/json")
    expect(got.headers["user-agent"]).toMatch(/^durable-streams\//)
    expect(got.headers.expect).toBeUndefined()
    const { t } = checkSignature(got, await one.keys())
    expect(Math.abs(t * 1000 - got.at)).toBeLessThan(60_000)
    expect(got.body.streams[0].tail_offset).toBe("0000000000000000_0000000000000005")
    await until(
      async () => (await one.show("a")).streams[0].acked_offset === got.body.streams[0].tail_offset,
      "the cursor moves"
    )
    expect((await one.row("a")).wake_id).toBe(null)
    expect(receiver.got.length).toBe(1)
  })

  test("shares a connection with others to the same host", async () => {
    const one = await server()
    const receiver = await startReceiver(undo)
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    for (let i = 1; i < 10; i++) {
      await arrives(receiver, i)
      await one.append("a/x")
    }
    await arrives(receiver, 10)
    expect(receiver.connections).toBeLessThan(4)
  })

  test("that is taken is not sent again before its lease ends", async () => {
    const one = await server()
    const receiver = await startReceiver(undo, taken)
    await one.subscribe("a", receiver.url, { lease_ttl_ms: 1000 })
    await one.make("a/x")
    await arrives(receiver, 2)
    const [first, second] = receiver.got
    expect([first.body.generation, second.body.generation]).toEqual([1, 2])
    expect(second.at - first.at).toBeGreaterThan(900)
  })

  test.each([
    ["not true", '{"done":"true"}'],
    ["no JSON", '{"done":true'],
    ["an array", '[{"done":true}]'],
    ["empty", ""],
  ])("is only taken by an answer that is %s", async (_, text) => {
    const one = await server()
    const receiver = await startReceiver(undo, (_, response) => response.end(text))
    await one.subscribe("a", receiver.url, { lease_ttl_ms: 600000 })
    await one.make("a/x")
    await until(async () => (await one.row("a")).next === null, "it is taken", PATIENCE)
    expect((await one.show("a")).streams[0].acked_offset).toBe("-1")
    expect((await one.row("a")).failure).toBe(null)
  })

  test("is done by a long answer up to 64 KiB, and only taken by a longer one, which is cut", async () => {
    const one = await server()
    const sizes = { short: 65536, long: 65537 }
    const receiver = await startReceiver(undo, ({ url }, response) =>
      response.end(`{"done":true}`.padEnd(sizes[url.slice(1)]))
    )
    for (const name of ["short", "long"]) {
      await one.subscribe(name, receiver.url.replace("hook", name), { lease_ttl_ms: 600000 })
      await one.make(`${name}/x`)
    }
    await until(async () => (await one.row("short")).wake_id === null, "the short one is done", PATIENCE)
    await until(async () => (await one.row("long")).next === null, "the long one is taken", PATIENCE)
    expect((await one.row("long")).wake_id).not.toBe(null)

    const endless = await startReceiver(undo, (_, response) => {
      const pour = () => {
        while (!response.destroyed && response.write("x".repeat(65536)));
      }
      response.on("drain", pour).on("error", () => {})
      pour()
    })
    await one.subscribe("endless", endless.url, { lease_ttl_ms: 600000 })
    await one.make("endless/x")
    await until(async () => endless.got[0]?.closed, "the endless answer is cut", PATIENCE)
    await until(async () => (await one.row("endless")).next === null, "it is taken", PATIENCE)
  })

  test("that is not answered ends with its lease, and others do not wait for it", async () => {
    const one = await server()
    const slow = await startReceiver(undo, silent)
    const quick = await startReceiver(undo)
    await one.subscribe("slow", slow.url, { lease_ttl_ms: 1500 })
    await one.subscribe("quick", quick.url)
    await one.make("slow/x")
    await arrives(slow, 1)
    await one.make("quick/x")
    await arrives(quick, 1)
    expect(slow.got[0].closed).toBe(false)
    // 30 s would be the limit of a longer lease
    await until(() => slow.got[0].closed, "the POST is given up", { timeout: 20_000 })
    await one.failed("slow", /did not answer in time/)
  })

  test("waits for a place at its host, and others do not wait for it", async () => {
    const one = await server()
    const held = []
    const slow = await startReceiver(undo, (_, response) => held.push(response))
    const quick = await startReceiver(undo)
    const attempts = () => one.sql("select sum(attempts), max(attempts) from subscription")
    for (let i = 0; i < 300; i++)
      await one.subscribe(`w${i}`, slow.url, { pattern: "w/*", lease_ttl_ms: 600_000 })
    await one.subscribe("quick", quick.url)
    await one.make("w/x")
    await arrives(slow, 64)
    await one.make("quick/x")
    await arrives(quick, 1)
    expect(slow.got.length).toBe(64)
    await until(async () => (await one.row("quick")).wake_id === null, "the other one is done")
    expect(await attempts()).toBe("64|1")
    slow.answer = done
    held.forEach((response) => response.end('{"done":true}'))
    await arrives(slow, 300)
    await until(async () => (await attempts()) === "0|0", "all are done", PATIENCE)
    expect(slow.got.length).toBe(300)
  })

  test("finds a place although several hosts are silent and have thousands of attempts due", async () => {
    const one = await server()
    const slow = []
    for (let i = 0; i < 5; i++) slow.push(await startReceiver(undo, silent))
    const quick = await startReceiver(undo)
    for (const [i, { url }] of slow.entries())
      await one.subscribe(`w${i}`, url, { pattern: "w/*", lease_ttl_ms: 600_000 })
    await one.subscribe("quick", quick.url)
    // requests for so many would take longer than the rest of this test
    await one.sql(
      "with n (n) as (values (1) union all select n + 1 from n where n < 1000)" +
        " insert into subscription (name, type, pattern, url, lease_ttl_ms, config, base_url, created_at)" +
        " select name || '-' || n, type, pattern, url, lease_ttl_ms, config, base_url, created_at" +
        " from subscription, n where name <> 'quick'"
    )
    await one.make("w/x")
    await until(() => slow.every(({ got }) => got.length > 0), "all hosts are busy", PATIENCE)
    await one.make("quick/x")
    for (let i = 1; i < 5; i++) {
      await arrives(quick, i)
      await one.append("quick/x")
    }
    await arrives(quick, 5)
    expect(slow.every(({ got }) => got.every(({ closed }) => !closed))).toBe(true)
    expect(slow.reduce((sum, { got }) => sum + got.length, 0)).toBeLessThan(256)
  })

  test("ends when its subscription is deleted", async () => {
    const one = await server()
    const receiver = await startReceiver(undo, silent)
    await one.subscribe("a", receiver.url, { lease_ttl_ms: 600000 })
    await one.make("a/x")
    await arrives(receiver, 1)
    expect((await one.unsubscribe("a")).status).toBe(204)
    await until(() => receiver.got[0].closed, "the POST is given up", { timeout: 20_000 })
    await one.subscribe("a", receiver.url)
    await one.append("a/x")
    await arrives(receiver, 2)
    expect(receiver.got[1].body.generation).toBe(2)
    expect(receiver.got.length).toBe(2)
  })
})

describe("a receiver that fails", () => {
  test("is tried again later and later, by the same wake with a new signature", async () => {
    const one = await server()
    const receiver = await startReceiver(undo, (request, response) =>
      (receiver.got.length < 4 ? failing : done)(request, response)
    )
    await one.subscribe("a", receiver.url, { lease_ttl_ms: 600000 })
    await one.make("a/x")
    await one.failed("a", /^the receiver answered 500$/)
    expect((await one.show("a")).status).toBe("failed")
    await arrives(receiver, 4)
    const { got } = receiver
    for (let i = 1; i < 4; i++)
      expect(got[i].at - got[i - 1].at).toBeGreaterThanOrEqual(800 * 2 ** (i - 1) - 50)
    expect(new Set(got.map(({ body }) => `${body.wake_id} ${body.callback_token}`)).size).toBe(1)
    const signed = got.map((one_) => one_.headers["webhook-signature"])
    expect(new Set(signed).size).toBe(4)
    const keys = await one.keys()
    for (const each of got) checkSignature(each, keys)
    await until(async () => (await one.show("a")).status === "active", "it is active again")
    expect(one.logs().match(/cannot deliver/g)).toHaveLength(1)
    expect(one.logs()).toContain("cannot deliver to 127.0.0.1: the receiver answered 500")
    expect(one.logs()).not.toContain(got[0].body.callback_token)
  })

  test("is tried at the time that was planned, although the process was killed", async () => {
    const one = await server()
    const receiver = await startReceiver(undo, failing)
    await one.subscribe("a", receiver.url, { lease_ttl_ms: 600000 })
    await one.make("a/x")
    await arrives(receiver, 3)
    // `attempts` is 3 already before the end is written, which plans anew
    const before = await until(async () => {
      const row = await one.row("a")
      return row.failed >= receiver.got[2].at && row
    }, "the end is written")
    const killed = one.deliverer()
    process.kill(killed, "SIGKILL")
    await until(() => !isAlive(killed) && one.deliverer(), "another process", PATIENCE)
    await arrives(receiver, 4)
    const [, , third, fourth] = receiver.got
    // the end of the third attempt may have moved the plan by its own length
    expect(fourth.at).toBeGreaterThanOrEqual(third.at + 3200 - 50)
    expect(fourth.at).toBeGreaterThanOrEqual(before.next - 2)
    expect(fourth.body.wake_id).toBe(third.body.wake_id)
  })

  test("an attempt that a kill has cut off is made again after its pause", async () => {
    const one = await server()
    const receiver = await startReceiver(undo, silent)
    await one.subscribe("a", receiver.url, { lease_ttl_ms: 600000 })
    await one.make("a/x")
    await arrives(receiver, 1)
    const { next } = await one.row("a")
    receiver.answer = done
    process.kill(one.deliverer(), "SIGKILL")
    await arrives(receiver, 2)
    expect(receiver.got[1].at).toBeGreaterThanOrEqual(next - 2)
    expect(receiver.got[1].body.wake_id).toBe(receiver.got[0].body.wake_id)
    await until(async () => (await one.row("a")).wake_id === null, "it is done")
  })

  test.each([
    ["refuses connections", /^could not connect: /],
    ["closes them", /^the POST failed: /],
  ])("that %s has its reason in the row", async (how, reason) => {
    const one = await server()
    const undoNow = []
    const trap = await startTrap(how === "closes them" ? undo : undoNow)
    for (const step of undoNow) await step()
    await one.subscribe("a", `http://127.0.0.1:${trap.port}/`)
    await one.make("a/x")
    await one.failed("a", reason)
  })
})

describe("the process that delivers", () => {
  test("does not end at once when it is stopped, if an answer is on its way", async () => {
    const one = await server()
    let answer
    const receiver = await startReceiver(undo, (_, response) => (answer = response))
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    await arrives(receiver, 1)
    const pid = one.deliverer()
    process.kill(pid, "SIGTERM")
    await one.append("a/x")
    setTimeout(() => answer.end('{"done":true}'), 500)
    await until(() => !isAlive(pid), "it ends", PATIENCE)
    await arrives(receiver, 2) // from its successor
    const [first, second] = receiver.got
    expect(second.body.generation).toBe(2)
    expect(second.body.streams[0].acked_offset).toBe(first.body.streams[0].tail_offset)
  })

  test("is one of several, and another takes over", async () => {
    const one = await server({ responders: 2 })
    const receiver = await startReceiver(undo)
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    for (const i of [0, 1]) {
      await arrives(receiver, 2 * i + 1)
      await end(one.supervisors[i])
      await until(() => one.append("a/x").then(() => true, () => false), "an append", PATIENCE)
      await arrives(receiver, 2 * i + 2)
      one.startSupervisor(i)
      await until(() => respondersOf(one.supervisors[i].pid).length === 1, "it is back", PATIENCE)
      await until(() => one.append("a/x").then(() => true, () => false), "an append", PATIENCE)
    }
    await arrives(receiver, 5)
    const wakes = receiver.got.map(({ body }) => body.wake_id)
    expect(new Set(wakes).size).toBe(wakes.length)
  })

  test("has no listening socket, and may fail without ending the service", async () => {
    const one = await server()
    const pid = one.deliverer()
    const sockets = (of) =>
      fs
        .readdirSync(`/proc/${of}/fd`)
        .map((fd) => fs.readlinkSync(`/proc/${of}/fd/${fd}`))
        .filter((name) => name.startsWith("socket:"))
    const listening = sockets(one.supervisors[0].pid)
    expect(listening.length).toBeGreaterThan(0)
    for (const name of sockets(pid)) expect(listening).not.toContain(name)

    const dir = folder()
    fs.copyFileSync(program, path.join(dir, "durable-streams.fcgi"))
    const other = path.join(dir, "durable-streams-deliver")
    fs.writeFileSync(other, "#!/bin/sh\nexit 3\n", { mode: 0o755 })
    const failed = await startServer({ door: "none", program: path.join(dir, "durable-streams.fcgi") })
    undo.push(() => failed.stop())
    await until(
      () => (failed.logs().match(/deliverer \d+ ended with status 3/g) ?? []).length > 2,
      "it is started again",
      PATIENCE
    )
    expect(failed.supervisors[0].exitCode).toBe(null)
    expect(respondersOf(failed.supervisors[0].pid)).toHaveLength(1)
  })

  test("DS_WEBHOOKS=off: there is none, and webhooks are refused", async () => {
    const one = await server({ env: { DS_WEBHOOKS: "off" } })
    const answer = await one.put("a", "http://127.0.0.1:9/")
    expect(answer.status).toBe(400)
    expect(answer.text).toContain("DS_WEBHOOKS=off")
    expect(one.deliverer()).toBe(undefined)
    const { status, stderr } = await once({
      DS_DATABASE: one.database,
      DS_WEBHOOKS: "off",
      DS_LOG_LEVEL: "info",
    })
    expect([status, stderr]).toEqual([0, expect.stringContaining("DS_WEBHOOKS=off")])
  })

  test("--once from cron, where only CGI processes run", async () => {
    const one = await server({ door: "lighttpd-cgi", deliver: false })
    const env = { ...LOCAL, DS_DATABASE: one.database }
    const receiver = await startReceiver(undo)
    const refused = await one.put("a", receiver.url)
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining("--deliver")])
    expect(await once(env)).toMatchObject({ status: 0, stderr: "" })
    await one.subscribe("a", receiver.url, { lease_ttl_ms: 1000 })
    await one.make("a/x")
    expect(receiver.got.length).toBe(0)
    expect(await once(env)).toMatchObject({ status: 0, stderr: "" })
    expect(receiver.got.length).toBe(1)
    expect((await one.row("a")).wake_id).toBe(null)
    // a lease that has ended meanwhile
    receiver.answer = taken
    await one.append("a/x")
    expect((await once(env)).status).toBe(0)
    expect(receiver.got.length).toBe(2)
    receiver.answer = done
    await until(async () => (await one.row("a")).lease < Date.now() - 1000, "the lease has ended", PATIENCE)
    await until(
      async () => (await once(env)) && receiver.got.length === 3,
      "it is sent again",
      PATIENCE
    )
    expect(receiver.got[2].body.generation).toBe(3)
  })

  test("--once ends at once if a process delivers", async () => {
    const one = await server()
    const receiver = await startReceiver(undo, silent)
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    await arrives(receiver, 1)
    expect(await once({ ...LOCAL, DS_DATABASE: one.database })).toMatchObject({ status: 0, stderr: "" })
    expect(receiver.got.length).toBe(1)
  })
})

describe("keys", () => {
  test("a successor is published, signs later, and the old one goes when no receiver needs it", async () => {
    const one = await server()
    const receiver = await startReceiver(undo)
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    await arrives(receiver, 1)
    const [first] = await one.keys()
    expect(checkSignature(receiver.got[0], [first]).kid).toBe(first.kid)

    await one.sql(`update webhook_key set signs_until = ${Date.now()}`)
    await until(async () => (await one.keys()).length === 2, "a successor is published", PATIENCE)
    const keys = await one.keys()
    for (const key of keys)
      expect(key).toMatchObject({ kty: "OKP", crv: "Ed25519", use: "sig", alg: "EdDSA" })
    await one.append("a/x")
    await arrives(receiver, 2)
    expect(checkSignature(receiver.got[1], keys).kid).toBe(first.kid)

    const pass = (ms) =>
      one.sql(
        `update webhook_key set signs_from = signs_from - ${ms}, signs_until = signs_until - ${ms}`
      )
    await pass(301_000)
    const second = keys.find(({ kid }) => kid !== first.kid)
    await until(async () => {
      await one.append("a/x")
      await arrives(receiver, receiver.got.length + 1)
      return checkSignature(receiver.got.at(-1), keys).kid === second.kid
    }, "the successor signs", PATIENCE)
    expect((await one.keys()).length).toBe(2)
    await pass(361_000)
    await until(async () => (await one.keys()).length === 1, "the old key is removed", PATIENCE)
    expect(await one.keys()).toEqual([second])
  })

  test("survive a restart", async () => {
    const one = await server()
    const before = await one.keys()
    await one.restart()
    expect(await one.keys()).toEqual(before)
    expect(before).toHaveLength(1)
  })
})

describe("no connection is opened", () => {
  /** A server whose names are those of a file: hosts({ name: "address address" }). */
  async function resolving(env) {
    const dir = folder()
    const library = path.join(dir, "resolver.so")
    const source = path.join(root, "tests/system/deliver/resolver.c")
    const { status, stderr } = spawnSync(
      process.env.CC ?? "cc",
      ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"],
      { encoding: "utf8" }
    )
    expect([status, stderr]).toEqual([0, ""])
    const file = path.join(dir, "hosts")
    const hosts = (names) =>
      fs.writeFileSync(
        file,
        Object.entries(names)
          .map(([name, addresses]) => `${name} ${addresses}\n`)
          .join("")
      )
    hosts({})
    const one = await server({
      env: { DS_WEBHOOK_LOCAL: "0", LD_PRELOAD: library, TEST_HOSTS: file, ...env },
    })
    return Object.assign(one, { hosts })
  }

  // a preloaded library comes before the run-time of a sanitizer, which refuses that
  test.skipIf(sanitized)("by a resolver that changes its mind, and to none of several addresses but the allowed", async () => {
    const good = await startTrap(undo, { host: "127.0.0.2" })
    const bad = await startTrap(undo, { host: "127.0.0.1", port: good.port })
    const one = await resolving({ DS_WEBHOOK_ALLOW: "127.0.0.2" })
    one.hosts({ "flip.example": "127.0.0.2", "both.example": "127.0.0.1 127.0.0.2 10.0.0.1" })
    await one.subscribe("flip", `https://flip.example:${good.port}/`)
    await one.make("flip/x")
    await until(() => good.connections === 1, "the allowed address is used", PATIENCE)
    one.hosts({ "flip.example": "127.0.0.1", "both.example": "127.0.0.1 127.0.0.2 10.0.0.1" })
    process.kill(one.deliverer(), "SIGKILL") // it remembers what names resolve to, for a minute
    await one.failed("flip", /^the host is at 127\.0\.0\.1, which webhooks may not reach$/)

    const before = good.connections
    await one.subscribe("both", `https://both.example:${good.port}/`)
    await one.make("both/x")
    await until(() => good.connections > before, "the allowed address is used", PATIENCE)
    await one.failed("both", /./)
    expect(bad.connections).toBe(0)
  })

  test.skipIf(sanitized)("to addresses that are not public, in no form", async () => {
    const addresses = {
      loopback: "127.0.0.1",
      other: "127.8.8.8",
      zero: "0.0.0.0",
      six: "::1",
      mapped: "::ffff:127.0.0.1",
      nat64: "64:ff9b::7f00:1",
      sixtofour: "2002:7f00:1::1",
      any: "::",
      unique: "fd00::1",
      linklocal: "fe80::1",
      metadata: "169.254.169.254",
      private10: "10.0.0.1",
    }
    const hasSix = await startTrap([], { host: "::1" }).then(() => true, () => false)
    // "::" takes connections to IPv4 addresses too
    const trap = await startTrap(undo, { host: hasSix ? "::" : "0.0.0.0" })
    const one = await resolving({})
    one.hosts(
      Object.fromEntries(Object.entries(addresses).map(([name, at]) => [`${name}.example`, at]))
    )
    for (const name of Object.keys(addresses)) {
      await one.subscribe(name, `https://${name}.example:${trap.port}/`)
      await one.make(`${name}/x`)
    }
    for (const [name, address] of Object.entries(addresses))
      await one.failed(name, new RegExp(`^the host is at ${address.replaceAll(".", "\\.")}, which`))
    expect(trap.connections).toBe(0)

    // the trap works
    net.connect(trap.port, "127.0.0.1").on("error", () => {})
    await until(() => trap.connections === 1, "a connection is counted")
  })

  test("for URLs that were refused, nor when one gets into the database", async () => {
    const trap = await startTrap(undo, { host: "0.0.0.0" })
    const hosts = ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1", "localhost", "[::1]"]
      .concat("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "user@127.0.0.1", "x.localhost", "127.0.0.1.")
    const one = await server({ env: { DS_WEBHOOK_LOCAL: "0" } })
    for (const [i, host] of hosts.entries()) {
      const name = `s${i}`
      for (const scheme of ["http", "https"]) {
        const answer = await one.put(name, `${scheme}://${host}:${trap.port}/`)
        expect([host, answer.status]).toEqual([host, 400])
        expect(answer.text).toContain("WEBHOOK_URL_REJECTED")
      }
      await one.subscribe(name, "https://streams.example/")
      await one.sql(
        `update subscription set url = 'https://${host}:${trap.port}/' where name = '${name}'`
      )
      await one.make(`${name}/x`)
    }
    for (const i of hosts.keys()) await one.failed(`s${i}`, /./)
    expect(trap.connections).toBe(0)
  })

  test.each([301, 302, 307, 308])("by a redirect: %i", async (status) => {
    const one = await server()
    const trap = await startTrap(undo)
    const receiver = await startReceiver(undo, (_, response) =>
      response.writeHead(status, { location: `http://127.0.0.1:${trap.port}/` }).end()
    )
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    await one.failed("a", new RegExp(`^the receiver answered ${status}$`))
    await arrives(receiver, 2)
    expect(trap.connections).toBe(0)
  })

  test("to a proxy of the environment", async () => {
    const trap = await startTrap(undo)
    const proxy = `http://127.0.0.1:${trap.port}`
    const names = ["http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"]
    const one = await server({
      env: { ...Object.fromEntries(names.map((name) => [name, proxy])), no_proxy: "" },
    })
    const receiver = await startReceiver(undo)
    await one.subscribe("a", receiver.url)
    await one.make("a/x")
    await arrives(receiver, 1)
    await one.subscribe("b", "https://nothing.invalid/")
    await one.make("b/x")
    await one.failed("b", /./)
    expect(trap.connections).toBe(0)
  })
})

test("the program is built beside the server, and says what it is", () => {
  const file = path.join(build, "durable-streams-deliver")
  const run = (...args) => spawnSync(file, args, { env: cleanEnv(), encoding: "utf8" })
  expect(run("--version").stdout).toMatch(/^durable-streams-deliver \d+\.\d+\.\d+\n$/)
  expect(run("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("--once") })
  expect(run("--nonsense")).toMatchObject({ status: 2, stdout: "" })
  expect(spawnSync(file, [], { env: cleanEnv({ DS_PROCESSES: "x" }) }).status).toBe(78)
})
