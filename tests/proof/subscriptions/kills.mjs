// Who is killed when: everything by SIGKILL. Besides, each process of the hooked build kills itself
// between two statements of its first write transactions (DS_TEST_KILL_STEPS).

import fs from "node:fs"
import path from "node:path"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { cleanEnv, end, hookedProgram, launch, sleep } from "../../system/harness.mjs"

const receiver = path.join(path.dirname(fileURLToPath(import.meta.url)), "receiver.mjs")
const STEPS = [100, 400, 1500]

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

function delivers(pid) {
  try {
    return fs.readlinkSync(`/proc/${pid}/exe`).endsWith("durable-streams-deliver")
  } catch {
    return false // it has ended
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

/**
 * The processes of a round: the supervisor with its responders and its deliverer; a second deliverer,
 * which takes over when the first one dies; receivers.
 */
export class Processes {
  constructor(round, server) {
    Object.assign(this, { round, server })
    this.ours = new Set() // pids that we have killed
    this.known = new Set() // children of the supervisor that were seen
    this.receivers = []
  }

  steps() {
    return this.round.calm ? {} : { DS_TEST_KILL_STEPS: String(this.round.chance.pick(STEPS)) }
  }

  startDeliverer() {
    const child = launch(hookedProgram, ["--deliver"], {
      log: path.join(this.server.folder, "log"),
      cwd: this.server.folder,
      env: cleanEnv({ ...this.round.settings, ...this.steps() }),
    })
    this.deliverer = child
    void child.gone.then(async ({ signal, code }) => {
      if (this.stopping) return
      if (signal === "SIGKILL") this.round.covered.kills.deliverer++
      else this.round.fail(`a deliverer ended: ${signal ?? code}`)
      await sleep(100)
      if (!this.stopping) this.startDeliverer()
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
    const children = childrenOf(this.server.supervisors[0].pid)
    const deliverers = children.filter(delivers)
    const responders = children.filter((pid) => !deliverers.includes(pid))
    const turn = chance.below(20)
    let victims = []
    if (turn < 9 && responders.length > 0) victims = [chance.pick(responders)]
    else if (turn < 12) victims = responders
    else if (turn < 14) victims = deliverers
    for (const pid of victims) {
      this.ours.add(pid)
      if (kill(pid)) covered.kills[turn < 12 ? "responder" : "deliverer"]++
    }
    if ((turn === 14 || turn === 15) && !isDead(this.deliverer)) kill(this.deliverer.pid)
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
    await this.stopDeliverer()
    await this.restart()
    this.stopping = false
    this.startDeliverer()
    for (const child of this.receivers) if (child.connected) child.send("calm")
  }

  async stopDeliverer() {
    this.stopping = true
    await sleep(150) // one that is about to be started
    await end(this.deliverer)
  }

  async stop() {
    await this.stopDeliverer()
    for (const child of this.receivers) child.kill("SIGKILL")
  }
}
