// The program dsctl, as people and scripts run it: on a real server behind nginx, and on a database file.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import fs from "node:fs"
import http from "node:http"
import https from "node:https"
import path from "node:path"
import {
  build,
  cleanEnv,
  cleanUp,
  freePort,
  processesKnowing,
  root,
  sleep,
  startServer,
  until,
} from "./harness.mjs"
import { CONFLICT, DONE, dsctl, dsctlRunner, FAILED, NOT_FOUND, REPLACED, UNREACHABLE, USAGE } from "./dsctl/program.mjs"
import { client, fresh } from "./http.mjs"

const REGISTRY = "/v1/stream/__registry__"
const { undo, folder } = cleanUp(afterEach)

let server
let api

beforeAll(async () => {
  server = await startServer({
    env: { DS_REGISTRY: REGISTRY, DS_TEST_ENDPOINTS: "1", DS_LONG_POLL_TIMEOUT_MS: "2000" },
  })
  api = client(server.url)
})
afterAll(() => server?.stop())

const { start, ds, ok } = dsctlRunner(undo, () => ({ DS_URL: server.url }))

const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => String(from + i))
const fault = (path, settings) =>
  api.post("/_test/inject-error", {}, JSON.stringify({ path, ...settings }))

// --------------------------------------------------------------------------------------- help

const commands = spawnSync(dsctl, ["--help"], { encoding: "utf8" })
  .stdout.split("\n")
  .filter((line) => /^ {2}[a-z][a-z-]*( [a-z]+)? {2,}/.test(line) && !/^ {2}dsctl/.test(line))
  .map((line) => line.trim().split(/ {2,}/)[0])
const optionsOf = (help) => [...help.matchAll(/^ {2}(?:-\w,| {3}) (--[a-z-]+)/gm)].map(([, o]) => o)

const completions = path.join(root, "deploy/completion")
const zsh = `emulate -R zsh
  compadd() {
    while [[ $1 == -* && $1 != -- ]]; do
      if [[ $1 == -a ]]; then print -rl -- "\${(@P)2}"; return; fi
      shift
    done
    [[ $1 == -- ]] && shift
    print -rl -- "$@"
  }
  _describe() { local array=\${argv[-1]}; print -rl -- \${\${(P)array}%%:*} }
  _files() { print -r -- FILES }
  words=(dsctl "$@") CURRENT=$#words PREFIX=\${words[-1]}
  . ${completions}/_dsctl`

/** What a shell offers for the last of these words; bash adds quotes, the other shells insert them later. */
const complete = (shell, ...words) => {
  const [args, env] = {
    bash: [
      ["--norc", "-euc", `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dsctl; printf '%s\n' "\${COMPREPLY[@]}"`,
        `${completions}/dsctl.bash`, "dsctl", ...words],
    ],
    fish: [
      ["--no-config", "-c", `source ${completions}/dsctl.fish; complete -C "$LINE"`],
      { LINE: ["dsctl", ...words].join(" "), HOME: folder() },
    ],
    // zsh itself drops words that do not match
    zsh: [["-f", "-c", zsh, "zsh", ...words]],
  }[shell]
  const { stdout, stderr } = spawnSync(shell, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: cleanEnv({ PATH: `${build}:${process.env.PATH}`, DS_URL: server.url, ...env }),
  })
  expect(stderr).toBe("")
  return stdout
    .split("\n")
    .map((line) => line.split("\t")[0])
    .filter((word) => word && (shell !== "zsh" || word.startsWith(words.at(-1))))
}

describe("help", () => {
  test("names every command, with examples and exit codes", async () => {
    const help = await ok(["--help"])
    for (const name of ["serve", "create", "append", "tail", "ls", "show", "close", "rm", "fork"])
      expect(commands).toContain(name)
    for (const name of ["fault add", "fault ls", "fault clear", "sub tail", "webhook-key rotate"])
      expect(commands).toContain(name)
    expect(help).toMatch(/examples:\n {2}dsctl /)
    expect(help).toContain("3 no such stream")
  })

  test.each(commands)("%s --help: usage, options, examples that name real options", async (name) => {
    const help = await ok([...name.split(" "), "--help"])
    expect(help).toMatch(new RegExp(`^usage: dsctl ${name}`, "m"))
    const examples = help.slice(help.indexOf("\nexamples:\n"))
    expect(examples).toMatch(new RegExp(`dsctl [^|\n]*\\b${name}\\b`))
    const known = optionsOf(help)
    for (const [, line] of examples.matchAll(new RegExp(`dsctl ([^|<#\n]*\\b${name}\\b[^|<#\n)]*)`, "g")))
      for (const [option] of line.matchAll(/(?<= )--[a-z-]+/g)) expect(known, line).toContain(option)
  })

  test("the manual has an entry for each command, with all its options and an example", async () => {
    const page = path.join(root, "deploy/man/dsctl.1")
    const manual = fs.readFileSync(page, "utf8")
    const optionsIn = (text) => [...text.matchAll(/Fl Fl ([a-z-]+)/g)].map(([, name]) => `--${name}`)
    const ofAll = optionsOf(await ok(["help"]))
    expect(optionsIn(manual.slice(0, manual.indexOf(".Sh COMMANDS")))).toEqual(expect.arrayContaining(ofAll))
    const entries = new Map(
      manual
        .slice(manual.indexOf(".Sh COMMANDS"), manual.indexOf(".Ss Repeated requests"))
        .split(/^\.It Ic /m)
        .slice(1)
        .map((text) => [/^(fault|sub|webhook-key) \w+|^\w+/.exec(text)[0], text])
    )
    expect([...entries.keys()]).toEqual(commands)
    for (const [name, text] of entries) {
      const own = optionsOf(await ok([...name.split(" "), "--help"])).filter((option) => !ofAll.includes(option))
      expect(optionsIn(text), name).toEqual(expect.arrayContaining(own))
      expect(text).toMatch(new RegExp(`^\\.Dl .*\\bdsctl .*${name}`, "m"))
      for (const [option] of /^\.Dl (.*)$/m.exec(text)[1].matchAll(/ --[a-z-]+/g))
        expect([...own, ...ofAll], text).toContain(option.trim())
    }
  })

  describe.each(["bash", "fish", "zsh"])("completion in %s", (shell) => {
    test("knows every command and option, and what the options before a command are", async () => {
      const first = [...new Set(commands.map((name) => name.split(" ")[0]))].sort()
      expect(complete(shell, "").sort()).toEqual(first)
      expect(complete(shell, "help", "").sort()).toEqual(first)
      expect(complete(shell, "ta")).toEqual(["tail"])
      for (const group of ["fault", "sub", "webhook-key"])
        for (const words of [[group], ["help", group]])
          expect(complete(shell, ...words, "").sort()).toEqual(
            commands.filter((name) => name.startsWith(`${group} `)).map((name) => name.split(" ")[1]).sort()
          )
      for (const name of ["", ...commands]) {
        const words = name.split(" ").filter(Boolean)
        const options = optionsOf(await ok([...words, "--help"])).sort()
        expect(complete(shell, ...words, "--").sort(), name).toEqual(options)
      }
      expect(complete(shell, "fault", "add", "--sse-")).toHaveLength(2)
      expect(complete(shell, "ls", "--sort", "m")).toEqual(["messages"])
      for (const [, letter, name, value] of (await ok(["help"])).matchAll(/^ {2}(-\w)?,? *(--[a-z-]+)( [A-Z]\S*)?/gm))
        for (const option of [letter, name].filter(Boolean))
          expect(complete(shell, option, ...(value ? ["x"] : []), "vacu"), option).toEqual(["vacuum"])
    })

    test("takes names for words: runs none of them, and takes none for an option", async () => {
      const prefix = fresh("complete")
      const short = prefix.slice("/v1/stream/".length)
      const mark = path.join(folder(), "ran")
      const names = [`$(touch$IFS${mark})`, `(touch ${mark})`, "a;b", "it's", "*", "x:y", "!!", "&$HOME", "plain"].map(
        (end) => `${prefix}${end.replace(" ", "%20")}`
      )
      const option = "/v1/stream/--state=" + short
      for (const name of [...names, option]) await ok(["create", name])
      const offered = complete(shell, "tail", short)
      expect(offered).toContain(`${short}plain`)
      // the words as the shell reads them
      const words =
        shell === "bash"
          ? spawnSync("bash", ["--norc", "-c", `printf '%s\n' ${offered.join(" ")}`], { encoding: "utf8" })
              .stdout.trim()
              .split("\n")
          : offered
      expect(words.sort()).toEqual(names.map((name) => name.slice(11)).sort())
      expect(complete(shell, "tail", prefix)).toContain(`${prefix}plain`)
      if (shell === "bash") expect(complete(shell, "tail", `'${short}`)).toEqual([`${short}plain`, `${short}x:y`])
      expect(complete(shell, "tail", "")).toContain(option)
      for (const word of complete(shell, "tail", "")) expect(word).not.toMatch(/^-/)
      expect(complete(shell, "--db", server.database, "tail", short)).toContain(`${short}plain`)
      expect(fs.existsSync(mark)).toBe(false)
      await ok(["rm", option, ...names])
    })
  })

  test("help and version are commands as well", async () => {
    expect(await ok(["help"])).toBe(await ok(["--help"]))
    expect(await ok(["help", "tail"])).toBe(await ok(["tail", "--help"]))
    expect(await ok(["help", "fault", "add"])).toBe(await ok(["fault", "add", "--help"]))
    expect(await ok(["version"])).toBe(await ok(["--version"]))
  })

  test("--version is the server's", async () => {
    const { stdout } = spawnSync(path.join(build, "durable-streams.fcgi"), ["--version"], {
      encoding: "utf8",
    })
    expect(await ok(["--version"])).toBe(`dsctl ${stdout.trim().split(" ")[1]}`)
  })
})

