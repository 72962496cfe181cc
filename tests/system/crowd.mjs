// A crowd of readers on bare sockets, so that ten thousand of them cost little.
//
// Each reader holds a connection and has one request at a time. A poller asks again as clients do:
// from Stream-Next-Offset, with the cursor of the last answer.

import net from "node:net"

/** Connects `count` readers to the server; `requests` counts their requests, `answers` by kind. */
export async function openCrowd(url, count) {
  const { hostname, port } = new URL(url)
  const crowd = { requests: 0, hits: 0, answers: {}, errors: [], readers: [] }

  const open = () =>
    new Promise((resolve, reject) => {
      const reader = { pending: Buffer.alloc(0), waiting: undefined, received: "" }
      reader.socket = net.connect(Number(port), hostname, () => resolve(reader))
      reader.socket.once("error", reject)
      reader.socket.on("error", (error) => crowd.errors.push(error.message))
      reader.socket.on("data", (data) => {
        reader.pending = reader.pending.length > 0 ? Buffer.concat([reader.pending, data]) : data
        const answer = parse(reader)
        if (answer) reader.waiting(answer)
      })
      reader.socket.on("close", () => reader.waiting?.({ status: 0, headers: {}, text: "" }))
    })

  /** One answer, once it is whole. nginx and the responder always say how long it is. */
  const parse = (reader) => {
    const end = reader.pending.indexOf("\r\n\r\n")
    if (end < 0) return undefined
    const [line, ...rows] = reader.pending.toString("latin1", 0, end).split("\r\n")
    const headers = {}
    for (const row of rows) {
      const colon = row.indexOf(":")
      headers[row.slice(0, colon).toLowerCase()] = row.slice(colon + 1).trim()
    }
    const length = end + 4 + Number(headers["content-length"] ?? 0)
    if (reader.pending.length < length) return undefined
    const text = reader.pending.toString("utf8", end + 4, length)
    reader.pending = reader.pending.subarray(length)
    return { status: Number(line.split(" ")[1]), headers, text }
  }

  const ask = (reader, target) =>
    new Promise((resolve) => {
      crowd.requests++
      reader.waiting = (answer) => {
        reader.waiting = undefined
        const how = `${answer.status} ${answer.headers["x-cache-status"] ?? "-"}`
        crowd.answers[how] = (crowd.answers[how] ?? 0) + 1
        if (how.endsWith(" HIT")) crowd.hits++
        resolve(answer)
      }
      reader.socket.write(`GET ${target} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
    })

  /** All readers request this once; returns the answers. */
  crowd.read = (target) => Promise.all(crowd.readers.map((reader) => ask(reader, target)))

  /**
   * A reader polls from this offset until `until(received, answer)` is true, or it is refused.
   * Resolves with the last answer; `received` of the reader has the data.
   */
  crowd.poll = async (reader, stream, offset, until) => {
    let cursor = ""
    for (;;) {
      const answer = await ask(reader, `${stream}?${cursor}live=long-poll&offset=${offset}`)
      if (answer.status === 200) reader.received += answer.text
      offset = answer.headers["stream-next-offset"] ?? offset
      cursor = answer.headers["stream-cursor"] ? `cursor=${answer.headers["stream-cursor"]}&` : ""
      if ((answer.status !== 200 && answer.status !== 204) || until(reader.received, answer))
        return answer
    }
  }

  /** Counts from here. */
  crowd.reset = () => Object.assign(crowd, { requests: 0, hits: 0, answers: {} })

  crowd.close = () => {
    for (const { socket } of crowd.readers) socket.destroy()
  }

  // in steps that fit into the queue of a listening socket
  while (crowd.readers.length < count) {
    const step = Math.min(100, count - crowd.readers.length)
    crowd.readers.push(...(await Promise.all(Array.from({ length: step }, open))))
  }
  return crowd
}
