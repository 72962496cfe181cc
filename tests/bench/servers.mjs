// The servers that are measured side by side, each { name, url, port, stop, pids, database }.
//
//   ours, ours in memory     the program behind nginx, as people run it
//   ours, front cache        the same with the cache of deploy/nginx/options
//   empty                    its gateway with nothing behind it, behind the same nginx: the most
//                            that is possible
//   ours, HTTP …             the program that speaks HTTP, by itself or behind nginx, HAProxy, Caddy
//   reference …              the npm reference server, bare or behind the same nginx
//   peers                    servers that somebody has started: PEER='name=URL name=URL', bare and
//                            behind the same nginx; `peers` has their names here
//
// To add one: a row of `servers`.
//
// All folders of a run are in one folder, which is removed at its end, also when it is interrupted.

import { spawn } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { build, end, freePort, launch, startServer, until } from "../system/harness.mjs"
import { request } from "../system/http.mjs"

const here = path.dirname(fileURLToPath(import.meta.url))

process.env.TMPDIR = fs.mkdtempSync(path.join(os.tmpdir(), "ds-bench-"))
process.on("exit", () =>
  fs.rmSync(process.env.TMPDIR, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 })
)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1))

/** Our program, or another one that is started like it; behind nginx unless another door is named. */
export const serve =
  (options = {}) =>
  async () => {
    const server = await startServer({ door: "nginx", ...options })
    server.port = Number(new URL(server.url).port)
    return server
  }

/**
 * Our program on a database that was filled before: PREFIX-0 … with JSON messages of `bytes` bytes
 * each. It is there as `filled`.
 */
export const filled =
  (given, options = {}) =>
  async () => {
    const { prefix, streams, messages, bytes } = given
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "filled-"))
    const database = path.join(folder, "streams.db")
    const log = path.join(folder, "log")
    const began = Date.now()
    const filling = launch(
      path.join(build, "bench/fill"),
      [database, prefix, streams, messages, bytes],
      { log }
    )
    if ((await filling.gone).code !== 0)
      throw new Error(`cannot fill a database: ${fs.readFileSync(log, "utf8")}`)
    const seconds = (Date.now() - began) / 1000
    const server = await serve({ database, ...options })()
    const stop = server.stop
    server.filled = { ...given, seconds }
    server.stop = async () => {
      await stop()
      fs.rmSync(folder, { recursive: true, force: true })
    }
    return server
  }

/** The reference server in a process of its own; `files` keeps streams in files, else in memory. */
const reference =
  ({ files }) =>
  async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-bench-"))
    const port = await freePort()
    const child = spawn(
      process.execPath,
      [path.join(here, "reference.mjs"), port, files ? folder : ""],
      {
        stdio: ["ignore", "ignore", "inherit"],
      }
    )
    child.gone = new Promise((resolve) =>
      child.once("exit", (code, signal) => resolve({ code, signal }))
    )
    const url = `http://127.0.0.1:${port}`
    await until(
      async () => (await request(url, "GET", "/health").catch(() => null)) !== null,
      "the reference server answers"
    )
    return {
      url,
      port,
      pids: () => [child.pid],
      async stop() {
        await end(child)
        fs.rmSync(folder, { recursive: true, force: true })
      },
    }
  }

/** The same behind an nginx that keeps its connections to it open, as in front of our program. */
const behindNginx = (start) => async () => {
  const bare = await start()
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ds-bench-"))
  const port = await freePort()
  fs.writeFileSync(
    path.join(folder, "nginx.conf"),
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr warn; worker_rlimit_nofile 16384;
     ${process.getuid() === 0 ? "user root;" : ""}
     events { worker_connections 8192; }
     http { access_log off; client_max_body_size 0; client_body_buffer_size 256k; keepalive_requests 100000;
       client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
       scgi_temp_path ${folder}/s; uwsgi_temp_path ${folder}/u;
       upstream app { server 127.0.0.1:${bare.port}; keepalive 64; keepalive_requests 1000000; }
       server { listen 127.0.0.1:${port};
         location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
           proxy_buffering off; proxy_read_timeout 3600s; } } }`
  )
  const child = launch("nginx", ["-e", "stderr", "-p", folder, "-c", `${folder}/nginx.conf`], {
    log: path.join(folder, "log"),
  })
  const url = `http://127.0.0.1:${port}`
  await until(
    async () => (await request(url, "GET", "/health").catch(() => null)) !== null,
    "nginx in front of another server answers"
  )
  return {
    ...bare,
    url,
    port,
    async stop() {
      await end(child)
      await bare.stop()
      fs.rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A server that somebody has started, and will stop. */
const peer = (url) => async () => ({
  url,
  port: Number(new URL(url).port),
  pids: () => [],
  stop: async () => {},
})

export const servers = {
  ours: { title: "ours", start: serve() },
  "ours-memory": {
    title: "ours, memory",
    start: serve({ env: { DS_DURABILITY: "memory" } }),
  },
  "ours-cache": { title: "ours, front cache", start: serve({ options: ["cache"] }) },
  empty: {
    title: "empty responder",
    start: serve({ program: path.join(build, "bench/empty.fcgi") }),
  },
  "reference-memory": { title: "reference, memory, bare", start: reference({ files: false }) },
  "reference-memory-nginx": {
    title: "reference, memory, nginx",
    start: behindNginx(reference({ files: false })),
  },
  "reference-files": { title: "reference, files, bare", start: reference({ files: true }) },
  "ours-http": { title: "ours, HTTP", start: serve({ door: "http" }) },
  "ours-http-nginx": { title: "ours, HTTP behind nginx", start: serve({ door: "nginx-http" }) },
  "ours-http-haproxy": { title: "ours, HTTP behind HAProxy", start: serve({ door: "haproxy" }) },
  "ours-http-caddy": { title: "ours, HTTP behind Caddy", start: serve({ door: "caddy" }) },
}

export const peers = []
for (const [i, word] of (process.env.PEER ?? "").split(/\s+/).filter(Boolean).entries()) {
  const [title, url] = word.split(/=(.*)/)
  if (!url) throw new Error(`PEER: ${word} is not name=URL`)
  const name = i === 0 ? "peer" : `peer-${i + 1}`
  peers.push(name)
  servers[name] = { title: `${title}, bare`, start: peer(url) }
  servers[`${name}-nginx`] = { title: `${title}, nginx`, start: behindNginx(peer(url)) }
}
