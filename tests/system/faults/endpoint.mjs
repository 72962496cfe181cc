// /_test/inject-error, and the table at the sqlite3 prompt.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { sqlite, startServer } from "../harness.mjs"
import { client, fresh } from "../http.mjs"
import { active, BODY, inject, makeStream, ON, PLACE } from "./inject.mjs"

describe("with DS_TEST_ENDPOINTS=1", () => {
  let server, api

  beforeAll(async () => {
    server = await startServer({ responders: 2, env: ON })
    api = client(server.url)
  })
  afterAll(() => server?.stop())

  const post = (body, headers = {}) => api.post(PLACE, headers, body)

  test("the log warns of it, and every answer says so", async () => {
    expect(server.logs()).toMatch(/warning: DS_TEST_ENDPOINTS=1/)
    for (const answer of [
      await api.get("/health"),
      await api.get(fresh()),
      await api.put(fresh(), { "content-type": "text/plain" }),
      await api.options(fresh()),
      await api.any("PATCH", fresh()),
    ])
      expect(answer.headers["ds-test-endpoints"], String(answer.status)).toBe("on")
  })

  test("POST accepts every field, in any order, with any content type", async () => {
    const path = fresh()
    const fault = {
      path,
      method: "get",
      count: 3,
      probability: 0.5,
      delayMs: 10,
      jitterMs: 20,
      dropConnection: true,
      status: 503,
      retryAfter: 5,
      truncateBodyBytes: 50,
      corruptBody: true,
      injectSseEvent: { eventType: "odd", data: "one\ntwo" },
    }
    const entries = Object.entries(fault)
    const orders = [entries, entries.toReversed(), [...entries.slice(5), ...entries.slice(0, 5)]]
    for (const headers of [{}, { "content-type": "application/json" }, { "content-type": "a/b" }])
      for (const order of orders) {
        await api.del(PLACE)
        const answer = await post(
          JSON.stringify({ ...Object.fromEntries(order), other: { a: [1] } }),
          headers
        )
        expect([answer.status, answer.text]).toEqual([200, '{"ok":true}'])
        expect(answer.headers["content-type"]).toBe("application/json")
        expect(await active(server.url)).toEqual([fault])
      }
    await api.del(PLACE)
  })

  test("each field by itself is kept as it was given", async () => {
    for (const fault of [
      { status: 500 },
      { delayMs: 0 },
      { dropConnection: true },
      { truncateBodyBytes: 0 },
      { corruptBody: true },
      { injectSseEvent: { eventType: "", data: "" } },
    ]) {
      const path = fresh()
      await inject(server.url, path, fault)
      expect(await active(server.url)).toEqual([{ path, count: 1, ...fault }])
      await api.del(PLACE)
    }
  })

  test("a body that is not a fault is refused, with a reason", async () => {
    const path = "/v1/stream/x"
    for (const [body, reason] of [
      ["", /empty/],
      ["not json", /not valid JSON/],
      ['{"path":"/x","status":500', /not valid JSON/],
      ["[]", /object/],
      ["null", /object/],
      ["{}", /path is missing/],
      ['{"status":500}', /path is missing/],
      [JSON.stringify({ path: "", status: 500 }), /path is missing/],
      [JSON.stringify({ path: 1, status: 500 }), /path must be/],
      [JSON.stringify({ path: "x", status: 500 }), /slash/],
      [JSON.stringify({ path: "/a/../b", status: 500 }), /dot segment/],
      [JSON.stringify({ path: "/a?b=c", status: 500 }), /percent-encoded/],
      [JSON.stringify({ path: "/" + "x".repeat(3000), status: 500 }), /too long/],
      [JSON.stringify({ path: PLACE, status: 500 }), /not injected here/],
      [JSON.stringify({ path }), /one of status, delayMs/],
      [JSON.stringify({ path, count: 2, retryAfter: 1, jitterMs: 1, method: "GET" }), /one of/],
      [JSON.stringify({ path, dropConnection: false, corruptBody: false }), /one of/],
      [JSON.stringify({ path, status: null }), /one of/],
      [JSON.stringify({ path, status: "503" }), /status must be/],
      [JSON.stringify({ path, status: 42 }), /status must be/],
      [JSON.stringify({ path, delayMs: -1 }), /delayMs must be/],
      [JSON.stringify({ path, delayMs: "long" }), /delayMs must be/],
      [JSON.stringify({ path, delayMs: 1, jitterMs: {} }), /jitterMs must be/],
      [JSON.stringify({ path, dropConnection: "yes" }), /dropConnection must be/],
      [JSON.stringify({ path, truncateBodyBytes: -1 }), /truncateBodyBytes must be/],
      [JSON.stringify({ path, corruptBody: 1 }), /corruptBody must be/],
      [JSON.stringify({ path, injectSseEvent: true }), /injectSseEvent must be/],
      [JSON.stringify({ path, injectSseEvent: { eventType: "a" } }), /injectSseEvent must be/],
      [JSON.stringify({ path, injectSseEvent: { eventType: "a\nb", data: "" } }), /eventType/],
      [JSON.stringify({ path, status: 500, count: "2" }), /count must be/],
      [JSON.stringify({ path, status: 500, probability: 2 }), /probability must be/],
      [JSON.stringify({ path, status: 500, method: 7 }), /method must be/],
      [JSON.stringify({ path, status: 500, retryAfter: "soon" }), /retryAfter must be/],
    ]) {
      const answer = await post(body)
      expect(answer.status, `${body.slice(0, 100)}: ${answer.text}`).toBe(400)
      expect(answer.text, body.slice(0, 100)).toMatch(reason)
      expect(answer.text.trimEnd()).not.toContain("\n")
    }
    expect(await active(server.url)).toEqual([])
  })

  test("other methods are refused; OPTIONS and HEAD answer", async () => {
    for (const method of ["PUT", "PATCH"]) {
      const answer = await api.any(method, PLACE, {}, "{}")
      expect(answer.status).toBe(405)
      expect(answer.headers.allow).toBe("GET, HEAD, POST, DELETE, OPTIONS")
    }
    const preflight = await api.options(PLACE)
    expect(preflight.status).toBe(204)
    expect(preflight.headers["access-control-allow-methods"]).toContain("DELETE")
    expect((await api.head(PLACE)).status).toBe(200)
    expect((await api.get("/_test/other")).status).toBe(404)
  })

  test("DELETE clears all; a new fault replaces the old one of its path", async () => {
    const [a, b] = [await makeStream(server.url), await makeStream(server.url)]
    await inject(server.url, a, { status: 500, count: 5, delayMs: 1 })
    await inject(server.url, a, { status: 502 })
    await inject(server.url, b, { status: 503 })
    expect(await active(server.url)).toHaveLength(2)
    const answer = await api.get(a)
    expect([answer.status, answer.text, answer.headers["content-type"]]).toEqual([
      502,
      BODY,
      "text/plain",
    ])
    expect((await api.get(a)).status).toBe(200)
    const cleared = await api.del(PLACE)
    expect([cleared.status, cleared.text]).toEqual([200, '{"ok":true}'])
    expect((await api.get(b)).status).toBe(200)
    expect((await api.del(PLACE)).status).toBe(200)
  })

  test("the path is matched in its normal form and without the query", async () => {
    const path = await makeStream(server.url)
    await inject(server.url, path.replace("fault", "%66ault"), { status: 500, count: 2 })
    expect((await api.get(`${path}?offset=-1`)).status).toBe(500)
    expect((await api.get(`${path}/below`)).status).toBe(404)
    expect((await api.get(path.replace("fault", "f%61ult"))).status).toBe(500)
    expect((await api.get(path)).status).toBe(200)
  })

  test("paths without a stream, and paths that are not streams, fail as well", async () => {
    await inject(server.url, "/my-stream", { status: 418, count: 2 })
    await inject(server.url, "/health", { status: 500 })
    expect((await api.get("/my-stream")).status).toBe(418)
    expect((await api.any("PATCH", "/my-stream")).status).toBe(418)
    expect((await api.get("/my-stream")).status).toBe(404)
    expect((await api.get("/health")).status).toBe(500)
    expect((await api.get("/health")).status).toBe(200)
  })

  test("OPTIONS never meets a fault, HEAD does; methods match in upper and lower case", async () => {
    const path = await makeStream(server.url)
    await inject(server.url, path, { status: 500 })
    expect((await api.options(path)).status).toBe(204)
    expect(await active(server.url)).toHaveLength(1)
    expect((await api.head(path)).status).toBe(500)
    expect(await active(server.url)).toHaveLength(0)
    await inject(server.url, path, { status: 500, method: "pOsT" })
    expect((await api.get(path)).status).toBe(200)
    expect((await api.head(path)).status).toBe(200)
    const type = { "content-type": "application/json" }
    expect((await api.post(path, type, '{"lost":true}')).status).toBe(500)
    expect((await api.post(path, type, '{"kept":true}')).status).toBe(204)
    expect((await api.get(path)).text).not.toContain("lost")
  })

  test("a count of 0 or less fires once", async () => {
    for (const count of [0, -3]) {
      const path = await makeStream(server.url)
      await inject(server.url, path, { status: 500, count })
      expect((await api.get(path)).status).toBe(500)
      expect((await api.get(path)).status).toBe(200)
    }
  })

  test("Retry-After is sent only if it was given", async () => {
    const path = await makeStream(server.url)
    for (const [fault, expected] of [
      [{ status: 429, retryAfter: 5 }, "5"],
      [{ status: 503, retryAfter: 0 }, "0"],
      [{ status: 503, retryAfter: 0.05 }, "1"],
      [{ status: 503, retryAfter: 1.5 }, "2"],
      [{ status: 503, retryAfter: 3.0 }, "3"],
      [{ status: 503 }, undefined],
    ]) {
      await inject(server.url, path, fault)
      const answer = await api.get(path)
      expect(answer.status).toBe(fault.status)
      expect(answer.headers["retry-after"]).toBe(expected)
    }
  })

  test("rows from the sqlite3 prompt are honoured at once, and invalid ones refused with a reason", async () => {
    const path = await makeStream(server.url)
    const insert = (columns, values) =>
      sqlite(server.database, `INSERT INTO faults (path, ${columns}) VALUES ('${path}', ${values})`)
    await insert("status", "503")
    expect((await api.get(path)).status).toBe(503)
    expect((await api.get(path)).status).toBe(200)
    await insert("status, retry_after", "503, 1.2")
    expect((await api.get(path)).headers["retry-after"]).toBe("2")
    await insert("status, count, method", "500, 2, 'GET'")
    expect((await api.get(path)).status).toBe(500)
    expect(await sqlite(server.database, "SELECT count FROM faults")).toBe("1")
    await sqlite(server.database, "UPDATE faults SET status = 502")
    expect((await api.get(path)).status).toBe(502)
    await insert("delay_ms, count", "0, 1000")
    await sqlite(server.database, "DELETE FROM faults")
    expect(await active(server.url)).toEqual([])
    await expect(insert("status", "'broken'")).rejects.toThrow(/status is 200 to 599/)
    await expect(insert("count", "1")).rejects.toThrow(/one of status, delay_ms/)
  })

  test("changed answers must not be cached, and their headers are whole", async () => {
    const path = await makeStream(server.url)
    const clean = await api.get(path)
    await inject(server.url, path, { corruptBody: true, truncateBodyBytes: 20 })
    const mangled = await api.get(path)
    expect(mangled.status).toBe(200)
    expect(mangled.headers["cache-control"]).toBe("no-store")
    for (const name of ["content-type", "stream-next-offset", "stream-up-to-date", "etag"])
      expect(mangled.headers[name], name).toBe(clean.headers[name])
    await inject(server.url, path, { corruptBody: true })
    const unchanged = await api.get(path, { "if-none-match": clean.headers.etag })
    expect(unchanged.status).toBe(304)
    expect(await active(server.url), "counted all the same").toEqual([])
  })
})

test("without DS_TEST_ENDPOINTS there are no faults and no endpoint", async () => {
  const server = await startServer()
  try {
    const api = client(server.url)
    for (const method of ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"]) {
      const body = method === "POST" ? '{"path":"/x","status":500}' : undefined
      const answer = await api.any(method, PLACE, {}, body)
      expect(answer.status, method).toBe(404)
      expect(answer.headers["ds-test-endpoints"]).toBeUndefined()
    }
    const path = await makeStream(server.url)
    const insert = `INSERT INTO faults (path, status) VALUES ('${path}', 503)`
    await expect(sqlite(server.database, insert)).rejects.toThrow(/no such table/)
    const testing = await startServer({
      database: server.database,
      env: { DS_TEST_ENDPOINTS: "1" },
    })
    await testing.stop()
    await sqlite(server.database, insert)
    expect((await api.get(path)).status).toBe(200)
    expect(await sqlite(server.database, "SELECT count(*) FROM faults")).toBe("1")
    expect(server.logs()).not.toMatch(/DS_TEST_ENDPOINTS/)
  } finally {
    await server.stop()
  }
})
