// The goals for the figures, on two cores with one worker of nginx. A goal is decided if the rows
// that it needs were measured, and left out otherwise.
//
// Each goal: [name, its figure, the requirement]. A figure is computed from the report of
// bench.mjs: row(id) is a row, at(id, server) the result of one server in it, median(id, server)
// the median of that. They are undefined if the row was not measured.

const times = (value) => `${value.toFixed(2)} ×`
const us = (value) => `${Math.round(value)} µs`
const ms = (value) => `${(value / 1000).toFixed(2)} ms`
const perSecond = (value) => `${(value / 1e9).toFixed(2)} GB/s`

const bytes = (value) => `${(value / 1e6).toFixed(1)} MB`
const plain = (value) => value.toFixed(3)

const atLeast = (least, write) => [`at least ${write(least)}`, (got) => got >= least, write]
const atMost = (most, write) => [`at most ${write(most)}`, (got) => got <= most, write]

/** How many times the figure of one server is that of another in the same row. */
const ratio =
  (id, one, other) =>
  ({ median }) =>
    median(id, one) / median(id, other)

/** The program that speaks HTTP, to another server (PEER), each bare or each behind the same nginx. */
const besidePeer = (what, id, least, nginx = true) => [
  [`${what}, by HTTP, to the peer, both bare`, ratio(id, "ours-http", "peer"), atLeast(least, times)],
  ...(nginx
    ? [
        [
          `${what}, by HTTP, to the peer, both behind nginx`,
          ratio(id, "ours-http-nginx", "peer-nginx"),
          atLeast(nginx === true ? least : nginx, times),
        ],
        [
          `${what}, by FastCGI, to the peer, both behind nginx`,
          ratio(id, "ours", "peer-nginx"),
          atLeast(nginx === true ? least : nginx, times),
        ],
      ]
    : []),
]