test.each([
  [[], /which command/],
  [["nope-nope"], /no command nope-nope; see dsctl help$/m],
  [["tial", "x"], /no command tial; did you mean tail\?/],
  [["fault"], /which one: fault add, fault ls, fault clear\?/],
  [["fault", "--help"], /which one: fault add, fault ls, fault clear\?/],
  [["fault", "celar"], /no command fault celar; did you mean fault clear\?/],
  [["help", "crate"], /no command crate; did you mean create\?/],
  [["version", "x"], /usage: dsctl version;/],
  [["show"], /usage: dsctl show STREAM/],
  [["show", "a", "b"], /usage: dsctl show STREAM/],
  [["fork", "a"], /usage/],
  [["show", "a", "--nope"], /unknown option --nope: see dsctl help show$/m],
  [["tail", "a", "--offest", "1"], /unknown option --offest \(did you mean --offset\?\)/],
  [["create", "a", "--ttl", "-5"], /--ttl takes a duration: [^\n]*5h/],
  [["create", "a", "--ttl", "1.5h"], /--ttl takes a duration/],
  [["show", "a", "--timeout", "2d"], /--timeout takes a duration: .* from 1 to 86400 seconds/],
  [["create", "a", "--expires-at", "tomorrow"], /--expires-at/],
  [["append", "a", "--epoch", "1"], /need --producer/],
  [["append", "a", "--json", "--lines"], /cannot be used together/],
  [["tail", "a", "--sse", "--long-poll"], /cannot be used together/],
  [["ls", "--sort", "size"], /--sort takes/],
  [["ls", "--sort", "bytes"], /--sort takes/],
  [["fault", "add", "a"], /name a fault/],
  [["fault", "add", "a", "--status", "99"], /--status/],
  [["fault", "add", "a", "--drop", "--probability", "2"], /--probability/],
  [["serve", "--port", "70000"], /--port/],
  [["serve", "--memory", "--database", "x"], /cannot be used together/],
  [["show", "a", "--url", "http://x", "--db", "y"], /cannot be used together/],
  [["show", "http://elsewhere.example/v1/stream/x"], /not below/],
  [["create", "a", "-t", "text/plain\r\nX: y"], /--content-type is one line/],
  [["show", "a", "-H", "nonsense"], /--header takes/],
])("wrong command line %j: status 2 and one line", async (args, reason) => {
  const { code, text, err } = await ds(args)
  expect(err).toMatch(reason)
  expect(err).toMatch(/^dsctl[^\n]*\n$/)
  expect(text).toBe("")
  expect(code).toBe(USAGE)
})

test("no answer: status 5 at once", async () => {
  const port = await freePort()
  const { code, err } = await ds(["show", "x", "--url", `http://127.0.0.1:${port}`])
  expect(err).toMatch(/^dsctl show: http:\/\/127.0.0.1:\d+: cannot connect: Connection refused\n$/)
  expect(code).toBe(UNREACHABLE)
})

test("sends headers with every request, uses no proxy to this machine, refuses strange answers", async () => {
  const seen = []
  const odd = http.createServer((request, answer) => {
    seen.push(`${request.method} ${request.headers.authorization} ${request.headers["x-more"]}`)
    answer.writeHead(request.method === "DELETE" ? 302 : 500, {
      "content-type": "text/html",
      location: server.url,
    })
    answer.end("<html>\x1b[31mno</html>")
  })
  await new Promise((resolve) => odd.listen(0, "127.0.0.1", resolve))
  undo.push(() => new Promise((resolve) => odd.close(resolve)))
  const url = `http://127.0.0.1:${odd.address().port}/prefix`
  const env = { http_proxy: "http://127.0.0.1:9", no_proxy: "" }
  const more = ["--url", url, "-H", "Authorization: Bearer x", "-H", "X-More: y", "--retry", "0"]
  for (const args of [["rm", "a"], ["append", "a", "-t", "text/plain", "-d", "1"], ["show", "a"]]) {
    const { code, err, text } = await ds([...args, ...more], { env })
    expect(err).toMatch(/^dsctl[^\n\x1b<]*\((302|500)\)\n$/)
    expect([code, text]).toEqual([FAILED, ""])
  }
  expect(seen).toEqual(["DELETE", "POST", "HEAD"].map((method) => `${method} Bearer x y`))
})

/** A server that notes the credentials and X-More headers of each request; `hang`: it never answers a GET. */
async function noting(seen, { tls, hang } = {}) {
  const handler = (request, answer) => {
    const [, basic] = /^Basic (.*)$/.exec(request.headers.authorization ?? "") ?? []
    seen.push(basic ? Buffer.from(basic, "base64").toString() : (request.headers["x-more"] ?? null))
    if (hang && request.method === "GET") return
    answer.writeHead(200, { "content-type": "text/plain", "stream-next-offset": "0" })
    answer.end()
  }
  const odd = tls ? https.createServer(tls, handler) : http.createServer(handler)
  await new Promise((resolve) => odd.listen(0, "127.0.0.1", resolve))
  undo.push(() => {
    odd.closeAllConnections()
    return new Promise((resolve) => odd.close(resolve))
  })
  return `127.0.0.1:${odd.address().port}`
}

