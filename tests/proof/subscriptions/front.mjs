// Requests of the proof: most go through nginx, some to the program as CGI. A request is answered
// or not; one that was not may have been carried out.

import { spawn } from "node:child_process"
import { cleanEnv, hookedProgram, sleep } from "../../system/harness.mjs"
import { request } from "../../system/http.mjs"

const CGI_EVERY = 40
const MOST_TRIES = 2000

export class Front {
  /** round: url, chance, calm, env (of CGI processes: a function), covered (counters) */
  constructor(round) {
    this.round = round
    this.running = new Set() // CGI processes
  }

  /** One try. Undefined: it was not answered. */
  async ask(method, path, { headers = {}, body } = {}) {
    try {
      const answer = this.round.chance.oneIn(CGI_EVERY)
        ? await this.askCgi(method, path, headers, body)
        : await request(this.round.url, method, path, { headers, body, timeout: 20_000 })
      return answer && answer.status < 500 ? answer : undefined
    } catch {
      return undefined
    }
  }

  /** Tries until there is an answer; `tries` is their number. */
  async insist(method, path, options) {
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      const answer = await this.ask(method, path, options)
      if (answer) return { ...answer, tries }
      await sleep(this.round.chance.between(5, 60))
    }
    throw new Error(`${method} ${path}: no answer to ${MOST_TRIES} tries`)
  }

  askCgi(method, path, headers, body = "") {
    const [name, query = ""] = path.split("?")
    const { covered, chance } = this.round
    const env = {
      ...cleanEnv(this.round.env()),
      REQUEST_METHOD: method,
      REQUEST_URI: path,
      QUERY_STRING: query,
      SCRIPT_NAME: "",
      PATH_INFO: name,
      SERVER_PROTOCOL: "HTTP/1.1",
      GATEWAY_INTERFACE: "CGI/1.1",
      SERVER_NAME: "127.0.0.1",
      SERVER_PORT: new URL(this.round.url).port,
      HTTP_HOST: new URL(this.round.url).host,
      CONTENT_LENGTH: String(Buffer.byteLength(body)),
    }
    for (const [key, value] of Object.entries(headers))
      env[key === "content-type" ? "CONTENT_TYPE" : `HTTP_${key.toUpperCase().replaceAll("-", "_")}`] =
        value
    covered.cgi++
    return new Promise((resolve, reject) => {
      const child = spawn(hookedProgram, [], { env, stdio: ["pipe", "pipe", "ignore"] })
      const chunks = []
      this.running.add(child)
      child.stdin.on("error", () => {})
      child.stdin.end(body)
      child.stdout.on("data", (chunk) => chunks.push(chunk))
      child.once("error", reject)
      child.once("close", (code, signal) => {
        this.running.delete(child)
        if (signal === "SIGKILL") covered.kills.cgi++
        else if (signal) this.round.fail(`a CGI process was ended by ${signal}`)
        resolve(signal ? undefined : parse(Buffer.concat(chunks).toString("utf8")))
      })
      if (!this.round.calm && chance.oneIn(4))
        setTimeout(() => child.kill("SIGKILL"), chance.below(12))
    })
  }
}

/** The answer of a CGI process, if it is whole. */
function parse(text) {
  const end = text.indexOf("\r\n\r\n")
  if (end < 0) return undefined
  const headers = {}
  for (const line of text.slice(0, end).split("\r\n")) {
    const colon = line.indexOf(":")
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const body = text.slice(end + 4)
  const length = headers["content-length"]
  if (length !== undefined && Number(length) !== Buffer.byteLength(body)) return undefined
  return { status: parseInt(headers.status ?? "200", 10), headers, text: body }
}

/** The position in an offset. */
export const position = (offset) =>
  offset === "-1" ? -1 : Number(String(offset).slice(String(offset).indexOf("_") + 1))

export const offsetOf = (position) =>
  position < 0 ? "-1" : `0000000000000000_${String(position).padStart(16, "0")}`
