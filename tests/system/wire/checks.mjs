// What is true of every answer of the program.

import { expect } from "vitest"

/** Checks the headers that every answer of the program has, errors included. */
export function decent(answer, what) {
  const shown = `${what} → ${answer.status} ${JSON.stringify(answer.headers)}`
  expect(answer.headers["x-content-type-options"], `nosniff: ${shown}`).toBe("nosniff")
  expect(answer.headers["cross-origin-resource-policy"], `CORP: ${shown}`).toBe("cross-origin")
  expect(answer.headers["access-control-allow-origin"], `CORS: ${shown}`).toBe("*")
  expect(answer.reason, `a reason phrase: ${shown}`).not.toBe("")
  expect(answer.status, `no server error: ${shown} ${answer.text}`).toBeLessThan(500)
  expect(answer.headers["x-evil"], `no injected header: ${shown}`).toBeUndefined()
  if (answer.status >= 400 && !what.startsWith("HEAD"))
    expect(answer.text, `an error gives a reason without a line break, which clients compare: ${shown}`).toMatch(/[^\n]$/)
  if (what.startsWith("HEAD") || answer.status === 204 || answer.status === 304)
    expect(answer.body.length, `no body: ${shown}`).toBe(0)
}

/** A client (http.mjs) that checks every answer so. */
export function checked(plain) {
  const wrapped = { ...plain }
  for (const [name, method] of [
    ["put", "PUT"],
    ["post", "POST"],
    ["head", "HEAD"],
    ["del", "DELETE"],
    ["get", "GET"],
    ["options", "OPTIONS"],
  ])
    wrapped[name] = async (path, ...rest) => {
      const answer = await plain[name](path, ...rest)
      decent(
        answer,
        `${method} ${path.slice(0, 200)} ${JSON.stringify(rest[0] ?? {}).slice(0, 300)}`
      )
      return answer
    }
  return wrapped
}

export const status = (answer) => `${answer.status} ${answer.text.slice(0, 200)}`

export function expectStatus(answer, ...allowed) {
  expect(allowed, `answered ${status(answer)} ${JSON.stringify(answer.headers)}`).toContain(
    answer.status
  )
}
