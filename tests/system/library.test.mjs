// libdurablestreams as its users have it: installed, found by pkg-config, linked in both ways, and
// used beside servers on the same database.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import {
  calculateCursor,
  decodeStreamPath,
  encodeStreamPath,
  generateResponseCursor,
} from "@durable-streams/server"
import {
  build,
  cleanEnv,
  childrenOf,
  cleanUp,
  processesNaming,
  root,
  sanitized,
  startServer,
  until,
} from "./harness.mjs"
import { client, fresh, request } from "./http.mjs"

const { undo } = cleanUp(afterEach)

// flags for programs that are linked with a library that has a sanitizer
const sanitizer = sanitized ? path.basename(build).replaceAll("-", ",") : ""
const flags = sanitizer ? [`-fsanitize=${sanitizer}`] : []
const strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"]

const gnu = ["-std=c11", "-D_GNU_SOURCE"]
const sources = (name) => path.join(root, "tests/system/library", name)

let outside, installed, libexec, env, user

const words = (text) => text.split(/\s+/).filter(Boolean)

/** Runs a tool; throws with its output. */
function tool(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    env,
    cwd: outside,
    timeout: 240_000,
    ...options,
  })
  if (error || status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${error ?? status}\n${stdout}${stderr}`)
  return stdout
}

const pkgConfig = (...args) => words(tool("pkg-config", [...args, "durable-streams"]))

/** Builds a program outside of the sources; libs: the linker's words. */
function compile(compiler, source, name, libs, extra = []) {
  const target = path.join(outside, name)
  const options = [...strict, ...flags, ...extra, ...pkgConfig("--cflags")]
  tool(compiler, [...options, source, "-o", target, ...libs])
  return target
}

/** A long-running program of the user; its output comes line by line. */
function start(args, options = {}) {
  const child = spawn(user, args, { env, cwd: outside, ...options })
  const lines = []
  let rest = "",
    errors = ""
  child.stdout.setEncoding("utf8").on("data", (text) => {
    const parts = (rest + text).split("\n")
    rest = parts.pop()
    lines.push(...parts)
  })
  child.stderr.setEncoding("utf8").on("data", (text) => (errors += text))
  child.gone = new Promise((resolve) =>
    child.on("exit", (code, signal) => resolve({ code, signal }))
  )
  undo.push(() => child.kill("SIGKILL"))
  return {
    child,
    stderr: () => errors,
    line: (n) =>
      until(
        () => {
          if (lines.length <= n && child.exitCode !== null)
            throw new Error(`it ended with ${child.exitCode}: ${errors}`)
          return lines.length > n && lines[n]
        },
        `line ${n} of ${args.join(" ")}`,
        { timeout: 60_000 }
      ),
  }
}

beforeAll(() => {
  outside = fs.mkdtempSync(path.join(os.tmpdir(), "ds-library-"))
  installed = path.join(outside, "root")
  libexec = path.join(installed, "usr/local/lib/durable-streams")
  env = cleanEnv({
    LD_LIBRARY_PATH: path.join(installed, "usr/local/lib"),
    PKG_CONFIG_PATH: path.join(installed, "usr/local/lib/pkgconfig"),
    PKG_CONFIG_SYSROOT_DIR: installed,
    DS_LIBEXECDIR: libexec,
  })
  tool(
    "make",
    ["install", `DESTDIR=${installed}`, ...(sanitizer ? [`SANITIZE=${sanitizer}`] : [])],
    { cwd: root, env: cleanEnv() }
  )
  user = compile("cc", sources("user.c"), "user", pkgConfig("--libs"), gnu)
}, 300_000)

afterAll(() => fs.rmSync(outside, { recursive: true, force: true }))

describe("the installation", () => {
  const header = () => fs.readFileSync(path.join(root, "include/durable_streams.h"), "utf8")
  const declared = () =>
    [...header().matchAll(/^DS_API[^;]*?\b(ds_\w+)\(/gm)].map((match) => match[1]).sort()
  const lib = (name) => path.join(installed, "usr/local/lib", name)
  const defined = (...args) =>
    tool("nm", args)
      .split("\n")
      .filter((line) => / [A-TV-Z] /.test(line))
      .map((line) => line.trim().split(" ").pop())
      .sort()

  test("the header's functions are visible in both libraries, and nothing else", () => {
    expect(declared().length).toBeGreaterThanOrEqual(30)
    const [archive, shared] = ["a", "so"].map((ending) => lib(`libdurablestreams.${ending}`))
    expect(defined("--defined-only", "--extern-only", archive)).toEqual(declared())
    if (!sanitized) expect(defined("--dynamic", "--defined-only", shared)).toEqual(declared())
  })

  test("the shared library has its soname, and needs neither web server nor HTTP client", () => {
    const dynamic = tool("readelf", ["-d", lib("libdurablestreams.so")])
    expect(dynamic).toMatch(/SONAME.*\[libdurablestreams\.so\.0\]/)
    expect(dynamic).toMatch(/NEEDED.*libsqlite3/)
    expect(dynamic).toMatch(/NEEDED.*libmd/)
    expect(dynamic).not.toMatch(/libfcgi|libcurl/)
    expect(dynamic).toMatch(/BIND_NOW|FLAGS.*NOW/)
    expect(fs.readlinkSync(lib("libdurablestreams.so.0"))).toMatch(/\.so\.0\.\d+\.\d+$/)
  })

  test("pkg-config knows version and flags, also for static linking", () => {
    expect(tool("pkg-config", ["--modversion", "durable-streams"]).trim()).toBe(
      tool(user, ["tour"]).trim()
    )
    expect(pkgConfig("--libs")).toEqual([`-L${lib("")}`.replace(/\/$/, ""), "-ldurablestreams"])
    expect(pkgConfig("--libs", "--static")).toEqual(expect.arrayContaining(["-lsqlite3", "-lmd"]))
  })

  test("every link of the installed front page leads somewhere", () => {
    const folder = path.join(installed, "usr/local/share/doc/durable-streams")
    const page = fs.readFileSync(path.join(folder, "README.md"), "utf8")
    const links = [...page.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link)
    expect(links).toContain("examples/scaling.md")
    expect(links.filter((link) => !fs.existsSync(path.join(folder, link)))).toEqual([])
  })

  test("uninstall removes all of it", () => {
    const other = path.join(outside, "other")
    const make = (target) =>
      tool("make", [target, `DESTDIR=${other}`, ...(sanitizer ? [`SANITIZE=${sanitizer}`] : [])], {
        cwd: root,
        env: cleanEnv(),
      })
    make("install")
    make("uninstall")
    const left = fs
      .readdirSync(other, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
    expect(left.map((entry) => entry.name)).toEqual([])
  })
})

describe("programs outside of the sources", () => {
  test("in C, with the shared library", () => {
    expect(tool("ldd", [user])).toMatch(/libdurablestreams\.so\.0 => \S+ds-library-/)
    expect(tool(user, ["tour"])).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test("in C, with the static library", () => {
    const libs = pkgConfig("--libs", "--static").map((word) =>
      word === "-ldurablestreams" ? "-l:libdurablestreams.a" : word
    )
    const program = compile("cc", sources("user.c"), "static", libs, gnu)
    expect(tool("ldd", [program])).not.toContain("durablestreams")
    expect(tool(program, ["tour"])).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  // without -lz in particular: Debian's libsqlite3-dev brings no libz.a
  test.skipIf(sanitized)("in C, with every library static", () => {
    const libs = pkgConfig("--libs", "--static")
    expect(libs).not.toContain("-lz")
    const program = compile("cc", sources("user.c"), "all-static", ["-static", ...libs], gnu)
    expect(tool("readelf", ["-d", program])).toMatch(/no dynamic section/)
    expect(tool(program, ["tour"])).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test("in C++", () => {
    const program = compile("c++", sources("user.cpp"), "cpp", pkgConfig("--libs"), ["-std=c++11"])
    expect(tool(program, [])).toBe("/v1/stream/cpp 0000000000000000_0000000000000008\nfrom C++\n")
  })

  // every block of C on the page, with the packages that the command below it names
  const readme = fs.readFileSync(path.join(root, "include/README.md"), "utf8")
  const examples = [...readme.matchAll(/```c\n([^]*?)```\n\n```sh\ncc (\S+) \$\(pkg-config (.*?)\)/g)]

  test.each(examples.map(([, code, name, args]) => [name, code, args]))(
    "of include/README.md: %s",
    (name, code, args) => {
      const source = path.join(outside, name)
      fs.writeFileSync(source, code)
      const program = source.replace(/\.c$/, "")
      const all = words(tool("pkg-config", words(args)))
      tool("cc", ["-Wall", "-Werror", ...flags, source, ...all, "-o", program])
      const said = tool(program, [], { timeout: 120_000 })
      if (name === "hello.c") expect(said).toBe("hello, world\n")
      else expect(said).toMatch(/^100%: Checks: 2, Failures: 0, Errors: 0$/m)
    },
    150_000
  )

  test("there are two of them", () => {
    expect(examples.map(([, , name]) => name)).toEqual(["hello.c", "retry.c"])
  })
})

