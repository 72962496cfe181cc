// An HTTP client that hides nothing: it sends requests as they are written, and returns answers as
// they arrive.

import http from "node:http"
import net from "node:net"
import { randomBytes } from "node:crypto"

// never reuse a connection that was idle for 2 s: lighttpd closes it after 5 s, perhaps at that moment
const agent = new http.Agent({ keepAlive: true, maxSockets: 512, timeout: 2000 })

/** The path of this address, which is a prefix of all other paths of the server. */
const target = (url, path) =>
  path.startsWith("/") ? new URL(url).pathname.replace(/\/$/, "") + path : path

/** A path for a stream that no other test uses. */
export const fresh = (name = "s") => `/v1/stream/${name}-${randomBytes(6).toString("hex")}`

/**
 * One request. `path` is sent as it is, after the path of the url; nothing is normalised. A body that
 * is a list of pieces is sent chunked. The answer has status, reason, headers (lower case; repeated
 * ones joined), rawHeaders, body (Buffer), text, ms.
 */
export function request(
  url,
  method,
  path,
  { headers = {}, body, timeout = 30_000, signal, fresh = false } = {}
) {
  const { hostname, port } = hostOf(url)
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      {
        hostname,
        port,
        method,
        path: target(url, path),
        headers,
        agent: fresh ? false : agent,
        signal,
      },
      (answer) => {
        const chunks = []
        answer.on("data", (chunk) => chunks.push(chunk))
        answer.on("error", reject)
        answer.on("end", () => {
          clearTimeout(timer)
          const all = Buffer.concat(chunks)
          resolve({
            status: answer.statusCode,
            reason: answer.statusMessage,
            headers: answer.headers,
            rawHeaders: answer.rawHeaders,
            body: all,
            text: all.toString("utf8"),
            ms: performance.now() - began,
          })
        })
      }
    )
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no answer within ${timeout} ms: ${method} ${path}`)),
      timeout
    )
    outgoing.on("error", (error) => {
      clearTimeout(timer)
      reject(error)
    })
    if (Array.isArray(body)) {
      for (const piece of body) outgoing.write(piece)
      outgoing.end()
    } else {
      outgoing.end(body)
    }
  })
}

/** Whether a server answers its health check with 200, for until(); api is a client(). */
export const isHealthy = (api, headers = {}, options = {}) =>
  api.get("/health", headers, options).then(
    ({ status }) => status === 200,
    () => false
  )

/** The operations of the protocol on one server. */
export function client(url) {
  const call = (method) => (path, headers, body, options) =>
    request(url, method, path, { headers, body, ...options })
  const post = call("POST")
  return {
    url,
    put: call("PUT"),
    post,
    head: call("HEAD"),
    del: call("DELETE"),
    options: call("OPTIONS"),
    any: (method, path, headers, body, options) =>
      request(url, method, path, { headers, body, ...options }),
    get: (path, headers, options) => request(url, "GET", path, { headers, ...options }),
    /** Creates a stream or throws. */
    async create(path, type = "text/plain", body, headers = {}) {
      const answer = await request(url, "PUT", path, {
        headers: { "content-type": type, ...headers },
        body,
      })
      if (answer.status !== 201) throw new Error(`PUT ${path}: ${answer.status} ${answer.text}`)
      return answer
    },
    /** Appends or throws. */
    async append(path, type, body, headers = {}) {
      const answer = await post(path, { "content-type": type, ...headers }, body)
      if (answer.status !== 204 && answer.status !== 200)
        throw new Error(`POST ${path}: ${answer.status} ${answer.text}`)
      return answer
    },
    /** Reads from an offset to the tail, in as many answers as it takes. */
    async readAll(path, offset = "-1") {
      const chunks = []
      for (;;) {
        const answer = await request(url, "GET", `${path}?offset=${offset}`)
        if (answer.status !== 200)
          throw new Error(`GET ${path}?offset=${offset}: ${answer.status} ${answer.text}`)
        chunks.push(answer.body)
        const next = answer.headers["stream-next-offset"]
        if (answer.headers["stream-up-to-date"] === "true")
          return { chunks, body: Buffer.concat(chunks), next }
        if (next === offset) throw new Error(`${path}: no progress at ${offset}`)
        offset = next
      }
    },
    /** All messages of a JSON stream. */
    async readJson(path, offset) {
      const { chunks, next } = await this.readAll(path, offset)
      return { messages: chunks.flatMap((chunk) => JSON.parse(chunk.toString())), next }
    },
    sse: (path, headers, options) => sse(url, path, headers, options),
    raw: (text, options) => raw(url, text, options),
  }
}

/** Host and port of a URL; the host of an IPv6 address without its brackets. */
function hostOf(url) {
  const { hostname, port } = new URL(url)
  return { hostname: hostname.replace(/^\[|\]$/g, ""), port }
}

/**
 * Writes bytes to the server as they are, and collects the answer until the connection ends,
 * `enough(text)` is true, or the time is up. For requests that no HTTP client would send.
 */
export function raw(url, text, { timeout = 5000, enough = () => false } = {}) {
  const { hostname, port } = hostOf(url)
  return new Promise((resolve, reject) => {
    let received = ""
    const socket = net.connect(Number(port), hostname, () =>
      socket.write(Buffer.from(text, "latin1"))
    )
    const done = () => {
      clearTimeout(timer)
      socket.destroy()
      const [head, ...rest] = received.split("\r\n\r\n")
      resolve({
        status: Number(head.match(/^HTTP\/1\.[01] (\d{3})/)?.[1]),
        head,
        lines: head.split("\r\n").slice(1),
        header: (name) => head.match(new RegExp(`^${name}: *(.*?)\\r?$`, "im"))?.[1],
        body: rest.join("\r\n\r\n"),
      })
    }
    const timer = setTimeout(done, timeout)
    socket.on("data", (data) => {
      received += data.toString("latin1")
      if (enough(received)) done()
    })
    socket.on("end", done)
    socket.on("error", (error) => (received ? done() : (clearTimeout(timer), reject(error))))
  })
}

/**
 * A connection on which requests are written by hand and answers read one by one, as RFC 9112
 * divides them.
 *
 *   send(text)       writes; latin1
 *   answer(method)   the next answer {status, head, headers, body, cut}; method: of its request, HEAD
 *                    has no body. Undefined when the connection ends before one, throws when the time
 *                    is up.
 *   over             is true when the server has ended the connection
 *   finish()         ends our half; drop() cuts the connection
 */
export async function connect(url, { timeout = 10_000 } = {}) {
  const { hostname, port } = hostOf(url)
  const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  let received = Buffer.alloc(0)
  let wake = () => {}
  const wire = {
    over: false,
    send: (text) => socket.write(Buffer.from(text, "latin1")),
    finish: () => socket.end(),
    drop: () => socket.destroy(),
    received: () => received.toString("latin1"),
    answer,
  }
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("error", reject)
  })
  const ended = () => {
    wire.over = true
    wake()
  }
  socket.on("error", ended)
  socket.on("end", ended)
  socket.on("close", ended)
  socket.on("data", (data) => {
    received = Buffer.concat([received, data])
    wake()
  })
  return wire

  /** Waits for more bytes or the end of the connection; false when the time is up. */
  function more(until) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, until - Date.now()))
      wake = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
  }

  async function answer(method = "GET") {
    const until = Date.now() + timeout
    for (;;) {
      const found = split(received, method, wire.over)
      if (found) {
        received = received.subarray(found.length)
        return found
      }
      if (wire.over) {
        if (received.length === 0) return undefined
        throw new Error(`the connection ended within an answer: ${wire.received().slice(0, 500)}`)
      }
      if (!(await more(until)))
        throw new Error(`no whole answer within ${timeout} ms: ${wire.received().slice(0, 500)}`)
    }
  }
}

/** The first whole answer in these bytes, and its length. */
function split(bytes, method, over) {
  const headEnd = bytes.indexOf("\r\n\r\n")
  if (headEnd < 0) return undefined
  const head = bytes.subarray(0, headEnd).toString("latin1")
  const status = Number(head.match(/^HTTP\/1\.[01] (\d{3})/)?.[1])
  if (!status) throw new Error(`this is no answer: ${head.slice(0, 300)}`)
  const headers = {}
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":")
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const result = (body, length) => ({
    status,
    head,
    headers,
    body: body.toString("latin1"),
    length,
  })
  const start = headEnd + 4
  const none = Buffer.alloc(0)
  if (method === "HEAD" || status < 200 || status === 204 || status === 304)
    return result(none, start)
  if (/chunked/i.test(headers["transfer-encoding"] ?? "")) {
    const pieces = []
    for (let at = start; ;) {
      const lineEnd = bytes.indexOf("\r\n", at)
      if (lineEnd < 0) return undefined
      const size = parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16)
      const next = lineEnd + 2 + size + 2
      if (next > bytes.length) return undefined
      if (size === 0) return result(Buffer.concat(pieces), next)
      pieces.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
      at = next
    }
  }
  if (headers["content-length"] !== undefined) {
    const end = start + Number(headers["content-length"])
    return end <= bytes.length ? result(bytes.subarray(start, end), end) : undefined
  }
  return over ? result(bytes.subarray(start), bytes.length) : undefined
}

/**
 * An SSE reader. Parses as the WHATWG standard says, from bytes, and refuses what is not UTF-8.
 *
 *   events            {type, data, control} as they came; control is the parsed JSON of a control event
 *   comments          comment lines
 *   waitFor(test)     resolves with the first event, come or to come, for which test is true
 *   ended             resolves when the connection is over: {complete, error}
 *   text()            the data of all data events, joined
 */
export function sse(url, path, headers = {}, { timeout = 10_000 } = {}) {
  const { hostname, port } = hostOf(url)
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path: target(url, path), headers, agent: false }
    const outgoing = http.request(options, (answer) => {
      clearTimeout(timer)
      const decoder = new TextDecoder("utf-8", { fatal: true })
      const waiting = new Set()
      let buffer = ""
      let overHow
      const reader = {
        status: answer.statusCode,
        headers: answer.headers,
        events: [],
        comments: [],
        received: "",
        broken: undefined,
        close: () => outgoing.destroy(),
        text: () =>
          reader.events
            .filter((event) => event.type === "data")
            .map((event) => event.data)
            .join(""),
        controls: () =>
          reader.events.filter((event) => event.control).map((event) => event.control),
        waitFor(test, what = "an event", ms = timeout) {
          const found = reader.events.find(test)
          if (found) return Promise.resolve(found)
          return new Promise((ok, fail) => {
            const waiter = {
              test,
              ok,
              fail: (why) =>
                fail(
                  new Error(
                    `${why} while waiting for ${what}; received:\n${reader.received || "(nothing)"}`
                  )
                ),
            }
            waiter.timer = setTimeout(() => {
              waiting.delete(waiter)
              waiter.fail(`${ms} ms passed`)
            }, ms)
            if (overHow) waiter.over = true
            waiting.add(waiter)
            if (overHow) settle()
          })
        },
      }
      const settle = () => {
        for (const waiter of waiting) {
          const found = reader.events.find(waiter.test)
          if (!found && !overHow) continue
          waiting.delete(waiter)
          clearTimeout(waiter.timer)
          if (found) waiter.ok(found)
          else waiter.fail("the connection ended")
        }
      }
      let over
      reader.ended = new Promise((ok) => (over = ok))
      const finish = (how) => {
        if (overHow) return
        overHow = how
        settle()
        over(how)
      }
      answer.on("data", (chunk) => {
        try {
          buffer += decoder.decode(chunk, { stream: true })
        } catch (error) {
          reader.broken = error
          return outgoing.destroy()
        }
        reader.received = (reader.received + chunk.toString("utf8")).slice(-20_000)
        buffer = parse(buffer, reader)
        settle()
      })
      answer.on("end", () => finish({ complete: answer.complete }))
      answer.on("error", (error) => finish({ complete: false, error }))
      answer.on("close", () => finish({ complete: answer.complete }))
      resolve(reader)
    })
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no SSE answer within ${timeout} ms: ${path}`)),
      timeout
    )
    outgoing.on("error", reject)
    outgoing.end()
  })
}

function parse(buffer, reader) {
  // a CR at the very end may be half of a CRLF
  const keep = buffer.endsWith("\r") ? "\r" : ""
  const text = buffer.slice(0, buffer.length - keep.length).replace(/\r\n?/g, "\n")
  const blocks = text.split("\n\n")
  const rest = blocks.pop()
  for (const block of blocks) {
    let type = "message"
    const data = []
    for (const line of block.split("\n")) {
      if (line.startsWith(":")) reader.comments.push(line)
      const colon = line.indexOf(":")
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "")
      if (field === "event") type = value
      if (field === "data") data.push(value)
      if (field === "id") reader.id = value
    }
    if (data.length === 0) continue
    const event = { type, data: data.join("\n"), id: reader.id }
    if (type === "control") event.control = JSON.parse(event.data)
    reader.events.push(event)
  }
  return rest + keep
}
