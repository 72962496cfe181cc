// A worker of a pull-wake pool, whose output is exactly-once by the producer rule:
//
//   1. claim; the producer of the output stream is the subscription, its epoch the generation.
//   2. Append a mark to the output with this epoch. From then on the output refuses every earlier
//      generation (403), so nothing of theirs can come after what step 3 reads.
//   3. Read the output from where it was last read: what earlier generations have already done.
//   4. For each pending stream: read from its cursor, and append what is not in the output.
//   5. Ack only after that.
//
// A worker dies at any of these points, which means that it does nothing more; or it sleeps until
// its lease is over, and then goes on as if it had not noticed.

import { sleep } from "../../system/harness.mjs"
import { offsetOf, position } from "./front.mjs"

class Death extends Error {}
/** Another generation has the work now, or what was to be acked has ended. */
class Lost extends Error {}

const JSON_TYPE = { "content-type": "application/json" }
const root = "/v1/stream/"
const MOST_CHUNKS = 4

/** pool: { name, output, wakeStream, leaseMs, looks }. `looks: false` leaves steps 2 and 3 out. */
export class Worker {
  constructor(round, pool, number) {
    Object.assign(this, { round, pool, name: `${pool.name}-${number}` })
    this.forget()
    this.wakeOffset = "-1"
  }

  /** What a process has in its memory. */
  forget() {
    this.seen = new Set() // path|id of everything in the output
    this.outputOffset = "-1"
  }

  /** Until the round is over. */
  async run() {
    const { round } = this
    let claims = true // a worker that has just started tries a claim
    while (!round.over) {
      try {
        if (claims) await this.work()
        claims = await this.waitForEvent()
      } catch (error) {
        if (error instanceof Death) {
          round.covered.workers++
          if (round.chance.oneIn(4)) this.forget()
          if (round.chance.oneIn(4)) this.wakeOffset = "-1"
          claims = true
        } else if (error instanceof Lost) {
          claims = true
        } else {
          throw error
        }
      }
    }
  }

  mayDie() {
    const { round } = this
    if (!round.calm && round.chance.oneIn(30)) throw new Death()
  }

  /** Reads on in the wake stream; true if there is an event of this subscription. */
  async waitForEvent() {
    const path = `${root}${this.pool.wakeStream}?offset=${this.wakeOffset}&live=long-poll`
    const answer = await this.round.front.ask("GET", path)

    if (!answer || answer.status === 204) return answer ? false : sleep(30).then(() => false)
    if (answer.status !== 200) {
      // it was deleted, and will be made again
      this.wakeOffset = "-1"
      await sleep(50)
      return false
    }
    this.wakeOffset = answer.headers["stream-next-offset"]
    const events = JSON.parse(answer.text).filter(
      (event) => event.type === "wake" && event.subscription_id === this.pool.name
    )
    for (const { generation } of events) this.round.seeEvent(this.pool.name, generation)
    return events.length > 0
  }

  /** Claims and works as long as there is a next wake. */
  async work() {
    for (;;) {
      const wake = await this.claim()
      if (!wake) return
      await this.handle(wake)
      if (this.round.over) return
    }
  }

  control(what) {
    return `${root}__ds/subscriptions/${this.pool.name}/${what}`
  }

  async claim() {
    const { round, pool } = this
    const body = JSON.stringify({ worker: this.name })
    // repeated until it is answered, since no other event will come for this wake
    const answer = await round.front.insist("POST", this.control("claim"), {
      headers: JSON_TYPE,
      body,
    })

    if (answer.status === 404 || answer.status === 409) return undefined
    const claim = JSON.parse(answer.text)
    if (answer.status !== 200) throw new Error(`claim: ${answer.status} ${answer.text}`)
    round.ledger.seeWake(pool.name, claim.generation, claim.wake_id, "a claim")
    const key = `${pool.name}|${claim.generation}`
    if (round.claimed.has(key)) round.ledger.fault(`${key} was claimed twice`)
    round.claimed.add(key)
    round.covered.claims++
    return { ...claim, seq: 0 }
  }

