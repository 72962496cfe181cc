// What writers, workers and receivers know, and the judge who compares the database with it.
//
// A path has lives: a stream that was deleted or has expired may be made again. Each message has an
// id of its own, `path:life:n`, so that it is known wherever it is found.
//
// Every ack is noted before it is sent, and again when its answer is there:
//
//     sent ──▶ yes      accepted
//      │
//      ├─────▶ no       refused each time that it was sent
//      └─────▶ (stays)  not answered, or refused after a try that was not: it may count or not

export class Ledger {
  constructor() {
    this.streams = new Map() // path → { path, fork, lives: [life] }, paths below /v1/stream/
    this.sent = new Map() // id → { life, acknowledged }
    this.lives = new Map() // number → life
    this.acks = new Map() // "subscription|path" → [ack]
    this.starts = new Map() // "subscription|path" → [{ position, lives }]
    this.wakes = new Map() // "subscription|generation" → wake_id
    this.wakeIds = new Map() // wake_id → "subscription|generation"
    this.newest = new Map() // subscription → the newest generation that anybody has seen
    this.dones = new Map() // "subscription|generation" → time of the answer that accepted `done`
    this.faults = []
    this.count = { messages: 0, acks: 0, refused: 0, lives: 0, ended: 0 }
  }

  fault(text) {
    if (this.faults.length < 20) this.faults.push(text)
  }

  // --- streams ---

  beginLife(path, { fork = false, inherited = [] } = {}) {
    const stream = this.streams.get(path) ?? { path, fork, lives: [] }
    const life = {
      number: ++this.count.lives,
      path,
      begunAt: Date.now(),
      ending: false, // somebody is deleting it, or waits for its expiry: nothing is expected of it
      goneAt: undefined, // when that was over
      made: false,
      inherited,
      ids: [],
    }
    this.streams.set(path, stream)
    this.lives.set(life.number, life)
    stream.lives.push(life)
    return life
  }

  /** The stream is surely gone. */
  endLife(life) {
    life.ending = true
    life.goneAt = Date.now()
    this.count.ended++
  }

  nextMessage(life) {
    const n = life.ids.length
    const message = { i: `${life.path}:${life.number}:${n}`, l: life.number, n }
    life.ids.push(message.i)
    this.sent.set(message.i, { life, acknowledged: false })
    return message
  }

  acknowledge(messages) {
    for (const message of messages) this.sent.get(message.i).acknowledged = true
    this.count.messages += messages.length
  }

  living(path) {
    const life = this.streams.get(path)?.lives.at(-1)
    return life && life.made && !life.ending ? life : undefined
  }

  /** The life of a stream, by the life that one of its messages names: a fork inherits messages. */
  lifeOf(path, number) {
    const stream = this.streams.get(path)
    return stream?.fork ? stream.lives[0]?.number : number
  }

  // --- subscriptions ---

  /** A wake that somebody has seen: one wake_id for each generation. */
  seeWake(subscription, generation, wakeId, where) {
    const key = `${subscription}|${generation}`
    const known = this.wakes.get(key)
    if (known !== undefined && known !== wakeId)
      this.fault(`${where}: wake ${wakeId} has the generation of ${known}: ${key}`)
    if (this.wakeIds.has(wakeId) && this.wakeIds.get(wakeId) !== key)
      this.fault(`${where}: wake_id ${wakeId} of ${this.wakeIds.get(wakeId)} comes again as ${key}`)
    this.wakes.set(key, wakeId)
    this.wakeIds.set(wakeId, key)
    if ((this.newest.get(subscription) ?? 0) < generation) this.newest.set(subscription, generation)
  }

  /** Where the cursors of a new subscription begin; between these times its PUT was under way. */
  start(subscription, links, from, to) {
    for (const { path, acked_offset: offset } of links) {
      const lives = (this.streams.get(path)?.lives ?? [])
        .filter((life) => life.begunAt <= to && !(life.goneAt < from))
        .map((life) => life.number)
      add(this.starts, `${subscription}|${path}`, { position: at(offset), lives })
    }
  }

  /** acks: [{ path, position, life }]; returns what answered() wants. */
  sendAcks(subscription, generation, acks, done, time = Date.now()) {
    const noted = {
      subscription,
      generation,
      done,
      sentAt: time,
      newestThen: this.newest.get(subscription) ?? 0,
      acks: acks.map((ack) => ({ ...ack, state: "sent", sentAt: time, generation })),
    }
    for (const ack of noted.acks) add(this.acks, `${subscription}|${ack.path}`, ack)
    return noted
  }

  /** refused: each time, so that it surely does not count. */
  answered(noted, accepted, refused, time = Date.now()) {
    for (const ack of noted.acks) {
      if (accepted) Object.assign(ack, { state: "yes", acceptedAt: time })
      else if (refused) ack.state = "no"
    }
    if (accepted) this.count.acks++
    if (refused) this.count.refused++
    if (!accepted) return
    const key = `${noted.subscription}|${noted.generation}`
    if (noted.generation < noted.newestThen)
      this.fault(`${key}: accepted, although generation ${noted.newestThen} was known`)
    if (this.dones.get(key) < noted.sentAt) this.fault(`${key}: accepted after its end`)
    if (noted.done && !this.dones.has(key)) this.dones.set(key, time)
  }

  /** Why this cursor may be there; undefined: nothing that was acked, or only in another life. */
  reason(subscription, path, position, life) {
    const key = `${subscription}|${path}`
    const stream = this.streams.get(path)
    const begunAt = this.lives.get(life)?.begunAt ?? 0

    if (position <= 0) return "the start"
    const start = (this.starts.get(key) ?? []).find(
      (one) => one.position === position && (life === null || one.lives.includes(life))
    )
    if (start) return "the tail when it was made"
    return (this.acks.get(key) ?? []).find(
      (ack) =>
        ack.position === position &&
        ack.state !== "no" &&
        (life === null || stream?.fork || ack.life === undefined || ack.life === life) &&
        ack.sentAt >= begunAt
    )?.state
  }

  /** The furthest cursor of this life that must not be lost, accepted before `time`. */
  acceptedBefore(subscription, path, life, time) {
    let most = -1
    for (const ack of this.acks.get(`${subscription}|${path}`) ?? [])
      if (ack.state === "yes" && ack.life === life && ack.acceptedAt < time && ack.position > most)
        most = ack.position
    return most
  }
}

const at = (offset) => (offset === "-1" ? -1 : Number(offset.split("_")[1]))

function add(map, key, value) {
  if (!map.has(key)) map.set(key, [])
  map.get(key).push(value)
}
