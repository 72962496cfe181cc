// One round: a server, writers, workers and receivers; kills; then peace, and the judgement.

import fs from "node:fs"
import path from "node:path"
import { build, freePort, hookedProgram, sleep, startServer } from "../../system/harness.mjs"
import { chanceFrom } from "./chance.mjs"
import { Front } from "./front.mjs"
import { judgeEnd, judgeEvents, judgeOutput, judgeReceivers, takeNotes } from "./judge.mjs"
import { Processes } from "./kills.mjs"
import { Ledger } from "./ledger.mjs"
import { dsctlCheck, judgeLook, look, messageEnds } from "./look.mjs"
import { Worker } from "./worker.mjs"
import { remakeWakeStream, writeAnew, writeForks, writeOn, writeUntilExpiry } from "./writer.mjs"

const WORKERS = 3 // of each pool
const SLACK_MS = 20_000 // how late a lease or an attempt may be while everything is killed
const IDLE_MS = 120_000 // until everything is done, after the last kill
const JSON_TYPE = { "content-type": "application/json" }

const WRITERS = [
  writeOn, writeOn, writeOn, writeOn, writeOn, writeOn, writeAnew, writeAnew, writeUntilExpiry, writeForks,
] // prettier-ignore

export class Round {
  /** kills; control: workers do not look at their output first, and the judge must find it */
  constructor(seed, { kills, control = false, covered }) {
    const chance = chanceFrom(seed)
    Object.assign(this, { seed, kills, control, covered, chance })
    this.ledger = new Ledger()
    this.claimed = new Set() // subscription|generation
    this.making = new Set() // subscriptions whose PUT is under way
    this.notesTaken = []
    this.allNotes = []
    this.openCallbacks = new Map()
    this.calm = true // nothing is killed, and workers and receivers do their best
    this.quiet = false // writers stop
    this.over = false
    this.failed = undefined
    this.looks = 0
    this.late = 0 // ms
    this.events = new Map()
    this.pause = 150 // ms between two appends of a writer, at most
    this.forks = 4
    this.killPause = [40, 300]
  }

  fail(text) {
    this.failed ??= text
  }

  killed() {
    const { kills } = this.covered
    return Object.values(kills).reduce((sum, n) => sum + n, 0) - this.killsBefore
  }

  /** A wake stream's event; one of a stream that is made again may come twice. */
  seeEvent(subscription, generation) {
    if (generation > (this.events.get(subscription) ?? 0)) this.events.set(subscription, generation)
  }

  env() {
    return { ...this.settings, ...this.processes.steps() }
  }

  /** A part of the round: its failure ends the round. */
  start(promise) {
    this.parts.push(promise.catch((error) => this.fail(error.stack ?? error.message)))
  }

  async run() {
    this.killsBefore = 0
    this.killsBefore = this.killed()
    this.parts = []
    try {
      await this.begin()
      await this.work()
      await this.judge()
    } catch (error) {
      this.fail(error.stack)
    } finally {
      this.over = true
      await this.processes?.stop()
      await Promise.race([Promise.all(this.parts), sleep(10_000)])
      if (this.failed || this.ledger.faults.length > 0) this.keep()
      await this.server?.stop().catch((error) => this.fail(error.message))
    }
    return [...this.ledger.faults, ...(this.failed ? [this.failed] : [])]
  }

  keep() {
    if (this.control) return
    this.kept = `${this.server.folder}-kept`
    fs.cpSync(this.server.folder, this.kept, {
      recursive: true,
      filter: (from) => !fs.lstatSync(from).isSocket(),
    })
  }

  // --- the beginning ---

