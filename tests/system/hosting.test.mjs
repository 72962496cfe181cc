// Shared hosting: an ordinary user with a fresh home folder and without root, and a web server that
// belongs to somebody else. The commands are those of deploy/README.md. Every form of URL must
// work, and Location must have the form that the client used.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { execFile, execFileSync } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import os from "node:os"
import path from "node:path"
import { promisify } from "node:util"
import { lifeOf, NAMES } from "./doors/subscriptions.mjs"
import { end, program, root, until } from "./harness.mjs"
import { client, fresh, isHealthy } from "./http.mjs"
import { isOurs } from "./seen.mjs"
import { asUser, startApache } from "./web/apache.mjs"

const NOBODY = 65534
const TEXT = { "content-type": "text/plain" }

let folder, home, log, apache

const logs = () => fs.readFileSync(log, "utf8").slice(-3000)

/** Runs a command as the user, in the user's copy of the sources, with only HOME set. */
function asPerson(...argv) {
  const all = [...asUser(NOBODY), ...argv]
  return execFileSync(all[0], all.slice(1), {
    cwd: path.join(home, "source"),
    env: { HOME: home, PATH: process.env.PATH },
    encoding: "utf8",
  })
}

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  fs.chmodSync(folder, 0o755)
  home = path.join(folder, "home/alice")
  log = path.join(folder, "log")
  fs.writeFileSync(log, "")
  // the sources as a user has them after `make`
  for (const name of ["streams.cgi", ".htaccess", "install.sh"]) {
    const to = path.join(home, "source/deploy/shared-hosting", name)
    fs.mkdirSync(path.dirname(to), { recursive: true })
    fs.copyFileSync(path.join(root, "deploy/shared-hosting", name), to)
  }
  fs.mkdirSync(path.join(home, "source/build"))
  fs.copyFileSync(program, path.join(home, "source/build/durable-streams.fcgi"))
  if (process.getuid() === 0) execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, home, log])

  asPerson("sh", "deploy/shared-hosting/install.sh")
  fs.appendFileSync(
    path.join(home, "durable-streams/settings"),
    "DS_LONG_POLL_TIMEOUT_MS=10000\nDS_LOG_LEVEL=warn\n"
  )
  apache = await startApache({ folder, kind: "shared", home, user: NOBODY, log })
  await until(
    () => {
      if (apache.child.exitCode !== null) throw new Error(`Apache did not start:\n${logs()}`)
      return isHealthy(client(apache.url))
    },
    logs,
    { timeout: 15_000 }
  )
})

afterAll(async () => {
  if (apache) await end(apache.child)
  fs.rmSync(folder, { recursive: true, force: true })
})

