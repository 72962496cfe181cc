// Who is killed when: everything by SIGKILL. Besides, each process of the hooked build kills itself
// between two statements of its first write transactions (DS_TEST_KILL_STEPS).

import fs from "node:fs"
import path from "node:path"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { cleanEnv, end, hookedProgram, launch, sleep } from "../../system/harness.mjs"

const receiver = path.join(path.dirname(fileURLToPath(import.meta.url)), "receiver.mjs")
const STEPS = [30, 300, 3000]

/** The direct children of a process, cheaply. */
function childrenOf(pid) {
  try {
    return fs
      .readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .split(" ")
      .filter((word) => word)
      .map(Number)
  } catch {
    return []
  }
}

const isDead = (child) => child.exitCode !== null || child.signalCode !== null

function kill(pid) {
  try {
    process.kill(pid, "SIGKILL")
    return true
  } catch {
    return false
  }
}

/** The processes of a round: the supervisor's responders, deliverers, receivers. */
export class Processes {
  constructor(round, server) {
    Object.assign(this, { round, server })
    this.ours = new Set() // pids that we have killed
    this.known = new Set() // responders that were seen
    this.deliverers = []
    this.receivers = []
  }

  steps() {
    return this.round.calm ? {} : { DS_TEST_KILL_STEPS: String(this.round.chance.pick(STEPS)) }
  }

  startDeliverer(i) {
    const child = launch(hookedProgram, ["--deliver"], {
      log: path.join(this.server.folder, "log"),
      cwd: this.server.folder,
      env: cleanEnv({ ...this.round.settings, ...this.steps() }),
    })
    this.deliverers[i] = child
    void child.gone.then(async ({ signal, code }) => {
      if (signal === "SIGKILL") this.round.covered.kills.deliverer++
      else if (!this.round.over && !this.stopping) this.round.fail(`a deliverer ended: ${signal ?? code}`)
      await sleep(100)
      if (!this.round.over) this.startDeliverer(i)
    })
  }

  startReceiver(i) {
    const { round, server } = this
    const child = spawn(
      process.execPath,
      [receiver, String(round.ports[i]), round.notes[i], String(round.chance.below(1e9))],
      { stdio: ["ignore", "inherit", "inherit", "ipc"], cwd: server.folder }
    )
    this.receivers[i] = child
    if (round.calm) child.send("calm")
    child.once("exit", async () => {
      if (round.over) return
      await sleep(round.chance.between(0, 400))
      if (!round.over) this.startReceiver(i)
    })
  }

  /** Counts processes that have ended without us: by the hook. */
  watch() {
    const supervisor = this.server.supervisors[0]
    if (isDead(supervisor)) return
    const now = new Set(childrenOf(supervisor.pid))
    for (const pid of this.known)
      if (!now.has(pid) && !this.ours.has(pid)) this.round.covered.kills.step++
    this.known = now
  }

  killSome() {
    const { chance, covered } = this.round
    const responders = childrenOf(this.server.supervisors[0].pid)
    const turn = chance.below(20)
    let victims = []
    if (turn < 10 && responders.length > 0) victims = [chance.pick(responders)]
    else if (turn < 13) victims = responders
    for (const pid of victims) {
      this.ours.add(pid)
      if (kill(pid)) covered.kills.responder++
    }
    if (turn >= 13 && turn < 16) {
      const child = chance.pick(this.deliverers)
      if (child && !isDead(child)) kill(child.pid)
    }
    if (turn >= 16) {
      const child = chance.pick(this.receivers)
      if (!isDead(child) && child.kill("SIGKILL")) covered.kills.receiver++
    }
  }

  /** A supervisor with other settings; its responders die with it. */
  async restart() {
    const { covered } = this.round
    this.watch()
    for (const pid of this.known) this.ours.add(pid)
    if (!isDead(this.server.supervisors[0])) covered.kills.supervisor++
    for (;;) {
      try {
        await this.server.restart("SIGKILL")
        break
      } catch (error) {
        // it has killed itself while it started
        if (this.round.calm) throw error
        covered.kills.supervisor++
      }
    }
    this.known = new Set(childrenOf(this.server.supervisors[0].pid))
  }

  /** Kills until the round is calm. */
  async run(kills) {
    const { round } = this
    let last = Date.now()
    while (round.killed() < kills && !round.failed) {
      const until = Date.now() + round.chance.between(...round.killPause)
      while (Date.now() < until) {
        await sleep(20)
        this.watch()
      }
      if (isDead(this.server.supervisors[0]) || Date.now() - last > 12_000) {
        await this.restart()
        last = Date.now()
      } else {
        this.killSome()
      }
    }
  }

  /** Starts everything anew without the hook. */
  async calm() {
    this.stopping = true
    for (const child of this.deliverers) await end(child)
    this.stopping = false
    await this.restart()
    for (const child of this.receivers) if (child.connected) child.send("calm")
  }

  async stop() {
    this.stopping = true
    for (const child of this.deliverers) await end(child)
    for (const child of this.receivers) child.kill("SIGKILL")
  }
}