const table = [
  [
    "append, 64 connections, to the empty responder",
    ratio("append-64", "ours", "empty"),
    atLeast(0.7, times),
  ],
  [
    "append, 64 connections, to the reference in memory, bare",
    ratio("append-64", "ours", "reference-memory"),
    atLeast(1.6, times),
  ],
  [
    "append, 64 connections, to the reference on files, bare",
    ratio("append-64", "ours", "reference-files"),
    atLeast(30, times),
  ],
  [
    "append in memory mode, to the empty responder",
    ratio("append-64", "ours-memory", "empty"),
    atLeast(0.8, times),
  ],
  [
    "append, 1 connection, p50 beyond fdatasync and the empty responder",
    ({ at, row }) =>
      at("append-1", "ours").p50_us -
      at("append-1", "empty").p50_us -
      row("append-1").fdatasync_us?.median,
    atMost(150, us),
  ],
  [
    "append to 10,000 streams, to that to one",
    ratio("append-spread", "10,000 streams", "1 stream"),
    atLeast(0.6, times),
  ],
  [
    "append to 100,000 streams, to that to one",
    ratio("append-spread", "100,000 streams", "1 stream"),
    atLeast(0.5, times),
  ],
  ["HEAD, to the empty responder", ratio("head", "ours", "empty"), atLeast(0.8, times)],
  [
    "304 at the tail, to the empty responder",
    ratio("unchanged", "ours", "empty"),
    atLeast(0.8, times),
  ],
  [
    "catch-up, 16 connections",
    ({ median }) => median("catch-up-16", "ours"),
    atLeast(1e9, perSecond),
  ],
  [
    "catch-up, 16 connections, to the reference in memory, bare",
    ratio("catch-up-16", "ours", "reference-memory"),
    atLeast(1, times),
  ],
  [
    "catch-up from the front cache, to that without it",
    ratio("catch-up-16", "ours-cache", "ours"),
    atLeast(2.5, times),
  ],
  [
    "append to SSE, 1,000 readers, p50",
    ({ at }) => at("sse-1000", "ours").p50_us,
    atMost(4000, ms),
  ],
  [
    "append to SSE, 1,000 readers, p99",
    ({ at }) => at("sse-1000", "ours").p99_us,
    atMost(8000, ms),
  ],
  [
    "append to SSE, 1 reader, p50 beyond the commit",
    ({ at }) => at("sse-1", "ours").p50_us - at("sse-1", "ours").detail?.commit.p50_us,
    atMost(300, us),
  ],
  [
    "mixed load, p99 of an append, to that without readers",
    ({ at }) => {
      const alone = at("mixed", "alone")
      const among = at("mixed", "with readers")
      const kept = ({ detail }) => detail.appends.per_second > 0.98 * detail.pace
      if (alone.detail && !(kept(alone) && kept(among))) return Infinity // it fell behind
      return among.median / alone.median
    },
    atMost(2, times),
  ],
  ...["2 processes", "4 processes"].map((servers) => [
    `append, ${servers}, to one`,
    ratio("processes-append", servers, "1 process"),
    atLeast(1, times),
  ]),
  ...["messages", "streams"].flatMap((kind) => [
    ...["HEAD", "read-at-the-tail", "read-of-the-last-message", "append-256-B"].map((what) => [
      `growth, ${kind}: ${what.replaceAll("-", " ")}, p50, large to small`,
      ratio(`growth-${kind}-${what}`, "large", "small"),
      atMost(1.2, times),
    ]),
    [
      `growth, ${kind}: from the start to the first answer`,
      ({ median }) => median(`growth-${kind}-opening`, "large") * 1000,
      atMost(100_000, ms),
    ],
  ]),
  ["memory at rest", ({ median }) => median("memory-rest", "ours"), atMost(8 * 2 ** 20, bytes)],
  [
    "memory with 100,000 streams under load",
    ({ median }) => median("memory-streams", "ours"),
    atMost(48 * 2 ** 20, bytes),
  ],
  ...["sse", "long-poll"].flatMap((kind) => [
    [
      `memory of a parked reader, ${kind}`,
      ({ median }) => median(`memory-${kind}`, "ours"),
      atMost(1024, (value) => `${Math.round(value)} bytes`),
    ],
    [
      `memory with 10,000 readers, ${kind}`,
      ({ at }) => at(`memory-${kind}`, "ours").detail?.most,
      atMost(30e6, bytes),
    ],
  ]),
  ...["disk-stream", "disk-streams"].map((id) => [
    `bytes stored a byte appended, ${id === "disk-stream" ? "one stream" : "10,000 streams"}`,
    ({ median }) => median(id, "ours"),
    atMost(1.35, plain),
  ]),
  ...["unclaimed", "claimed"].map((server) => [
    `append to a stream with a subscription, ${server}, to one without`,
    ratio("subscribed-append-64", server, "without"),
    atLeast(0.85, times),
  ]),
  ["append to webhook, p50", ({ at }) => at("notice", "webhook").p50_us, atMost(5000, ms)],
  ["append to webhook, p99", ({ at }) => at("notice", "webhook").p99_us, atMost(20_000, ms)],
  [
    "append to worker, p50, beyond that to an SSE reader",
    ({ at }) => at("notice", "pull-wake").p50_us - at("notice", "sse").p50_us,
    atMost(150, us),
  ],
  [
    "webhook deliveries",
    ({ median }) => median("webhook-deliveries", "ours"),
    atLeast(2000, (value) => `${Math.round(value)}/s`),
  ],
  ...[64, 1].flatMap((connections) =>
    ["glob", "patterns"].map((server) => [
      `time of a creation, ${connections} connections, ${server}, to that without`,
      ratio(`creation-${connections}`, "without", server),
      atMost(1.3, times),
    ])
  ),
  ...[1, 16, 64, 256].flatMap((connections) =>
    besidePeer(`append, ${connections} connections`, `doors-append-${connections}`, 1.2)
  ),
  ...besidePeer("HEAD, 64 connections", "doors-head", 0.9, 1),
  ...besidePeer("304, 64 connections", "doors-unchanged", 0.9, 1),
  ...besidePeer("catch-up, 16 connections", "doors-catch-up", 0.7, 1),
  ["SSE by HTTP, 1,000 readers, p50", ({ at }) => at("doors-sse-1000", "ours-http").p50_us, atMost(6000, ms)],
  ["SSE by HTTP, 1,000 readers, p99", ({ at }) => at("doors-sse-1000", "ours-http").p99_us, atMost(15_000, ms)],
  ["SSE by HTTP, 5,000 readers, p50", ({ at }) => at("doors-sse-5000", "ours-http").p50_us, atMost(30_000, ms)],
  ["long-poll by HTTP, 1,000 readers, p50", ({ at }) => at("doors-long-poll", "ours-http").p50_us, atMost(20_000, ms)],
  // each process reads the schema and the log anew, and waits for a flush of its own
  ...["lighttpd", "apache"].flatMap((server) =>
    [
      ["append", 0.45],
      ["read", 0.65],
    ].map(([what, least]) => [
      `plain CGI, ${server}, ${what}, to the empty CGI program`,
      ratio(`cgi-${server}-${what}-1`, "static", "empty"),
      atLeast(least, times),
    ])
  ),
]

/** The goals that these figures can decide. */
export function goals(report) {
  const row = (id) => report.workloads.find((one) => one.id === id) ?? { results: {} }
  const at = (id, server) => row(id).results[server] ?? {}
  const median = (id, server) => at(id, server).median
  return table
    .map(([goal, figure, wanted]) => ({ goal, wanted, value: figure({ row, at, median }) }))
    .filter(({ value }) => value !== undefined && !Number.isNaN(value)) // else it was not measured
    .map(({ goal, wanted: [wanted, reached, write], value }) => ({
      goal,
      wanted,
      value,
      got: value === Infinity ? "its rate was not kept" : write(value),
      reached: reached(value),
    }))
}
