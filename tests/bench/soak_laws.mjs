// What must hold in the tables of subscriptions at any moment, whoever asks: `make soak` asks each half
// minute, in one read transaction. A law finds rows that break it, or their number.

import { sleep, sqlite } from "../system/harness.mjs"

const NOW = "((julianday('now') - 2440587.5) * 86400000)"

/** Each must give 0. */
const counts = {
  "pending says whether there is data after the cursor": `
    SELECT count(*) FROM subscription_link AS l LEFT JOIN stream AS s ON s.id = l.stream_id
    WHERE l.pending <> (s.id IS NOT NULL AND s.tail > max(l.acked, 0))`,
  "what is pending has a wake": `
    SELECT count(*) FROM subscription AS s WHERE wake_id IS NULL AND EXISTS
      (SELECT 1 FROM subscription_link WHERE subscription_id = s.id AND pending = 1)`,
  "a webhook that is woken has a lease": `
    SELECT count(*) FROM subscription
    WHERE type = 'webhook' AND wake_id IS NOT NULL AND lease_until IS NULL`,
  "an idle subscription has nothing of a wake": `
    SELECT count(*) FROM subscription WHERE wake_id IS NULL AND (holder IS NOT NULL OR
      lease_until IS NOT NULL OR next_attempt_at IS NOT NULL OR event_due IS NOT NULL)`,
  // looks at the newest events only
  "an unclaimed wake has its event on the wake stream": `
    SELECT count(*) FROM subscription AS s WHERE type = 'pull-wake' AND wake_id IS NOT NULL
      AND lease_until IS NULL AND event_due IS NULL AND woken_at > ${NOW} - 60000 AND NOT EXISTS
      (SELECT 1 FROM stream AS w JOIN message AS m ON m.stream_id = w.id
       WHERE w.path = s.wake_stream AND m.position > w.tail - 1000000
         AND m.appended_at > s.woken_at - 10000 AND CAST(m.payload AS TEXT) GLOB
         '*"subscription_id":"' || s.name || '",*"generation":' || s.generation || ',*')`,
  "a cursor is not beyond its stream": `
    SELECT count(*) FROM subscription_link AS l JOIN stream AS s ON s.id = l.stream_id
    WHERE l.acked > s.tail OR l.path <> s.path OR s.deleted_at IS NOT NULL`,
  "a link of a pattern has a stream": `
    SELECT count(*) FROM subscription_link WHERE is_explicit = 0 AND (is_glob = 0
      OR stream_id IS NULL OR stream_id NOT IN (SELECT id FROM stream))`,
  "a link has a subscription": `
    SELECT count(*) FROM subscription_link WHERE subscription_id NOT IN
      (SELECT id FROM subscription)`,
  "a stream knows that it is watched": `
    SELECT count(*) FROM stream AS s WHERE (subscribed = 1) IS NOT
      (CASE WHEN EXISTS (SELECT 1 FROM subscription_link WHERE stream_id = s.id) THEN 1 END)`,
  "no pattern links a wake stream": `
    SELECT count(*) FROM subscription_link AS l JOIN subscription AS s ON s.wake_stream = l.path
    WHERE l.is_glob = 1`,
  "every new stream was compared with the patterns": "SELECT count(*) FROM subscription_arrival",
  "a living subscription has no tombstone": `
    SELECT count(*) FROM subscription_tombstone AS t JOIN subscription AS s
    ON s.name = t.name OR s.id = t.id`,
  "no lease is longer than agreed": `
    SELECT count(*) FROM subscription
    WHERE next_attempt_at IS NULL AND lease_until > ${NOW} + lease_ttl_ms + 5000`,
  "no attempt is farther away than the longest pause": `
    SELECT count(*) FROM subscription WHERE next_attempt_at > ${NOW} + 80000`,
}

/** Rows that may be there for a moment: the same ones must not be there PATIENCE_MS later. */
const PATIENCE_MS = 5000
const passing = {
  "what a deletion has changed is settled": `
    SELECT name || ' ' || generation FROM subscription WHERE unsettled IS NOT NULL`,
  "an event that is due is written": `
    SELECT name || ' ' || generation FROM subscription WHERE event_due IS NOT NULL`,
  "a lease ends in time": `
    SELECT name || ' ' || generation || ' ' || lease_until FROM subscription
    WHERE next_attempt_at IS NULL AND lease_until < ${NOW}`,
  "an attempt is made in time": `
    SELECT name || ' ' || generation || ' ' || next_attempt_at FROM subscription
    WHERE next_attempt_at < ${NOW}`,
}

