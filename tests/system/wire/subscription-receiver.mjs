// A scripted receiver of webhooks: it answers as a test says, and remembers what it got.

import { createPublicKey, randomBytes, verify } from "node:crypto"
import http from "node:http"
import { until } from "../harness.mjs"

const SIGNATURE = /^t=(\d+),kid=([A-Za-z0-9_-]+),ed25519=([A-Za-z0-9_-]+)$/

/**
 * Starts one. hook(script) gives it an address of its own:
 *
 *   url      where webhooks are to be sent
 *   posts    what came, in order: {method, headers, raw, body, number}
 *   post(n)  waits for post number n, from 0 on
 *   script   post → {status = 200, headers = {}, body = {}}, or a promise; may be replaced. undefined
 *            as its value cuts the connection.
 */
export async function startReceiver() {
  const hooks = new Map()
  const server = http.createServer((request, answer) => {
    const chunks = []
    request.on("error", () => {})
    answer.on("error", () => {})
    request.on("data", (chunk) => chunks.push(chunk))
    request.on("end", () => take(hooks.get(request.url), request, Buffer.concat(chunks), answer))
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const origin = `http://127.0.0.1:${server.address().port}`

  return {
    hook(script = () => ({})) {
      const path = `/hook-${randomBytes(6).toString("hex")}`
      const hook = { url: origin + path, posts: [], script }
      hook.post = async (n) => {
        await until(
          () => hook.posts.length > n,
          () => `POST number ${n}; came: ${JSON.stringify(hook.posts.map(({ body }) => body))}`,
          { timeout: 60_000 }
        )
        return hook.posts[n]
      }
      hooks.set(path, hook)
      return hook
    },
    stop() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

async function take(hook, { method, headers, socket }, raw, answer) {
  if (!hook) {
    answer.writeHead(404)
    answer.end()
    return
  }
  const post = { method, headers, raw, body: parse(raw), number: hook.posts.length }
  hook.posts.push(post)
  const wanted = await hook.script(post)
  if (!wanted) {
    socket.destroy()
    return
  }
  const { status = 200, headers: more = {}, body = {} } = wanted
  answer.writeHead(status, { "content-type": "application/json", ...more })
  answer.end(status === 204 ? undefined : typeof body === "string" ? body : JSON.stringify(body))
}

function parse(raw) {
  try {
    return JSON.parse(raw)
  } catch {
    return undefined
  }
}

/** The parts of the header webhook-signature of a POST: time in seconds, kid, signature. */
export function signatureOf(post) {
  const [, time, kid, signature] = post.headers["webhook-signature"]?.match(SIGNATURE) ?? []
  return { time: Number(time), kid, signature }
}

/** Has this POST a signature by one of these keys of a key set? */
export function isSigned(post, keys) {
  const { time, kid, signature } = signatureOf(post)
  const jwk = keys.find((key) => key.kid === kid)
  if (!jwk) return false
  const signed = Buffer.concat([Buffer.from(`${time}.`), post.raw])
  const key = createPublicKey({ key: jwk, format: "jwk" })
  return verify(null, signed, key, Buffer.from(signature, "base64url"))
}
