// A look at the tables, in one read transaction: what must hold after every commit, whatever has
// died (src/engine/subscription.h).

import { spawnSync, execFile } from "node:child_process"

/* a stream's life is what its first own message says */
const SQL = `
BEGIN;
SELECT 'now' AS kind, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now;
SELECT 'subscription' AS kind, name, type, generation, wake_id, event_due, holder, lease_until,
       next_attempt_at, attempts, wake_stream, unsettled,
       EXISTS (SELECT 1 FROM stream WHERE path = s.wake_stream AND deleted_at IS NULL) AS has_wake_stream,
       CASE WHEN type = 'pull-wake' AND wake_id IS NOT NULL AND lease_until IS NULL AND event_due IS NULL
            THEN EXISTS (SELECT 1 FROM message
                         WHERE stream_id = (SELECT id FROM stream WHERE path = s.wake_stream)
                           AND json_extract(CAST(payload AS TEXT), '$.subscription_id') = s.name
                           AND json_extract(CAST(payload AS TEXT), '$.generation') = s.generation)
       END AS has_event
FROM subscription AS s;
SELECT 'link' AS kind, name, type, l.path, l.stream_id, acked, pending, ifnull(tail, 0) AS tail,
       stream.id IS NOT NULL AS "exists", deleted_at,
       (SELECT json_extract(CAST(payload AS TEXT), '$.l') FROM message
        WHERE stream_id = l.stream_id ORDER BY position LIMIT 1) AS life
FROM subscription_link AS l JOIN subscription ON subscription.id = subscription_id
LEFT JOIN stream ON stream.id = l.stream_id;
SELECT 'arrival' AS kind, count(*) AS n FROM subscription_arrival;
COMMIT;
`

const MESSAGES = `
SELECT 'message' AS kind, json_extract(CAST(payload AS TEXT), '$.i') AS id, stream_id,
       position + length(payload) AS "end"
FROM message WHERE json_extract(CAST(payload AS TEXT), '$.i') IS NOT NULL;
`

function sqlite(database, sql) {
  return new Promise((resolve, reject) => {
    const child = execFile(
      "sqlite3",
      ["-batch", "-json", "-cmd", ".timeout 20000", database],
      { maxBuffer: 1 << 28 },
      (error, out, err) => {
        if (error) return reject(new Error(`sqlite3: ${err || error.message}`))
        resolve(
          out
            .split(/\n(?=\[)/)
            .filter((text) => text.trim())
            .flatMap((text) => JSON.parse(text))
        )
      }
    )
    child.stdin.end(sql)
  })
}

const of = (rows, kind) => rows.filter((row) => row.kind === kind)

/** { at, now, subscriptions, links, arrivals } */
export async function look(database) {
  const at = Date.now()
  const rows = await sqlite(database, SQL)
  const [{ now }] = of(rows, "now")
  return {
    at,
    now,
    subscriptions: of(rows, "subscription"),
    links: of(rows, "link").map((link) => ({ ...link, path: link.path.slice("/v1/stream/".length) })),
    arrivals: of(rows, "arrival")[0].n,
  }
}

/** id of a message → position after it, in the stream that it was appended to */
export async function messageEnds(database) {
  return new Map((await sqlite(database, MESSAGES)).map((row) => [row.id, row.end]))
}

/**
 * What is wrong with a look, as texts. `before` is the look before it; `slack` is how many ms a
 * lease or an attempt may be overdue, since killed processes have to be started again; `making` are
 * the subscriptions whose first cursors are not known yet.
 */
export function judgeLook(ledger, seen, before, { slack, making = new Set() }) {
  const wrong = []
  const earlier = new Map((before?.subscriptions ?? []).map((row) => [row.name, row]))
  const pending = new Set(seen.links.filter((link) => link.pending).map((link) => link.name))

  if (seen.arrivals > 0) wrong.push(`${seen.arrivals} streams were made and are not linked`)
  for (const row of seen.subscriptions) {
    const problem = judgeSubscription(row, pending.has(row.name), earlier.get(row.name), seen.now, slack)
    if (problem) wrong.push(`${row.name}: ${problem}: ${JSON.stringify(row)}`)
    if (row.wake_id) ledger.seeWake(row.name, row.generation, row.wake_id, "the table")
  }
  for (const link of seen.links) {
    if (making.has(link.name)) continue
    const problem = judgeLink(ledger, link, seen.at)
    if (problem) wrong.push(`${link.name}, ${link.path}: ${problem}: ${JSON.stringify(link)}`)
  }
  return wrong
}

function judgeSubscription(row, isPending, earlier, now, slack) {
  if (earlier && row.generation < earlier.generation)
    return `its generation was ${earlier.generation}`
  if (earlier?.wake_id && row.wake_id && (row.generation === earlier.generation) !== (row.wake_id === earlier.wake_id))
    return `its wake was ${earlier.wake_id} of generation ${earlier.generation}`
  if (isPending && !row.wake_id) return "something is pending, and no wake is in flight"
  if (!row.wake_id) return undefined
  const next = row.next_attempt_at ?? row.lease_until
  if (row.type === "webhook" && next === null) return "nothing will deliver or end its wake"
  if (row.type === "pull-wake" && row.lease_until === null) {
    if (row.event_due && row.has_wake_stream) return "its event is due although there is a wake stream"
    if (!row.event_due && !row.has_event) return "its event was never written"
    return undefined
  }
  return next < now - slack ? `overdue for ${now - next} ms` : undefined
}

function judgeLink(ledger, link, at) {
  const behind = link.exists && link.tail > Math.max(0, link.acked)

  if (Boolean(link.pending) !== Boolean(behind)) return "its mark `pending` is wrong"
  if (link.exists && link.deleted_at !== null) return "it is linked to a stream that is deleted"
  if (link.acked > link.tail) return "its cursor is beyond the tail"
  if (!ledger.reason(link.name, link.path, link.acked, link.life))
    return "nobody has acked this cursor in this life of the stream"
  const accepted =
    link.life === null ? -1 : ledger.acceptedBefore(link.name, link.path, ledger.lifeOf(link.path, link.life), at)
  if (link.acked < accepted) return `an ack of ${accepted} was accepted`
  return undefined
}

/** `dsctl check` of the database; undefined if it is sound. */
export function dsctlCheck(dsctl, database) {
  const { status, stdout, stderr } = spawnSync(dsctl, ["check", "--db", database], { encoding: "utf8" })
  return status === 0 ? undefined : `dsctl check: ${stdout}${stderr}`
}
