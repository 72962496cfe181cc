// Subscriptions case by case (protocol sections 6 and 7), beyond the six tests of the conformance
// suite. SETUP chooses the gateway (harness.mjs). Because every gateway must give the same answers,
// there is one table, with a file for each subject. Nothing is asserted about times.

import "./wire/subscription-context.mjs"
import "./wire/subscription-endpoints.mjs"
import "./wire/subscription-errors.mjs"
import "./wire/subscription-links.mjs"
import "./wire/subscription-wakes.mjs"
import "./wire/subscription-streams.mjs"
import "./wire/subscription-webhooks.mjs"
import "./wire/subscription-safety.mjs"
import "./wire/subscription-processes.mjs"
import "./wire/subscription-settings.mjs"
