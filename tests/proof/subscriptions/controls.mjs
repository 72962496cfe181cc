// The judge is tried: each of these changes to what a sound round has left must be found.

import { judgeEnd, judgeEvents, judgeOutput } from "./judge.mjs"
import { judgeLook } from "./look.mjs"

const copy = (value) => structuredClone(value)

/** Texts about changes that the judge has not found. */
export function testJudge(round) {
  const { ledger, pools, found, subscriptions } = round
  const missed = []
  const must = (what, wrong) => {
    if (wrong.length === 0) missed.push(`control: the judge does not find ${what}`)
  }
  const lookWith = (change) => {
    const seen = copy(found.last)
    change(seen)
    return judgeLook(ledger, seen, found.last, { slack: 1000 })
  }
  const stays = (link) => link.name === "p-a" && /^a\/[0-5]$/.test(link.path) && link.acked > 0
  const linkOf = (seen, test = stays) => seen.links.find(test)
  const rowOf = (seen, name = "p-a") => seen.subscriptions.find((row) => row.name === name)
  const wake = (row, fields) => Object.assign(row, { wake_id: "w_1", generation: row.generation + 1 }, fields)

  const output = (change) => {
    const changed = copy(found.outputs[0])
    change(changed.filter(({ stream, ids }) => ids?.length > 0 && /^a\/[0-5]$/.test(stream)))
    return judgeOutput(ledger, pools[0], changed, found.ends)
  }
  must("output that is missing", output(([first]) => first.ids.pop()))
  must("output that is there twice", output(([first]) => first.ids.push(first.ids[0])))
  must("output that nobody sent", output(([first]) => first.ids.push("a/0:0:0")))
  must("output of an old generation", output((all) => (all.at(-1).generation = 0)))

  must("a cursor that nobody acked", lookWith((seen) => (linkOf(seen).acked -= 1)))
  must("a cursor beyond the tail", lookWith((seen) => (linkOf(seen).acked = linkOf(seen).tail + 1)))
  must("a cursor that was lost", lookWith((seen) => Object.assign(linkOf(seen), { acked: -1, pending: 1 })))
  must("a cursor of an earlier life", lookWith((seen) => (linkOf(seen).life = 1e9)))
  must(
    "something pending without a wake",
    lookWith((seen) => Object.assign(linkOf(seen), { tail: linkOf(seen).tail + 9, pending: 1 }))
  )
  must("a mark that is wrong", lookWith((seen) => (linkOf(seen).pending = 1)))
  must("a generation that goes back", lookWith((seen) => rowOf(seen).generation--))
  must("a wake without its event", lookWith((seen) => wake(rowOf(seen), { has_event: 0 })))
  must("a lease that never ends", lookWith((seen) => wake(rowOf(seen), { lease_until: seen.now - 9999 })))
  must("a webhook that is forgotten", lookWith((seen) => wake(rowOf(seen, "w-a"), {})))
  must("a stream without its link", (() => {
    const seen = copy(found.last)
    seen.links = seen.links.filter((link) => !stays(link))
    return judgeEnd(ledger, subscriptions, seen, found.ends)
  })()) // prettier-ignore
  must("an event that is missing", judgeEvents(pools[0], found.events.slice(1), found.row))
  must("a second wake of a generation", (() => {
    const before = ledger.faults.length
    const [key] = ledger.wakes.keys()
    const [name, generation] = key.split("|")
    ledger.seeWake(name, Number(generation), "w_2", "a control")
    return ledger.faults.splice(before)
  })()) // prettier-ignore
  return missed
}
