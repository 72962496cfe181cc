// A receiver of webhooks, which remembers what it got, and counts connections.

import { createPublicKey, verify } from "node:crypto"
import http from "node:http"
import net from "node:net"

/**
 * answer(request, response, got) is called with each request whose body has arrived; got is
 * { at, method, url, headers, raw, body, closed }, and is in `got` already. closed: the sender has
 * given up, before it was answered.
 */
export async function startReceiver(undo, answer = done, { host = "127.0.0.1", port = 0 } = {}) {
  const receiver = { got: [], connections: 0, answer }
  const server = http.createServer((request, response) => {
    const pieces = []
    request.on("data", (piece) => pieces.push(piece))
    request.on("error", () => {})
    request.on("end", () => {
      const raw = Buffer.concat(pieces)
      const { method, url, headers } = request
      const got = { at: Date.now(), method, url, headers, raw, closed: false }
      if (raw.length > 0) got.body = JSON.parse(raw.toString())
      response.on("close", () => (got.closed = !response.writableFinished))
      receiver.got.push(got)
      receiver.answer(request, response, got)
    })
  })
  server.keepAliveTimeout = 60_000
  server.on("connection", () => receiver.connections++)
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, host, resolve))
  receiver.port = server.address().port
  receiver.url = `http://127.0.0.1:${receiver.port}/hook`
  undo.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return receiver
}

/** A listener that only counts connections, and closes them. */
export async function startTrap(undo, { host = "127.0.0.1", port = 0 } = {}) {
  const trap = { connections: 0 }
  const server = net.createServer((socket) => {
    trap.connections++
    socket.on("error", () => {})
    socket.destroy()
  })
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, host, resolve))
  trap.port = server.address().port
  undo.push(() => new Promise((resolve) => server.close(resolve)))
  return trap
}

// what a receiver may answer
export const done = (_, response) => response.end('{"done":true}')
export const taken = (_, response) => response.end("{}")
export const failing = (_, response) => response.writeHead(500).end("no")
export const silent = () => {}

/** Throws unless the request is signed by one of these keys (a JWK set); returns { t, kid }. */
export function checkSignature(got, keys) {
  const [, t, kid, signature] = got.headers["webhook-signature"].match(
    /^t=(\d+),kid=([\w-]+),ed25519=([\w-]{86})$/
  )
  const jwk = keys.find((key) => key.kid === kid)
  const signed = Buffer.concat([Buffer.from(`${t}.`), got.raw])
  const key = createPublicKey({ key: jwk, format: "jwk" })
  if (!verify(null, signed, key, Buffer.from(signature, "base64url")))
    throw new Error("the signature is wrong")
  return { t: Number(t), kid }
}