describe.each([
  ["/~alice/streams.cgi/v1/…", () => `${apache.url}/streams.cgi`],
  ["/~alice/v1/…, rewritten", () => apache.url],
  ["/streams.cgi/v1/… where the folder is a site", () => `${apache.atRoot}/streams.cgi`],
  ["/v1/… where the folder is a site, rewritten", () => apache.atRoot],
  ["/%7Ealice/streams%2Ecgi/v1/…, encoded", () => apache.url.replace("~", "%7E") + "/streams%2Ecgi"],
])("%s", (_, base) => {
  const api = () => client(base())
  /** the address that a Location names, as a client without a base */
  const follow = (location) => {
    const { origin } = new URL(location)
    return [client(origin), location.slice(origin.length)]
  }

  test("create, append and read work, and Location leads back", async () => {
    const name = fresh()
    const { status, headers } = await api().put(name, TEXT, "one ")
    expect(status).toBe(201)
    expect(headers.location).toBe(base() + name)
    const [there, target] = follow(headers.location)
    expect((await there.post(target, TEXT, "two")).status).toBe(204)
    expect((await api().get(`${name}?offset=-1`)).text).toBe("one two")
    expect((await api().head(name)).status).toBe(200)
    expect((await api().del(name)).status).toBe(204)
    expect((await there.get(target)).status).toBe(404)
  })

  test("long-poll and SSE", async () => {
    const name = fresh()
    await api().create(name)
    // not offset=now: a process may begin to read after the append
    const waiting = api().get(`${name}?offset=-1&live=long-poll`, {}, { timeout: 15_000 })
    const reader = await api().sse(`${name}?offset=-1&live=sse`)
    await reader.waitFor((event) => event.control)
    await api().append(name, "text/plain", "news")
    await reader.waitFor((event) => event.data === "news", "the message", 5000)
    expect((await waiting).status).toBe(200)
    await api().post(name, { "stream-closed": "true" })
    expect(await reader.ended).toMatchObject({ complete: true })
  })

  test("a fork names its source as the client sees it, or without the prefix", async () => {
    const name = fresh()
    await api().create(name, "text/plain", "source")
    for (const source of [new URL(base()).pathname.replace(/\/$/, "") + name, name]) {
      const fork = fresh("fork")
      const made = await api().put(fork, { "stream-forked-from": source })
      expect([made.status, made.headers.location]).toEqual([201, base() + fork])
      expect((await api().get(fork)).text).toBe("source")
    }
  })

  test.each(["a%2Fb", "a%25b", "a%23b", "a%3Fb", "a%20b", "%C3%A4", "a%252Fb", "a+b;c=d", "a%26b%3D"])(
    "a stream called %s is a stream of its own",
    async (odd) => {
      const name = `${fresh()}-${odd}`
      const made = await api().put(name, TEXT, odd)
      expect(made.status).toBe(201)
      const [there, target] = follow(made.headers.location)
      expect((await there.get(target)).text).toBe(odd)
      expect((await api().get(name)).text).toBe(odd)
    }
  )

  test.each(NAMES)("a subscription called %s, whose worker has a token", (name) =>
    lifeOf({ api: api() }, name)
  )

  test("a second PUT is 200, not a redirect", async () => {
    const name = fresh()
    await api().create(name)
    expect((await api().put(name, TEXT)).status).toBe(200)
  })
})

test("all forms of URL mean the same stream, for a fork as well", async () => {
  const name = fresh()
  await client(apache.url).create(name, "text/plain", "x")
  expect((await client(`${apache.url}/streams.cgi`).get(name)).text).toBe("x")
  expect((await client(apache.atRoot).get(name)).text).toBe("x")
  const fork = fresh("fork")
  const source = `/~alice/streams.cgi${name}`
  expect((await client(apache.url).put(fork, { "stream-forked-from": source })).status).toBe(201)
  expect((await client(apache.url).get(fork)).text).toBe("x")
})

test("only the user can read the database, and no URL reaches it", async () => {
  const database = path.join(home, "durable-streams/data/streams.db")
  expect(fs.statSync(path.join(home, "durable-streams")).mode & 0o777).toBe(0o700)
  expect(fs.statSync(database).mode & 0o077).toBe(0)
  const magic = "SQLite format 3"
  expect(fs.readFileSync(database, "latin1").startsWith(magic)).toBe(true)
  for (const target of [
    "/~alice/durable-streams/data/streams.db",
    "/~alice/../durable-streams/data/streams.db",
    "/~alice/%2e%2e/durable-streams/data/streams.db",
    "/~alice/..%2fdurable-streams/data/streams.db",
    "/~alice/streams.cgi/../../durable-streams/data/streams.db",
  ]) {
    const answer = await client(new URL(apache.url).origin).get(target)
    expect(answer.status, target).toBeGreaterThanOrEqual(400)
    expect(answer.text, target).not.toContain(magic)
  }
})

test("the script is run, and never served as text", async () => {
  const answer = await client(apache.url).get("/streams.cgi")
  expect(answer.status).toBe(404)
  expect(answer.text).not.toContain("#!/bin/sh")
})

