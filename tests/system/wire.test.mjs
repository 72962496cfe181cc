// Requests and answers case by case, beyond those that the conformance suite checks. SETUP chooses
// the gateway (harness.mjs). Because every gateway must give the same answers, there is one table,
// with a file for each subject. Each answer that passes through `api` is also checked for the
// headers that every answer must have; see decent() in wire/checks.mjs.

import "./wire/context.mjs"
import "./wire/http.mjs"
import "./wire/headers.mjs"
import "./wire/pages.mjs"
import "./wire/reads.mjs"
import "./wire/lifetime.mjs"
import "./wire/writes.mjs"
import "./wire/live.mjs"
