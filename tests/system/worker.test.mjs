// dsctl sub and dsctl webhook-key: subscriptions and workers from the shell, over HTTP and on a
// database file.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import {
  CONFLICT,
  DONE,
  dsctl,
  dsctlRunner,
  FAILED,
  IDLE,
  NOT_FOUND,
  USAGE,
} from "./dsctl/program.mjs"
import { build, cleanEnv, cleanUp, startServer, until } from "./harness.mjs"
import { client } from "./http.mjs"

const { undo, folder } = cleanUp(afterEach)
const START = "0000000000000000_0000000000000000"

let server
let api

beforeAll(async () => {
  server = await startServer({
    env: { DS_LONG_POLL_TIMEOUT_MS: "1000" },
  })
  api = client(server.url)
})
afterAll(() => server?.stop())

/** Delivers what is due, as from cron. */
const deliver = (database) =>
  spawnSync(path.join(build, "durable-streams-deliver"), ["--once"], {
    env: cleanEnv({ DS_DATABASE: database }),
    encoding: "utf8",
  })

const onFile = { DS_URL: "", get DS_DB() { return server.database } }
const overHttp = { get DS_URL() { return server.url } }
/** Looks into the database, whichever way the test itself uses. */
const file = dsctlRunner(undo, () => onFile)
const details = async (name) => JSON.parse(await file.ok(["sub", "show", name, "--json"]))

