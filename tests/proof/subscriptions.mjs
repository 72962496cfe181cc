// kill -9 of everything that keeps subscriptions going. README.md says what is promised.
//
//   node tests/proof/subscriptions.mjs [--seed N] [--rounds N] [--seconds N] [--kills N of a round]

import { testJudge } from "./subscriptions/controls.mjs"
import { Round } from "./subscriptions/round.mjs"

const settings = { seed: Date.now() % 1e9, rounds: 1, seconds: 0, kills: 250 }
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].replace(/^--/, "")
  if (!(name in settings) || !/^\d+$/.test(process.argv[i + 1] ?? "")) {
    console.error("subscriptions.mjs [--seed N] [--rounds N] [--seconds N] [--kills N]")
    process.exit(2)
  }
  settings[name] = Number(process.argv[i + 1])
}

const CONTROL_EVERY = 4 // rounds
const CONTROL_KILLS = 25

const covered = {
  kills: { responder: 0, step: 0, cgi: 0, deliverer: 0, receiver: 0, supervisor: 0 },
  workers: 0, cgi: 0, claims: 0, fenced: 0, stale: 0, reborn: 0, outputs: 0,
} // prettier-ignore
const sum = { messages: 0, lives: 0, wakes: 0, looks: 0, controls: 0, late: 0 }

function failed(round, seed, faults) {
  console.error(`proof: subscriptions: seed ${seed}: ${faults.join("\n  ")}`)
  console.error(`  files: ${round.kept}`)
  console.error(`  again: node tests/proof/subscriptions.mjs --seed ${seed} --kills ${settings.kills}`)
  process.exit(1)
}

/** Workers that do not look at their output first: the judge must find what they write twice. */
async function control(seed) {
  const round = new Round(seed, { kills: CONTROL_KILLS, control: true, covered })
  const faults = await round.run()
  if (!faults.some((text) => text.endsWith("is there twice")))
    failed(round, seed, ["control: nothing was written twice without a look at the output", ...faults])
  sum.controls++
}

console.log(`proof: subscriptions: from seed ${settings.seed}`)
const until = Date.now() + settings.seconds * 1000
let done = 0
for (; done < settings.rounds || Date.now() < until; done++) {
  const seed = settings.seed + done
  const round = new Round(seed, { kills: settings.kills, covered })
  const faults = await round.run()
  if (faults.length > 0) failed(round, seed, faults)
  const missed = testJudge(round)
  if (missed.length > 0) failed(round, seed, missed)
  sum.messages += round.ledger.count.messages
  sum.lives += round.ledger.count.lives
  sum.wakes += round.ledger.wakes.size
  sum.looks += round.looks
  sum.late = Math.max(sum.late, round.late)
  if (done % CONTROL_EVERY === 0) await control(seed)
}

const { kills } = covered
const all = Object.values(kills).reduce((total, n) => total + n, 0)
console.log(
  `proof: subscriptions: ${done} rounds from seed ${settings.seed}, ${all} kills ` +
    `(${kills.step} between two statements, ${kills.responder} responders, ${kills.cgi} CGI processes, ` +
    `${kills.deliverer} deliverers, ${kills.receiver} receivers, ${kills.supervisor} supervisors) and ` +
    `${covered.workers} workers; ${sum.messages} messages in ${sum.lives} lives of streams, ` +
    `${sum.wakes} wakes, ${covered.claims} claims, ${covered.outputs} messages of output, ` +
    `${covered.fenced} appends and ${covered.stale} acks fenced off, ${covered.reborn} subscriptions ` +
    `made again, ${sum.looks} looks, at most ${sum.late} ms late, ${sum.controls} controls; 0 failed`
)
process.exit(0)