test("an update leaves settings, database and the rest of .htaccess alone", async () => {
  const name = fresh()
  await client(apache.url).create(name, "text/plain", "kept")
  const settings = path.join(home, "durable-streams/settings")
  const htaccess = path.join(home, "public_html/.htaccess")
  const before = fs.readFileSync(settings, "utf8")
  fs.appendFileSync(htaccess, "\n# mine\n")
  const rules = fs.readFileSync(htaccess, "utf8")
  asPerson("sh", "deploy/shared-hosting/install.sh")
  expect(fs.readFileSync(settings, "utf8")).toBe(before)
  expect(fs.readFileSync(htaccess, "utf8")).toBe(rules)
  expect((await client(apache.url).get(name)).text).toBe("kept")
})

test("a folder that would show the database is refused", () => {
  expect(() => asPerson("sh", "deploy/shared-hosting/install.sh", home)).toThrow(/database would lie/)
})

// The archive of `make dist-hosting`, unpacked by an ordinary user, behind what Debian's userdir.conf
// permits (and CGI, which it does not): only GET, POST and OPTIONS until .htaccess says otherwise.
describe("the archive", () => {
  const NAME = "durable-streams-hosting"
  const DEBIAN = "FileInfo AuthConfig Limit Indexes Options=ExecCGI"
  const ALICE = { authorization: `Basic ${Buffer.from("alice:secret").toString("base64")}` }
  let house, web
  const inHome = (name) => path.join(house, name)
  const rules = () => fs.readFileSync(inHome("public_html/.htaccess"), "utf8")

  function asBob(command) {
    const all = [...asUser(NOBODY), "sh", "-ec", command]
    return execFileSync(all[0], all.slice(1), {
      cwd: house,
      env: { HOME: house, PATH: process.env.PATH },
      encoding: "utf8",
    })
  }

  beforeAll(async () => {
    house = path.join(folder, "home/bob")
    fs.mkdirSync(inHome("public_html"), { recursive: true })
    fs.writeFileSync(inHome("public_html/.htaccess"), "# bob's own\n")
    execFileSync("sh", [
      path.join(root, "deploy/pack-hosting.sh"),
      ...[program, NAME, inHome(`${NAME}.tar.gz`)],
    ])
    if (process.getuid() === 0) execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, house])
    asBob(`tar -xzf ${NAME}.tar.gz; cd ${NAME}; sh install.sh`)
    web = await startApache({
      folder,
      kind: "shared",
      home: house,
      user: NOBODY,
      log,
      allow: DEBIAN,
      access: "method GET POST OPTIONS",
    })
    web.url = web.url.replace("~alice", "~bob")
    await until(() => isHealthy(client(web.url)), logs, { timeout: 15_000 })
  })

  afterAll(async () => {
    if (web) await end(web.child)
  })

  test("PUT is refused until the line of .htaccess is uncommented", async () => {
    const name = fresh()
    expect((await client(web.url).put(name, TEXT, "x")).status).toBe(403)
    asBob("sed -i 's/^#methods //' public_html/.htaccess")
    expect((await client(web.url).put(name, TEXT, "x")).status).toBe(201)
    expect((await client(web.url).get(name)).text).toBe("x")
    expect((await client(web.url).del(name)).status).toBe(204)
  })

  test("a password in .htaccess", async () => {
    asBob(`sed -i -e 's/^Require all granted/#methods &/' -e 's/^#password //' public_html/.htaccess
      printf 'alice:%s\\n' "$(openssl passwd -apr1 secret)" >.htpasswd-streams
      chmod 644 .htpasswd-streams`)
    const name = fresh()
    expect((await client(web.url).put(name, TEXT, "x")).status).toBe(401)
    expect((await client(web.url).get("/health")).status).toBe(401)
    expect((await client(web.url).options(name)).status).toBe(204)
    expect((await client(web.url).put(name, { ...TEXT, ...ALICE }, "x")).status).toBe(201)
    expect((await client(web.url).get(name, ALICE)).text).toBe("x")
  })

  test("workers of subscriptions need no password, and everything else does", async () => {
    const token = { authorization: "Bearer s.1.AAAAAAAAAAAAAAAAAAAAAA" }
    const places = [web.url, `${web.url}/streams.cgi`, web.atRoot, `${web.atRoot}/streams.cgi`]
    for (const api of places.map(client)) {
      for (const verb of ["callback", "ack", "release"])
        for (const id of ["nobody", "webhook%3Atype%3Aname", "a%2Fb"]) {
          const target = `/v1/stream/__ds/subscriptions/${id}/${verb}`
          const answer = await api.post(target, token, "{}")
          expect([answer.status, isOurs(answer)], `${api.url}${target} ${answer.text}`).toEqual([404, true])
        }
      expect(isOurs(await api.get("/v1/stream/__ds/jwks.json"))).toBe(true)
      for (const target of [
        "/v1/stream/__ds/subscriptions/nobody",
        "/v1/stream/x/v1/stream/__ds/subscriptions/s/callback",
        "/v1/stream/x%2F..%2F__ds%2Fsubscriptions%2Fs%2Fcallback",
        "/v1/stream/~x/v1/stream/__ds/jwks.json",
        "/v1/stream/streams.cgi/v1/stream/__ds/jwks.json",
      ])
        expect((await api.put(target, token, "{}")).status, `${api.url}${target}`).toBe(401)
    }
  })

  test("a line of cron sends webhooks", async () => {
    const page = fs.readFileSync(path.join(root, "deploy/operations.md"), "utf8")
    const [, line] = /^(?:\* ){5}(.*--deliver --once)$/m.exec(page)
    const [command, ...args] = [...asUser(NOBODY), "sh", "-c", line]
    // not synchronously: the receiver is in this process
    const cron = () => promisify(execFile)(command, args, { cwd: house, env: { HOME: house } })
    const got = []
    const receiver = http.createServer((question, answer) => {
      let text = ""
      question.on("data", (data) => (text += data))
      question.on("end", () => {
        got.push(JSON.parse(text))
        answer.end('{"done":true}')
      })
    })
    await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve))
    try {
      fs.appendFileSync(inHome("durable-streams/settings"), "DS_WEBHOOK_LOCAL=1\n")
      const name = fresh()
      const subscription = "/v1/stream/__ds/subscriptions/by-cron"
      const url = `http://127.0.0.1:${receiver.address().port}/`
      const body = { type: "webhook", streams: [name.slice(11)], webhook: { url } }
      const put = () => client(web.url).put(subscription, ALICE, JSON.stringify(body))
      expect((await put()).status, "nothing sends webhooks yet").toBe(400)
      await cron()
      const made = await put()
      expect(made.status, made.text).toBe(201)
      await client(web.url).create(name, "text/plain", "x", ALICE)
      await cron()
      expect(got).toMatchObject([{ subscription_id: "by-cron", generation: 1 }])
      expect(got[0].callback_url).toBe(`${web.url}${subscription}/callback`)
      const { streams } = JSON.parse((await client(web.url).get(subscription, ALICE)).text)
      expect(streams[0].acked_offset).toBe(got[0].streams[0].tail_offset)
      await cron()
      expect(got.length).toBe(1)
    } finally {
      receiver.close()
    }
  })

  test("--remove leaves the database and the user's own rules", async () => {
    asBob(`cd ${NAME}; sh install.sh --remove`)
    expect(rules()).toBe("# bob's own\n")
    expect(fs.existsSync(inHome("public_html/streams.cgi"))).toBe(false)
    expect(fs.readdirSync(inHome("durable-streams")).sort()).toEqual(["data", "settings"])
    expect(fs.existsSync(inHome("durable-streams/data/streams.db"))).toBe(true)
    asBob(`cd ${NAME}; sh install.sh`)
    expect(rules()).toContain("streams.cgi")
  })
})