  async begin() {
    const settings = { DS_WEBHOOK_LOCAL: "1", DS_LOG_LEVEL: "error", DS_LONG_POLL_TIMEOUT_MS: "1000" }
    this.server = await startServer({
      program: hookedProgram,
      processes: 2,
      env: settings,
      envOf: () => this.processes?.steps() ?? {},
    })
    this.settings = { ...settings, DS_DATABASE: this.server.database }
    this.url = this.server.url
    this.front = new Front(this)
    this.ports = [await freePort(), await freePort()]
    this.notes = this.ports.map((_, i) => path.join(this.server.folder, `notes-${i}`))
    for (const file of this.notes) fs.writeFileSync(file, "")
    this.processes = new Processes(this, this.server)
    this.ports.forEach((_, i) => this.processes.startReceiver(i))
    this.processes.startDeliverer()
    this.plan()
    for (const name of ["wake/a", "wake/shared", ...this.pools.map((pool) => pool.output)])
      await this.front.insist("PUT", `/v1/stream/${name}`, { headers: JSON_TYPE })
    for (const subscription of this.subscriptions) await this.subscribe(subscription)
  }

  plan() {
    const pull = (name, leaseMs, wakeStream, what) => ({
      ...what, name, leaseMs, wakeStream, output: `out/${name}`, looks: !this.control,
      body: { ...what, type: "pull-wake", wake_stream: wakeStream, lease_ttl_ms: leaseMs },
    }) // prettier-ignore
    const hook = (name, leaseMs, i, what) => ({
      ...what, name,
      body: {
        ...what, type: "webhook", lease_ttl_ms: leaseMs,
        webhook: { url: `http://127.0.0.1:${this.ports[i]}/${name}` },
      },
    }) // prettier-ignore
    this.pools = [
      pull("p-a", 1000, "wake/a", { pattern: "a/*" }),
      pull("p-b", 1000, "wake/shared", { pattern: "b/**" }),
      pull("p-c", 3000, "wake/shared", { streams: ["a/0", "a/6", "b/7", "b/8"] }),
      pull("p-d", 1500, "wake/a", { pattern: "a/**" }),
      pull("p-e", 1000, "wake/shared", { streams: ["a/6", "a/7", "b/6", "b/7"] }),
    ]
    this.hooks = [
      hook("w-a", 1000, 0, { pattern: "a/**" }),
      hook("w-b", 2000, 1, { pattern: "b/*" }),
      hook("w-c", 1500, 0, { streams: ["a/1", "a/7", "b/6", "b/8"] }),
      hook("w-d", 3000, 1, { pattern: "b/**" }),
    ]
    this.subscriptions = [...this.pools, ...this.hooks]
  }

  async subscribe(subscription) {
    const target = `/v1/stream/__ds/subscriptions/${subscription.name}`
    const from = Date.now()
    for (let tries = 0; ; tries++) {
      const answer = await this.front.insist("PUT", target, {
        headers: JSON_TYPE,
        body: JSON.stringify(subscription.body),
      })
      if (answer.status === 201 || answer.status === 200) {
        const { streams } = JSON.parse(answer.text)
        this.ledger.start(subscription.name, streams, from, Date.now())
        return
      }
      // no deliverer runs at this moment
      if (answer.status !== 400 || !subscription.body.webhook || tries > 400)
        throw new Error(`PUT ${subscription.name}: ${answer.status} ${answer.text}`)
      await sleep(50)
    }
  }

  /** Deletes one now and then, and makes it again. */
  async resubscribe(subscription) {
    const target = `/v1/stream/__ds/subscriptions/${subscription.name}`
    while (!this.quiet) {
      await sleep(this.chance.between(3000, 9000))
      if (this.quiet) return
      await this.front.insist("DELETE", target)
      await sleep(this.chance.between(0, 300))
      this.making.add(subscription.name)
      await this.subscribe(subscription)
      this.making.delete(subscription.name)
      this.covered.reborn++
    }
  }

  // --- the work ---