describe.each([
  ["over HTTP", overHttp],
  ["--db", onFile],
])("%s", (_, where) => {
  const { start, ds, ok } = dsctlRunner(undo, () => where)
  const append = (stream, data) => ok(["append", stream, "--data", data])

  /** A subscription with two streams, and the names of all of them. */
  async function subscribe(...options) {
    const id = randomBytes(6).toString("hex")
    const names = { sub: `jobs ${id}`, wakes: `w-${id}`, a: `q-${id}/a`, b: `q-${id}/b`, prefix: `q-${id}` }
    await ok(["create", names.wakes, "-t", "application/json"])
    await ok(["create", names.a, "-t", "application/json"])
    await ok(["create", names.b, "-t", "text/plain"])
    const more = options.includes("--stream") ? [] : ["--pattern", `${names.prefix}/*`]
    await ok(["sub", "add", names.sub, "--wake-stream", names.wakes, ...more, ...options])
    return names
  }

  test("add, show, rm: the same again is a success, another configuration is not", async () => {
    const { sub, wakes, a, prefix } = await subscribe("--lease", "1m", "--description", "for\u202etests")
    const add = ["sub", "add", sub, "--wake-stream", wakes, "--lease", "60", "--description", "for\u202etests"]
    const again = await ds([...add, "--pattern", `/v1/stream/${prefix}/*`])
    expect(again).toMatchObject({ code: DONE, text: `${sub}\n`, err: expect.stringContaining("exists already") })
    expect((await ds([...add, "--pattern", "other"])).code).toBe(CONFLICT)
    const shown = JSON.parse(await ok(["sub", "show", sub, "--json"]))
    expect(shown).toMatchObject({
      id: sub,
      type: "pull-wake",
      pattern: `${prefix}/*`,
      wake_stream: `/v1/stream/${wakes}`,
      lease_ttl_ms: 60000,
      description: "for\u202etests",
      links: 2,
    })
    expect(shown.streams[0]).toMatchObject({ path: `/v1/stream/${a}`, link_type: "glob", acked_offset: START })
    const rows = await ok(["sub", "show", sub])
    expect(rows).toMatch(new RegExp(`^name +${sub}$`, "m"))
    expect(rows).toMatch(new RegExp(`^glob +${START} .*/v1/stream/${a}$`, "m"))
    expect(rows).toContain("for<U+202E>tests")
    await ok(["sub", "rm", sub])
    expect((await ds(["sub", "show", sub])).code).toBe(NOT_FOUND)
    expect((await ds(["sub", "claim", sub])).code).toBe(NOT_FOUND)
    expect((await ds(["sub", "tail", sub])).code).toBe(NOT_FOUND)
  })

  test("add says what is missing", async () => {
    for (const [args, hint] of [
      [["--wake-stream", "w"], /--pattern/],
      [["--pattern", "x"], /--wake-stream/],
      [["--pattern", "x", "--wake-stream", "w", "--webhook", "http://127.0.0.1/"], /--wake-stream/],
      [["--pattern", "/health", "--wake-stream", "w"], /below/],
      [["--pattern", "x", "--wake-stream", "w", "--lease", "2h"], /600/],
    ])
      expect(await ds(["sub", "add", "x", ...args])).toMatchObject({
        code: USAGE,
        err: expect.stringMatching(hint),
      })
    expect((await ds(["sub", "add", "", "--pattern", "x", "--wake-stream", "w"])).code).toBe(USAGE)
    const outside = await ds(["sub", "add", "x", "--stream", "/outside", "--wake-stream", "w"])
    expect([USAGE, FAILED]).toContain(outside.code)
  })

  test("claim, ack, release: step by step", async () => {
    const { sub, a, b } = await subscribe("--lease", "10m")
    expect(await ds(["sub", "claim", sub])).toMatchObject({ code: IDLE, text: "" })
    const one = await append(a, '{"n":1}')
    const claim = JSON.parse(await ok(["sub", "claim", sub, "--worker", "w1", "--json"]))
    expect(claim).toMatchObject({ generation: 1, lease_ttl_ms: 600000 })
    expect(claim.streams).toHaveLength(2)
    expect(claim.streams[0]).toMatchObject({
      path: `/v1/stream/${a}`,
      acked_offset: START,
      tail_offset: one,
      has_pending: true,
    })
    expect(await ds(["sub", "claim", sub])).toMatchObject({ code: CONFLICT, err: expect.stringContaining("w1") })
    const wake = ["--token", claim.token, "--wake", claim.wake_id, "-g", "1"]
    expect((await ds(["sub", "ack", sub, ...wake, "nonsense"])).code).toBe(USAGE)
    expect((await ds(["sub", "ack", sub, ...wake, `${a}=${START.replace(/0$/, "9")}`])).code).toBe(CONFLICT)
    expect((await ds(["sub", "ack", sub, "-t", "x", ...wake.slice(2), `${a}=${one}`])).code).toBe(FAILED)
    await ok(["sub", "ack", sub, ...wake, `${a}=${one}`])
    expect((await details(sub)).holder).toBe("w1")
    const two = await append(b, "text")
    await ok(["sub", "release", sub, ...wake])
    expect((await ds(["sub", "ack", sub, ...wake])).code).toBe(CONFLICT)
    expect((await ds(["sub", "release", sub, ...wake])).code).toBe(CONFLICT)

    // without JSON, for a shell; and the claim in the environment
    const rows = await ok(["sub", "claim", sub, "-w", "w2"])
    const row = (name) => new RegExp(`^${name} +(.*)$`, "m").exec(rows)[1]
    expect(row("pending")).toBe(`/v1/stream/${b} ${START} ${two}`)
    const env = { DS_SUB_TOKEN: row("token"), DS_SUB_WAKE: row("wake"), DS_SUB_GENERATION: row("generation") }
    await ok(["sub", "ack", sub, `/v1/stream/${b}=${two}`, "--done"], { env })
    expect(await details(sub)).toMatchObject({ state: "idle", has_pending: false })
    expect((await ds(["sub", "claim", sub])).code).toBe(IDLE)
  })

  test("tail --once prints what is new of each stream, with its name, and acks it", async () => {
    const { sub, a, b } = await subscribe()
    expect(await ds(["sub", "tail", sub, "--once"])).toMatchObject({ code: IDLE, text: "" })
    await append(a, '{"n":1}')
    await append(a, '[{"n":2},{"n":3}]')
    await append(b, "no line feed")
    expect((await ds(["sub", "tail", sub, "--once"])).text).toBe(
      `# /v1/stream/${a}\n{"n":1}\n{"n":2}\n{"n":3}\n# /v1/stream/${b}\nno line feed`
    )
    expect((await ds(["sub", "tail", sub, "--once"])).code).toBe(IDLE)
    await append(b, "more\n")
    expect(await ok(["sub", "tail", sub, "--once", "--no-names"])).toBe("more")
    await append(a, "[7]")
    expect(await ok(["sub", "tail", sub, "-1nr"])).toBe("[7]")
  })

  test("one stream has no name; a stream that is missing at first is read from its start", async () => {
    const id = randomBytes(6).toString("hex")
    await ok(["create", `w-${id}`, "-t", "application/json"])
    await ok(["sub", "add", id, "--stream", `s-${id}`, "--wake-stream", `w-${id}`])
    await ok(["create", `s-${id}`, "-t", "text/plain", "-d", "first\n"])
    expect(await ok(["sub", "tail", id, "--once"])).toBe("first")
  })

  test("tail waits for wakes, also where nobody made the wake stream, until Ctrl-C", async () => {
    const { sub, a, wakes } = await subscribe()
    const tail = start(["sub", "tail", sub, "--no-names"])
    await append(a, "1")
    await until(() => tail.text() === "1\n", tail.said)
    await append(a, "2")
    await until(() => tail.text() === "1\n2\n", tail.said)
    await ok(["rm", wakes])
    await append(a, "3")
    await until(() => tail.text() === "1\n2\n3\n", tail.said)
    await until(async () => (await details(sub)).state === "idle", "idle")
    tail.child.kill("SIGINT")
    expect(await tail.done).toMatchObject({ code: null, signal: "SIGINT", text: "1\n2\n3\n" })
  })

  test("many workers: each message goes to one of them, in order within a worker", async () => {
    const { sub, a } = await subscribe()
    const workers = Array.from({ length: 4 }, (_, i) => start(["sub", "tail", sub, "-n", "-w", `w${i}`]))
    for (let i = 0; i < 30; i++) await append(a, JSON.stringify(Array.from({ length: 5 }, (_, j) => i * 5 + j)))
    const printed = () => workers.flatMap((worker) => worker.lines().map(Number))
    await until(() => printed().length >= 150, () => workers.map((worker) => worker.said()).join("\n"))
    await until(async () => (await details(sub)).state === "idle", "idle")
    expect(printed().sort((x, y) => x - y)).toEqual(Array.from({ length: 150 }, (_, i) => i))
    for (const worker of workers) {
      const own = worker.lines().map(Number)
      expect(own).toEqual([...own].sort((x, y) => x - y))
    }
  })

  test("what cannot be written is not acked: a full disk, a reader that leaves", async () => {
    const { sub, a } = await subscribe()
    await append(a, "1")
    const env = cleanEnv({ ...where, SUB: sub, DSCTL: dsctl })
    const shell = (script) => spawnSync("bash", ["-c", script], { env, encoding: "utf8" })
    const full = shell('"$DSCTL" sub tail "$SUB" --once >/dev/full')
    expect(full).toMatchObject({ status: FAILED, stderr: expect.stringContaining("cannot write") })
    expect(await details(sub)).toMatchObject({ state: "waits for a claim", has_pending: true })
    const left = shell('exec 3> >(exec true); wait $!; "$DSCTL" sub tail "$SUB" --once >&3')
    expect(left).toMatchObject({ status: 128 + 13, stderr: "" })
    expect(await details(sub)).toMatchObject({ state: "waits for a claim", has_pending: true })
    expect(await ok(["sub", "tail", sub, "--once", "-n"])).toBe("1")
  })

  test("heartbeats keep the lease while the reader is slow, and Ctrl-C gives it back", async () => {
    const { sub, b } = await subscribe("--lease", "1s")
    const text = "0123456789abcdef".repeat(16384) // more than any pipe holds
    await ok(["append", b], { input: text })
    const child = spawn(dsctl, ["sub", "tail", sub, "-n"], {
      env: cleanEnv({ ...where }),
      stdio: ["ignore", "pipe", "inherit"],
    })
    undo.push(() => child.kill("SIGKILL"))
    const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal)))
    const leases = new Set()
    await until(
      async () => {
        const { lease_until, generation } = await details(sub)
        if (lease_until) leases.add(`${lease_until} ${generation}`)
        return leases.size >= 4
      },
      () => [...leases].join("\n")
    )
    expect([...leases].every((lease) => lease.endsWith(" 1"))).toBe(true)
    child.kill("SIGTERM")
    expect(await ended).toBe("SIGTERM")
    expect(await details(sub)).toMatchObject({ state: "waits for a claim", generation: 2 })
    expect(await ok(["sub", "tail", sub, "--once", "-n"])).toBe(text)
  })

  test("a killed worker: another one prints the same when the lease has ended", async () => {
    const { sub, a } = await subscribe("--lease", "1s")
    await append(a, "1")
    const mark = path.join(folder(), "began")
    const command = `touch ${mark}; while kill -0 $PPID 2>/dev/null; do sleep 0.1; done; exit 1`
    const first = start(["sub", "tail", sub, "--exec", command])
    await until(() => fs.existsSync(mark), first.said)
    first.child.kill("SIGKILL")
    const second = start(["sub", "tail", sub, "-n"])
    await until(() => second.text() === "1\n", second.said)
  })

  describe("tail --exec", () => {
    test("gives each stream to the command, and tells it what it works on", async () => {
      const { sub, a, b } = await subscribe()
      const one = await append(a, '{"n":1}')
      await append(b, "text")
      const command = 'printf "%s|" "$DS_SUB_NAME" "$DS_SUB_WORKER" "$DS_SUB_STREAM" "$DS_SUB_TYPE" ' +
        '"$DS_SUB_OFFSET" "$DS_SUB_NEXT_OFFSET" "$DS_SUB_GENERATION"; cat; echo'
      const { lines } = await ds(["sub", "tail", sub, "--once", "-w", "me", "--exec", command])
      expect(lines[0]).toBe(`${sub}|me|/v1/stream/${a}|application/json|${START}|${one}|1|{"n":1}`)
      expect(lines.at(-1)).toMatch(new RegExp(`/v1/stream/${b}\\|text/plain.*\\|text$`))
      expect((await ds(["sub", "claim", sub])).code).toBe(IDLE)
    })

    test("acks only if the command succeeds; else it is tried again", async () => {
      const { sub, a, b } = await subscribe()
      await append(a, "1")
      await append(b, "2")
      const log = path.join(folder(), "log")
      const once = await ds(["sub", "tail", sub, "--once", "--exec", `cat >>${log}; case $DS_SUB_TYPE in text*) exit 3;; esac`])
      expect(once).toMatchObject({ code: FAILED, err: expect.stringContaining("exit status 3") })
      expect(fs.readFileSync(log, "utf8")).toBe("1\n2")
      // the stream that was handled before is not tried again
      const { streams } = await details(sub)
      expect(streams.map(({ has_pending }) => has_pending)).toEqual([false, true])
      const killed = await ds(["sub", "tail", sub, "--once", "--exec", "kill -9 $$"])
      expect(killed).toMatchObject({ code: FAILED, err: expect.stringContaining("signal 9") })
      // a worker that goes on tries again by itself
      const worker = start(["sub", "tail", sub, "--exec", `[ -e ${log}.2 ] || { touch ${log}.2; exit 1; }; cat`])
      await until(() => worker.text() === "2", worker.said)
      await until(async () => (await details(sub)).state === "idle", worker.said)
    })

    test("SIGTERM reaches the command; what it did not finish is given back", async () => {
      const { sub, a } = await subscribe("--lease", "10m")
      await append(a, "1")
      const mark = path.join(folder(), "began")
      const worker = start(["sub", "tail", sub, "--exec", `touch ${mark}; exec sleep 60`])
      await until(() => fs.existsSync(mark), worker.said)
      expect((await details(sub)).state).toBe("held")
      worker.child.kill("SIGTERM")
      expect((await worker.done).signal).toBe("SIGTERM")
      expect(await details(sub)).toMatchObject({ state: "waits for a claim", has_pending: true })
    })

    test("the command can write the results, in the epoch of its generation", async () => {
      const { sub, a, wakes } = await subscribe()
      const results = `${wakes}-results`
      await ok(["create", results, "-t", "application/json"])
      await append(a, "[1,2,3]")
      const command = `sed 's/$/0/' | '${dsctl}' append ${results} --json -p "$DS_SUB_NAME" --epoch "$DS_SUB_GENERATION" -q`
      await ok(["sub", "tail", sub, "--once", "--exec", command])
      expect((await ds(["tail", results])).lines).toEqual(["10", "20", "30"])
      // a worker of an earlier generation cannot write any more
      await append(a, "4")
      await ok(["sub", "tail", sub, "--once", "--exec", command])
      const late = await ds(["append", results, "-p", sub, "--epoch", "1", "-d", "0"])
      expect(late.code).toBe(CONFLICT)
      // and a heartbeat needs no options
      await append(a, "5")
      await ok(["sub", "tail", sub, "--once", "--exec", `cat >/dev/null; '${dsctl}' sub ack "$DS_SUB_NAME"`])
      expect((await details(sub)).state).toBe("idle")
    })

    test("a command that leaves its lease is ended, and nothing is acked", async () => {
      const { sub, a } = await subscribe("--lease", "1s")
      await append(a, "1")
      const command = `'${dsctl}' sub release "$DS_SUB_NAME"; exec sleep 60`
      const { code, err } = await ds(["sub", "tail", sub, "--once", "--exec", command])
      expect(code).toBe(CONFLICT)
      expect(err).toContain("the lease was lost")
      expect(await details(sub)).toMatchObject({ has_pending: true })
    })
  })

  test("a stream that is deleted while a worker has it does not stop the others", async () => {
    const { sub, a, b } = await subscribe()
    await append(a, "1")
    await append(b, "2")
    const command = `case $DS_SUB_STREAM in */a) '${dsctl}' rm "$DS_SUB_STREAM";; esac; cat`
    const { text } = await ds(["sub", "tail", sub, "--once", "--exec", command])
    expect(text).toBe("1\n2")
    expect(await details(sub)).toMatchObject({ state: "idle", has_pending: false, links: 1 })
  })

  test("a webhook has no workers", async () => {
    const id = randomBytes(6).toString("hex")
    const base = where === onFile ? ["--base-url", server.url] : []
    const target = ["--webhook", "https://hooks.example/", "--pattern", `${id}/*`, ...base]
    let said
    await until(async () => {
      const { code, err } = await ds(["sub", "add", id, ...target]) // refused while no process delivers yet
      said = err
      return code === DONE
    }, () => said)
    expect(JSON.parse(await ok(["sub", "show", id, "--json"]))).toMatchObject({
      type: "webhook",
      webhook_url: "https://hooks.example/",
    })
    expect((await ds(["sub", "tail", id])).code).toBe(USAGE)
    expect((await ds(["sub", "claim", id])).code).toBe(FAILED)
    await ok(["sub", "rm", id])
  })

  test("secrets of the command line do not stay in the list of processes", async () => {
    const { sub, a } = await subscribe()
    await append(a, "1")
    const claim = JSON.parse(await ok(["sub", "claim", sub, "--json"]))
    const listening = path.join(folder(), "pipe")
    spawnSync("mkfifo", [listening])
    const ack = start(["sub", "ack", sub, "-t", claim.token, "--wake", claim.wake_id, "-g", "1", "--header", `@${listening}`])
    if (where === overHttp) {
      await until(() => {
        const line = fs.readFileSync(`/proc/${ack.child.pid}/cmdline`, "utf8")
        return line.includes(claim.wake_id) && !line.includes(claim.token)
      }, "a command line without the token")
      fs.writeFileSync(listening, "X-Test: 1\n")
    }
    expect((await ack.done).code).toBe(DONE)
  })
})

