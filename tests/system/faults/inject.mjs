// Setting faults over HTTP, as a client does, and helpers that all files of this folder share.

import { expect } from "vitest"
import { client, fresh } from "../http.mjs"

export const ON = { DS_TEST_ENDPOINTS: "1" }
export const PLACE = "/_test/inject-error"
export const BODY = "Injected error for testing"

/** Injects a fault or throws. */
export async function inject(url, path, fault) {
  const answer = await client(url).post(PLACE, {}, JSON.stringify({ path, ...fault }))
  expect(answer.text, `inject ${JSON.stringify(fault)}`).toBe('{"ok":true}')
  expect(answer.status).toBe(200)
}

/** The active faults, as GET lists them. */
export async function active(url) {
  const answer = await client(url).get(PLACE)
  expect(answer.status, answer.text).toBe(200)
  return JSON.parse(answer.text)
}

/** A stream of JSON messages; its path. */
export async function makeStream(url, messages = 2) {
  const path = fresh("fault")
  const list = Array.from({ length: messages }, (_, n) => ({ n, text: `message ${n}` }))
  await client(url).create(path, "application/json", JSON.stringify(list))
  return path
}
