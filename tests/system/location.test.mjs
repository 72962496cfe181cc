// Streams below /streams/ of a site that exists already: deploy/*/location.conf, through each web server.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { cleanEnv, end, launch, program, root, until } from "./harness.mjs"
import { client, fresh } from "./http.mjs"
import { startApache } from "./web/apache.mjs"
import { fill } from "./web/fill.mjs"
import { startLighttpd } from "./web/lighttpd.mjs"
import { startNginx } from "./web/nginx.mjs"

const TEXT = { "content-type": "text/plain" }
const SOCKET = "/run/durable-streams/app.sock"

const snippet = (server, socket) =>
  fill(fs.readFileSync(path.join(root, "deploy", server, "location.conf"), "utf8"), {
    [SOCKET]: socket,
  })

// A site with pages of its own, in place of the one that the test's server would have.
const sites = {
  nginx: {
    start: startNginx,
    site: (old, { own, socket }) => `server {
    ${/listen 127\.0\.0\.1:\d+;/.exec(old)[0]}
    root "${own}";
    location ~ \\.php$ { return 200 "php"; }
    ${snippet("nginx", socket)}
}
`,
  },
  apache: {
    start: (given) => startApache({ ...given, kind: "proxy" }),
    site: (old, { own, socket }) => `${/<VirtualHost .*>/.exec(old)[0]}
    DocumentRoot "${own}"
    <Directory "${own}">
        Require all granted
    </Directory>
    ${snippet("apache", socket)}
</VirtualHost>
`,
  },
  lighttpd: {
    start: (given) => startLighttpd({ ...given, kind: "service" }),
    site: (_, { own, socket }) => `server.document-root := "${own}"
${snippet("lighttpd", socket)}
`,
  },
}

describe.each(Object.entries(sites))("%s", (_, { start, site }) => {
  let folder, log, web, responder, api

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
    fs.chmodSync(folder, 0o755)
    const own = path.join(folder, "pages")
    const socket = path.join(folder, "app.sock")
    log = path.join(folder, "log")
    fs.mkdirSync(own)
    fs.writeFileSync(path.join(own, "page.txt"), "a page of the site")
    fs.writeFileSync(log, "")
    const edit = (name, text) => (name === "site.conf" ? site(text, { own, socket }) : text)
    web = await start({ folder, sockets: [socket], log, edit })
    responder = launch(program, ["--listen", `unix:${socket}`], {
      log,
      env: cleanEnv({
        DS_DATABASE: path.join(folder, "streams.db"),
        DS_BASE_URL: `${web.url}/streams`,
        DS_LOG_LEVEL: "warn",
      }),
    })
    api = client(`${web.url}/streams`)
    await until(
      () =>
        api.get("/health").then(
          ({ status }) => status === 200,
          () => false
        ),
      () => fs.readFileSync(log, "utf8").slice(-3000),
      { timeout: 15_000 }
    )
  })

  afterAll(async () => {
    if (web) await end(web.child, "SIGTERM", 20_000)
    if (responder) await end(responder)
    fs.rmSync(folder, { recursive: true, force: true })
  })

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

  test("the site keeps its pages, and streams have no other path", async () => {
    const outside = client(web.url)
    expect((await outside.get("/page.txt")).text).toBe("a page of the site")
    expect((await outside.get(fresh())).status).toBe(404)
    expect((await outside.get("/health")).status).toBe(404)
  })
})
