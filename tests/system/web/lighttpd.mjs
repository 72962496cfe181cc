// lighttpd with a site that people copy (deploy/lighttpd), and with the options that a test switches
// on.

import { execFileSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { freePort, launch, root } from "../harness.mjs"
import { fill, writer } from "./fill.mjs"

const deploy = path.join(root, "deploy/lighttpd")
const read = (name) => fs.readFileSync(path.join(deploy, name), "utf8")
const withoutComments = (text) => text.replace(/^\s*#.*\n/gm, "")
const quote = (text) => `"${String(text).replace(/[\\"]/g, "\\$&")}"`

const sites = { spawn: "fastcgi-spawn.conf", service: "fastcgi-service.conf", cgi: "cgi.conf" }

const PROGRAM = '"/usr/lib/durable-streams/durable-streams.fcgi"'
const DATABASE = '"DS_DATABASE" => "/var/lib/durable-streams/streams.db"'
const SOCKET = '"/run/durable-streams/app.sock"'
// clients of the tests may use any host name
const HOST = '$HTTP["host"] == var.durable_streams_host'
const ANY_HOST = '$HTTP["host"] =~ ""'

/**
 * lighttpd on a port of its own.
 *
 *   kind      "spawn": it starts the program as FastCGI; "service": in front of `sockets`;
 *             "cgi": it starts the program for each request
 *   env       the program's settings, where lighttpd starts it
 *   options   names of files in deploy/lighttpd/options
 *   values    other text in these files, and its replacement:
 *             { "/etc/durable-streams/users": "/tmp/x/users" }
 *   edit      changes a file before it is used: (name, text) => text
 *
 * With tls, `url` is https, and `plain` the address of plain HTTP.
 */
export async function startLighttpd({
  folder,
  kind,
  sockets = [],
  program,
  database,
  env = {},
  log,
  options = [],
  values = {},
  edit,
}) {
  if (!sites[kind]) throw new Error(`lighttpd: no kind ${kind}`)
  const port = await freePort()
  const own = path.join(folder, `lighttpd-${port}`)
  const write = writer(own, edit)
  fs.mkdirSync(own, { recursive: true })

  let site = read(sites[kind])
  for (const option of options) {
    const line = `#include "/etc/durable-streams/lighttpd/${option}.conf"`
    if (!site.includes(line)) throw new Error(`${sites[kind]} has no line for ${option}`)
    site = site.replace(line, line.slice(1))
  }
  site = withoutComments(site)
  const replaced = {
    [HOST]: ANY_HOST,
    '"streams.example.org"': '"127.0.0.1"',
    ...(options.length > 0 ? { "/etc/durable-streams/lighttpd": own } : {}),
  }
  if (kind === "service") {
    // the responder's entry as often as there are sockets
    const entry = site.match(/\(\(\n([\s\S]*?)\n\s*\)\)\)/)
    site = site.replace(
      entry[1],
      sockets.map((_, i) => entry[1].replace("app.sock", `app-${i}.sock`)).join("\n), (\n")
    )
    sockets.forEach((socket, i) => (replaced[SOCKET.replace("app.", `app-${i}.`)] = quote(socket)))
  } else {
    replaced[PROGRAM] = quote(program)
    replaced[DATABASE] = Object.entries({ ...env, ...(database && { DS_DATABASE: database }) })
      .map(([name, value]) => `${quote(name)} => ${quote(value)}`)
      .join(",\n")
    if (kind === "spawn") replaced[SOCKET] = quote(path.join(own, "app.sock"))
  }
  site = fill(site, replaced)

  const tlsPort = options.includes("tls") ? await freePort() : undefined
  const used = new Set()
  for (const option of options) {
    let text = withoutComments(read(`options/${option}.conf`))
    if (/\[::\]:443/.test(text)) {
      // the same again for IPv6, which not every machine has
      const second = /^\$SERVER\["socket"\] == "\[::\]:443" \{\n[\s\S]*?^\}\n/m
      text = fill(text.replace(second, ""), { '":443"': `"127.0.0.1:${tlsPort}"` })
    }
    const here = Object.entries(values).filter(([from]) => text.includes(from))
    here.forEach(([from]) => used.add(from))
    text = text.includes(HOST) ? fill(text, { [HOST]: ANY_HOST }) : text
    write(`${option}.conf`, fill(text, Object.fromEntries(here)))
  }
  const unused = Object.keys(values).filter((from) => !used.has(from))
  if (unused.length > 0) throw new Error(`not found in the options: ${unused.join(", ")}`)

  const descriptors = Number(execFileSync("sh", ["-c", "ulimit -n"]).toString()) || 65536
  const files = Math.min(descriptors, 65536)
  const main = fill(withoutComments(read("main.conf")), {
    "@HOST@": "127.0.0.1",
    "@PORT@": String(port),
    "@FILES@": String(files),
    "@CONNECTIONS@": String(Math.floor(files / 2)),
    "@RUN@": own,
    "@SITE@": write("site.conf", site),
  })
  const child = launch("lighttpd", ["-D", "-f", write("lighttpd.conf", main)], { log })
  const plain = `http://127.0.0.1:${port}`
  return {
    child,
    kind: `lighttpd-${kind}`,
    url: tlsPort ? `https://127.0.0.1:${tlsPort}` : plain,
    plain,
    folder: own,
  }
}
