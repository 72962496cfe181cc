// A door is one way from a web server to the program. startServer({ door }) starts a server behind it.
//
//   server      a description of the web server and its configuration
//   responder   how the program is started:
//                 "service"    by the test, as a service manager would: a supervisor on a unix socket
//                 "activated"  the same, but the service manager holds the socket
//                 "spawned"    by the web server
//                 "request"    by the web server, once for each request (CGI)
//   speaks      "http": the program speaks HTTP, not FastCGI
//   bare        true if clients connect to the program itself, at a port and not at a unix socket
//   oneProcess  true if all requests reach the same process; by default if the test starts it
//   open        starts the web servers, and returns [{ child, url, database }]. Clients connect to the
//               first one. The argument is { folder, sockets, program, database, env, log };
//               `database` is returned only if it differs from the argument
//
// To add a door, add a row here and its name in tests/run.sh.

import { execFileSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { cleanEnv, freePort, launch, root } from "../harness.mjs"

// these modules import harness.mjs, which imports this one, so they are loaded when needed
const nginx = async (given) => [await (await import("../web/nginx.mjs")).startNginx(given)]
const lighttpd = (kind) => async (given) => [
  await (await import("../web/lighttpd.mjs")).startLighttpd({ ...given, kind }),
]
const apache = (kind) => async (given) => [
  await (await import("../web/apache.mjs")).startApache({ ...given, kind }),
]

const proxy = (start) => async (given) => [await (await import("../web/proxy.mjs"))[start](given)]

export const doors = {
  http: {
    server: "none: the program speaks HTTP",
    responder: "service",
    speaks: "http",
    bare: true,
    open: async ({ sockets }) => sockets.map(({ host, port }) => ({ url: `http://${host}:${port}` })),
  },
  nginx: {
    server: "nginx, FastCGI to a service",
    responder: "service",
    open: nginx,
  },
  "nginx-activated": {
    server: "nginx, FastCGI to a socket-activated service",
    responder: "activated",
    open: nginx,
  },
  lighttpd: {
    server: "lighttpd, FastCGI to a service",
    responder: "service",
    open: lighttpd("service"),
  },
  "lighttpd-spawn": {
    server: "lighttpd, FastCGI, started by lighttpd",
    responder: "spawned",
    oneProcess: true,
    open: lighttpd("spawn"),
  },
  "apache-proxy": {
    server: "Apache mod_proxy_fcgi",
    responder: "service",
    open: apache("proxy"),
  },
  "apache-fcgid": {
    server: "Apache mod_fcgid",
    responder: "spawned",
    open: apache("fcgid"),
  },
  "apache-cgi": {
    server: "Apache mod_cgid, plain CGI",
    responder: "request",
    open: apache("cgi"),
  },
  "lighttpd-cgi": {
    server: "lighttpd mod_cgi, plain CGI",
    responder: "request",
    open: lighttpd("cgi"),
  },
  hosting: {
    server: "shared hosting: Apache, plain CGI under a path prefix",
    responder: "request",
    open: openHosting,
  },
  "nginx-http": {
    server: "nginx, HTTP to a service",
    responder: "service",
    speaks: "http",
    open: proxy("startNginxHttp"),
  },
  haproxy: {
    server: "HAProxy",
    responder: "service",
    speaks: "http",
    open: proxy("startHaproxy"),
  },
  caddy: {
    server: "Caddy",
    responder: "service",
    speaks: "http",
    open: proxy("startCaddy"),
  },
  mixed: {
    server: "every other request to nginx with FastCGI and to lighttpd with plain CGI",
    responder: "service",
    oneProcess: false,
    open: openMixed,
  },
}

// the id of Debian's user www-data, as which scripts run if root starts Apache
const WWW_DATA = 33

/** Installs the program in a home folder as an ordinary user, on a host that serves ~/public_html. */
async function openHosting({ folder, program, env, log }) {
  const home = path.join(folder, "home/alice")
  const isRoot = process.getuid() === 0
  fs.mkdirSync(home, { recursive: true })
  execFileSync("sh", [path.join(root, "deploy/shared-hosting/install.sh")], {
    env: cleanEnv({ HOME: home, PROGRAM: program }),
  })
  const { DS_DATABASE: _, ...settings } = env
  fs.appendFileSync(
    path.join(home, "durable-streams/settings"),
    Object.entries(settings)
      .map(([name, value]) => `${name}='${value}'\n`)
      .join("")
  )
  if (isRoot) {
    execFileSync("chown", ["-R", `${WWW_DATA}:${WWW_DATA}`, home])
    fs.chmodSync(folder, 0o711)
    fs.chmodSync(log, 0o666)
  }
  const user = isRoot ? WWW_DATA : undefined
  const [web] = await apache("shared")({ folder, home, user, log })
  return [
    {
      ...web,
      url: `${web.url}/streams.cgi`,
      database: path.join(home, "durable-streams/data/streams.db"),
    },
  ]
}

async function openMixed(given) {
  const behind = [...(await nginx(given)), ...(await lighttpd("cgi")(given))]
  return [await startRoundRobin({ ...given, urls: behind.map(({ url }) => url) }), ...behind]
}

/** A proxy that passes each request to the next of `urls`, and adds nothing. */
async function startRoundRobin({ folder, log, urls }) {
  const port = await freePort()
  const own = path.join(folder, `front-${port}`)
  fs.mkdirSync(own)
  const servers = urls.map((url) => `server ${new URL(url).host} max_fails=0;`)
  fs.writeFileSync(
    path.join(own, "nginx.conf"),
    `daemon off;
pid "${own}/nginx.pid";
error_log stderr error;
${process.getuid() === 0 ? "user root;" : ""}
worker_processes 1;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path "${own}/body";
    fastcgi_temp_path "${own}/unused-fastcgi";
    proxy_temp_path "${own}/proxy";
    scgi_temp_path "${own}/unused-scgi";
    uwsgi_temp_path "${own}/unused-uwsgi";
    # below the 5 s after which lighttpd closes an idle connection, perhaps just as it is reused
    upstream either { ${servers.join(" ")} keepalive 64; keepalive_timeout 2s; }
    server {
        listen 127.0.0.1:${port};
        keepalive_requests 100000;
        merge_slashes off;
        large_client_header_buffers 2 11k;
        client_max_body_size 0;
        location / {
            proxy_pass http://either;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_read_timeout 3600s;
            # a request that one server lost is not sent to the other one: clients retry
            proxy_next_upstream off;
        }
    }
}
`
  )
  const child = launch(
    "nginx",
    ["-e", "stderr", "-p", `${own}/`, "-c", path.join(own, "nginx.conf")],
    { log, env: cleanEnv() }
  )
  return { child, url: `http://127.0.0.1:${port}` }
}
