// Configuration files for the tests: the files that people copy, with other values filled in.

import fs from "node:fs"
import path from "node:path"

/**
 * Replaces every occurrence of each key of `values` by its value: the longest keys first, and never
 * inside a replacement; a key without a value (undefined) is left out. Throws if a key does not occur:
 * then the file has changed, and the test would not start the server that it expects.
 */
export function fill(text, values) {
  const keys = Object.keys(values)
    .filter((key) => values[key] !== undefined)
    .sort((a, b) => b.length - a.length)
  if (keys.length === 0) return text
  const seen = new Set()
  const pattern = new RegExp(
    keys.map((key) => key.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"),
    "g"
  )
  const result = text.replace(pattern, (key) => {
    seen.add(key)
    return String(values[key])
  })
  const missing = keys.filter((key) => !seen.has(key))
  if (missing.length > 0)
    throw new Error(`not found in the configuration: ${missing.join(", ")}\n${text.slice(0, 300)}`)
  return result
}

/** Writes the files of one server's folder, each after a test's `edit`; returns the folder. */
export const writer = (folder, edit = (name, text) => text) => (name, text) => {
  const file = path.join(folder, name)
  fs.writeFileSync(file, edit(name, text))
  return file
}
