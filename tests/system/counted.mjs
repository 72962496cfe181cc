// Counts the requests that reach a responder: a socket in front of the responder's own passes
// everything on. It runs in a thread of its own, so that a test that is busy with its clients does
// not delay it.

import net from "node:net"
import { fileURLToPath } from "node:url"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

const BEGIN_REQUEST = 1

let made = 0

/** `requests` counts up, `socket` is for the web server; close() ends it. */
export async function countedSocket(socket) {
  const count = new Int32Array(new SharedArrayBuffer(4))
  const data = { far: socket, near: `${socket}-counted-${made++}`, count }
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { counted: data } })
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))
  return {
    socket: data.near,
    get requests() {
      return Atomics.load(count, 0)
    },
    close: () => worker.terminate(),
  }
}

function passOn({ far: socket, near: file, count }) {
  const server = net.createServer((near) => {
    const far = net.connect(socket)
    let pending = Buffer.alloc(0)
    near.on("data", (data) => {
      far.write(data)
      pending = Buffer.concat([pending, data])
      for (;;) {
        // FastCGI: version, type, id, length of the content, of the padding, reserved
        const length = pending.length < 8 ? Infinity : 8 + pending.readUInt16BE(4) + pending[6]
        if (pending.length < length) break
        if (pending[1] === BEGIN_REQUEST) Atomics.add(count, 0, 1)
        pending = pending.subarray(length)
      }
    })
    far.pipe(near)
    for (const side of [near, far]) {
      side.on("error", () => {})
      side.on("close", () => {
        near.destroy()
        far.destroy()
      })
    }
  })
  server.listen(file, () => parentPort.postMessage("listens"))
}

// only for the thread that was started above: vitest runs tests in threads as well
if (!isMainThread && workerData?.counted) passOn(workerData.counted)
