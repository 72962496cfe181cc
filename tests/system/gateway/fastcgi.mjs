// FastCGI as no web server would speak it: the records are written by hand.

import net from "node:net"

export const BEGIN = 1
export const PARAMS = 4
export const STDIN = 5
export const GET_VALUES = 9
const END = 3
const STDOUT = 6

export function record(type, content = Buffer.alloc(0), id = 1) {
  const bytes = Buffer.from(content)
  const header = Buffer.from([1, type, id >> 8, id & 255, bytes.length >> 8, bytes.length & 255, 0, 0])
  return Buffer.concat([header, bytes])
}

const length = (n) =>
  n < 128 ? Buffer.from([n]) : Buffer.from([0x80 | (n >>> 24), (n >> 16) & 255, (n >> 8) & 255, n & 255])

export const pair = (name, value) =>
  Buffer.concat([length(name.length), length(value.length), Buffer.from(name + value, "latin1")])

/** A BEGIN, and parameters in as many records as they need. */
export function head(params, { keep = true } = {}) {
  const bytes = Buffer.isBuffer(params)
    ? params
    : Buffer.concat(Object.entries(params).map(([name, value]) => pair(name, value)))
  const records = [record(BEGIN, [0, 1, keep ? 1 : 0, 0, 0, 0, 0, 0])]
  for (let at = 0; at < bytes.length; at += 60_000)
    records.push(record(PARAMS, bytes.subarray(at, at + 60_000)))
  return Buffer.concat([...records, record(PARAMS)])
}

/** Parameters of a request of plain text. */
export const request = (method, path, more = {}) => ({
  REQUEST_METHOD: method,
  REQUEST_URI: path,
  CONTENT_TYPE: "text/plain",
  ...more,
})

export const body = (bytes) => {
  const records = []
  for (let at = 0; at < bytes.length; at += 60_000)
    records.push(record(STDIN, bytes.subarray(at, at + 60_000)))
  return Buffer.concat(records)
}

/** A connection to a responder: write(), and answer() for the bytes so far, as { status, text, ended }. */
export async function connect(socket) {
  const connection = net.connect(socket)
  let pending = Buffer.alloc(0)
  let closed = false
  let wake = () => {}
  await new Promise((resolve, reject) => connection.once("connect", resolve).once("error", reject))
  connection.on("error", () => {})
  connection.on("data", (data) => {
    pending = Buffer.concat([pending, data])
    wake()
  })
  connection.on("close", () => {
    closed = true
    wake()
  })
  const more = () => new Promise((resolve) => (wake = resolve))

  /** The next record; undefined when the connection has ended. */
  async function next() {
    for (;;) {
      if (pending.length >= 8) {
        const whole = 8 + pending.readUInt16BE(4) + pending[6]
        if (pending.length >= whole) {
          const type = pending[1]
          const content = pending.subarray(8, 8 + pending.readUInt16BE(4))
          pending = pending.subarray(whole)
          return { type, content }
        }
      }
      if (closed) return undefined
      await more()
    }
  }

  return {
    /** Resolves when all bytes are written. */
    write: (...pieces) =>
      new Promise((resolve) => connection.write(Buffer.concat(pieces), () => resolve())),
    next,
    async answer() {
      let text = ""
      for (;;) {
        const got = await next()
        if (got?.type === STDOUT) text += got.content.toString("latin1")
        if (!got || got.type === END)
          return { status: Number(text.match(/^Status: (\d+)/)?.[1]), text, ended: got === undefined }
      }
    },
    /** Waits until the other side closes. */
    async gone() {
      while (!closed) await more()
    },
    pause: () => connection.pause(),
    close: () => connection.destroy(),
  }
}
