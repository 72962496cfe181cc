// What a page of another origin can see of an answer (CORS).

import { expect } from "vitest"

const count = ({ rawHeaders }, wanted) =>
  rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === wanted).length

/** How often an answer says who may see it, and what of it: a browser wants each once, or never. */
export const corsOf = (answer) => [
  count(answer, "access-control-allow-origin"),
  count(answer, "access-control-expose-headers"),
]

/** Is it the program's, and not the web server's own? */
export const isOurs = ({ headers }) => headers["cross-origin-resource-policy"] === "cross-origin"

/** The web server made this answer, and a page may see it, and when to come back. */
export function expectSeen(answer, what = "") {
  const { status, headers } = answer
  const shown = `${what} ${status} ${JSON.stringify(headers)}`
  expect(status, shown).toBeGreaterThanOrEqual(400)
  expect(isOurs(answer), shown).toBe(false)
  expect(corsOf(answer), shown).toEqual([1, 1])
  expect(headers["access-control-allow-origin"], shown).toBe("*")
  expect(headers["access-control-expose-headers"], shown).toMatch(/retry-after/i)
}
