// Subscriptions: which streams a pattern matches, and where cursors begin.

import { describe, expect, test } from "vitest"
import { until } from "../harness.mjs"
import {
  append,
  ask,
  expectError,
  expectStatus,
  make,
  offset,
  place,
  pull,
  remove,
  START,
  unique,
} from "./subscription-context.mjs"

describe.concurrent("patterns", () => {
  // pattern, streams that it matches, streams that it does not; ROOT is a folder of the test
  test.each([
    ["ROOT/*", ["ROOT/a", "ROOT/*", "ROOT/**", "ROOT/a%20b", "ROOT/x%2Fy"], ["ROOT", "ROOT/a/b", "ROOTa/b"]],
    ["ROOT/**", ["ROOT", "ROOT/a", "ROOT/a/b/c"], ["ROOTa", "x/ROOT"]],
    ["ROOT/a*", ["ROOT/a*"], ["ROOT/a", "ROOT/ab", "ROOT/a/b"]],
    ["ROOT/*a", ["ROOT/*a"], ["ROOT/ba"]],
    ["ROOT/***", ["ROOT/***"], ["ROOT/a", "ROOT/a/b"]],
    ["ROOT/[ab]", ["ROOT/[ab]"], ["ROOT/a"]],
    ["ROOT/*/b", ["ROOT/a/b", "ROOT/b/b"], ["ROOT/b", "ROOT/a/a/b", "ROOT/a/b/c"]],
    ["ROOT/**/b", ["ROOT/b", "ROOT/a/b", "ROOT/a/a/b", "ROOT/b/b"], ["ROOT/a", "ROOT/b/a"]],
    ["ROOT/**/*", ["ROOT/a", "ROOT/a/b"], ["ROOT"]],
    ["ROOT/*/**/c/*", ["ROOT/a/c/x", "ROOT/a/b/c/x", "ROOT/c/c/c"], ["ROOT/c/x", "ROOT/a/c"]],
    ["ROOT/%2A", ["ROOT/*"], ["ROOT/a", "ROOT/**"]],
    ["ROOT/%2a%2A", ["ROOT/**"], ["ROOT/a", "ROOT/a/b"]],
    ["/ROOT/a/", ["ROOT/a"], ["ROOT", "ROOT/a/b"]],
    ["ROOT//a", ["ROOT/a", "ROOT//a"], ["ROOT/a/b"]],
    ["ROOT/A", ["ROOT/A"], ["ROOT/a"]],
    ["ROOT/%61", ["ROOT/a"], ["ROOT/b"]],
    ["ROOT/x/y", ["ROOT/x/y"], ["ROOT/x%2Fy"]],
    ["*/ROOT", ["a/ROOT"], ["ROOT", "a/a/ROOT"]],
    ["**/ROOT", ["ROOT", "a/ROOT", "a/a/ROOT"], ["ROOT/a"]],
  ])("%s", async (pattern, yes, no) => {
    const root = unique()
    const there = (path) => path.replaceAll("ROOT", root)
    // nginx merges slashes where a site says so; the harness's do not
    const all = [...yes, ...no].map(there)
    const expected = yes.map(there).sort()
    const before = await pull({ pattern: there(pattern) })
    for (const path of all) await make(path, "x")
    const after = await pull({ pattern: there(pattern) })
    // streams of this test only: a pattern such as **/x matches those of others too
    const own = async (sub) => (await sub.paths()).filter((path) => all.includes(path))
    expect(await own(before), "streams that came later").toEqual(expected)
    expect(await own(after), "streams that were there").toEqual(expected)
    if (expected.length > 0) {
      const lease = await before.claim()
      expect(lease.streams.map(({ path }) => path).sort()).toEqual(expected)
      expectError(await after.tryClaim(), 409, "NO_PENDING_WORK")
    }
    for (const sub of [before, after]) expectStatus(await sub.end(), 204)
  })

  test("** by itself matches every stream", async () => {
    const root = unique()
    const sub = await pull({ pattern: "**" })
    await make(root, "x")
    await make(`${root}/a/b/c`, "x")
    const paths = await sub.paths()
    expect(paths).toEqual(expect.arrayContaining([root, `${root}/a/b/c`]))
    expect(paths).not.toContain(sub.wake)
    expectStatus(await sub.end(), 204)
  })
})

