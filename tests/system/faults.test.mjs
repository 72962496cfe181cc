// Injected faults (DS_TEST_ENDPOINTS=1): the endpoint and the table, counting over processes, delays,
// what a client's socket sees at every door, and what the published client makes of it.

import { describe } from "vitest"

for (const part of ["endpoint", "counting", "delays", "matrix", "bare", "npm-client"])
  describe(part, async () => {
    // here, so that its servers run during its tests alone
    await import(`./faults/${part}.mjs`)
  })
