// Proxies that speak HTTP to the program, with the files that people copy (deploy/nginx/http.conf,
// deploy/haproxy, deploy/caddy).

import fs from "node:fs"
import path from "node:path"
import { freePort, launch, root } from "../harness.mjs"
import { fill, writer } from "./fill.mjs"

const SOCKET = "/run/durable-streams/http.sock"
const read = (name) => fs.readFileSync(path.join(root, "deploy", name), "utf8")

/** The lines with this text, once for each socket. */
const forEachSocket = (text, line, sockets, make) =>
  text.replace(line, (found) => sockets.map((socket, i) => make(found, socket, i)).join(""))

async function place(folder, name) {
  const port = await freePort()
  const own = path.join(folder, `${name}-${port}`)
  fs.mkdirSync(own, { recursive: true })
  return { port, own, url: `http://127.0.0.1:${port}`, write: writer(own) }
}

/** nginx with proxy_pass. */
export async function startNginxHttp({ folder, sockets, log }) {
  const { port, own, url, write } = await place(folder, "nginx-http")
  const site = forEachSocket(read("nginx/http.conf"), /^.*\/http\.sock max.*\n/m, sockets, (line, socket) =>
    line.replace(`unix:${SOCKET}`, `"unix:${socket}"`)
  )
  write(
    "site.conf",
    fill(site, { "listen 80;": `listen 127.0.0.1:${port};`, "listen [::]:80;": "" })
  )
  const user = process.getuid() === 0 ? "user root;" : ""
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path "${own}/${kind}";`
  )
  const main = write(
    "nginx.conf",
    `daemon off;
pid "${own}/nginx.pid";
error_log stderr error;
${user}
worker_processes 1;
worker_rlimit_nofile 65536;
events { worker_connections 16384; }
http {
    access_log off;
    ${temporary.join("\n    ")}
    include "${own}/site.conf";
}
`
  )
  return { url, child: launch("nginx", ["-p", own, "-c", main], { cwd: own, log }) }
}

export async function startHaproxy({ folder, sockets, log }) {
  const { port, own, url, write } = await place(folder, "haproxy")
  const text = forEachSocket(read("haproxy/haproxy.cfg"), /^ *server one .*\n/m, sockets, (line, socket, i) =>
    line.replace(SOCKET, socket).replace("one", `s${i}`)
  )
  const file = write("haproxy.cfg", fill(text, { "bind :80": `bind 127.0.0.1:${port}`, "maxconn 20000": "maxconn 4096" }))
  return { url, child: launch("haproxy", ["-db", "-f", file], { cwd: own, log }) }
}

export async function startCaddy({ folder, sockets, log }) {
  const { port, own, url, write } = await place(folder, "caddy")
  const upstreams = sockets.map((socket) => `unix/${socket}`).join(" ")
  const file = write(
    "Caddyfile",
    `{\n\tadmin off\n\tauto_https off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n` +
      fill(read("caddy/Caddyfile"), {
        "streams.example.org {": `http://:${port} {\n\tbind 127.0.0.1`,
        [`unix/${SOCKET}`]: upstreams,
      })
  )
  const env = { PATH: process.env.PATH, HOME: own, XDG_DATA_HOME: own, XDG_CONFIG_HOME: own }
  const args = ["run", "--adapter", "caddyfile", "--config", file]
  return { url, child: launch("caddy", args, { cwd: own, log, env }) }
}
