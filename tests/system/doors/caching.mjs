// Cases of the table (table.mjs): compression and conditional requests.

import { gunzipSync } from "node:zlib"
import { expect } from "vitest"
import { fresh } from "../http.mjs"
import { JSON_TYPE, expectStatus } from "./context.mjs"

const GZIP = { "accept-encoding": "gzip" }

const REFUSED = { "accept-encoding": "gzip;q=0, identity" }

async function largeJson(t) {
  const path = fresh("gz")
  const body = JSON.stringify(Array.from({ length: 2000 }, (_, i) => ({ n: i, text: "again" })))
  await t.api.create(path, JSON_TYPE["content-type"], body)
  return { path, body }
}

export const caching = [
  {
    name: "gzip of a large JSON catch-up",
    cannot: {
      hosting: () => ({
        why: "on shared hosting, the host decides what is compressed",
        async instead(t) {
          const { path, body } = await largeJson(t)
          const { headers, body: got } = await t.api.get(path, GZIP)
          const text = headers["content-encoding"] === "gzip" ? gunzipSync(got) : got
          expect(text.toString()).toBe(body)
        },
      }),
    },
    async run(t) {
      const { path, body } = await largeJson(t)
      const packed = await t.api.get(path, GZIP)
      expectStatus(packed, 200)
      expect(packed.headers["content-encoding"]).toBe("gzip")
      expect(packed.headers.vary, "Vary").toMatch(/accept-encoding/i)
      expect(gunzipSync(packed.body).toString()).toBe(body)
      const plain = await t.api.get(path)
      expect(plain.headers["content-encoding"]).toBeUndefined()
      expect(plain.text).toBe(body)
      return `to ${Math.round((100 * packed.body.length) / body.length)} %`
    },
  },
  {
    name: "gzip;q=0 means no compression",
    async run(t) {
      const { path, body } = await largeJson(t)
      const answer = await t.api.get(path, REFUSED)
      expect(answer.headers["content-encoding"]).toBeUndefined()
      expect(answer.text).toBe(body)
    },
  },
  {
    name: "If-None-Match with and without gzip: 304",
    async run(t) {
      const { path } = await largeJson(t)
      for (const given of [{}, GZIP]) {
        const { headers } = await t.api.get(path, given)
        expect(headers.etag).toBeDefined()
        for (const asked of [given, {}, GZIP]) {
          const again = await t.api.get(path, { ...asked, "if-none-match": headers.etag })
          expectStatus(again, 304)
          expect(again.body.length).toBe(0)
        }
        await t.api.append(path, JSON_TYPE["content-type"], "[1]")
        const changed = await t.api.get(path, { ...given, "if-none-match": headers.etag })
        expectStatus(changed, 200)
      }
    },
  },
  {
    name: "SSE is never compressed",
    async run(t) {
      const { path } = await largeJson(t)
      const reader = await t.api.sse(`${path}?offset=-1&live=sse`, GZIP)
      expect(reader.headers["content-encoding"]).toBeUndefined()
      expect(reader.headers["content-type"]).toMatch(/^text\/event-stream/)
      await reader.waitFor((event) => event.control?.upToDate, "the end of the catch-up")
      await t.api.append(path, JSON_TYPE["content-type"], '["fresh"]')
      await reader.waitFor((event) => event.data.includes("fresh"), "a live event")
      reader.close()
    },
  },
  {
    name: "no live answer may be cached",
    async run(t) {
      const path = fresh("live")
      await t.api.create(path, "text/plain", "x")
      const reader = await t.api.sse(`${path}?offset=-1&live=sse`)
      expect(reader.headers["cache-control"]).toMatch(/no-cache|no-store/)
      expect(reader.headers["content-length"]).toBeUndefined()
      reader.close()
    },
  },
]