describe.concurrent("where a cursor begins", () => {
  test("streams that a new pattern matches: at their tail", async () => {
    const root = unique()
    const tail = await make(`${root}/a`, "history")
    const empty = await make(`${root}/b`)
    const sub = await pull({ pattern: `${root}/*` })
    expect((await sub.shown()).streams).toEqual([
      { path: `${root}/a`, link_type: "glob", acked_offset: tail },
      { path: `${root}/b`, link_type: "glob", acked_offset: empty },
    ])
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expect(await sub.events()).toEqual([])
    const next = await append(`${root}/a`)
    const { of } = await sub.claim()
    expect(of[`${root}/a`]).toMatchObject({ acked_offset: tail, tail_offset: next, has_pending: true })
    expect(of[`${root}/b`] ?? { has_pending: false }).toMatchObject({ has_pending: false })
  })

  test("a stream that is named: at its tail, or at the start if it does not exist", async () => {
    const root = unique()
    const tail = await make(`${root}/a`, "history")
    const sub = await pull({ streams: [`${root}/a`, `${root}/b`] })
    const later = await make(`${root}/c`, "later")
    expectStatus(await sub.add(`${root}/c`, `${root}/d`), 204)
    expect((await sub.shown()).streams).toEqual([
      { path: `${root}/a`, link_type: "explicit", acked_offset: tail },
      { path: `${root}/b`, link_type: "explicit", acked_offset: START },
      { path: `${root}/c`, link_type: "explicit", acked_offset: later },
      { path: `${root}/d`, link_type: "explicit", acked_offset: START },
    ])
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    await make(`${root}/b`, "now")
    const { of } = await sub.claim()
    expect(of[`${root}/b`]).toEqual({
      path: `${root}/b`,
      link_type: "explicit",
      acked_offset: START,
      tail_offset: offset(3),
      has_pending: true,
    })
  })

  test("a stream that a pattern finds later: before its first message", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*` })
    await make(`${root}/full`, "all of it")
    await make(`${root}/empty`)
    expect((await sub.link(`${root}/full`)).acked_offset).toBe("-1")
    const first = await sub.claim()
    expect(first.of[`${root}/full`]).toMatchObject({ acked_offset: "-1", tail_offset: offset(9) })
    expect(await sub.finish(first, { [`${root}/full`]: offset(9) })).toBe(false)
    await append(`${root}/empty`, "x")
    const second = await sub.claim()
    const link = second.of[`${root}/empty`]
    expect(["-1", START]).toContain(link.acked_offset)
    expect(link).toMatchObject({ tail_offset: offset(1), has_pending: true, link_type: "glob" })
  })

  test("an empty stream is never pending", async () => {
    const root = unique()
    const sub = await pull({ pattern: `${root}/*`, streams: [`${root}/b/c`] })
    await make(`${root}/a`)
    await make(`${root}/b/c`)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expect(await sub.events()).toEqual([])
  })
})

describe.concurrent("links of both kinds", () => {
  test("explicit is shown; taking it away leaves the link of the pattern, and the cursor", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ pattern: `${root}/*`, streams: [a] })
    await make(a, "12345")
    const lease = await sub.claim()
    expect(lease.of[a].link_type).toBe("explicit")
    await sub.finish(lease, { [a]: offset(5) })
    expect(await sub.link(a)).toEqual({ path: a, link_type: "explicit", acked_offset: offset(5) })
    for (const [change, type] of [
      [() => sub.drop(a), "glob"],
      [() => sub.drop(a), "glob"],
      [() => sub.add(a), "explicit"],
    ]) {
      expectStatus(await change(), 204)
      expect(await sub.link(a)).toEqual({ path: a, link_type: type, acked_offset: offset(5) })
    }
    await append(a, "6")
    expect((await sub.claim()).of[a]).toMatchObject({ acked_offset: offset(5), tail_offset: offset(6) })
  })

  test("without a pattern, a stream that was taken away wakes nobody, and begins at the tail again", async () => {
    const root = unique()
    const a = `${root}/a`
    const sub = await pull({ streams: [a, `${root}/b`] })
    await make(a, "1")
    await sub.finish(await sub.claim(), { [a]: offset(1) })
    expectStatus(await sub.drop(a), 204)
    await append(a, "2")
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    expectStatus(await sub.add(a), 204)
    expect((await sub.link(a)).acked_offset).toBe(offset(2))
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    await append(a, "3")
    expect((await sub.claim()).of[a].acked_offset).toBe(offset(2))
  })

  test("a wake whose only pending stream is taken away has nothing to do", async () => {
    const root = unique()
    const sub = await pull({ streams: [`${root}/a`, `${root}/b`] })
    await make(`${root}/a`, "1")
    await sub.event(1)
    expectStatus(await sub.drop(`${root}/a`), 204)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
    await make(`${root}/b`, "2")
    const event = await until(async () => (await sub.events()).find((one) => one.stream === `${root}/b`), "a new event")
    const lease = await sub.claim()
    expect(lease.generation).toBe(event.generation)
    expect(lease.streams.map(({ path }) => path)).toEqual([`${root}/b`])
  })

  test("a stream that is taken away under a lease cannot be acked", async () => {
    const root = unique()
    const sub = await pull({ streams: [`${root}/a`, `${root}/b`] })
    await make(`${root}/a`, "1")
    const lease = await sub.claim()
    expectStatus(await sub.drop(`${root}/a`), 204)
    const acks = [{ stream: `${root}/a`, offset: offset(1) }]
    expectError(await sub.ack(lease, { acks, done: true }), 409, "INVALID_OFFSET")
    expect(await sub.finish(lease)).toBe(false)
    expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
  })

  test("a stream that is added under a lease may be acked as soon as it grows", async () => {
    const root = unique()
    const sub = await pull({ streams: [`${root}/a`] })
    await make(`${root}/a`, "1")
    const lease = await sub.claim()
    await make(`${root}/b`, "12")
    expectStatus(await sub.add(`${root}/b`), 204)
    await append(`${root}/b`, "3")
    expect(await sub.finish(lease, { [`${root}/a`]: offset(1), [`${root}/b`]: offset(3) })).toBe(false)
    expect((await sub.link(`${root}/b`)).acked_offset).toBe(offset(3))
  })
})

describe.concurrent("wake streams and patterns", () => {
  test("no pattern matches a wake stream, its own or another one's", async () => {
    const root = unique()
    const one = await pull({ pattern: `${root}/**`, wake_stream: `${root}/wake/one` })
    await make(`${root}/wake/one`, undefined, { "content-type": "application/json" })
    await make(`${root}/wake/two`, undefined, { "content-type": "application/json" })
    expect(await one.paths()).toEqual([`${root}/wake/two`])
    const two = await pull({ pattern: `${root}/**`, wake_stream: `${root}/wake/two` })
    // it is a wake stream now
    expect(await one.paths()).toEqual([])
    expect(await two.paths()).toEqual([])
    await make(`${root}/a`, "x")
    for (const sub of [one, two]) {
      const lease = await sub.claim()
      expect(lease.streams.map(({ path }) => path)).toEqual([`${root}/a`])
      expect(await sub.finish(lease, { [`${root}/a`]: offset(1) })).toBe(false)
      expect((await sub.events()).length).toBe(1)
    }
  })

  test("another subscription's wake stream may be named", async () => {
    const root = unique()
    const first = await pull({ pattern: `${root}/*` })
    const second = await pull({ streams: [first.wake] })
    await make(`${root}/a`, "x")
    const lease = await second.claim()
    expect(lease.streams).toMatchObject([{ path: first.wake, link_type: "explicit", has_pending: true }])
  })
})

describe.concurrent("many links", () => {
  test("a wake lists pending streams first", async () => {
    const root = unique()
    const names = Array.from({ length: 30 }, (_, n) => `${root}/${String(n).padStart(2, "0")}`)
    for (const name of names) await make(name, "x")
    const sub = await pull({ pattern: `${root}/*` })
    for (const n of [29, 7]) await append(names[n])
    const { streams } = await sub.claim()
    expect(streams.slice(0, 2).map(({ path }) => path)).toEqual([names[7], names[29]])
    expect(streams.filter(({ has_pending }) => has_pending).length).toBe(2)
    for (const link of streams)
      expect(Object.keys(link)).toEqual(["path", "link_type", "acked_offset", "tail_offset", "has_pending"])
  })

  test("a stream may be in many subscriptions, each with its own cursor", async () => {
    const root = unique()
    const subs = []
    for (let n = 0; n < 8; n++) subs.push(await pull({ pattern: `${root}/*` }))
    await make(`${root}/a`, "12345678")
    const leases = await Promise.all(subs.map((sub) => sub.claim()))
    for (const [n, sub] of subs.entries()) {
      const next = await sub.finish(leases[n], { [`${root}/a`]: offset(n + 1) })
      expect(next).toBe(n < 7)
    }
    for (const [n, sub] of subs.entries())
      expect((await sub.link(`${root}/a`)).acked_offset).toBe(offset(n + 1))
    await remove(`${root}/a`)
    for (const sub of subs) expectError(await sub.tryClaim(), 409, "NO_PENDING_WORK")
  })

  test("a subscription that is deleted leaves the others alone", async () => {
    const root = unique()
    const [one, two] = [await pull({ pattern: `${root}/*` }), await pull({ pattern: `${root}/*` })]
    await make(`${root}/a`, "x")
    expectStatus(await one.end(), 204)
    await append(`${root}/a`, "y")
    expect((await two.claim()).of[`${root}/a`].tail_offset).toBe(offset(2))
    expectStatus(await ask("GET", place(one.id)), 404)
  })
})
