// Prints the matrix of the results in build/doors/, cases × doors, and writes it as Markdown to
// build/doors.md:   node tests/system/doors/matrix.mjs

import fs from "node:fs"
import path from "node:path"
import { build } from "../harness.mjs"
import { doors } from "./list.mjs"
import { folder } from "./results.mjs"

const columns = Object.keys(doors)
const rows = new Map() // case → door → cell
const notes = []

/** The number of this footnote; equal texts share a number. */
function note(why) {
  if (!notes.includes(why)) notes.push(why)
  return notes.indexOf(why) + 1
}

function put(name, door, text) {
  if (!rows.has(name)) rows.set(name, new Map())
  rows.get(name).set(door, text)
}

function cell({ ok, why, figure }) {
  if (!ok) return "FAILED"
  if (why) return `no (${note(why)})`
  return figure ?? "ok"
}

const read = (name) => {
  const file = path.join(folder, name)
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined
}

for (const [suite, title] of [
  ["conformance", "conformance suite"],
  ["subscriptions", "subscriptions"],
])
  for (const door of columns) {
    const counts = read(`${suite}-${door}`)
    if (!counts) continue
    const [good, bad] = counts.trim().split(" ").map(Number)
    put(title, door, `${good}/${good + bad}`)
  }
for (const suite of [...columns, "idle"])
  for (const [door, cases] of Object.entries(JSON.parse(read(`${suite}.json`) ?? "{}")))
    for (const [name, result] of Object.entries(cases)) put(name, door, cell(result))

if (rows.size > 0) {
  const table = [
    ["", ...columns],
    ...[...rows].map(([name, cells]) => [name, ...columns.map((door) => cells.get(door) ?? "-")]),
  ]
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)))
  for (const row of table)
    console.log(
      row
        .map((text, i) => text.padEnd(widths[i]))
        .join("  ")
        .trimEnd()
    )
  console.log()
  notes.forEach((why, i) => console.log(`(${i + 1}) ${why}`))

  const line = (row) => `| ${row.join(" | ")} |`
  fs.writeFileSync(
    path.join(build, "doors.md"),
    [
      line(table[0]),
      line(table[0].map(() => "---")),
      ...table.slice(1).map(line),
      "",
      ...notes.map((why, i) => `${i + 1}. ${why}`),
      "",
    ].join("\n")
  )
}