describe("the manual pages", () => {
  const folder = path.join(root, "deploy/man")
  const pages = fs.readdirSync(folder).filter((name) => name.endsWith(".3"))
  const text = (page) => fs.readFileSync(path.join(folder, page), "utf8")
  // comments and spaces apart, as one line; a text may contain what begins a comment
  const plain = (code) =>
    code
      .replace(/"(?:[^"\\\n]|\\.)*"|\/\*[^]*?\*\//g, (part) => (part[0] === '"' ? part : ""))
      .replace(/\s+/g, " ")
      .trim()
  const header = fs.readFileSync(path.join(root, "include/durable_streams.h"), "utf8")
  // the lines of every literal display, as a reader sees them
  const displays = (page) =>
    [...text(page).matchAll(/^\.Bd -literal.*\n([^]*?)^\.Ed$/gm)].map(([, block]) =>
      block.replace(/^\\&/gm, "").replaceAll("\\e", "\\")
    )

  test("every function has a page, which opens under its name", () => {
    const named = pages.flatMap((page) =>
      [...text(page).matchAll(/^\.Nm (ds_\w+)/gm)].map(([, name]) => name)
    )
    const declared = [...header.matchAll(/^DS_API[^;]*?\b(ds_\w+)\(/gm)].map(([, name]) => name)
    expect(named.sort()).toEqual(declared.sort())
    const man3 = path.join(installed, "usr/local/share/man/man3")
    for (const name of named) expect(fs.existsSync(path.join(man3, `${name}.3`)), name).toBe(true)
  })

  test("they declare the functions as the header does", () => {
    const fromPages = pages.flatMap((page) =>
      [...text(page).matchAll(/^\.Ft (.*)\n\.Fo (\w+)\n((?:\.Fa .*\n)*)\.Fc$/gm)].map(
        ([, type, name, args]) =>
          `${type} ${name}(${[...args.matchAll(/^\.Fa "(.*)"$/gm)].map((arg) => arg[1]).join(", ")})`
      )
    )
    const fromHeader = [...header.matchAll(/^DS_API ([^;]*?\));/gm)].map(([, code]) =>
      plain(code).replace(/\* (?=ds_\w+\()/, "*")
    )
    const compact = (list) => list.map((line) => line.replace(/\* ds_/, "*ds_")).sort()
    expect(compact(fromPages)).toEqual(compact(fromHeader))
  })

  test("they show the structs and callbacks as the header has them", () => {
    const shown = plain(pages.flatMap(displays).join("\n"))
    const structs = [...header.matchAll(/^struct ds_\w+ \{[^]*?^\};/gm)].map(([code]) => plain(code))
    const callbacks = [...header.matchAll(/^typedef [^;]*;/gm)].map(([code]) => plain(code))
    expect(structs.length).toBeGreaterThan(10)
    expect(callbacks.length).toBeGreaterThan(4)
    for (const code of [...structs, ...callbacks]) expect(shown).toContain(code)
  })

  test.each(pages)("the example of %s prints what the page says", (page) => {
    const blocks = displays(page)
    const at = blocks.findIndex((block) => block.startsWith("#include"))
    const name = `example-${path.basename(page, ".3")}`
    fs.writeFileSync(path.join(outside, `${name}.c`), blocks[at])
    const program = compile("cc", path.join(outside, `${name}.c`), name, pkgConfig("--libs"), [
      "-std=gnu11",
    ])
    expect(tool(program, [], { timeout: 120_000 })).toBe(blocks[at + 1])
  })
})

