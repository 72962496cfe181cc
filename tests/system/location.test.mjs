// Streams below /streams/ of a site that exists already: deploy/*/location.conf, through each web server.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { lifeOf, NAMES } from "./doors/subscriptions.mjs"
import { cleanEnv, end, launch, program, root, until } from "./harness.mjs"
import { client, fresh, isHealthy } from "./http.mjs"
import { isOurs } from "./seen.mjs"
import { startApache } from "./web/apache.mjs"
import { fill } from "./web/fill.mjs"
import { startLighttpd } from "./web/lighttpd.mjs"
import { startNginx } from "./web/nginx.mjs"

const TEXT = { "content-type": "text/plain" }
const SOCKET = "/run/durable-streams/app.sock"

const USERS = "/etc/durable-streams/users"

const read = (name) => fs.readFileSync(path.join(root, "deploy", name), "utf8")
// Commented lines inside a block; `# Text` is prose.
const uncomment = (text) => text.replace(/^( {4})#(?! \S)/gm, "$1")

// Each server's way to ask for a password, as the comments of its snippet say.
const protect = {
  nginx: (text) =>
    fill(text.replace(/^#(?=set |if |}$| {4}set )/gm, ""), {
      "#include /etc/durable-streams/nginx/password.conf;": read("nginx/options/password.conf"),
    }),
  apache: (text) => uncomment(fill(text, { "    Require all granted\n": "" })),
  lighttpd: (text) => uncomment(fill(text, { "#server.modules": "server.modules" })),
}

/** The snippet of a server; with a file of users, it asks for a password. */
function snippet(server, { socket, users }) {
  const text = fill(read(`${server}/location.conf`), { [SOCKET]: socket })
  return users ? fill(protect[server](text), { [USERS]: users }) : text
}

const AUTH_MODULES = ["authn_core", "authn_file", "authz_user", "auth_basic"]
  .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so\n`)
  .join("")

// A site with pages of its own, in place of the one that the test's server would have.
const sites = {
  nginx: {
    start: startNginx,
    site: (old, given) => `server {
    ${/listen 127\.0\.0\.1:\d+;/.exec(old)[0]}
    root "${given.own}";
    location ~ \\.php$ { return 200 "php"; }
    ${snippet("nginx", given)}
}
`,
  },
  apache: {
    start: (given) => startApache({ ...given, kind: "proxy" }),
    site: (old, given) => `${given.users ? AUTH_MODULES : ""}${/<VirtualHost .*>/.exec(old)[0]}
    DocumentRoot "${given.own}"
    <Directory "${given.own}">
        Require all granted
    </Directory>
    ${snippet("apache", given)}
</VirtualHost>
`,
  },
  lighttpd: {
    start: (given) => startLighttpd({ ...given, kind: "service" }),
    site: (_, given) => `server.document-root := "${given.own}"
${snippet("lighttpd", given)}
`,
  },
}

/** The site and a responder, once that answers; with `password`, a user alice has one. */
async function startSite({ start, site }, { password } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  fs.chmodSync(folder, 0o755)
  const own = path.join(folder, "pages")
  const socket = path.join(folder, "app.sock")
  const log = path.join(folder, "log")
  fs.mkdirSync(own)
  fs.writeFileSync(path.join(own, "page.txt"), "a page of the site")
  fs.writeFileSync(log, "")
  let users
  if (password) {
    users = path.join(folder, "users")
    const hash = execFileSync("openssl", ["passwd", "-apr1", password])
    fs.writeFileSync(users, `alice:${hash}`)
  }
  let web, responder
  const stop = async () => {
    if (web) await end(web.child, "SIGTERM", 20_000)
    if (responder) await end(responder)
    fs.rmSync(folder, { recursive: true, force: true })
  }
  try {
    const edit = (name, text) => (name === "site.conf" ? site(text, { own, socket, users }) : text)
    web = await start({ folder, sockets: [socket], log, edit })
    responder = launch(program, ["--listen", `unix:${socket}`], {
      log,
      env: cleanEnv({
        DS_DATABASE: path.join(folder, "streams.db"),
        DS_BASE_URL: `${web.url}/streams`,
        DS_LOG_LEVEL: "warn",
      }),
    })
    const api = client(`${web.url}/streams`)
    const headers = password ? basic("alice", password) : {}
    await until(
      () => isHealthy(api, headers),
      () => fs.readFileSync(log, "utf8").slice(-3000),
      { timeout: 15_000 }
    )
    return { web, api, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const basic = (user, password) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
})

describe.each(Object.entries(sites))("%s", (_, server) => {
  let web, api, stop

  beforeAll(async () => {
    ;({ web, api, stop } = await startSite(server))
  })

  afterAll(() => stop?.())

  test("create, append, read; Location has the port and the path, and leads back", async () => {
    const name = fresh()
    const made = await api.put(name, TEXT, "one ")
    expect([made.status, made.headers.location]).toEqual([201, `${web.url}/streams${name}`])
    const there = new URL(made.headers.location).pathname
    expect((await client(web.url).post(there, TEXT, "two")).status).toBe(204)
    expect((await api.get(`${name}?offset=-1`)).text).toBe("one two")
    expect((await api.del(name)).status).toBe(204)
    expect((await api.get(name)).status).toBe(404)
  })

  test("an SSE event arrives while the answer is open", async () => {
    const name = fresh()
    await api.create(name)
    const reader = await api.sse(`${name}?offset=-1&live=sse`)
    await reader.waitFor((event) => event.control)
    await api.append(name, "text/plain", "news")
    await reader.waitFor((event) => event.data === "news", "the message", 5000)
    await api.post(name, { "stream-closed": "true" })
    expect(await reader.ended).toMatchObject({ complete: true })
  })

  test("a fork names its source by the path of its URL", async () => {
    const name = fresh()
    await api.create(name, "text/plain", "source")
    const fork = fresh("fork")
    const made = await api.put(fork, { "stream-forked-from": `/streams${name}` })
    expect([made.status, made.headers.location]).toEqual([201, `${web.url}/streams${fork}`])
    expect((await api.get(fork)).text).toBe("source")
  })

  test("a stream may have a name that looks like a script", async () => {
    const name = `${fresh()}.php`
    expect((await api.put(name, TEXT, "no script")).status).toBe(201)
    expect((await api.get(name)).text).toBe("no script")
  })

  test.each(NAMES)("a subscription called %s, whose worker has a token", (name) => lifeOf({ api }, name))

  test("the site keeps its pages, and streams have no other path", async () => {
    const outside = client(web.url)
    expect((await outside.get("/page.txt")).text).toBe("a page of the site")
    expect((await outside.get(fresh())).status).toBe(404)
    expect((await outside.get("/health")).status).toBe(404)
  })
})

test.each(Object.entries(sites))("%s: the commented lines ask for a password", async (name, server) => {
  const { web, api, stop } = await startSite(server, { password: "secret" })
  try {
    const stream = fresh()
    expect((await api.put(stream, TEXT, "one")).status).toBe(401)
    expect((await api.put(stream, { ...TEXT, ...basic("alice", "wrong") }, "one")).status).toBe(401)
    expect((await api.put(stream, { ...TEXT, ...basic("alice", "secret") }, "one")).status).toBe(201)
    expect((await api.get(stream)).status).toBe(401)
    expect((await api.get(stream, basic("alice", "secret"))).text).toBe("one")
    expect((await api.any("OPTIONS", stream)).status).toBeLessThan(300)
    expect((await client(web.url).get("/page.txt")).text).toBe("a page of the site")

    // workers of subscriptions have no password, and a token of the responder
    const token = { authorization: "Bearer s.1.AAAAAAAAAAAAAAAAAAAAAA" }
    const passes = name !== "lighttpd"
    for (const verb of ["callback", "ack", "release"]) {
      const answer = await api.post(`/v1/stream/__ds/subscriptions/a%3Ab/${verb}`, token, "{}")
      const shown = `${verb} ${answer.text}`
      expect([answer.status, isOurs(answer)], shown).toEqual(passes ? [404, true] : [401, false])
    }
    expect(isOurs(await api.get("/v1/stream/__ds/jwks.json", token))).toBe(passes)
    for (const [method, target] of [
      ["PUT", "/v1/stream/__ds/subscriptions/a"],
      ["POST", "/v1/stream/__ds/subscriptions/a/claim"],
      ["DELETE", "/v1/stream/__ds/subscriptions/a/streams/callback"],
      ["PUT", "/v1/stream/x%2F..%2F__ds%2Fsubscriptions%2Fs%2Fcallback"],
      ["PUT", "/v1/stream/x%2F..%2F..%2F..%2Fopen"],
      ["PUT", "/open"],
      ["PUT", "/x/streams/v1/stream/__ds/subscriptions/s/callback"],
    ]) {
      const { status } = await api.any(method, target, token, method === "DELETE" ? undefined : "{}")
      expect(status, `${method} ${target}`).toBe(401)
    }
  } finally {
    await stop()
  }
})