test("names, passwords and headers: from options, the URL, files and the environment", async () => {
  const seen = []
  const host = await noting(seen)
  const dir = folder()
  const file = (name, text) => {
    fs.writeFileSync(path.join(dir, name), text)
    return `@${path.join(dir, name)}`
  }
  const user = file("user", "me:from a: file\r\nmore\n")
  const headers = file("headers", "X-Other: 1\n\nX-More: from a file\n")
  const plain = ["--url", `http://${host}`]
  const inUrl = ["--url", `http://m%40e:a%3Ab@${host}/`]
  for (const [args, env, expected] of [
    [plain, {}, null],
    [[...plain, "--user", "me:a:b"], { DS_USER: "you:x" }, "me:a:b"],
    [[...plain, "--user=me:"], {}, "me:"],
    [[...plain, "--user", user], {}, "me:from a: file"],
    [plain, { DS_USER: "me:env" }, "me:env"],
    [plain, { DS_USER: user }, "me:from a: file"],
    [inUrl, { DS_USER: "you:x" }, "m@e:a:b"],
    [[], { DS_URL: inUrl[1] }, "m@e:a:b"],
    [["--url", `http://key@${host}`], {}, "key:"],
    [[...inUrl, "--user", "me:x"], {}, "me:x"],
    [[...plain, "-H", headers], {}, "from a file"],
    [plain, { DS_HEADER: "X-Other: 1\nX-More: env" }, "env"],
    [plain, { DS_HEADER: headers }, "from a file"],
  ]) {
    seen.length = 0
    const { code, err } = await ds(["show", "x", ...args], { env })
    expect([code, err, ...seen], `${args} ${JSON.stringify(env)}`).toEqual([DONE, "", expected])
  }
  // the password in the URL of a stream is ignored, and no message shows a password
  expect((await ds(["show", `http://me:pw@${host}/v1/stream/x`, ...inUrl])).code).toBe(DONE)
  for (const args of [
    ["show", "http://me:secret@elsewhere/x", ...inUrl],
    ["show", "x", "--url", `http://me:secret@127.0.0.1:${await freePort()}`],
    ["show", "x", ...plain, "--user", "@/none/secret-less"],
    ["show", "x", ...plain, "--user", file("empty", "")],
    ["show", "x", ...plain, "--header", file("bad", "my secret")],
    ["show", "x", ...plain, "--user", "me"], // there is no terminal to ask on
  ]) {
    const { code, err } = await ds(args)
    expect(code, args.join(" ")).not.toBe(DONE)
    expect(err).toMatch(/^dsctl show: [^\n]*\n$/)
    expect(err).not.toMatch(/secret(?!-less)/)
  }
})

test("secrets of the command line do not stay in the list of processes", async () => {
  const seen = []
  const host = await noting(seen, { hang: true })
  const url = `http://me:hidden1@${host}`
  const tail = start(["tail", `${url}/v1/stream/x`, "--url", url, "--user", "me:hidden2", "--header=X: hidden3"])
  await until(() => seen.length === 2, tail.said)
  const line = fs.readFileSync(`/proc/${tail.child.pid}/cmdline`, "utf8")
  expect(line).toContain(`http://${host}/v1/stream/x`)
  expect(line).toContain("--user")
  expect(line).not.toContain("hidden")
  expect(seen).toEqual(["me:hidden2", "me:hidden2"])
})

test("asks for a password that is missing, without echo", async () => {
  const seen = []
  const url = `http://${await noting(seen)}`
  const run = (...args) => {
    const words = [dsctl, "show", "x", "--url", url, ...args].join(" ")
    const child = spawn("script", ["-qec", words, "/dev/null"], { env: cleanEnv(), stdio: "pipe" })
    const said = { text: "", done: new Promise((resolve) => child.once("close", resolve)) }
    child.stdout.on("data", (data) => (said.text += data))
    child.stdin.on("error", () => {})
    undo.push(() => child.kill("SIGKILL"))
    return { child, said }
  }
  const { child, said } = run("--user", "me")
  await until(() => said.text.includes(`Password of me at ${url}: `), () => said.text)
  child.stdin.write("pass word\n")
  expect(await said.done).toBe(DONE)
  expect(said.text).not.toContain("pass word")
  expect(seen).toEqual(["me:pass word"])

  const other = run("--user", "me")
  await until(() => other.said.text.includes("Password"), () => other.said.text)
  other.child.stdin.write("\x03") // Ctrl-C
  await other.said.done
  expect(seen.length).toBe(1)
})

test("--insecure accepts a certificate that nobody vouches for; --cacert one that is named", async () => {
  const dir = folder()
  const made = spawnSync(
    "openssl",
    ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert", "-days", "2",
      "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"],
    { cwd: dir, encoding: "utf8" }
  )
  expect(made.status, made.stderr).toBe(0)
  const read = (name) => fs.readFileSync(path.join(dir, name))
  const url = `https://${await noting([], { tls: { key: read("key"), cert: read("cert") } })}`
  const show = (...args) => ds(["show", "x", "--url", url, ...args])
  const { code, err } = await show()
  expect([code, err]).toEqual([UNREACHABLE, expect.stringMatching(/certificate/)])
  expect((await show("--insecure")).code).toBe(DONE)
  expect((await show("-k")).code).toBe(DONE)
  expect((await show("--cacert", path.join(dir, "cert"))).code).toBe(DONE)
})

test("does not take the 200 of another server for success, nor the same answer for ever", async () => {
  let offset
  const odd = http.createServer((request, answer) => {
    answer.writeHead(200, { "content-type": "text/plain", ...(offset && { "stream-next-offset": offset }) })
    answer.end(request.method === "GET" ? "again" : "")
  })
  await new Promise((resolve) => odd.listen(0, "127.0.0.1", resolve))
  undo.push(() => new Promise((resolve) => odd.close(resolve)))
  const url = ["--url", `http://127.0.0.1:${odd.address().port}`]
  for (const args of [["append", "a", "-t", "text/plain", "-d", "1"], ["create", "a"], ["show", "a"]]) {
    const { code, err, text } = await ds([...args, ...url])
    expect([code, text, err]).toEqual([FAILED, "", expect.stringContaining("not a server of Durable Streams")])
  }
  offset = "7"
  const { code, err, text } = await ds(["tail", "a", ...url])
  expect([code, text, err]).toEqual([FAILED, "again", expect.stringContaining("damaged")])
})

// --------------------------------------------------------------------------- one after the other

describe("the life of a stream", () => {
  test("create, append, show, tail, close, rm", async () => {
    const name = fresh()
    expect(await ok(["create", name, "-t", "text/plain", "--ttl", "1000"])).toBe(name)
    const again = await ds(["create", name, "-t", "text/plain", "--ttl", "1000"])
    expect([again.code, again.text]).toEqual([DONE, `${name}\n`])
    expect(again.err).toContain("exists already")
    expect((await ds(["create", name, "-t", "text/html"])).code).toBe(CONFLICT)

    const tail = await ok(["append", name], { input: "hello, world\n" })
    expect(tail).toBe((await api.head(name)).headers["stream-next-offset"])
    expect(await ok(["append", name, "--data", "and more"])).not.toBe(tail)
    expect((await api.get(name)).text).toBe("hello, world\nand more")
    expect(await ok(["tail", name, "--offset", tail])).toBe("and more")
    expect(await ok(["tail", name, "--offset", "now"])).toBe("")

    const { createdAt, ...shown } = JSON.parse(await ok(["show", name, "--json"]))
    expect(createdAt).toMatch(/^20\d\d-\S+Z$/)
    expect(shown).toEqual({
      path: name,
      contentType: "text/plain",
      nextOffset: (await api.head(name)).headers["stream-next-offset"],
      closed: false,
      ttlSeconds: 1000,
    })
    const { "stream-next-offset": next } = (await api.head(name)).headers
    const over = await ok(["show", name])
    expect(over).toMatch(new RegExp(`^next offset +${next}$`, "m"))
    expect(over).toMatch(/^closed +no$/m)
    expect(over).toMatch(/^messages +unknown over HTTP: see --db\nbytes +unknown over HTTP/m)
    expect(over).toMatch(new RegExp(`^created +${createdAt}$`, "m"))
    const local = await ok(["--db", server.database, "show", name])
    expect(local).toMatch(new RegExp(`^messages +2\nbytes +21\ncreated +${createdAt}$`, "m"))

    await ok(["close", name, "--data", ", bye"])
    expect(await ok(["show", name])).toMatch(/^closed +yes$/m)
    await ok(["close", name])
    expect((await ds(["append", name], { input: "x" })).code).toBe(CONFLICT)
    expect(await ok(["tail", "-f", name])).toBe("hello, world\nand more, bye")

    await ok(["rm", name])
    for (const args of [["show"], ["tail"], ["tail", "-f"], ["append", "-d", "x"], ["close"], ["rm"]])
      expect((await ds([...args, name])).code, args.join(" ")).toBe(NOT_FOUND)
  })

  test("create with content, closed, expiring; names are short, long or URLs", async () => {
    const short = fresh("a b").slice("/v1/stream/".length)
    const encoded = `/v1/stream/${short.replace(" ", "%20")}`
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    const made = await ok(["create", short, "--closed", "-d", "-", "--expires-at", expires], {
      input: Buffer.from([0, 255, 10]),
    })
    expect(made).toBe(encoded)
    const shown = JSON.parse(await ok(["show", `${server.url}${encoded}`, "--json"]))
    expect(shown).toMatchObject({ path: encoded, closed: true, expiresAt: expires })
    expect((await ds(["tail", encoded])).out).toEqual(Buffer.from([0, 255, 10]))
  })

  test("fork at offsets, by messages, by bytes", async () => {
    const [source, ...forks] = [fresh(), fresh(), fresh(), fresh(), fresh()]
    await api.create(source, "application/json", "[1,2]")
    const offset = (await api.head(source)).headers["stream-next-offset"]
    await api.append(source, "application/json", "[3,4]")
    await ok(["fork", source, forks[0]])
    await ok(["fork", source, forks[1], "--offset", offset, "--ttl", "2h"])
    await ok(["fork", source, forks[2], "-o", "-1", "--sub-offset", "3"])
    expect(await ok(["tail", forks[0]])).toBe("1\n2\n3\n4")
    expect(await ok(["tail", forks[1]])).toBe("1\n2")
    expect(await ok(["tail", forks[2]])).toBe("1\n2\n3")
    expect(JSON.parse(await ok(["show", "--json", forks[1]])).ttlSeconds).toBe(7200)
    expect((await ds(["fork", fresh("none"), forks[3]])).code).toBe(NOT_FOUND)
    await ok(["rm", source])
    expect((await ds(["show", source])).err).toContain("410")
    expect((await ds(["create", source])).code).toBe(CONFLICT)
  })

  test("rm continues after a stream that is missing", async () => {
    const names = [fresh(), fresh("none"), fresh()]
    await ok(["create", names[0]])
    await ok(["create", names[2]])
    expect((await ds(["rm", ...names])).code).toBe(NOT_FOUND)
    for (const name of names) expect((await api.head(name)).status).toBe(404)
  })
})

