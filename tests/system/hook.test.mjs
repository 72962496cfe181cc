// DS_HOOK: the operator's program is told of every stream that is created or deleted, and no
// request notices it, whatever the program does.

import { afterEach, describe, expect, test } from "vitest"
import fs from "node:fs"
import path from "node:path"
import {
  cleanEnv,
  cleanUp,
  end,
  launch,
  program,
  processesNaming,
  sleep,
  sqlite,
  startServer,
  until,
} from "./harness.mjs"
import { client, fresh } from "./http.mjs"

const { undo, folder } = cleanUp(afterEach)

/** A shell script that has the file $DS_OUT to write to, for which lines() waits. */
function script(text) {
  const place = folder()
  const file = path.join(place, "hook.sh")
  const out = path.join(place, "out")
  fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  fs.writeFileSync(out, "")
  const lines = () => fs.readFileSync(out, "utf8").split("\n").filter(Boolean)
  return {
    file,
    place,
    env: { DS_HOOK: file, DS_OUT: out },
    lines,
    text: () => fs.readFileSync(out, "utf8"),
    async wait(n, timeout = 15_000) {
      await until(
        () => lines().length >= n,
        () => `${n} lines, not ${lines().length}`,
        { timeout },
      )
      return lines()
    },
  }
}

async function start(env, options = {}) {
  const server = await startServer({ ...options, env: { ...env, ...options.env } })
  undo.push(() => server.stop())
  return [server, client(server.url)]
}

const KEEP = 'cat >>"$DS_OUT"'

describe("events", () => {
  test("are delivered in order, each as a line of JSON, whatever the cause", async () => {
    const hook = script(KEEP)
    const [server, api] = await start({ ...hook.env, DS_HOOK_PROCESSES: "1" })
    const [plain, source, fork, brief, again] = ["plain", "source", "fork", "brief", "again"].map(
      fresh,
    )
    await api.create(plain, 'text/plain; title="a\\"b"')
    await api.create(source, "application/json")
    expect((await api.put(fork, { "stream-forked-from": source })).status).toBe(201)
    await api.del(source)
    await api.del(plain)
    await api.del(fork) // and the row of its source
    await api.create(again, "text/plain", "x", { "stream-ttl": "0" })
    await api.create(again, "a/b")
    await api.create(brief, "text/plain", "x", { "stream-ttl": "1" })
    const events = (await hook.wait(10)).map((line) => JSON.parse(line))
    expect(events.map((event) => [event.type, event.path])).toEqual([
      ["created", plain],
      ["created", source],
      ["created", fork],
      ["deleted", source],
      ["deleted", plain],
      ["deleted", fork],
      ["created", again],
      ["deleted", again],
      ["created", again],
      ["created", brief],
    ])
    expect((await hook.wait(11)).map((line) => JSON.parse(line))[10], "expired").toMatchObject({
      type: "deleted",
      path: brief,
    })
    expect(events[0]).toEqual({
      type: "created",
      path: plain,
      contentType: 'text/plain; title="a\\"b"',
      createdAt: events[0].timestamp,
      timestamp: expect.any(Number),
    })
    expect(events[4].createdAt).toBe(events[0].createdAt)
    expect(events[4].timestamp).toBeGreaterThanOrEqual(events[0].timestamp)
    expect(Math.abs(events[0].timestamp - Date.now())).toBeLessThan(60_000)
    // requests that change nothing cause no events, and neither does the prompt
    await api.put(again, { "content-type": "a/b" })
    await api.put(again, { "content-type": "c/d" })
    await api.del(fresh("none"))
    await sqlite(server.database, `delete from stream where path = '${again}'`)
    const last = fresh("last")
    await api.create(last)
    const rest = (await hook.wait(12)).slice(11).map((line) => JSON.parse(line).path)
    expect(rest).toEqual([last])
  })

  test("come once, from the process that caused them", async () => {
    const hook = script(KEEP)
    const [, api] = await start(hook.env, { responders: 2, processes: 2 })
    const names = Array.from({ length: 40 }, () => fresh("many"))
    await Promise.all(names.map((name) => api.create(name)))
    await hook.wait(40)
    await sleep(200)
    expect(
      hook
        .lines()
        .map((line) => JSON.parse(line).path)
        .sort(),
    ).toEqual([...names].sort())
  })

  test.each(["lighttpd-cgi", "apache-cgi"])(
    "of a CGI process are delivered after its answer, %s",
    async (door) => {
      const hook = script(`sleep 0.5; ${KEEP}`)
      const [, api] = await start(hook.env, { door })
      const name = fresh("cgi")
      await api.create(name)
      expect(hook.lines(), "the answer did not wait").toEqual([])
      expect(JSON.parse((await hook.wait(1))[0])).toMatchObject({ type: "created", path: name })
      await api.del(name)
      expect(JSON.parse((await hook.wait(2))[1])).toMatchObject({ type: "deleted", path: name })
    },
  )

  test("that wait at a stop are still delivered", async () => {
    const hook = script(`sleep 0.1; ${KEEP}`)
    const [server, api] = await start({ ...hook.env, DS_HOOK_PROCESSES: "2" })
    await Promise.all(Array.from({ length: 20 }, () => api.create(fresh("stop"))))
    const how = await end(server.supervisors[0])
    expect(how).toMatchObject({ code: 0, killed: false })
    await until(() => processesNaming(hook.place).length === 0, "the hooks have ended")
    expect(hook.lines().length).toBe(20)
  })
})

