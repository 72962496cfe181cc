// The judgement at the end of a round, when everything is idle. Pure: controls call it with changed
// copies, and it must find each change.

import { position } from "./front.mjs"

/** Does a subscription's pattern or list name this path? Patterns here are FOLDER/* and FOLDER/**. */
export const names = (subscription, path) =>
  subscription.streams
    ? subscription.streams.includes(path)
    : path.startsWith(subscription.pattern.slice(0, subscription.pattern.indexOf("*")))

/** What a life must hold: what it inherited, and what was acknowledged. */
const holdings = (ledger, life) => [
  ...life.inherited,
  ...life.ids.filter((id) => ledger.sent.get(id).acknowledged),
]

const living = (ledger) =>
  [...ledger.streams.keys()].map((path) => ledger.living(path)).filter((life) => life)

/** Output of a pool: nothing twice, nothing unknown, nothing missing, and epochs in order. */
export function judgeOutput(ledger, pool, output, ends) {
  const wrong = []
  const seen = new Set()
  let epoch = 0
  for (const { begin, stream, generation, ids = [] } of output) {
    const now = begin ?? generation
    if (begin !== undefined && begin <= epoch)
      wrong.push(`${pool.output}: generation ${begin} begins after ${epoch}`)
    if (pool.looks !== false && now < epoch)
      wrong.push(`${pool.output}: generation ${now} writes after ${epoch} has begun`)
    epoch = Math.max(epoch, now)
    for (const id of ids) {
      if (seen.has(`${stream}|${id}`)) wrong.push(`${pool.output}: ${stream} ${id} is there twice`)
      if (!ledger.sent.has(id)) wrong.push(`${pool.output}: ${stream} ${id} was never sent`)
      seen.add(`${stream}|${id}`)
    }
  }
  for (const life of living(ledger).filter((one) => names(pool, one.path))) {
    const starts = (ledger.starts.get(`${pool.name}|${life.path}`) ?? []).filter(({ lives }) =>
      lives.includes(life.number)
    )
    const from = Math.max(-1, ...starts.map((start) => start.position))
    for (const id of holdings(ledger, life))
      if (!seen.has(`${life.path}|${id}`) && !(ends.get(id) <= from))
        wrong.push(`${pool.output}: ${life.path} ${id} is missing`)
  }
  return wrong
}

/** Cursors: each living stream has its links, and they are at its tail. */
export function judgeEnd(ledger, subscriptions, seen, ends) {
  const wrong = []
  const links = new Map(seen.links.map((link) => [`${link.name}|${link.path}`, link]))
  for (const row of seen.subscriptions)
    if (row.wake_id) wrong.push(`${row.name}: a wake is in flight when all is idle`)
  for (const subscription of subscriptions)
    for (const life of living(ledger).filter((one) => names(subscription, one.path))) {
      const link = links.get(`${subscription.name}|${life.path}`)
      const last = holdings(ledger, life).at(-1)
      if (!link || !link.exists) wrong.push(`${subscription.name}: no link to ${life.path}`)
      else if (last !== undefined && !(link.acked >= ends.get(last)))
        wrong.push(`${subscription.name}: ${last} is not acked: ${JSON.stringify(link)}`)
    }
  return wrong
}

/** Events in a wake stream that was never deleted: one for each generation. */
export function judgeEvents(pool, events, row) {
  const generations = events
    .filter((event) => event.subscription_id === pool.name)
    .map((event) => event.generation)
  const wanted = Array.from({ length: row.generation }, (_, i) => i + 1)
  return generations.join() === wanted.join()
    ? []
    : [`${pool.wakeStream}: the events of ${pool.name} are not those of 1 to ${row.generation}: ${generations}`]
}

/** The receivers' notes in order of time: nothing of an earlier generation was accepted. */
export function judgeReceivers(notes) {
  const wrong = []
  const newest = new Map() // subscription → generation
  const done = new Map() // subscription|generation → time
  const callbacks = new Map()
  for (const note of [...notes].sort((a, b) => a.time - b.time)) {
    const key = `${note.subscription}|${note.generation}`
    if (note.what === "wake")
      newest.set(note.subscription, Math.max(newest.get(note.subscription) ?? 0, note.generation))
    if (note.what === "callback")
      callbacks.set(note.id, { ...note, key, newestThen: newest.get(note.subscription) ?? 0 })
    if (note.what !== "answered" || note.status !== 200) continue
    const sent = callbacks.get(note.id)
    if (sent.newestThen > sent.generation)
      wrong.push(`${sent.key}: a callback was accepted after generation ${sent.newestThen} had come`)
    if (done.get(sent.key) < sent.time) wrong.push(`${sent.key}: a callback was accepted after its end`)
    if (sent.done) done.set(sent.key, note.time)
  }
  return wrong
}

/** The receivers' notes, put into the ledger. `open` holds callbacks that are not answered yet. */
export function takeNotes(ledger, notes, open) {
  const acks = (note) => note.acks.map(([path, offset]) => ({ path, position: position(offset) }))
  for (const note of notes) {
    if (note.what === "error") ledger.fault(`a receiver: ${note.text}`)
    if (note.what === "wake")
      ledger.seeWake(note.subscription, note.generation, note.wakeId, "a webhook")
    if (note.what === "done" || note.what === "callback") {
      const noted = ledger.sendAcks(note.subscription, note.generation, acks(note), note.done, note.time)
      noted.newestThen = 0 // judgeReceivers() knows it
      if (note.what === "callback") open.set(note.id, noted)
    }
    if (note.what === "answered") {
      const accepted = note.status === 200
      ledger.answered(open.get(note.id), accepted, !accepted && note.tries === 1, note.time)
      open.delete(note.id)
    }
  }
}