describe("beside the protocol's Node server", () => {
  // the same texts in every run
  let seed = 20261122
  const random = (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % n
  }
  const pick = (list) => list[random(list.length)]
  const pieces = [..."/a~=+ éß漢😀\u0301\n\x01\x7f?-_", "%2F"]
  const randomPath = () => {
    let text = "/"
    for (let i = random(120); i > 0; i--) text += pick(pieces)
    return text
  }

  const convert = (lines) => {
    const out = spawnSync(user, ["paths"], {
      env,
      input: lines.map((line) => line + "\0").join(""),
      maxBuffer: 1 << 28,
    })
    expect(out.stderr.toString()).toBe("")
    expect(out.status).toBe(0)
    const results = out.stdout.toString("utf8").split("\0")
    results.pop()
    return results
  }

  test("encodes and decodes paths in the same way", () => {
    const paths = ["/", "", "/stream/users:created", "/" + "x".repeat(149), "/" + "x".repeat(150)]
    for (let length = 130; length < 160; length++)
      for (const piece of ["ä", "漢", "😀"]) paths.push("/".repeat(length - 120) + piece.repeat(40))
    for (let i = 0; i < 2000; i++) paths.push(randomPath())
    const encoded = convert(paths.map((path) => "e" + path))
    expect(encoded).toEqual(paths.map(encodeStreamPath))
    expect(encoded.some((text) => text.includes("~"))).toBe(true)
    expect(convert(encoded.map((text) => "d" + text))).toEqual(encoded.map(decodeStreamPath))
  })

  test("decodes names that were never encoded in the same way", () => {
    const alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/~= \n.%!".split("")
    const hash = "~0123456789abcdef"
    const texts = ["~", hash, `QUJD${hash}${hash}`, `QUJD${hash.toUpperCase()}`, "===="]
    for (let i = 0; i < 3000; i++)
      texts.push(Array.from({ length: random(60) }, () => pick(alphabet)).join(""))
    // C texts end at a NUL
    const expected = texts.map((text) => decodeStreamPath(text).split("\0")[0])
    expect(convert(texts.map((text) => "d" + text))).toEqual(expected)
  })

  test("calculates the same cursors, and moves them ahead of a client's in the same way", () => {
    const now = Number(calculateCursor())
    const sent = ["", "nonsense", "0", String(now - 1), String(now + 100), String(now + 100_000)]
    const out = execFileSync(user, ["cursors"], { env, input: sent.map((s) => s + "\0").join("") })
    const ours = out.toString().split("\0").slice(0, -1).map(Number)
    const theirs = sent.map((cursor) => Number(generateResponseCursor(cursor)))
    for (const cursors of [ours, theirs]) {
      for (const behind of cursors.slice(0, 4)) {
        expect(behind).toBeGreaterThanOrEqual(now)
        expect(behind).toBeLessThanOrEqual(Number(calculateCursor()))
      }
      for (const [i, ahead] of cursors.slice(4).entries()) {
        expect(ahead).toBeGreaterThan(Number(sent[4 + i]))
        expect(ahead).toBeLessThanOrEqual(Number(sent[4 + i]) + 180)
      }
    }
  })
})

