// Writers: one for each path, with numbered messages and producer headers; each request is repeated
// until it is answered.

import { sleep } from "../../system/harness.mjs"

const root = "/v1/stream/"
const JSON_TYPE = { "content-type": "application/json" }
const LIFE_APPENDS = [1, 6] // to a stream that is deleted and made again
const LIFE_MS = [800, 2500] // of one that expires

/** Makes a stream; returns its life. */
async function make(round, path, headers = {}, life = round.ledger.beginLife(path)) {
  const answer = await round.front.insist("PUT", `${root}${path}`, {
    headers: { ...JSON_TYPE, ...headers },
  })
  if (answer.status === 409 || answer.status === 410) {
    // of an earlier try whose expiry has passed
    round.ledger.endLife(life)
    return undefined
  }
  if (answer.status !== 200 && answer.status !== 201)
    throw new Error(`PUT ${path}: ${answer.status} ${answer.text}`)
  life.made = true
  life.next = answer.headers["stream-next-offset"]
  life.seq = 0
  return life
}

/** Appends some messages; false: the stream is not there any more. */
async function append(round, life, most = 4) {
  const { front, ledger, chance } = round
  const messages = Array.from({ length: chance.between(1, most) }, () => ledger.nextMessage(life))
  const answer = await front.insist("POST", `${root}${life.path}`, {
    headers: {
      ...JSON_TYPE,
      "producer-id": "writer",
      "producer-epoch": "0",
      "producer-seq": String(life.seq++),
    },
    body: JSON.stringify(messages),
  })
  if (answer.status === 404 || answer.status === 410) return false
  if (answer.status !== 200 && answer.status !== 204)
    throw new Error(`POST ${life.path}: ${answer.status} ${answer.text}`)
  if (answer.status === 204 && answer.tries === 1)
    ledger.fault(`${life.path}: a first try was called a duplicate`)
  ledger.acknowledge(messages)
  life.next = answer.headers["stream-next-offset"]
  return true
}

async function remove(round, life) {
  life.ending = true
  const answer = await round.front.insist("DELETE", `${root}${life.path}`)
  if (answer.status !== 204 && answer.status !== 404)
    throw new Error(`DELETE ${life.path}: ${answer.status} ${answer.text}`)
  round.ledger.endLife(life)
}

const pause = (round) => sleep(round.chance.between(20, round.pause))

/** A stream that stays. */
export async function writeOn(round, path) {
  const life = await make(round, path)
  while (!round.quiet) {
    if (!(await append(round, life))) throw new Error(`${path} is gone`)
    await pause(round)
  }
}

/** A stream that is deleted and made again under the same path. */
export async function writeAnew(round, path) {
  while (!round.quiet) {
    const life = await make(round, path)
    for (let n = round.chance.between(...LIFE_APPENDS); n > 0 && !round.quiet; n--) {
      // some begin with more than an earlier one has ever had
      if (!(await append(round, life, life.ids.length === 0 ? 30 : 4)))
        throw new Error(`${path} is gone`)
      await pause(round)
    }
    if (round.quiet) return // the last life is judged
    await remove(round, life)
    if (round.chance.oneIn(2)) await pause(round)
  }
}

/** A stream that expires; the next one is made when it is gone. */
export async function writeUntilExpiry(round, path) {
  while (!round.quiet) {
    const expires = new Date(Date.now() + round.chance.between(...LIFE_MS))
    const life = await make(round, path, { "stream-expires-at": expires.toISOString() })
    if (!life) continue
    life.ending = true
    while (Date.now() < +expires && !round.quiet) {
      if (!(await append(round, life))) break
      await pause(round)
    }
    while ((await round.front.insist("HEAD", `${root}${path}`)).status === 200) await sleep(100)
    round.ledger.endLife(life)
  }
}

/** A stream that stays, and from which forks are made; each fork gets some messages of its own. */
export async function writeForks(round, path) {
  const source = await make(round, path)
  const folder = path.slice(0, path.indexOf("/"))
  for (let n = 0; !round.quiet; n++) {
    for (let i = round.chance.between(5, 25); i > 0 && !round.quiet; i--) {
      await append(round, source)
      await pause(round)
    }
    if (round.quiet || n >= round.forks) continue
    const life = round.ledger.beginLife(`${folder}/fork-${n}`, {
      fork: true,
      inherited: [...source.ids],
    })
    const headers = {
      "stream-forked-from": `${root}${path}`,
      "stream-fork-offset": source.next,
    }
    await make(round, life.path, headers, life)
    for (let i = round.chance.between(0, 6); i > 0; i--) await append(round, life)
  }
}

/** The wake stream of some pools: the application deletes it now and then, and makes it again. */
export async function remakeWakeStream(round, path) {
  while (!round.quiet) {
    await sleep(round.chance.between(2000, 6000))
    await round.front.insist("DELETE", `${root}${path}`)
    if (round.chance.oneIn(2)) await sleep(round.chance.between(0, 1500))
    await round.front.insist("PUT", `${root}${path}`, { headers: JSON_TYPE })
  }
}

export { make }