// ------------------------------------------------------------------------------------- append

describe("append", () => {
  test("JSON lines are messages, byte for byte, in batches", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    const lines = ['{"n":1.0}', "1e400", "[1,2]", '"gr\\u00fcß"', "null", ' {"a" : [ ] } ']
    const input = `${lines.join("\r\n")}\n\n  \n`
    await ok(["append", name, "--json", "--batch", "4"], { input })
    expect((await ds(["tail", name])).lines).toEqual(lines.map((line) => line.trim()))
    await ok(["append", name, "--json", "--data", "[3,4]"])
    await ok(["append", name, "--data", "[5,6]"]) // the protocol makes two messages of an array
    expect((await ds(["tail", name])).lines.slice(-3)).toEqual(["[3,4]", "5", "6"])
  })

  test("one JSON value over several lines is one message", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    await ok(["append", name, "--json"], { input: '[\n  {"a": 1},\n  2\n]\n' })
    expect((await ds(["tail", name])).lines).toEqual(['[   {"a": 1},   2 ]'])
  })

  test("a line that is not JSON ends it with an error that names the line", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    const { code, err } = await ds(["append", name, "--json", "--batch", "2"], {
      input: '1\n2\n3\n{"a":\n5\n',
    })
    expect(code).toBe(FAILED)
    expect(err).toContain("line 4: not JSON")
    expect((await ds(["tail", name])).lines).toEqual(["1", "2"])
  })

  test("input that cannot become JSON is an error at once, while more may come", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    for (const [input, reason] of [
      ['Server listening on port 3000\n{"n":1}\n', /^dsctl append: line 1 is not JSON[^\n]*\n$/],
      ["Server", /line 1 is not JSON/],
      ['\n\n{"a":\n1,\n]', /line 3 is not JSON by itself, and line 5 does not continue it/],
      ['{"a":\n1}\n{"b":', /line 1 is not JSON by itself, and line 3 /],
    ]) {
      const append = start(["append", name, "--json"])
      append.child.stdin.write(input)
      const { code, err } = await append.done // although standard input is still open
      expect([code, err]).toEqual([FAILED, expect.stringMatching(reason)])
    }
    expect((await api.readJson(name)).messages).toEqual([])

    const append = start(["append", name, "--json"])
    append.child.stdin.write("1\n2\n")
    await until(async () => (await api.get(name)).text === "[1,2]", append.said)
    append.child.stdin.write("3\noops")
    const { code, err } = await append.done
    expect([code, err]).toEqual([FAILED, expect.stringMatching(/line 4: not JSON; .* the last batch/)])

    const { status, stderr } = spawnSync("sh", ["-c", `"${dsctl}" append "${name}" --json </dev/zero`], {
      encoding: "utf8",
      env: cleanEnv({ DS_URL: server.url }),
    })
    expect([status, stderr]).toEqual([FAILED, expect.stringContaining("line 1 is not JSON")])
    await ok(["append", name, "--json"], { input: '\n {\n"late": 1}\n\n' })
    expect((await ds(["tail", name])).lines.at(-1)).toBe('{ "late": 1}')
  })

  test("lines are sent as they come, without waiting for a full batch", async () => {
    for (const [type, option] of [
      ["text/plain", "--lines"],
      ["application/json", "--json"],
    ]) {
      const name = fresh()
      await api.create(name, type)
      const append = start(["append", name, option])
      for (let n = 1; n <= 3; n++) {
        append.child.stdin.write(`${n}\n`)
        await until(async () => (await api.get(name)).text.includes(String(n)), append.said)
      }
      append.child.stdin.end("4")
      expect((await append.done).code).toBe(DONE)
      expect((await ds(["tail", name])).text).toBe(option === "--json" ? "1\n2\n3\n4\n" : "1\n2\n3\n4")
    }
  })

  test("large input goes out in pieces and comes back whole", async () => {
    const name = fresh()
    const text = Array.from({ length: 30_000 }, (_, i) => `${i} ${"x".repeat(i % 200)}`).join("\n")
    await api.create(name, "text/plain")
    await ok(["append", name, "--lines"], { input: text })
    expect((await ds(["tail", name])).text).toBe(text)
  })

  test("options and data that do not fit the stream are refused", async () => {
    const [text, json] = [fresh(), fresh()]
    await api.create(text, "text/plain")
    await api.create(json, "application/json")
    expect((await ds(["append", text, "--json"], { input: "1\n" })).code).toBe(USAGE)
    expect((await ds(["append", json, "--lines"], { input: "1\n" })).code).toBe(USAGE)
    expect((await ds(["append", json], { input: "{" })).code).toBe(FAILED)
    expect((await ds(["append", json], { input: "" })).code).toBe(USAGE)
    expect((await ds(["append", json, "-t", "text/plain", "-d", "1"])).code).toBe(CONFLICT)
    await ok(["append", json, "-d", "1", "--seq", "b"])
    expect((await ds(["append", json, "-d", "2", "--seq", "a"])).code).toBe(CONFLICT)
    expect(await ok(["tail", json])).toBe("1")
  })

  test("--close closes the stream after the append", async () => {
    for (const option of ["--json", "--quiet"]) {
      const name = fresh()
      await api.create(name, "application/json")
      await ok(["append", name, "--close", option], { input: "1\n" })
      expect((await api.head(name)).headers["stream-closed"]).toBe("true")
      expect(await ok(["tail", name])).toBe("1")
    }
  })

  test("a producer continues where it stopped; a higher epoch locks it out", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    const append = (n, ...more) => ds(["append", name, "-p", "p1", "--json", ...more], { input: n })
    expect((await append("1\n")).code).toBe(DONE)
    expect((await append("1\n")).code).toBe(DONE) // not a repetition: it has the next sequence number
    expect((await append("2\n", "--epoch", "1")).code).toBe(DONE)
    expect((await append("3\n", "--epoch", "1")).code).toBe(DONE)
    const zombie = await append("4\n")
    expect(zombie.code).toBe(CONFLICT)
    expect(zombie.err).toContain("epoch 1")
    expect((await ds(["tail", name])).lines).toEqual(["1", "1", "2", "3"])
  })

  test("two programs with the same producer: data that is not stored is an error", async () => {
    const name = fresh()
    await api.create(name, "text/plain")
    const args = ["append", name, "--lines", "--producer", "p"]
    const first = start(args)
    first.child.stdin.write("1\n")
    await until(async () => (await api.get(name)).text === "1\n", first.said)
    await ok(args, { input: "2\n" })
    first.child.stdin.end("3\n")
    const { code, err } = await first.done
    expect([code, err]).toEqual([CONFLICT, expect.stringContaining("another program")])
    expect((await api.get(name)).text).toBe("1\n2\n")
  })

  test("--resume and --close may be repeated; other input is refused", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    const args = ["append", name, "--json", "-b", "2", "-p", "p", "--resume", "--close"]
    for (const target of [[], ["--db", server.database]]) {
      await ok([...args, ...target], { input: "1\n2\n3\n" })
      expect((await ds([...args, ...target], { input: "1\n2\n3\n4\n5\n" })).code).toBe(CONFLICT)
    }
    expect((await ds(["tail", name])).lines).toEqual(["1", "2", "3"])
  })

  test("--resume after kill -9: everything once, in order", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    const args = ["append", name, "--json", "-p", "loader", "--resume", "--batch", "50"]
    const lines = numbers(0, 5000)
    for (const stop of [700, 2600]) {
      const run = start(args)
      run.child.stdin.write(lines.slice(0, stop).join("\n"))
      await until(
        async () => (await api.get(name)).text.includes(`,${stop - 60},`),
        () => run.said()
      )
      run.child.kill("SIGKILL")
      await run.done
    }
    const { code, err } = await ds(args, { input: lines.join("\n") })
    expect([code, err]).toEqual([DONE, expect.stringMatching(/\d+ batches were already stored/)])
    expect((await ds(["tail", name])).lines).toEqual(lines)
    expect((await ds(args, { input: lines.join("\n") })).code).toBe(DONE)
    expect((await api.readJson(name)).messages.length).toBe(lines.length)
  })
})

