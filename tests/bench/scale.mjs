// How the cost grows: rows of the same shape as those of workloads.mjs, each with servers of its own.
//
//   scale(1)      as it is meant; scale(0.01) with a hundredth of it, to try whether it works
//
// What was lost fails the run here too.

import { startServer } from "../system/harness.mjs"
import { appends, live } from "./workloads.mjs"

/** A server behind nginx for one group of rows. */
const behindNginx = (title, options = {}) => ({
  title,
  async start() {
    const server = await startServer({ door: "nginx", ...options })
    server.port = Number(new URL(server.url).port)
    return server
  },
})

const atLeast = (least, number) => Math.max(least, Math.round(number))

/** One database, and so many responder processes on one socket. */
function processes(factor) {
  const own = {
    "1 process": behindNginx("1 process"),
    "2 processes": behindNginx("2 processes", { processes: 2 }),
    "4 processes": behindNginx("4 processes", { processes: 4 }),
  }
  const servers = Object.keys(own)
  const readers = atLeast(10, 1000 * factor)
  return [
    { ...appends({ connections: 64, servers }), name: "processes, append, 64 connections", own },
    {
      ...live({ kind: "sse", readers, servers }),
      name: `processes, delivery, sse, ${readers} readers`,
      own,
    },
  ]
}

export const scale = (factor) => [...processes(factor)]