  async work() {
    const writing = []
    for (const folder of ["a", "b"])
      WRITERS.forEach((write, i) => writing.push(write(this, `${folder}/${i}`)))
    writing.push(remakeWakeStream(this, "wake/shared"))
    for (const pool of this.pools)
      for (let i = 0; i < WORKERS; i++) this.start(new Worker(this, pool, i).run())
    writing.push(this.resubscribe(this.pools[1]), this.resubscribe(this.hooks[1]))
    for (const promise of writing) this.start(promise)
    const writers = this.parts.slice(-writing.length)
    const watching = this.watch()
    await sleep(300)
    this.calm = false
    await this.processes.restart()
    await this.processes.run(this.kills)
    this.quiet = true
    this.calm = true
    await this.processes.calm()
    await Promise.all(writers)
    await this.untilIdle()
    this.watched = true
    await watching
  }

  async lookNow() {
    const making = new Set(this.making)
    const seen = await look(this.server.database)
    for (const name of this.making) making.add(name)
    this.takeNotes()
    const wrong = judgeLook(this.ledger, seen, this.before, { slack: SLACK_MS, making })
    for (const text of wrong) this.ledger.fault(`look ${this.looks}: ${text}`)
    if (wrong.length > 0) this.fail("a look")
    for (const row of seen.subscriptions) {
      const next = row.next_attempt_at ?? row.lease_until
      if (next !== null) this.late = Math.max(this.late, seen.now - next)
    }
    this.before = seen
    this.looks++
    return seen
  }

  async watch() {
    while (!this.watched && !this.failed) {
      try {
        await this.lookNow()
      } catch (error) {
        this.fail(error.stack)
      }
      await sleep(this.chance.between(300, 900))
    }
  }

  takeNotes() {
    this.notes.forEach((file, i) => {
      const lines = fs.readFileSync(file, "utf8").split("\n")
      lines.pop() // of a receiver that is writing, or was killed
      const fresh = lines.slice(this.notesTaken[i] ?? 0).map((line) => JSON.parse(line))
      this.notesTaken[i] = lines.length
      this.allNotes.push(...fresh)
      takeNotes(this.ledger, fresh, this.openCallbacks)
    })
  }

  async untilIdle() {
    const until = Date.now() + IDLE_MS
    for (;;) {
      if (this.failed) return
      const seen = await look(this.server.database)
      const busy = seen.subscriptions.filter((row) => row.wake_id)
      if (busy.length === 0 && !seen.links.some((link) => link.pending)) return
      if (Date.now() > until)
        return this.fail(`not idle ${IDLE_MS} ms after the last kill: ${JSON.stringify(busy)}`)
      await sleep(100)
    }
  }

  // --- the judgement ---

  async judge() {
    const { ledger } = this
    if (this.failed) return
    const last = await this.lookNow()
    const ends = await messageEnds(this.server.database)
    const outputs = await Promise.all(this.pools.map((pool) => this.readAll(pool.output)))
    const events = await this.readAll("wake/a")
    const row = last.subscriptions.find(({ name }) => name === "p-a")
    const wrong = [
      ...this.pools.flatMap((pool, i) => judgeOutput(ledger, pool, outputs[i], ends)),
      ...judgeEnd(ledger, this.subscriptions, last, ends),
      ...judgeEvents(this.pools[0], events, row),
      ...judgeReceivers(this.allNotes),
      dsctlCheck(path.join(build, "dsctl"), this.server.database),
    ].filter((text) => text)
    wrong.forEach((text) => ledger.fault(text))
    this.found = { last, ends, outputs, events, row }
    this.covered.outputs += outputs.flat().reduce((sum, { ids = [] }) => sum + ids.length, 0)
  }

  async readAll(name) {
    const messages = []
    for (let offset = "-1"; ;) {
      const answer = await this.front.insist("GET", `/v1/stream/${name}?offset=${offset}`)
      if (answer.status !== 200) throw new Error(`GET ${name}: ${answer.status}`)
      messages.push(...JSON.parse(answer.text))
      offset = answer.headers["stream-next-offset"]
      if (answer.headers["stream-up-to-date"] === "true") return messages
    }
  }
}