// -------------------------------------------------------------------------------------- faults

describe("when the server fails", () => {
  afterEach(() => api.del("/_test/inject-error"))

  test("a busy server: every request is repeated, a plain append too", async () => {
    const name = fresh()
    await api.create(name, "text/plain")
    for (const status of [503, 429]) {
      await fault(name, { status, count: 2, method: "POST" })
      await ok(["append", name, "-d", String(status)])
    }
    await fault(name, { status: 503, count: 2, method: "GET" })
    expect(await ok(["tail", name])).toBe("503429")
    await fault(name, { status: 503, count: 1000 })
    const began = performance.now()
    expect((await ds(["show", name, "--retry", "1"])).code).toBe(FAILED)
    expect(performance.now() - began).toBeGreaterThan(900)
    expect((await ds(["show", name, "--retry", "0"])).code).toBe(FAILED)
  })

  test("a lost answer: a plain append is not repeated, a producer's is", async () => {
    const name = fresh()
    await api.create(name, "text/plain")
    await fault(name, { dropConnection: true, method: "POST" })
    const lost = await ds(["append", name, "-d", "a"])
    expect(lost.code).toBe(UNREACHABLE)
    expect(lost.err).toContain("it is unknown whether the request was carried out")
    await fault(name, { dropConnection: true, count: 3, method: "POST" })
    await ok(["append", name, "-d", "b", "--producer", "p"])
    await fault(name, { status: 500, method: "POST" })
    expect((await ds(["append", name, "-d", "c"])).code).toBe(FAILED)
    await fault(name, { status: 500, method: "POST", count: 3 })
    await ok(["append", name, "-d", "d", "--producer", "p"])
    await fault(name, { dropConnection: true, count: 2 })
    expect(await ok(["tail", name])).toBe("bd")
    await fault(name, { dropConnection: true })
    await ok(["rm", name])
  })

  test("damaged JSON is asked for again", async () => {
    const name = fresh()
    await api.create(name, "application/json", '[{"a":1},{"b":[2,3]}]')
    await fault(name, { truncateBodyBytes: 12, count: 2, method: "GET" })
    expect((await ds(["tail", name])).lines).toEqual(['{"a":1}', '{"b":[2,3]}'])
    await fault(name, { corruptBody: true, method: "GET" })
    expect((await ds(["tail", name])).lines).toEqual(['{"a":1}', '{"b":[2,3]}'])
    await fault(name, { injectSseEvent: { eventType: "odd", data: "x\ny" } })
    await api.post(name, { "stream-closed": "true" })
    expect((await ds(["tail", "-f", name])).lines).toEqual(['{"a":1}', '{"b":[2,3]}'])
  })

  test("silence is given up after --timeout", async () => {
    const name = fresh()
    await api.create(name, "text/plain", "x")
    await fault(name, { delayMs: 20_000 })
    const { code, err } = await ds(["tail", name, "--timeout", "1", "--retry", "0"])
    // the HEAD request met the delay
    expect([code, err]).toEqual([UNREACHABLE, expect.stringMatching(/^dsctl tail: http[^\n]*\n$/)])
    expect(await ok(["tail", name, "--timeout", "1"])).toBe("x")
  })

  test("fault add, ls, clear: every field", async () => {
    const name = fresh()
    const where = { path: name }
    for (const [options, fields] of [
      ["--status 503 --retry-after 7s --count 9", { status: 503, retryAfter: 7, count: 9 }],
      ["--delay-ms 5 --jitter-ms 6 -m POST", { delayMs: 5, jitterMs: 6, method: "POST", count: 1 }],
      ["--jitter-ms 6", { delayMs: 0, jitterMs: 6, count: 1 }],
      ["--drop --probability 0.25", { dropConnection: true, probability: 0.25, count: 1 }],
      ["--truncate 0", { truncateBodyBytes: 0, count: 1 }],
      ["--corrupt", { corruptBody: true, count: 1 }],
      [
        '--sse-event odd --sse-data {"a":"b"}',
        { injectSseEvent: { eventType: "odd", data: '{"a":"b"}' }, count: 1 },
      ],
    ]) {
      await ok(["fault", "add", name, ...options.split(" ")])
      const [listed, ...others] = JSON.parse((await api.get("/_test/inject-error")).text)
      expect(others).toEqual([])
      expect(listed, options).toMatchObject({ ...where, ...fields })
      const { lines } = await ds(["fault", "ls", "--json"])
      expect(lines.map(JSON.parse)[0], options).toMatchObject({ ...where, ...fields })
      expect((await ds(["fault", "ls"])).text).toContain(name)
    }
    await ok(["fault", "clear"])
    expect((await ds(["fault", "ls"])).text).toBe("")
    await ok(["fault", "add", name, "--status", "418"])
    const { code, err } = await ds(["show", name])
    expect([code, err]).toEqual([FAILED, expect.stringContaining("418")])
  })
})

// ---------------------------------------------------------------------------------------- tail

