// The rows of `make bench-doors`: the program that speaks HTTP, by itself and behind proxies, beside
// FastCGI behind nginx and beside other servers (PEER, see servers.mjs).

import { peers } from "./servers.mjs"
import { appends, catchUps, heads, live, unchanged } from "./workloads.mjs"

const bare = ["ours-http", ...peers]
const nginx = ["ours-http-nginx", "ours", ...peers.map((name) => `${name}-nginx`)]
const all = [...bare, ...nginx, "ours-http-haproxy", "ours-http-caddy"]
const fast = [...bare, ...nginx]

export const doors = [
  appends({ id: "doors-append-1", connections: 1, servers: all }),
  appends({ id: "doors-append-16", connections: 16, servers: all }),
  appends({ id: "doors-append-64", connections: 64, servers: all }),
  appends({ id: "doors-append-256", connections: 256, servers: all }),
  heads({ id: "doors-head", connections: 64, servers: all }),
  unchanged({ id: "doors-unchanged", connections: 64, servers: fast }),
  catchUps({ id: "doors-catch-up", connections: 16, servers: all }),
  live({ id: "doors-sse-1000", kind: "sse", readers: 1000, servers: bare }),
  live({ id: "doors-sse-5000", kind: "sse", readers: 5000, rate: 10, servers: bare }),
  live({ id: "doors-long-poll", kind: "long-poll", readers: 1000, servers: bare }),
]