// ------------------------------------------------------------------------- only one of the two

test("ls: what each subscription is doing, as a table, JSON and names", async () => {
  const database = path.join(folder(), "s.db")
  const { ds, ok } = dsctlRunner(undo, () => ({ DS_URL: "", DS_DB: database }))
  for (const stream of ["wakes", "a", "b", "c"]) await ok(["create", stream, "-t", "application/json"])
  expect(await ds(["sub", "ls"])).toMatchObject({ code: DONE, text: "" })
  for (const name of ["a", "b", "c"]) await ok(["sub", "add", name, "--stream", name, "--wake-stream", "wakes"])
  await ok(["append", "b", "-d", "1"])
  await ok(["append", "c", "-d", "1"])
  await ok(["sub", "claim", "c", "--worker", "w\u009b1"])
  const table = (await ok(["sub", "ls"])).split("\n")
  expect(table[0]).toMatch(/^STATE +GENERATION +LINKS +PENDING +HOLDER +NEXT ATTEMPT +NAME$/)
  expect(table.slice(1)).toEqual([
    expect.stringMatching(/^idle +0 +1 +no +- +- +a$/),
    expect.stringMatching(/^waits for a claim +1 +1 +yes +- +- +b$/),
    expect.stringMatching(/^held +1 +1 +yes +\S+ +- +c$/),
  ])
  const objects = (await ok(["sub", "ls", "--json"])).split("\n").map((line) => JSON.parse(line))
  expect(objects.map(({ id, state }) => [id, state])).toEqual([
    ["a", "idle"],
    ["b", "waits for a claim"],
    ["c", "held"],
  ])
  expect(await ok(["sub", "ls", "--names"])).toBe("a\nb\nc")
  // a worker that missed the event gets another one
  await ok(["sub", "wake", "b"])
  expect((await ds(["tail", "wakes"])).lines.filter((line) => JSON.parse(line).subscription_id === "b")).toHaveLength(2)
  expect((await ds(["sub", "wake", "a"])).code).toBe(IDLE)
  expect((await ds(["sub", "wake", "c"])).code).toBe(CONFLICT)
  expect((await ds(["sub", "wake", "x"])).code).toBe(NOT_FOUND)
})