describe("a program", () => {
  test.each(["nginx", "lighttpd-cgi"])(
    "gets none of the server's descriptors, and nothing of a request, behind %s",
    async (door) => {
      const hook = script('ls -l /proc/self/fd >>"$DS_OUT"; env >>"$DS_OUT"; echo done >>"$DS_OUT"')
      const [, api] = await start(hook.env, { door })
      await api.put(fresh("fd"), { "content-type": "a/b", authorization: "Bearer secret" })
      await until(() => /^done$/m.test(hook.text()), "the hook has run")
      const descriptors = [...hook.text().matchAll(/ (\d+) -> (.*)/g)].map((m) => [m[1], m[2]])
      expect(
        descriptors.map(([fd]) => fd),
        hook.text(),
      ).toEqual(["0", "1", "2", "3"])
      expect(descriptors[0][1], "its input").not.toMatch(/socket|null/)
      expect(descriptors[3][1], "the folder that ls itself looks at").toMatch(/^\/proc\//)
      expect(hook.text()).toMatch(/^DS_DATABASE=/m)
      expect(hook.text()).not.toMatch(/secret|REQUEST_METHOD|HTTP_/)
    },
  )

  test("does not inherit the server's signal mask", async () => {
    const hook = script("")
    // a shell would clear it by itself
    fs.writeFileSync(hook.file, "#!/bin/cat /proc/self/status\n", { mode: 0o755 })
    const [server, api] = await start(hook.env)
    await api.create(fresh("mask"))
    await until(() => /^SigIgn:/m.test(server.logs()), server.logs)
    expect(server.logs()).toMatch(/^SigBlk:\s+0+$/m)
    // except for two that glibc reserves
    expect(server.logs()).toMatch(/^SigIgn:\s+0+(180000000)?$/m)
  })

  test("runs at most DS_HOOK_PROCESSES times at once", async () => {
    const hook = script('cat >/dev/null; echo start >>"$DS_OUT"; sleep 0.1; echo end >>"$DS_OUT"')
    const [, api] = await start({ ...hook.env, DS_HOOK_PROCESSES: "3" })
    await Promise.all(Array.from({ length: 24 }, () => api.create(fresh("bound"))))
    let running = 0
    let most = 0
    for (const line of await hook.wait(48)) {
      running += line === "start" ? 1 : -1
      most = Math.max(most, running)
    }
    expect(most).toBe(3)
  })

  const harmless = async (api, rounds = 30) => {
    for (let i = 0; i < rounds; i++) {
      const name = fresh("harmless")
      await api.create(name, "text/plain", "x")
      expect((await api.get(name)).text).toBe("x")
      expect((await api.del(name)).status).toBe(204)
    }
  }

  test("that fails is logged, and no request notices", async () => {
    const hook = script('echo "what it prints" >&2; exit 7')
    const [server, api] = await start(hook.env)
    await harmless(api)
    await until(() => /the hook \S+hook.sh ended with status 7/.test(server.logs()), server.logs)
    expect(server.logs()).toMatch(/^what it prints$/m)
    // one line a second, not sixty
    expect(server.logs().match(/ended with status/g).length).toBeLessThan(15)
    const killed = script("kill -9 $$")
    const [other, there] = await start(killed.env)
    await there.create(fresh("killed"))
    await until(() => /was ended by signal 9/.test(other.logs()), other.logs)
  })

  test("that is missing or not a program is logged, and no request notices", async () => {
    const hook = script("")
    fs.rmSync(hook.file)
    const [server, api] = await start(hook.env)
    await harmless(api)
    await until(
      () => /the hook \S+ cannot be run: No such file or directory/.test(server.logs()),
      server.logs,
    )
    expect(server.logs().match(/cannot be run/g).length).toBeLessThan(15)
    fs.writeFileSync(hook.file, "no program", { mode: 0o644 })
    await sleep(1100)
    await api.create(fresh("denied"))
    await until(() => /cannot be run: Permission denied/.test(server.logs()), server.logs)
  })

  test("that hangs is killed with all its children, and no request notices", async () => {
    const hook = script('sleep 1000 & echo $! >>"$DS_OUT"; sleep 1001')
    const [server, api] = await start({
      ...hook.env,
      DS_HOOK_TIMEOUT_MS: "300",
      DS_HOOK_PROCESSES: "2",
    })
    await harmless(api, 5)
    await until(
      () => /the hook \S+ was killed after [3-9]\d\d ms/.test(server.logs()),
      server.logs,
    )
    const children = await hook.wait(4)
    await until(() => !fs.existsSync(`/proc/${children[0]}`), "what it has started is gone")
  })

  test("that hangs does not delay a stop for longer than DS_STOP_TIMEOUT_MS", async () => {
    const hook = script("sleep 1000")
    const [server, api] = await start({
      ...hook.env,
      DS_HOOK_TIMEOUT_MS: "600000",
      DS_STOP_TIMEOUT_MS: "500",
    })
    await Promise.all(Array.from({ length: 10 }, () => api.create(fresh("hang"))))
    await until(() => processesNaming(hook.file).length === 4, "four are running")
    expect(await end(server.supervisors[0])).toMatchObject({ code: 0, killed: false })
    await until(() => processesNaming(hook.file).length === 0, "none is left")
    expect(server.logs()).toMatch(/the hook was not run for 6 events/)
  })

  test(
    "that is too slow misses events, which is logged once, and no request notices",
    { timeout: 60_000 },
    async () => {
      const hook = script("exec sleep 1000")
      const [server, api] = await start({
        ...hook.env,
        DS_HOOK_TIMEOUT_MS: "600000",
        DS_HOOK_PROCESSES: "1",
        DS_STOP_TIMEOUT_MS: "300",
      })
      const names = Array.from({ length: 4200 }, () => fresh("slow"))
      for (let i = 0; i < names.length; i += 100)
        await Promise.all(names.slice(i, i + 100).map((name) => api.create(name)))
      await until(
        () => /the hook is too slow: 4096 events are waiting/.test(server.logs()),
        server.logs,
      )
      expect(server.logs().match(/too slow/g).length).toBe(1)
      expect((await api.head(names.at(-1))).status).toBe(200)
    },
  )

  test("must be named by an absolute path", async () => {
    const place = folder()
    const log = path.join(place, "log")
    const child = launch(program, ["--listen", `unix:${path.join(place, "s")}`], {
      log,
      env: cleanEnv({ DS_DATABASE: path.join(place, "d.db"), DS_HOOK: "hook.sh" }),
    })
    expect((await child.gone).code).toBe(78)
    expect(fs.readFileSync(log, "utf8")).toMatch(/DS_HOOK must be the absolute path of a program/)
  })
})
