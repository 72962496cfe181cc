// nginx with the site that people copy (deploy/nginx), and with the options that a test switches on.

import { execFileSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { freePort, launch, root } from "../harness.mjs"
import { fill, writer } from "./fill.mjs"

const deploy = path.join(root, "deploy/nginx")
const RUN = "/run/durable-streams"
const read = (name) => fs.readFileSync(path.join(deploy, name), "utf8")
/** matches directives, not comments, for the values in their text */
const withoutComments = (text) => text.replace(/^\s*#.*\n/gm, "")

/**
 * Uncomments the lines of an option, its parts above the server and in the upstream among them, and
 * returns the site and the names of the files that it includes now.
 */
function switchOn(site, options) {
  const files = []
  for (const option of options) {
    const line = new RegExp(`#(include \\S+/nginx/(${option}(?:-zones?|-servers)?\\.conf);)`, "g")
    const before = files.length
    site = site.replace(line, (_, include, file) => {
      files.push(file)
      return include
    })
    if (!files.slice(before).includes(`${option}.conf`))
      throw new Error(`site.conf has no line for the option ${option}`)
  }
  return { site, files }
}

/**
 * nginx on a port of its own in front of these sockets.
 *
 *   options   names of files in deploy/nginx/options; with shards the sockets are those that its
 *             files name, in a folder of the test
 *   values    other text in these files, and its replacement:
 *             { "/etc/durable-streams/users": "/tmp/x/users" }
 *   edit      changes a file before it is used: (name, text) => text
 *
 * With tls, `url` is https, and `plain` the address of plain HTTP.
 */
export async function startNginx({ folder, sockets, log, options = [], values = {}, edit }) {
  const port = await freePort()
  const own = path.join(folder, `nginx-${port}`)
  const write = writer(own, edit)
  fs.mkdirSync(own, { recursive: true })

  let { site, files } = switchOn(read("site.conf"), options)
  const shards = options.includes("shards")
  // the upstream's line as often as there are sockets
  site = withoutComments(site).replace(/^.*\/app\.sock.*\n/m, (line) =>
    shards ? "" : sockets.map((_, i) => line.replace("app.sock", `app-${i}.sock`)).join("")
  )
  site = fill(site, {
    "listen 80;": `listen 127.0.0.1:${port};`,
    "listen [::]:80;": "",
    "streams.example.org": "127.0.0.1",
    ...Object.fromEntries(
      shards ? [] : sockets.map((socket, i) => [`unix:${RUN}/app-${i}.sock`, `"unix:${socket}"`])
    ),
    ...(files.length > 0 ? { "/etc/durable-streams/nginx": own } : {}),
  })

  const tlsPort = options.includes("tls") ? await freePort() : undefined
  const rest = { ...values }
  if (tlsPort) {
    rest["listen 443 ssl http2;"] = `listen 127.0.0.1:${tlsPort} ssl http2;`
    rest["listen [::]:443 ssl http2;"] = ""
  }
  if (options.includes("cache") || options.includes("collapse"))
    rest["/var/cache/nginx-durable-streams"] = path.join(own, "cache")
  if (shards) rest[RUN] = path.dirname(sockets[0])
  const used = new Set()
  for (const file of files) {
    const text = withoutComments(read(`options/${file}`))
    const here = Object.entries(rest).filter(([from]) => text.includes(from))
    here.forEach(([from]) => used.add(from))
    write(file, fill(text, Object.fromEntries(here)))
  }
  const unused = Object.keys(rest).filter((from) => !used.has(from))
  if (unused.length > 0) throw new Error(`not found in the options: ${unused.join(", ")}`)

  const descriptors = Number(execFileSync("sh", ["-c", "ulimit -n"]).toString()) || 65536
  const main = fill(withoutComments(read("main.conf")), {
    "@USER@": process.getuid() === 0 ? "user root;" : "",
    "@FILES@": String(descriptors),
    "@CONNECTIONS@": String(Math.min(32768, descriptors - 100)),
    "@RUN@": own,
    "@SITE@": write("site.conf", site),
  })
  const child = launch(
    "nginx",
    ["-e", "stderr", "-p", `${own}/`, "-c", write("nginx.conf", main)],
    { log }
  )
  const plain = `http://127.0.0.1:${port}`
  return {
    child,
    kind: "nginx",
    url: tlsPort ? `https://127.0.0.1:${tlsPort}` : plain,
    plain,
    folder: own,
  }
}