describe("tail", () => {
  test("bytes are printed as they are, in every mode", async () => {
    const cases = [
      ["application/octet-stream", randomBytes(300_000)],
      ["text/plain", Buffer.from("a\r\nb\rc\n\n\xff\xfe", "latin1")],
    ]
    for (const [type, bytes] of cases) {
      const name = fresh()
      await api.create(name, type, bytes.subarray(0, 1000))
      await api.append(name, type, bytes.subarray(1000).length ? bytes.subarray(1000) : "")
        .catch(() => {})
      const whole = (await api.readAll(name)).body
      await api.post(name, { "stream-closed": "true" })
      for (const options of [[], ["-f"], ["-f", "--long-poll"], ["--raw"]])
        expect((await ds(["tail", name, ...options])).out.equals(whole), `${type} ${options}`).toBe(true)
    }
  })

  test("from any offset, with offsets to go on from", async () => {
    const name = fresh()
    await api.create(name, "application/json")
    const offsets = ["-1"]
    for (const n of [1, 2, 3])
      offsets.push((await api.append(name, "application/json", `${n}`)).headers["stream-next-offset"])
    for (const [i, offset] of offsets.entries())
      expect((await ds(["tail", name, "--offset", offset])).lines).toEqual(numbers(i + 1, 4))
    const { lines } = await ds(["tail", name, "--show-offsets"])
    expect(lines).toEqual(["1", "2", "3", `# ${offsets[3]}`])
    expect((await ds(["tail", name, "--offset", "nonsense"])).code).toBe(FAILED)
    expect(await ok(["tail", name, "--raw"])).toBe("[1,2,3]")
  })

  test.each([[[]], [["--long-poll"]]])(
    "-f %j survives killed and restarted responders, without loss or repetition",
    async (options) => {
      const name = fresh()
      await api.create(name, "application/json")
      const tail = start(["tail", "-f", name, ...options])
      let n = 0
      const write = async (count) => {
        for (const end = n + count; n < end; n++)
          await ok(["append", name, "-p", "w", "--data", String(n), "--retry", "30", "-q"])
      }
      const seen = () => until(() => tail.lines().length === n, tail.said, { timeout: 20_000 })
      await write(5)
      await seen()
      server.kill()
      await write(5)
      await seen()
      await Promise.all([server.restart(), write(5)])
      await seen()
      await ok(["append", name, "-d", String(n++), "--close"])
      const { code, lines } = await tail.done
      expect(lines).toEqual(numbers(0, n))
      expect(code).toBe(DONE)
    },
    60_000
  )

  test("-f drops the rest of a broken answer, and continues after the last whole piece", async () => {
    const asked = []
    const answers = {
      // a complete piece, a piece without its control event, and then the rest
      sse: [
        'event: data\ndata:[1]\n\nevent: control\ndata:{"streamNextOffset":"a&b","streamCursor":"7"}\n\n' +
          "event: data\ndata:[2]\n\n",
        'event: data\ndata:[2,3]\n\nevent: control\ndata:{"streamNextOffset":"c","streamClosed":true}\n\n',
      ],
      "long-poll": ["[1]", "[2,", "[2,3]"],
    }
    for (const mode of ["sse", "long-poll"]) {
      const left = [...answers[mode]]
      asked.length = 0
      const odd = http.createServer((request, answer) => {
        const query = new URL(request.url, "http://x").searchParams
        if (request.method === "HEAD") {
          answer.writeHead(200, { "content-type": "application/json", "stream-next-offset": "0" })
          return answer.end()
        }
        asked.push([query.get("offset"), query.get("live"), query.get("cursor")])
        const body = left.shift()
        const isCut = mode === "long-poll" && left.length === 1
        answer.writeHead(200, {
          "content-type": mode === "sse" ? "text/event-stream" : "application/json",
          "stream-next-offset": left.length === 0 ? "c" : "a&b",
          ...(left.length === 0 && { "stream-closed": "true" }),
          "stream-cursor": "7",
          ...(isCut && { "content-length": "100" }),
        })
        answer.write(body, () => (isCut || (mode === "sse" && left.length) ? answer.destroy() : answer.end()))
      })
      await new Promise((resolve) => odd.listen(0, "127.0.0.1", resolve))
      undo.push(() => new Promise((resolve) => odd.close(resolve)))
      const url = `http://127.0.0.1:${odd.address().port}`
      const { code, lines } = await ds(["tail", "-f", "x", "--url", url, `--${mode}`])
      expect(lines).toEqual(["1", "2", "3"])
      expect(code).toBe(DONE)
      expect(asked[0]).toEqual(["-1", mode, null])
      expect(asked.slice(1)).toEqual(answers[mode].slice(1).map(() => ["a&b", mode, "7"]))
    }
  })

  test("-f from now begins at the end, and stops when the stream is deleted", async () => {
    const name = fresh()
    await api.create(name, "text/plain", "before")
    const tail = start(["tail", "-f", name, "--offset", "now", "--show-offsets"])
    await until(async () => {
      await api.append(name, "text/plain", "after\n")
      await sleep(50)
      return tail.text().includes("after\n")
    }, tail.said)
    expect(tail.text()).not.toContain("before")
    await api.del(name)
    expect((await tail.done).code).toBe(NOT_FOUND)
  })

  test("--state continues where an earlier run stopped", async () => {
    const dir = folder()
    const state = path.join(dir, "offset")
    const name = fresh()
    await api.create(name, "application/json", "[1,2]")
    expect((await ds(["tail", name, "--state", state])).lines).toEqual(["1", "2"])
    expect((await ds(["tail", name, "--state", state])).lines).toEqual([])
    await api.append(name, "application/json", "[3]")
    const tail = start(["tail", "-f", name, "--state", state])
    await until(() => tail.lines().length === 1, tail.said)
    const { "stream-next-offset": end } = (await api.head(name)).headers
    await until(() => fs.readFileSync(state, "utf8").startsWith(`${end}\n`), tail.said)
    tail.child.kill("SIGKILL")
    await tail.done
    await api.append(name, "application/json", "[4]")
    expect((await ds(["tail", name, "--state", state])).lines).toEqual(["4"])
    expect(fs.readdirSync(dir)).toEqual(["offset"])
    const missing = path.join(dir, "none", "offset")
    expect((await ds(["tail", name, "--state", missing])).code).toBe(FAILED)
  })

  test("--state does not continue in another stream of that name", async () => {
    const dir = folder()
    const name = fresh()
    const file = ["--db", server.database]
    const make = () => api.create(name, "application/json", "[1,2]")
    for (const [first, second] of [
      [[], []],
      [file, []],
      [[], file],
    ]) {
      const state = path.join(dir, `${first.length}${second.length}`)
      await make()
      expect((await ds(["tail", name, "--state", state, ...first])).lines).toEqual(["1", "2"])
      const written = fs.readFileSync(state, "utf8")
      expect(written).toMatch(/^\d+_\d+\ncreated 20\S+Z\n$/)
      expect((await ds(["tail", name, "--state", state, ...second])).code).toBe(DONE)
      await api.del(name)
      await sleep(2) // so that its time of creation differs
      await make()
      await api.append(name, "application/json", "[3]")
      for (const follow of [[], ["-f"]]) {
        const { code, text, err } = await ds(["tail", name, "--state", state, ...follow, ...second])
        expect([code, text]).toEqual([REPLACED, ""])
        expect(err).toMatch(/^dsctl tail: [^\n]*was deleted, and another one has its name[^\n]*delete [^\n]*\n$/)
      }
      expect(fs.readFileSync(state, "utf8")).toBe(written)

      // a file of an earlier version has no second line
      fs.writeFileSync(state, written.split("\n")[0] + "\n")
      expect((await ds(["tail", name, "--state", state, ...second])).lines).toEqual(["3"])
      expect(fs.readFileSync(state, "utf8")).toMatch(/^\d+_\d+\ncreated 20\S+Z\n$/)
      await api.del(name)
    }
  })

  test("nor does -f, when the stream is deleted and created again meanwhile", async () => {
    // one server has another stream at each connection; the ETag of the other server means something else
    const tags = { ours: ['"1f-19ac91e2b4a:0:3"', '"20-19ac91e2b4b:0:9"'], odd: ['"1f-7:0:3"', '"20-8:0:9"'] }
    for (const mode of ["sse", "long-poll", "catch-up"])
      for (const [whose, [first, second]] of Object.entries(tags)) {
        let reads = 0
        const odd = http.createServer((request, answer) => {
          const etag = reads === 0 ? first : second
          if (request.method === "GET") reads++
          const isSse = request.method === "GET" && mode === "sse"
          answer.writeHead(200, {
            "content-type": isSse ? "text/event-stream" : "application/json",
            "stream-next-offset": String(reads),
            ...(!isSse && { etag }),
            ...(reads === 2 && { "stream-closed": "true" }),
          })
          const control = JSON.stringify({ streamNextOffset: String(reads), streamClosed: reads === 2 })
          answer.end(isSse ? `event: data\ndata:[${reads}]\n\nevent: control\ndata:${control}\n\n` : `[${reads}]`)
        })
        await new Promise((resolve) => odd.listen(0, "127.0.0.1", resolve))
        undo.push(() => new Promise((resolve) => odd.close(resolve)))
        const url = ["--url", `http://127.0.0.1:${odd.address().port}`]
        const { code, lines } = await ds(["tail", "x", ...(mode === "catch-up" ? [] : ["-f", `--${mode}`]), ...url])
        expect([code, lines], `${mode} ${whose}`).toEqual(
          whose === "ours" ? [REPLACED, ["1"]] : [DONE, ["1", "2"]]
        )
      }

    const name = fresh()
    const db = ["--db", server.database]
    await api.create(name, "application/json", "[1]")
    const tail = start(["tail", "-f", name, ...db])
    await until(() => tail.lines().length === 1, tail.said)
    tail.child.kill("SIGSTOP") // so that it does not see the moment without a stream
    await api.del(name)
    await sleep(2)
    await api.create(name, "application/json", "[1,2,3]")
    tail.child.kill("SIGCONT")
    const { code, lines } = await tail.done
    expect([code, lines], tail.err).toEqual([REPLACED, ["1"]])
  })

  test("it ends quietly when its reader leaves", async () => {
    const name = fresh()
    await api.create(name, "application/json", JSON.stringify(numbers(0, 50_000)))
    const { stdout, stderr } = spawnSync("sh", ["-c", `"${dsctl}" tail "${name}" | head -n 2`], {
      encoding: "utf8",
      env: cleanEnv({ DS_URL: server.url }),
    })
    expect([stdout, stderr]).toEqual(['"0"\n"1"\n', ""])
  })
})

