// A FastCGI client for one connection that stays open, as nginx's do: it sends one request after
// the other, with the parameters that deploy/nginx/site.conf sends.

import net from "node:net"

const BEGIN = 1
const END = 3
const PARAMS = 4
const STDIN = 5
const STDOUT = 6
const RESPONDER_KEPT = Buffer.from([0, 1, 1, 0, 0, 0, 0, 0])

function record(type, content) {
  const padding = -content.length & 7
  const header = Buffer.from([1, type, 0, 1, content.length >> 8, content.length & 255, padding, 0])
  return Buffer.concat([header, content, Buffer.alloc(padding)])
}

const length = (text) =>
  text.length < 128
    ? Buffer.from([text.length])
    : Buffer.from([0x80, 0, text.length >> 8, text.length & 255])

/** The parameters that nginx sends for a request of node's fetch(). */
export function parameters(method, uri, headers = {}, body = "") {
  const sent = {
    host: "127.0.0.1:4437",
    connection: "keep-alive",
    ...headers,
    accept: "*/*",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
    "user-agent": "node",
    "accept-encoding": "gzip, deflate",
    ...(body && { "content-length": String(body.length) }),
  }
  return {
    REQUEST_METHOD: method,
    REQUEST_URI: uri,
    CONTENT_TYPE: sent["content-type"] ?? "",
    CONTENT_LENGTH: sent["content-length"] ?? "",
    SERVER_PROTOCOL: "HTTP/1.1",
    REQUEST_SCHEME: "http",
    SERVER_NAME: "_",
    SERVER_PORT: "4437",
    REMOTE_ADDR: "127.0.0.1",
    ...Object.fromEntries(
      Object.entries(sent).map(([name, value]) => [
        `HTTP_${name.toUpperCase().replaceAll("-", "_")}`,
        value,
      ])
    ),
  }
}

function encode(method, uri, headers, body) {
  const params = Object.entries(parameters(method, uri, headers, body)).flatMap(([name, value]) => [
    length(name),
    length(value),
    Buffer.from(name + value),
  ])
  return Buffer.concat([
    record(BEGIN, RESPONDER_KEPT),
    record(PARAMS, Buffer.concat(params)),
    record(PARAMS, Buffer.alloc(0)),
    ...(body ? [record(STDIN, Buffer.from(body))] : []),
    record(STDIN, Buffer.alloc(0)),
  ])
}

/** A connection to the responder's socket: { request, begin, close }. */
export async function connect(socket) {
  const connection = net.connect(socket)
  let pending = Buffer.alloc(0)
  let current = null // the answer that is coming in
  await new Promise((resolve, reject) => connection.once("connect", resolve).once("error", reject))

  const look = () => {
    const { waiting } = current
    if (!waiting || !(current.done || waiting.wanted(current.text))) return
    current.waiting = null
    if (waiting.wanted(current.text)) waiting.resolve(current.text)
    else waiting.reject(new Error(`the answer has ended: ${current.text.slice(0, 500)}`))
  }
  connection.on("data", (data) => {
    pending = Buffer.concat([pending, data])
    while (pending.length >= 8) {
      const size = pending.readUInt16BE(4)
      const next = 8 + size + pending[6]
      if (pending.length < next) break
      if (pending[1] === STDOUT) current.text += pending.toString("latin1", 8, 8 + size)
      if (pending[1] === END) current.done = true
      pending = pending.subarray(next)
    }
    if (current) look()
  })
  connection.on("close", () => {
    if (!current) return
    current.done = true
    look()
  })

  const wait = (answer, wanted) =>
    new Promise((resolve, reject) => {
      answer.waiting = { wanted, resolve, reject }
      look()
    })

  return {
    /** Sends a request; until(text => boolean) waits for a part of its answer. */
    begin(method, uri, headers = {}, body = "") {
      const answer = { text: "", done: false, waiting: null }
      current = answer
      connection.write(encode(method, uri, headers, body))
      return {
        until: (wanted) => wait(answer, wanted),
        whole: () => wait(answer, () => answer.done),
      }
    },
    /** One request that must be answered with this status; returns head and body as one text. */
    async request(status, method, uri, headers, body) {
      const text = await this.begin(method, uri, headers, body).whole()
      if (!text.startsWith(`Status: ${status} `))
        throw new Error(`${method} ${uri}, expected ${status}: ${text.slice(0, 500)}`)
      return text
    },
    close() {
      current = null
      connection.destroy()
    },
  }
}
