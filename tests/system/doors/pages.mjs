// Cases of the table (table.mjs): what a page of another origin can see of the program's answers,
// and of those that the web server makes itself.

import { expect } from "vitest"
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { end, program, startServer, until } from "../harness.mjs"
import { client, fresh, request } from "../http.mjs"
import { corsOf, expectSeen, isOurs } from "../seen.mjs"
import { TEXT } from "./context.mjs"

const PROGRAM = "durable-streams.fcgi"
const PAGE = { origin: "https://page.example" }

/** Answers of the program, one of every kind: [request, answer]. */
async function answersOf(url) {
  const api = client(url)
  const stream = fresh("page")
  await api.create(stream, "application/json", JSON.stringify("x".repeat(3000)))
  const { etag } = (await api.get(stream)).headers
  const list = []
  for (const [method, target, headers] of [
    ["GET", stream],
    ["GET", stream, { "accept-encoding": "gzip" }],
    ["GET", stream, { "if-none-match": etag }],
    ["HEAD", stream],
    ["OPTIONS", stream],
    ["GET", `${stream}?offset=-1&live=long-poll`],
    ["GET", `${stream}?offset=bad`],
    ["PUT", fresh("page"), TEXT],
    ["PUT", stream, TEXT],
    ["POST", stream, { "stream-closed": "true" }],
    ["DELETE", stream],
    ["GET", stream],
  ]) {
    const answer = await request(url, method, target, { headers: { ...PAGE, ...headers } })
    list.push([`${method} ${target} ${answer.status} ${JSON.stringify(answer.headers)}`, answer])
  }
  return list
}

/**
 * The answer of a server whose program, or files of this name, are removed: only the web server is left
 * to answer.
 */
async function askWithout(t, name) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-test-"))
  const copy = path.join(folder, PROGRAM)
  fs.chmodSync(folder, 0o755)
  fs.copyFileSync(program, copy)
  const server = await startServer({ door: t.door, program: copy })
  try {
    // some doors copy the program
    execFileSync("find", [folder, server.folder, "-name", name, "-type", "f", "-delete"])
    await Promise.all(server.supervisors.map((child) => end(child)))
    server.kill()
    let answer
    await until(
      async () => {
        answer = await request(server.url, "GET", fresh(), { headers: PAGE, fresh: true })
        return !isOurs(answer)
      },
      () => `the web server itself answers: ${answer.status} ${JSON.stringify(answer.headers)}`
    )
    return answer
  } finally {
    await server.stop()
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

const refused = [
  ["GET", `${fresh()}/%zz`],
  ["PUT", `${fresh()}/%`],
  ["TRACE", fresh()],
]

export const pages = [
  {
    name: "a page of another origin can read each answer",
    async run(t) {
      for (const [what, answer] of await answersOf(t.url)) {
        expect(isOurs(answer), what).toBe(true)
        expect(corsOf(answer), what).toEqual([1, 1])
      }
      const off = await t.start({ DS_CORS_ORIGIN: "" })
      try {
        for (const [what, answer] of await answersOf(off.url))
          expect(corsOf(answer), `CORS is off: ${what}`).toEqual([0, 0])
      } finally {
        await off.stop()
      }
    },
  },
  {
    name: "a page can read the web server's own answers",
    cannot: {
      http: () => ({
        why: "there is no web server",
        async instead(t) {
          for (const [method, target] of refused) {
            const answer = await request(t.url, method, target, { headers: PAGE, fresh: true })
            expect(answer.status, `${method} ${target}`).toBeGreaterThanOrEqual(400)
            expect(corsOf(answer), `${method} ${target}`).toEqual([1, 1])
          }
        },
      }),
      caddy: () => ({
        why: "Caddy's HTTP library refuses a path with %zz before any configuration counts",
        async instead(t) {
          expect((await request(t.url, ...refused[0], { headers: PAGE, fresh: true })).status).toBe(400)
          expectSeen(await askWithout(t, PROGRAM), "no program")
        },
      }),
      hosting: () => ({
        why: "on shared hosting, the host answers paths that Apache refuses; only its answers within the folder can be read",
        async instead(t) {
          expectSeen(await askWithout(t, PROGRAM), "no program")
          expectSeen(await askWithout(t, "streams.cgi"), "no script")
        },
      }),
      mixed: () => ({
        why: "the web server in front belongs to the test",
        instead: async (t) => expectSeen(await askWithout(t, PROGRAM), "no program"),
      }),
    },
    async run(t) {
      for (const [method, target] of refused) {
        const answer = await request(t.url, method, target, { headers: PAGE, fresh: true })
        expect(answer.status, `${method} ${target}`).toBeGreaterThanOrEqual(400)
        // lighttpd passes these requests on to the program
        if (isOurs(answer)) expect(corsOf(answer), `${method} ${target}`).toEqual([1, 1])
        else expectSeen(answer, `${method} ${target}`)
      }
      const answer = await askWithout(t, PROGRAM)
      expectSeen(answer, "no program")
      return `${answer.status} without a program`
    },
  },
]
