// Injected faults (DS_TEST_ENDPOINTS=1): the endpoint and the table, counting over several
// processes, delays, what a client's socket sees behind every web server, and how the published
// client reacts.

import { describe } from "vitest"

for (const part of ["endpoint", "counting", "delays", "matrix", "bare", "npm-client"])
  describe(part, async () => {
    // imported here, so that its servers run only during its tests
    await import(`./faults/${part}.mjs`)
  })
