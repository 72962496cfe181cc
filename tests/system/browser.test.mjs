// Two things that only a browser can show, in headless Chromium. Its EventSource, which does not
// know the protocol, must follow a stream across connections that end or are cut, and stop at the
// end of a closed stream. Its cache must not hide from a page the data that the page has just
// appended. The page has another origin than the streams, as most pages do.

import { spawnSync } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import os from "node:os"
import path from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { cleanEnv, end, launch, sleep, startServer, until } from "./harness.mjs"
import { client, fresh } from "./http.mjs"

const JSON_TYPE = "application/json"
const CLOSE = { "stream-closed": "true" }

let server, api, pages, folder

/** The pages' own origin: serves a page for each scenario, and receives its reports. */
async function startPages() {
  const scenarios = new Map()
  const listener = http.createServer(async (request, answer) => {
    const [, name, word] = request.url.split("/")
    const scenario = scenarios.get(name)
    if (!scenario) return answer.writeHead(404).end()
    if (request.method === "GET")
      return answer
        .writeHead(200, { "content-type": "text/html; charset=utf-8" })
        .end(`<!doctype html><title>${name}</title><script type="module">
          const say = (word, what = null) =>
            fetch("/${name}/" + word, { method: "POST", body: JSON.stringify(what) })
          addEventListener("error", (event) => say("failed", event.message))
          addEventListener("unhandledrejection", (event) => say("failed", String(event.reason)))
          await (${scenario.run})(${scenario.given}, say)
        </script>`)
    let body = ""
    for await (const chunk of request) body += chunk
    scenario.said.set(word, JSON.parse(body))
    answer.writeHead(204).end()
  })
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${listener.address().port}`
  return {
    stop: () => new Promise((resolve) => (listener.closeAllConnections(), listener.close(resolve))),
    /** A page that runs the function with its arguments; said(word) waits for a report. */
    add(name, given, run) {
      const said = new Map()
      scenarios.set(name, { said, run: run.toString(), given: JSON.stringify(given) })
      const hear = async (word, timeout = 20_000) => {
        await until(
          () => said.has(word) || said.has("failed"),
          () => `the page says ${word}; it said ${JSON.stringify([...said])}`,
          { timeout }
        )
        if (said.has("failed")) throw new Error(`the page failed: ${said.get("failed")}`)
        return said.get(word)
      }
      return { url: `${url}/${name}/`, hear }
    },
  }
}

/** Opens a page in a browser of its own, with an empty cache; ended by the function returned. */
function browse(url) {
  const profile = fs.mkdtempSync(path.join(folder, "profile-"))
  const log = path.join(profile, "log")
  const child = launch(
    "chromium",
    [
      "--headless",
      "--no-sandbox", // containers may forbid it, and root cannot use it
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--user-data-dir=${profile}`,
      url,
    ],
    { log, env: cleanEnv({ HOME: profile }) }
  )
  return async () => {
    await end(child, "SIGTERM", 5000)
    return fs.readFileSync(log, "utf8")
  }
}

beforeAll(async () => {
  if (spawnSync("chromium", ["--version"]).status !== 0)
    throw new Error("there is no chromium: run deploy/packages.sh test")
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-browser-"))
  server = await startServer({ env: { DS_SSE_LIFETIME_MS: "1000" } })
  api = client(server.url)
  pages = await startPages()
})

afterAll(async () => {
  await pages?.stop()
  await server?.stop()
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

test("EventSource sees each message once, across connections that end or are cut, and stops at the end of the stream", async () => {
  const stream = fresh("browser")
  await api.create(stream, JSON_TYPE)
  const page = pages.add("events", server.url + stream, async (url, say) => {
    const sources = ["-1", "now"].map((offset) => {
      const source = new EventSource(`${url}?offset=${offset}&live=sse`)
      const reader = { source, seen: [], opened: 0 }
      source.addEventListener("data", (event) => reader.seen.push(...JSON.parse(event.data)))
      source.addEventListener("control", () => reader.told?.())
      source.addEventListener("open", () => reader.opened++)
      reader.ready = new Promise((resolve) => (reader.told = resolve))
      reader.over = new Promise((resolve) =>
        source.addEventListener("error", () => source.readyState === 2 && resolve())
      )
      return reader
    })
    await Promise.all(sources.map((reader) => reader.ready))
    await say("ready")
    await Promise.all(sources.map((reader) => reader.over))
    await say(
      "over",
      sources.map(({ seen, opened }) => ({ seen, opened }))
    )
  })
  const close = browse(page.url)
  try {
    await page.hear("ready", 60_000)
    // Chromium comes back three seconds after the end of a connection: there is time for three ends
    let n = 0
    for (let i = 0; i < 100; i++) {
      if (i === 50) server.kill("SIGKILL")
      for (;;) {
        const answer = await api.append(stream, JSON_TYPE, String(n), {
          "producer-id": "p",
          "producer-epoch": "0",
          "producer-seq": String(n),
        }).catch(() => undefined)
        if (answer) break
        await sleep(20)
      }
      n++
      await sleep(80)
    }
    await api.post(stream, CLOSE)
    const readers = await page.hear("over", 30_000)
    for (const { seen, opened } of readers) {
      expect(seen).toEqual(Array.from({ length: n }, (_, i) => i))
      expect(opened, "connections").toBeGreaterThan(2)
    }
  } finally {
    await close()
  }
})

test("a page reads the data that it has just appended, despite its cache", async () => {
  const stream = fresh("browser")
  await api.create(stream, "text/plain", "one ")
  const page = pages.add("stale", server.url + stream, async (url, say) => {
    const read = async () => (await fetch(`${url}?offset=-1`)).text()
    const append = (body) =>
      fetch(url, { method: "POST", headers: { "content-type": "text/plain" }, body })
    const reads = [await read(), await read()]
    for (const word of ["two ", "three "]) {
      await append(word)
      reads.push(await read())
    }
    await say("read", reads)
  })
  const close = browse(page.url)
  try {
    expect(await page.hear("read", 60_000)).toEqual([
      "one ",
      "one ",
      "one two ",
      "one two three ",
    ])
  } finally {
    await close()
  }
})