test("closed descriptors do no harm; devices and pipes are not replaced", async () => {
  const name = fresh()
  await api.create(name, "text/plain", "x".repeat(10_000))
  const pipe = path.join(folder(), "pipe")
  const sh = (script) =>
    spawnSync("sh", ["-c", script], {
      encoding: "utf8",
      env: cleanEnv({ DS_URL: server.url, DSCTL: dsctl, NAME: name, PIPE: pipe, DB: server.database }),
    })
  for (const script of ['"$DSCTL" tail "$NAME" >&-', '"$DSCTL" append "$NAME" --lines <&-']) {
    const { status, stderr } = sh(script)
    expect([status, stderr]).toEqual([FAILED, expect.stringMatching(/^[^\n]*Bad file descriptor\n$/)])
  }
  const { stdout, stderr } = sh(
    'mkfifo "$PIPE"; "$DSCTL" --db "$DB" export -q -o "$PIPE" "$NAME" & cat "$PIPE"; wait; test -p "$PIPE"; echo $?'
  )
  expect([stdout.split("\n").at(-2), stderr]).toEqual(["0", ""])
  expect((await api.get(name)).text.length).toBe(10_000)
})

test("files that root's dsctl makes belong to the owner of the database", async () => {
  const [user, group] = process.getuid() === 0 ? [12345, 54321] : [process.getuid(), process.getgid()]
  const dir = folder()
  fs.chownSync(dir, user, group)
  const expectOwner = () => {
    for (const name of fs.readdirSync(dir)) {
      const { uid, gid, mode } = fs.statSync(path.join(dir, name))
      expect([name, uid, gid, mode & 0o777]).toEqual([name, user, group, 0o660])
    }
  }
  const db = path.join(dir, "streams.db")
  const dump = path.join(folder(), "dump")
  await ok(["--db", db, "create", "/v1/stream/a"])
  fs.chmodSync(db, 0o660)
  for (const name of ["-wake", "-reserve", "-wal", "-shm"]) fs.rmSync(db + name, { force: true })
  await ok(["--db", db, "append", "/v1/stream/a"], { input: "x" })
  await ok(["--db", db, "vacuum"])
  expectOwner()
  // others may not read an export either; an export that replaces a file keeps its owner and mode
  await ok(["--db", db, "export", "-o", dump])
  expect(fs.statSync(dump).mode & 0o007).toBe(0)
  fs.chmodSync(dump, 0o604)
  fs.chownSync(dump, user, group)
  const victim = path.join(dir, "..", `${path.basename(dir)}.victim`)
  undo.push(() => fs.rmSync(victim, { force: true }))
  fs.writeFileSync(victim, "precious")
  fs.symlinkSync(victim, `${dump}.new`)
  await ok(["--db", db, "export", "-o", dump])
  expect(fs.readFileSync(victim, "utf8")).toBe("precious")
  const info = fs.lstatSync(dump)
  expect([info.isFile(), info.uid, info.gid, info.mode & 0o777]).toEqual([true, user, group, 0o604])
  // an import creates the database
  const other = path.join(dir, "other.db")
  await ok(["--db", other, "import", dump])
  expect(fs.statSync(other).uid).toBe(user)
  expect(fs.statSync(`${other}-wake`).gid).toBe(group)
})

// ------------------------------------------------------------------------------------------ ls

test("ls: sorted, filtered, as lines, JSON and names; a hint where there is no registry", async () => {
  const prefix = fresh("ls")
  for (const [name, type] of [
    ["b", "text/plain"],
    ["c", "application/json"],
    ["a", "text/plain"],
    ["gone", "text/plain"],
  ])
    await ok(["create", `${prefix}/${name}`, "-t", type])
  await ok(["rm", `${prefix}/gone`])
  const names = async (...options) =>
    (await ds(["ls", `${prefix}/`, "--names", ...options])).lines.map((line) => line.slice(-1)).join("")
  expect(await names()).toBe("abc")
  expect(await names("--sort", "created")).toBe("bca")
  expect(await names("--sort", "created", "--reverse")).toBe("acb")
  expect(await names("--sort", "type")).toBe("cab")
  const { lines } = await ds(["ls", `${prefix}/`, "--json"])
  expect(lines.map(JSON.parse).map(({ path, contentType }) => [path, contentType])).toEqual([
    [`${prefix}/a`, "text/plain"],
    [`${prefix}/b`, "text/plain"],
    [`${prefix}/c`, "application/json"],
  ])
  const columns = (await ds(["ls", prefix])).lines
  expect(columns[0]).toMatch(/^CREATED +TYPE +PATH$/)
  expect(columns[1]).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\S+Z +text/plain +${prefix}/a$`))
  const none = await ds(["ls", "--registry", fresh("none")])
  expect(none.code).toBe(NOT_FOUND)
  expect(none.err).toMatch(/DS_REGISTRY=.*--registry.*--db/)
})

// ----------------------------------------------------------------------------------- terminals

/** Standard output and error of a command on a terminal of its own. */
const onTerminal = (args, env = {}) =>
  spawnSync("script", ["-qec", [dsctl, ...args].map((arg) => `'${arg}'`).join(" "), "/dev/null"], {
    encoding: "latin1",
    env: cleanEnv({ DS_URL: server.url, TERM: "xterm", ...env }),
    input: "",
  }).stdout

test("colours only on a terminal, and not with NO_COLOR; no stream controls the terminal", async () => {
  const [name, binary] = [fresh(), fresh()]
  await api.create(name, "text/plain", "a\x1b[2Jb\n")
  await api.create(binary, "image/png", "\x89PNG")
  expect(onTerminal(["show", name])).toContain("\x1b[1m")
  expect(onTerminal(["show", fresh("none")])).toContain("\x1b[31m")
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }])
    expect(onTerminal(["show", name], env)).not.toContain("\x1b")
  for (const args of [["show", name], ["ls"], ["show", fresh("none")]]) {
    const { text, err } = await ds(args, { env: { TERM: "xterm" } })
    expect(text + err).not.toContain("\x1b")
  }
  expect(onTerminal(["tail", name])).toBe("a^[[2Jb\r\n")
  expect(onTerminal(["tail", name, "--raw"])).toBe("a\x1b[2Jb\r\n")
  expect(onTerminal(["tail", binary])).toContain("--raw")
  expect((await ds(["tail", name])).text).toBe("a\x1b[2Jb\n")
})

test("nor does U+009B, which is ESC [ too, in text, JSON, types, names and errors", async () => {
  const csi = "\u009b31m"
  const utf8 = (text) => Buffer.from(text).toString("latin1") // which is how onTerminal() decodes
  const [text, json, type] = [fresh(), fresh(), fresh()]
  await api.create(text, "text/plain", `a${csi}ü\x9b`)
  await api.append(text, "text/plain", Buffer.from([0xc2]))
  await api.append(text, "text/plain", Buffer.from([0x9b, 0x9b, 10, 0xc2]))
  await api.create(json, "application/json", JSON.stringify([{ [csi]: `ü${csi}\x7f` }]))
  await api.create(type, Buffer.from(`text/plain; x="${csi}\u202e"`).toString("latin1"))

  const shown = "<U+009B>31m"
  expect(onTerminal(["tail", text])).toBe(utf8(`a${shown}ü<U+009B><U+009B><9B>\r\n<C2>`))
  expect(onTerminal(["tail", json])).toBe(utf8('{"\\u009b31m":"ü\\u009b31m\\u007f"}\r\n'))
  for (const args of [["show", type], ["--db", server.database, "ls", type]]) {
    expect(onTerminal([...args, "--json"])).toContain("\\u009b31m")
    expect(onTerminal(args)).toContain(`x="${shown}<U+202E>"`)
  }
  expect(onTerminal(["--db", server.database, "export", type])).toContain("\\u009b31m")
  expect((await ds(["tail", json])).text).toBe(`{"${csi}":"ü${csi}\x7f"}\n`) // only a terminal gets it changed

  // names and errors of a foreign server
  const odd = http.createServer((request, answer) => {
    const isRegistry = request.url.startsWith(REGISTRY)
    const event = { type: "stream", key: `a\n${csi} b`, value: {}, headers: { operation: "insert" } }
    answer.writeHead(isRegistry ? 200 : 400, {
      "content-type": isRegistry ? "application/json" : "text/plain",
      "stream-next-offset": "7",
      "stream-up-to-date": "true",
    })
    answer.end(request.method === "HEAD" ? "" : isRegistry ? JSON.stringify([event]) : `no${csi}\u202e\rx\ny`)
  })
  await new Promise((resolve) => odd.listen(0, "127.0.0.1", resolve))
  undo.push(() => new Promise((resolve) => odd.close(resolve)))
  const url = ["--url", `http://127.0.0.1:${odd.address().port}`]
  expect((await ds(["ls", "--names", ...url])).text).toBe("/v1/stream/a%0A%C2%9B31m%20b\n")
  const { err } = await ds(["append", "x", "-t", "text/plain", "-d", "1", ...url])
  expect(err).toBe(`dsctl append: /v1/stream/x: no${shown}<U+202E> (400)\n`)
})

