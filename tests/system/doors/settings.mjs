// Settings of the servers on which the table of cases runs.

/** Longer than any case takes, but short enough for a case that waits for it to pass. */
export const LONG_POLL_MS = 6000
export const SSE_LIFETIME_MS = 60_000
/** How soon a client's end is noticed where only a failing write shows it. */
export const HEARTBEAT_MS = 1000

export const SETTINGS = {
  DS_LONG_POLL_TIMEOUT_MS: String(LONG_POLL_MS),
  DS_SSE_LIFETIME_MS: String(SSE_LIFETIME_MS),
  DS_SSE_KEEPALIVE_MS: String(HEARTBEAT_MS),
  DS_MAX_BODY_BYTES: String(20 * 1024 * 1024),
}