  async handle(wake) {
    const { round, pool } = this
    this.mayDie()
    if (pool.looks !== false) {
      await this.write(wake, { begin: wake.generation, worker: this.name })
      await this.readOutput()
    }
    const acks = []
    for (const link of wake.streams.filter((link) => link.has_pending)) {
      this.mayDie()
      const ack = await this.handleStream(wake, link)
      if (ack) acks.push(ack)
      if (ack && round.chance.oneIn(6)) await this.answer(wake, "ack", acks.splice(0), false)
    }
    this.mayDie()
    if (!round.calm && round.chance.oneIn(6)) await sleep(round.chance.between(50, 800))
    if (!round.calm && round.chance.oneIn(25)) await sleep(pool.leaseMs + 300) // as one who hangs
    if (!round.calm && round.chance.oneIn(12)) {
      await this.answer(wake, "ack", acks, false)
      await this.answer(wake, "release", [], true)
    } else {
      await this.answer(wake, "ack", acks, true)
    }
    this.mayDie()
  }

  /** Reads a stream from its cursor, and writes what is new to the output. Returns what to ack. */
  async handleStream(wake, link) {
    const { round, pool } = this
    let from = link.acked_offset
    let life
    for (let chunk = 0; chunk < MOST_CHUNKS; chunk++) {
      const answer = await round.front.insist("GET", `${root}${link.path}?offset=${from}`)
      if (answer.status !== 200) break // it was deleted, or another one is there now
      const messages = JSON.parse(answer.text)
      const next = answer.headers["stream-next-offset"]
      if (messages.length > 0) life = messages.at(-1).l
      const fresh = messages.filter(({ i }) => !this.seen.has(`${link.path}|${i}`))
      if (fresh.length > 0) {
        this.mayDie()
        await this.write(wake, {
          stream: link.path,
          from,
          to: next,
          generation: wake.generation,
          ids: fresh.map(({ i }) => i),
        })
        if (pool.looks === false && !round.calm && round.chance.oneIn(4)) throw new Death()
        if (pool.looks !== false) for (const { i } of fresh) this.seen.add(`${link.path}|${i}`)
      }
      from = next
      if (answer.headers["stream-up-to-date"] === "true") break
    }
    return life === undefined
      ? undefined
      : { path: link.path, position: position(from), life: round.ledger.lifeOf(link.path, life) }
  }

  /** One append to the output, repeated until it is answered. */
  async write(wake, message) {
    const { round, pool } = this
    const fence = pool.looks !== false
    const answer = await round.front.insist("POST", `${root}${pool.output}`, {
      headers: fence
        ? {
            ...JSON_TYPE,
            "producer-id": pool.name,
            "producer-epoch": String(wake.generation),
            "producer-seq": String(wake.seq++),
          }
        : JSON_TYPE,
      body: JSON.stringify(message),
    })
    if (answer.status === 403) {
      round.covered.fenced++
      throw new Lost()
    }
    if (answer.status !== 200 && answer.status !== 204)
      throw new Error(`${pool.output}: ${answer.status} ${answer.text}`)
  }

  async readOutput() {
    for (;;) {
      const path = `${root}${this.pool.output}?offset=${this.outputOffset}`
      const answer = await this.round.front.insist("GET", path)
      if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`)
      for (const { stream, ids = [] } of JSON.parse(answer.text))
        for (const id of ids) this.seen.add(`${stream}|${id}`)
      this.outputOffset = answer.headers["stream-next-offset"]
      if (answer.headers["stream-up-to-date"] === "true") return
    }
  }

  /** ack or release, repeated until it is answered. */
  async answer(wake, what, acks, done) {
    const { round, pool } = this
    const noted = round.ledger.sendAcks(pool.name, wake.generation, acks, done)
    const answer = await round.front.insist("POST", this.control(what), {
      headers: { ...JSON_TYPE, authorization: `Bearer ${wake.token}` },
      body: JSON.stringify({
        wake_id: wake.wake_id,
        generation: wake.generation,
        acks: acks.map((ack) => ({ stream: ack.path, offset: offsetOf(ack.position) })),
        ...(what === "ack" && done ? { done: true } : {}),
      }),
    })
    const accepted = answer.status === 200 || answer.status === 204
    round.ledger.answered(noted, accepted, answer.tries === 1)
    if (accepted) return
    const { code } = JSON.parse(answer.text).error
    if (code === "FENCED") {
      round.covered.stale++
      throw new Lost()
    }
    // a stream that was acked has ended, or the subscription has; the lease is left to end
    if (code === "INVALID_OFFSET" || code === "SUBSCRIPTION_NOT_FOUND") throw new Lost()
    throw new Error(`${what} of ${pool.name}: ${answer.status} ${answer.text}`)
  }
}