test("what the protocol cannot do says so over HTTP, with a hint", async () => {
  const { ds } = dsctlRunner(undo, () => overHttp)
  for (const args of [["ls"], ["wake", "x"]])
    expect(await ds(["sub", ...args])).toMatchObject({ code: USAGE, text: "", err: expect.stringContaining("--db FILE") })
  expect((await ds(["webhook-key", "ls"])).code).toBe(USAGE)
  expect((await ds(["sub", "add", "x", "--pattern", "x", "--webhook", "http://10.0.0.1/hook"])).err).toMatch(/\(400\)/)
  // another server says that it has none
  const elsewhere = dsctlRunner(undo, () => ({ DS_URL: `${server.url}/v1/stream/nowhere` }))
  expect((await elsewhere.ds(["sub", "show", "x"])).code).not.toBe(DONE)
})

test("names are taken as they are: slashes, spaces, quotes, other scripts", async () => {
  const { ok } = dsctlRunner(undo, () => overHttp)
  for (const name of ["a/b:c", "50% off?#x", "日本", "it's \"x\"", "-dash"]) {
    await ok(["sub", "add", "--pattern", "none/*", "--wake-stream", "w", "--", name])
    expect(JSON.parse(await ok(["sub", "show", "--json", "--", name])).id).toBe(name)
    expect((await api.get(`/v1/stream/__ds/subscriptions/${encodeURIComponent(name)}`)).status).toBe(200)
    await ok(["sub", "rm", "--", name])
  }
})

