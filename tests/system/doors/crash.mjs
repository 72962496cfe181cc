// Cases of the table (table.mjs): the program is restarted while clients write.

import { expect } from "vitest"
import { sleep, until } from "../harness.mjs"
import { fresh } from "../http.mjs"
import { JSON_TYPE } from "./context.mjs"

const PRODUCERS = 4
const LEAST = 20 // messages that each producer sends at least

/** A producer that writes until it is stopped, and repeats requests until they are acknowledged. */
async function produce(t, path, id, state) {
  const mine = { sent: 0, retries: 0 }
  while (!state.over || mine.sent < LEAST) {
    const message = JSON.stringify([{ id, n: mine.sent }])
    const headers = {
      ...JSON_TYPE,
      "producer-id": id,
      "producer-epoch": "0",
      "producer-seq": String(mine.sent),
    }
    for (;;) {
      const answer = await t.api
        .post(path, headers, message, { timeout: 20_000 })
        .catch((error) => ({ status: 0, text: error.message }))
      if (answer.status === 200 || answer.status === 204) break
      if (answer.status !== 0 && answer.status < 500)
        throw new Error(`${id} message ${mine.sent}: ${answer.status} ${answer.text}`)
      mine.retries++
      await sleep(20)
    }
    mine.sent++
    await sleep(5)
  }
  return mine
}

/** Restarts as a service manager does, or by ending the processes, which are then started again. */
async function restart(t, signal) {
  if (signal === "SIGTERM" && t.managed) return t.server.restart()
  // with plain CGI, a process exists only while it serves a request
  const pids = []
  await until(() => pids.push(...t.server.kill(signal)) > 0, "a process to end", { every: 1 })
}

export const crash = [
  {
    name: "restarts under load lose no message",
    async run(t) {
      const path = fresh("load")
      await t.api.create(path, "application/json")
      const state = { over: false }
      const ids = Array.from({ length: PRODUCERS }, (_, i) => `p${i}`)
      const producers = ids.map((id) => produce(t, path, id, state))
      const all = Promise.all(producers)
      all.catch(() => {})
      try {
        for (const signal of ["SIGTERM", "SIGKILL", "SIGTERM", "SIGKILL"]) {
          await sleep(500)
          await restart(t, signal)
        }
        await sleep(500)
      } finally {
        state.over = true
      }
      const done = await all
      const { messages } = await t.api.readJson(path)
      ids.forEach((id, i) =>
        expect(
          messages.filter((message) => message.id === id).map((message) => message.n),
          `${id}: each message once, in order`
        ).toEqual(Array.from({ length: done[i].sent }, (_, n) => n))
      )
      const count = (what) => done.reduce((sum, mine) => sum + mine[what], 0)
      return `${count("sent")}, ${count("retries")} retries`
    },
  },
]