// --------------------------------------------------------------------------------------- serve

test("serve: prints only its URL, forgets what is in memory, ends on SIGTERM", async () => {
  const dir = folder()
  const serve = start(["serve", "--port", "0", "--memory", "--print-url", "--test-endpoints", "-q"], {
    cwd: dir,
    env: { TMPDIR: dir },
  })
  await until(() => serve.text().includes("\n") || serve.child.exitCode !== null, serve.said, {
    timeout: 30_000,
  })
  expect(serve.text()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/)
  const url = serve.text().trim()
  const there = { env: { DS_URL: url } }
  await ok(["create", "x", "-t", "text/plain", "-d", "hello"], there)
  expect(await ok(["tail", "x"], there)).toBe("hello")
  expect(await ok(["ls", "--names"], there)).toBe("/v1/stream/x")
  await ok(["fault", "add", "x", "--status", "500", "--method", "PUT"], there)
  const tail = start(["tail", "-f", "x", "--retry", "0"], there)
  await until(() => tail.text() === "hello", tail.said)
  serve.child.kill("SIGTERM")
  expect((await serve.done).code).toBe(DONE)
  expect((await tail.done).code).toBe(UNREACHABLE)
  await until(
    () => processesKnowing(dir).length === 0,
    () => processesKnowing(dir).join("\n")
  )
  expect(fs.readdirSync(dir)).toEqual([])
})

// ------------------------------------------------------------------------------ a database file

describe("--db", () => {
  const onFile = (file) => {
    const where = { env: { DS_URL: "", DS_DB: file } }
    return {
      ds: (args, more) => ds(args, { ...where, ...more }),
      ok: (args, more) => ok(args, { ...where, ...more }),
      start: (args) => start(args, where),
    }
  }

  test("the same commands, without a server", async () => {
    const file = path.join(folder(), "streams.db")
    const db = onFile(file)
    expect((await db.ds(["show", "x"])).code).toBe(FAILED)
    expect(fs.existsSync(file)).toBe(false)
    await db.ok(["create", "j", "-t", "application/json"])
    expect((await db.ds(["create", "j", "-t", "text/plain"])).code).toBe(CONFLICT)
    const input = numbers(0, 500).join("\n")
    await db.ok(["append", "j", "--json", "-p", "p", "--resume", "--batch", "100"], { input })
    await db.ok(["append", "j", "--json", "-p", "p", "--resume", "--batch", "100"], { input })
    await db.ok(["append", "j", "-p", "p", "-d", "500"])
    expect((await db.ds(["tail", "j"])).lines).toEqual(numbers(0, 501))
    await db.ok(["append", "j", "-p", "p", "--epoch", "1", "-d", "501"])
    expect((await db.ds(["append", "j", "-p", "p", "-d", "x"])).code).toBe(CONFLICT)
    await db.ok(["fork", "j", "k", "-o", "-1", "--sub-offset", "2"])
    await db.ok(["append", "k", "-d", '{"more":true}'])
    await db.ok(["close", "k"])
    expect((await db.ds(["append", "k", "-d", "1"])).code).toBe(CONFLICT)
    expect((await db.ds(["tail", "-f", "k"])).lines).toEqual(["0", "1", '{"more":true}'])
    const shown = JSON.parse(await db.ok(["show", "k", "--json"]))
    expect(shown).toMatchObject({ closed: true, messages: 1, forkedFrom: "/v1/stream/j" })
    expect(await db.ok(["ls", "--names", "--sort", "messages"])).toBe("/v1/stream/k\n/v1/stream/j")
    expect(await db.ok(["ls", "--names", "--sort", "bytes", "-r"])).toBe("/v1/stream/j\n/v1/stream/k")
    expect((await db.ds(["ls"])).lines[0]).toMatch(/MESSAGES +BYTES +STATE/)
    await db.ok(["rm", "k"])
    expect((await db.ds(["rm", "k"])).code).toBe(NOT_FOUND)
    expect((await db.ds(["tail", "j", "--offset", "nonsense"])).code).toBe(FAILED)
  })

  test("beside a server: each sees and wakes the other", async () => {
    const db = onFile(server.database)
    const name = fresh()
    await db.ok(["create", name, "-t", "text/plain"])
    const readers = [start(["tail", "-f", name]), db.start(["tail", "-f", name])]
    await ok(["append", name, "-d", "one,"])
    await db.ok(["append", name, "-d", "two,"])
    for (const reader of readers) await until(() => reader.text() === "one,two,", reader.said)
    await db.ok(["fault", "add", name, "--status", "418", "--count", "2", "-m", "put"])
    expect((await ds(["create", name])).err).toContain("418")
    expect(await db.ok(["fault", "ls"])).toBe(await ok(["fault", "ls"]))
    expect(await ok(["fault", "ls"])).toMatch(new RegExp(`^${name} +1 left +status 418 .*only \\S+$`))
    await db.ok(["fault", "clear"])
    expect(await ok(["fault", "ls"])).toBe("")
    await db.ok(["close", name])
    for (const reader of readers) expect((await reader.done).code).toBe(DONE)
    await ok(["rm", name])
    expect((await db.ds(["show", name])).code).toBe(NOT_FOUND)
  })
})

// ------------------------------------------------------------------------------- first half hour

/** Replaces times and ports, which differ in each run. */
const normalised = (text) =>
  text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "2026-01-02T03:04:05Z")
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:4437")

test("a first half hour with dsctl", async () => {
  const script = path.join(root, "tests/system/dsctl/first-half-hour.sh")
  const dir = folder()
  const { stdout, stderr, status } = spawnSync("sh", [script], {
    cwd: dir,
    encoding: "utf8",
    timeout: 50_000,
    env: cleanEnv({ PATH: `${build}:${process.env.PATH}`, TMPDIR: dir }),
  })
  const expected = path.join(root, "tests/system/dsctl/first-half-hour.txt")
  if (process.env.DS_TEST_WRITE === "1") fs.writeFileSync(expected, normalised(stdout))
  expect(normalised(stdout), stderr).toBe(fs.readFileSync(expected, "utf8"))
  expect(status).toBe(0)
  await until(
    () => processesKnowing(dir).length === 0,
    () => processesKnowing(dir).join("\n")
  )
})
