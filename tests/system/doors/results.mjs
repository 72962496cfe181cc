// The results of the suites, for the matrix: build/doors/SUITE.json
//
//   { door: { case: { ok, figure, why } } }     why: the reason for which the door cannot do it

import fs from "node:fs"
import path from "node:path"
import { build } from "../harness.mjs"

export const folder = path.join(build, "doors")

export function write(suite, results) {
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, `${suite}.json`), JSON.stringify(results, null, 1))
}
