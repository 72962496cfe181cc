// What a page of another origin can see of an answer (CORS).

import { expect } from "vitest"

const count = ({ rawHeaders }, wanted) =>
  rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === wanted).length

/** The number of CORS headers of each kind: a browser accepts each once or not at all. */
export const corsOf = (answer) => [
  count(answer, "access-control-allow-origin"),
  count(answer, "access-control-expose-headers"),
]

/** True for an answer of the program, false for one of the web server itself. */
export const isOurs = ({ headers }) => headers["cross-origin-resource-policy"] === "cross-origin"

/** Checks that the web server made this answer, and that a page sees it and when to retry. */
export function expectSeen(answer, what = "") {
  const { status, headers } = answer
  const shown = `${what} ${status} ${JSON.stringify(headers)}`
  expect(status, shown).toBeGreaterThanOrEqual(400)
  expect(isOurs(answer), shown).toBe(false)
  expect(corsOf(answer), shown).toEqual([1, 1])
  expect(headers["access-control-allow-origin"], shown).toBe("*")
  expect(headers["access-control-expose-headers"], shown).toMatch(/retry-after/i)
}
