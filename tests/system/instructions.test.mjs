// No request executes more instructions than the agreed figure without notice: see
// tests/bench/instructions.mjs.

import { beforeAll, describe, expect, test } from "vitest"
import { spawnSync } from "node:child_process"
import { readCounts } from "../bench/callgrind.mjs"
import {
  cgiRows,
  comparable,
  count,
  judge,
  LIMIT,
  readTable,
  rows,
  versions,
} from "../bench/instructions.mjs"
import { sanitized } from "./harness.mjs"

const names = [...Object.keys(rows), ...Object.keys(cgiRows)]
const table = readTable()
const number = (value) => value?.toLocaleString("en") ?? "no figure"

test("the table has every row, with a reason for its figures", () => {
  expect(Object.keys(table.rows)).toEqual(names)
  for (const { own, all, why } of Object.values(table.rows)) {
    expect(own).toBeGreaterThan(0)
    expect(all).toBeGreaterThan(own)
    expect(why).toMatch(/\S/)
  }
})

test("a file of callgrind is counted once, by object and by function", () => {
  const text = `events: Ir
ob=(1) /lib/libc.so.6
fl=(1) malloc.c
fn=(1) malloc
10 7
+2 3
ob=(2) /build/server
fl=(2) main.c
fn=(2) main
1 5
cob=(1)
cfi=(1)
cfn=(1)
calls=2 10
* 10
-1 4
fn=(1)
1 1
`
  expect(readCounts(text, "server")).toEqual({
    all: 20,
    own: 10,
    functions: [
      ["malloc", 11],
      ["main", 9],
    ],
  })
})

test("figures are compared only if nothing but the sources differs", () => {
  const here = { compiler: "GNU C11 12.2.0 -O2", sqlite: "3.40.1", libc: "2.36" }
  const same = (differs) => comparable({ versions: here }, { ...here, ...differs })
  expect(same({})).toMatchObject({ own: true, all: true, reason: "" })
  expect(same({ sqlite: "3.46.0" })).toMatchObject({ own: true, all: false })
  expect(same({ compiler: "GNU C11 13.1.0 -O2" })).toMatchObject({ own: false, strange: false })
  expect(same({ compiler: "GNU C11 12.2.0 -O0" })).toMatchObject({ own: false, strange: true })
  expect([judge(111, 100), judge(109, 100), judge(89, 100)]).toEqual([
    "grown",
    "as it was",
    "shrunk",
  ])
})

describe("valgrind", () => {
  const there = spawnSync("valgrind", ["--version"]).status === 0
  const obstacle = sanitized ? "in a build with sanitizers" : there ? "" : "without valgrind"
  if (obstacle) console.log(`instructions: not counted ${obstacle}`)

  // a sanitizer's own instructions would be counted with the program's
  describe.skipIf(obstacle)("counts", () => {
    const which = obstacle ? {} : comparable(table, versions())
    let counts

    beforeAll(async () => {
      counts = await count()
    }, 300_000)

    test("the program is built with the table's compiler and flags", () => {
      if (which.reason) console.log(`instructions: not all comparable here: ${which.reason}`)
      // set by us; otherwise no figure would be compared
      expect(
        which.strange ? `${which.reason}\nIf that is meant: make callgrind UPDATE='why'` : ""
      ).toBe("")
    })

    test.each(names)("%s", (name) => {
      const agreed = table.rows[name] ?? {}
      const problems = []
      for (const [figure, what] of [
        ["own", "the program alone"],
        ["all", "with its libraries"],
      ]) {
        const now = counts[name][figure]
        const is = which[figure] ? judge(now, agreed[figure] ?? 0) : ""
        const says =
          `${name}, ${what}: ${number(now)} instructions a request, ` +
          `${number(agreed[figure])} in tests/bench/instructions.tsv`
        if (is === "shrunk") console.log(`instructions: ${says}: the table can be lowered`)
        if (is === "grown") problems.push(says)
      }
      if (problems.length > 0)
        throw new Error(
          `${problems.join("\n")}\nThe limit is ${100 * LIMIT} % more. The most expensive now:\n` +
            counts[name].functions
              .slice(0, 8)
              .map(([what, spent]) => `  ${number(spent).padStart(9)}  ${what}\n`)
              .join("") +
            "If it is worth its price: make callgrind UPDATE='why'"
        )
    })
  })
})