describe("beside a running server on the same database", () => {
  let server, http

  beforeAll(async () => {
    server = await startServer({ processes: 2, env: { DS_TEST_ENDPOINTS: "1" } })
    http = client(server.url)
  }, 60_000)
  afterAll(() => server?.stop())

  test("an append in C wakes an SSE reader behind nginx", async () => {
    const name = fresh()
    await http.create(name, "text/plain")
    const reader = await http.sse(`${name}?offset=-1&live=sse`)
    await reader.waitFor((event) => event.type === "control")
    tool(user, ["append", server.database, name, "by C"])
    await reader.waitFor((event) => event.type === "data" && event.data === "by C")
    reader.close()
  })

  test("an append over HTTP wakes a reader in C", async () => {
    const name = fresh()
    await http.create(name, "text/plain")
    const reader = start(["wait", server.database, name, "-1"])
    await reader.line(0)
    await http.append(name, "text/plain", "by HTTP")
    expect(await reader.line(1)).toBe("by HTTP")
    expect((await reader.child.gone).code).toBe(0)
  })

  test("a fault that was injected in C is met once over HTTP", async () => {
    const name = fresh()
    await http.create(name, "text/plain")
    tool(user, ["fault", server.database, name, "418"])
    expect((await http.get(name)).status).toBe(418)
    expect((await http.get(name)).status).toBe(200)
  })
})

