// Helpers that the cases of the table share.

import { createCipheriv } from "node:crypto"
import { expect } from "vitest"

export const TEXT = { "content-type": "text/plain" }
export const JSON_TYPE = { "content-type": "application/json" }

export function expectStatus(answer, ...allowed) {
  const { status, headers, text } = answer
  expect(allowed, `answered ${status} ${text.slice(0, 300)} ${JSON.stringify(headers)}`).toContain(
    status
  )
}

/** `length` bytes without a pattern, the same at each call. */
export function bytes(length) {
  const key = Buffer.alloc(16, "durable streams")
  return createCipheriv("aes-128-ctr", key, key).update(Buffer.alloc(length))
}

/** A path that begins with `path`, repeats `piece` up to `length`, and does not end with a slash. */
export function ofLength(path, length, piece) {
  const filled = `${path}/${piece.repeat(length)}`.slice(0, length)
  return filled.endsWith("/") ? `${filled.slice(0, -1)}n` : filled
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}
