// What goes over the wire, case by case, beyond what the conformance suite looks at. SETUP chooses
// the gateway (harness.mjs): every one must give the same answers, so it is one table, in one file a
// subject. Each answer that passes through `api` is also checked for what every answer must have;
// see decent() in wire/context.mjs.

import "./wire/context.mjs"
import "./wire/http.mjs"
import "./wire/headers.mjs"
import "./wire/pages.mjs"
import "./wire/reads.mjs"
import "./wire/lifetime.mjs"
import "./wire/writes.mjs"
import "./wire/live.mjs"