describe("the test server", () => {
  const begin = async (args = [], options) => {
    const program = start(["serve", ...args], options)
    const [url, port, database] = (await program.line(0)).split(" ")
    return { ...program, url, port, database }
  }

  test("serves on a port and a database of its own, and leaves nothing", async () => {
    const [one, two] = await Promise.all([begin(), begin()])
    expect(one.url).toBe(`http://127.0.0.1:${one.port}`)
    expect(one.url).not.toBe(two.url)
    expect((await request(one.url, "PUT", "/v1/stream/a")).status).toBe(201)
    expect((await request(two.url, "GET", "/v1/stream/a")).status).toBe(404)
    expect((await request(one.url, "GET", "/_test/inject-error")).status).toBe(200)
    expect(fs.existsSync(one.database)).toBe(true)
    for (const server of [one, two]) {
      const folder = path.dirname(server.database)
      server.child.stdin.end()
      expect((await server.child.gone).code).toBe(0)
      expect(server.stderr()).toBe("")
      expect(fs.existsSync(folder)).toBe(false)
      await expect(request(server.url, "GET", "/health")).rejects.toThrow()
    }
    expect(processesNaming(libexec)).toEqual([])
  })

  test("ends when its caller is killed", async () => {
    const server = await begin()
    server.child.kill("SIGKILL")
    await server.child.gone
    await until(() => processesNaming(libexec).length === 0, "the end", { timeout: 20_000 })
    await until(() => !fs.existsSync(path.dirname(server.database)), "the folder is gone")
  })

  test("opens no file under the numbers of missing standard descriptors", async () => {
    const database = path.join(outside, "closed.db")
    const child = spawn("sh", ["-c", 'exec "$0" serve "$1" >&- 2>&-', user, database], {
      env,
      cwd: outside,
      stdio: ["pipe", "ignore", "ignore"],
    })
    const gone = new Promise((resolve) => child.on("exit", resolve))
    undo.push(() => child.kill("SIGKILL"))
    await until(() => fs.existsSync(`${database}-wake`), "the server", { timeout: 60_000 })
    for (const fd of [1, 2]) expect(fs.existsSync(`/proc/${child.pid}/fd/${fd}`), fd).toBe(false)
    const [keeper] = childrenOf(child.pid)
    expect(fs.readlinkSync(`/proc/${keeper}/fd/2`)).toBe("/dev/null")
    child.stdin.end()
    expect(await gone).toBe(0)
    expect(processesNaming(libexec)).toEqual([])
  })

  test("keeps a database that belongs to the caller", async () => {
    const database = path.join(outside, "mine.db")
    const first = await begin([database])
    await request(first.url, "PUT", "/v1/stream/kept")
    first.child.stdin.end()
    await first.child.gone
    const second = await begin([path.relative(outside, database)])
    expect(second.database).toBe(database)
    expect((await request(second.url, "HEAD", "/v1/stream/kept")).status).toBe(200)
    second.child.stdin.end()
    await second.child.gone
    expect(fs.existsSync(database)).toBe(true)
  })

  test("does not start where it is not installed, and says why in a line", () => {
    const missing = spawnSync(user, ["serve"], {
      env: { ...env, DS_LIBEXECDIR: "/no/such/folder" },
      encoding: "utf8",
    })
    expect(missing.status).toBe(1)
    expect(missing.stderr).toMatch(/no \/no\/such\/folder\/serve/)
    const noFolder = spawnSync(user, ["serve", "/dev/null/x.db"], { env, encoding: "utf8" })
    expect(noFolder.status).toBe(1)
    expect(noFolder.stderr).toContain("/dev/null")
  })

  test("ignores settings in the caller's environment", async () => {
    const server = await begin([], {
      env: { ...env, DS_DATABASE: "/no/such/folder/x.db", PORT: "nonsense", HOST: "nonsense" },
    })
    expect((await request(server.url, "GET", "/health")).status).toBe(200)
    server.child.stdin.end()
    expect((await server.child.gone).code).toBe(0)
  })

})
