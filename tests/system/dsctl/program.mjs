// Runs the program dsctl in tests.

import { expect } from "vitest"
import { spawn } from "node:child_process"
import path from "node:path"
import { build, cleanEnv, expectNoReport, sleep } from "../harness.mjs"

export const dsctl = path.join(build, "dsctl")

export const DONE = 0
export const FAILED = 1
export const USAGE = 2
export const NOT_FOUND = 3
export const CONFLICT = 4
export const UNREACHABLE = 5
export const REPLACED = 6
export const IDLE = 7

/** Functions that run dsctl. `undo` is that of cleanUp(); `where` returns the environment that says which server. */
export function dsctlRunner(undo, where) {
  /** Starts dsctl and leaves its standard input open. `done` resolves to code, signal, out (a Buffer), text, err and lines. */
  function start(args, { env = {}, cwd } = {}) {
    const child = spawn(dsctl, args, {
      env: cleanEnv({ ...where(), ...env }),
      cwd,
      stdio: ["pipe", "pipe", "pipe"],
    })
    const run = { child, out: Buffer.alloc(0), err: "" }
    child.stdout.on("data", (data) => (run.out = Buffer.concat([run.out, data])))
    child.stderr.on("data", (data) => (run.err += data))
    child.stdin.on("error", () => {}) // dsctl may end before it has read everything
    run.text = () => run.out.toString()
    run.lines = () => run.text().split("\n").slice(0, -1)
    run.said = () => `${args.join(" ")}\n${run.text().slice(-2000)}\n${run.err}`
    run.done = new Promise((resolve) =>
      child.once("close", (code, signal) => {
        expectNoReport(run.err)
        resolve({ code, signal, out: run.out, text: run.text(), err: run.err, lines: run.lines() })
      })
    )
    undo.push(async () => {
      child.kill("SIGTERM") // serve has to end its children
      await Promise.race([run.done, sleep(20_000)])
      child.kill("SIGKILL")
    })
    return run
  }

  /** Runs dsctl to its end. */
  function ds(args, { input = "", ...options } = {}) {
    const run = start(args, options)
    run.child.stdin.end(input)
    return run.done
  }

  /** Runs dsctl, expects success, and returns standard output without its last line feed. */
  async function ok(args, options) {
    const { code, text, err } = await ds(args, options)
    expect(code, `${args.join(" ")}: ${err}`).toBe(DONE)
    return text.replace(/\n$/, "")
  }

  return { start, ds, ok }
}