export const lawCount = Object.keys(counts).length + Object.keys(passing).length + 3

function groupBy(items, keyOf) {
  const groups = new Map()
  for (const item of items) {
    const key = keyOf(item)
    if (!groups.has(key)) groups.set(key, [])
    groups.get(key).push(item)
  }
  return groups
}

/**
 * Asks a database again and again. check() returns the laws that are broken, as texts; read(sql) gives
 * what else one wants to know of the same moment.
 */
export function watchLaws(database) {
  let generations = new Map() // name → generation
  let cursors = new Map() // subscription, its creation and stream → cursor

  /** The rows of each query, all of one moment. */
  async function ask(queries) {
    const names = Object.keys(queries)
    const sql = names.map((name) => `SELECT '--';\n${queries[name]};`).join("\n")
    const text = await sqlite(database, `BEGIN; ${sql} COMMIT;`, { timeoutMs: 60_000 })
    const parts = `\n${text}`.split("\n--").slice(1)
    return Object.fromEntries(
      names.map((name, i) => [name, parts[i].split("\n").filter((line) => line !== "")])
    )
  }

  /** Nothing that only grows has become less. */
  function compare(what, before, rows, broken) {
    const now = new Map(rows.map((row) => [row.slice(0, row.lastIndexOf("|")), row.split("|").at(-1)]))
    for (const [key, value] of now)
      if (Number(value) < Number(before.get(key) ?? -1))
        broken.push(`${what} of ${key} went from ${before.get(key)} back to ${value}`)
    return now
  }

  /** Of the rows that pass, those that are still there when PATIENCE_MS have passed. */
  async function checkPassing(found, broken) {
    const waiting = Object.keys(passing).filter((law) => found[law].length > 0)
    if (waiting.length === 0) return
    await sleep(PATIENCE_MS)
    const later = await ask(Object.fromEntries(waiting.map((law) => [law, passing[law]])))
    for (const law of waiting)
      for (const row of later[law].filter((row) => found[law].includes(row)))
        broken.push(`not so: ${law}: ${row}`)
  }

  /** Patterns here are a group and a star, or a star and a number: soak/3/* and soak/*\/3. */
  function comparePatterns(subscriptions, paths, links, broken) {
    const byLast = groupBy(paths, (path) => path.split("/").at(-1))
    const byGroup = groupBy(paths, (path) => path.split("/").at(-2))
    const wanted = new Set()
    for (const row of subscriptions) {
      const [name, pattern] = row.split("|")
      const [group, last] = pattern.split("/").slice(-2)
      const matched = group === "*" ? byLast.get(last) : byGroup.get(group)
      for (const path of matched ?? []) wanted.add(`${name}|${path}`)
    }
    const missing = [...wanted].filter((link) => !links.has(link))
    const extra = [...links].filter((link) => !wanted.has(link))
    if (missing.length + extra.length > 0)
      broken.push(`not so: patterns have what they match: ${missing} missing, ${extra} too many`)
  }

  return async function check(further = {}) {
    const queries = {
      ...counts,
      ...passing,
      generations: `SELECT name, generation FROM subscription UNION ALL
        SELECT name, generation FROM subscription_tombstone`,
      subscriptions: "SELECT name, pattern FROM subscription",
      paths: "SELECT path FROM stream WHERE path GLOB '/v1/stream/soak/*'",
      links: `SELECT name, path FROM subscription_link JOIN subscription AS s
        ON s.id = subscription_id`,
      cursors: `SELECT s.name, s.created_at, stream_id, acked FROM subscription_link
        JOIN subscription AS s ON s.id = subscription_id WHERE stream_id IS NOT NULL`,
      ...further,
    }
    const found = await ask(queries)
    const broken = []
    for (const law of Object.keys(counts))
      if (found[law][0] !== "0") broken.push(`not so: ${law}: ${found[law][0]}`)
    generations = compare("the generation", generations, found.generations, broken)
    cursors = compare("the cursor", cursors, found.cursors, broken)
    comparePatterns(found.subscriptions, found.paths, new Set(found.links), broken)
    await checkPassing(found, broken)
    return { broken, found }
  }
}