test("webhook-key: a rotation plans the end of the key that signs", async () => {
  const database = path.join(folder(), "s.db")
  const { ds, ok } = dsctlRunner(undo, () => ({ DS_URL: "", DS_DB: database }))
  await ok(["create", "x"])
  expect(await ds(["webhook-key", "ls"])).toMatchObject({ code: DONE, text: "", err: expect.stringContaining("no key yet") })
  expect((await ds(["webhook-key", "rotate"])).code).toBe(NOT_FOUND)
  expect(deliver(database)).toMatchObject({ status: 0 })
  const keys = async () => (await ok(["webhook-key", "ls", "--json"])).split("\n").map((line) => JSON.parse(line))
  const [first] = await keys()
  expect(first).toMatchObject({ state: "signs", kid: expect.stringMatching(/^ds_/) })
  expect(first.signsUntil).toBeUndefined()
  expect(await ok(["webhook-key", "rotate"])).toMatch(new RegExp(`^${first.kid} signs until \\S+Z$`))
  expect((await keys())[0].signsUntil).toBeDefined()
  expect(await ok(["webhook-key", "rotate"])).toMatch(new RegExp(`^${first.kid} signs until `)) // the same time
  expect(deliver(database)).toMatchObject({ status: 0 })
  const both = await keys()
  expect(both.map(({ state }) => state)).toEqual(["signs", "next"])
  expect(Date.parse(both[1].signsFrom)).toBeLessThanOrEqual(Date.parse(both[0].signsUntil))
  const again = await ds(["webhook-key", "rotate"])
  expect(again).toMatchObject({ code: DONE, err: expect.stringContaining(both[1].kid) })
  expect(await keys()).toEqual(both)
  const rows = await ok(["webhook-key", "ls"])
  expect(rows).toMatch(/^STATE +SIGNS FROM +SIGNS UNTIL +KEY$/m)
  expect(rows).toMatch(new RegExp(`^next .* ${both[1].kid}$`, "m"))
})
