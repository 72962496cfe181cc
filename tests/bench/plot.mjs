// Draws append throughput and latency against connections:
//
//   node tests/bench/plot.mjs build/bench/result.json >tests/bench/plot.svg
//
// The picture has a background of its own, so that it can be read on a light and on a dark page,
// and the name of each line stands at its end.

import fs from "node:fs"
import { fileURLToPath } from "node:url"

const rows = ["append-1", "append-16", "append-64", "append-256"]

// The colours of Okabe and Ito, which those can tell apart who see fewer of them.
const lines = [
  { server: "ours", name: "ours, durable", colour: "#0072b2", width: 3 },
  { server: "ours-memory", name: "ours, memory", colour: "#56b4e9", width: 3 },
  { server: "empty", name: "empty responder", colour: "#555555", dash: "6 4" },
  { server: "reference-memory", name: "reference, bare", colour: "#d55e00" },
  { server: "reference-memory-nginx", name: "reference, nginx", colour: "#e69f00" },
  { server: "reference-files", name: "reference, files", colour: "#cc79a7" },
]

const size = { width: 920, height: 720 }
const label = { room: 140, step: 15 }

const escape = (text) =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const round = (value) => Math.round(value * 10) / 10

const text = (x, y, words, attributes = "") =>
  `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(words)}</text>`

/** Ticks from 0 in round steps, at most five. */
function linear(values) {
  const most = Math.max(...values)
  const power = 10 ** Math.floor(Math.log10(most))
  const step = [0.2, 0.5, 1, 2].map((part) => part * power).find((one) => most / one <= 5)
  const top = Math.ceil(most / step) * step
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step)
  return { ticks, share: (value) => value / top }
}

/** Ticks at powers of ten; on this scale, equal ratios have equal distances. */
function logarithmic(values) {
  const low = Math.floor(Math.log10(Math.min(...values)))
  const high = Math.ceil(Math.log10(Math.max(...values)))
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
  return { ticks, share: (value) => (Math.log10(value) - low) / (high - low) }
}

/** Moves overlapping labels apart, as little as possible. */
function spread(labels, bottom) {
  const sorted = [...labels].sort((a, b) => a.y - b.y)
  for (let i = 1; i < sorted.length; i++)
    sorted[i].y = Math.max(sorted[i].y, sorted[i - 1].y + label.step)
  for (let i = sorted.length - 1, limit = bottom; i >= 0; i--, limit -= label.step)
    sorted[i].y = Math.min(sorted[i].y, limit)
  return sorted
}

/** One diagram: figure(result) for each server and number of connections. */
function panel({ x, y, width, height, title, points, figure, scale, write }) {
  const series = lines
    .map((line) => ({
      ...line,
      values: points.map(({ results }) => figure(results[line.server] ?? {})),
    }))
    .filter(({ values }) => values.every((value) => value > 0))
  const { ticks, share } = scale(series.flatMap(({ values }) => values))
  const left = x + 48
  const right = x + width - label.room
  const top = y + 28
  const bottom = y + height - 38
  const at = (i) => left + ((right - left) * i) / (points.length - 1)
  const up = (value) => bottom - (bottom - top) * share(value)
  const names = series.map(({ name, colour, values }) => ({ name, colour, y: up(values.at(-1)) }))
  return [
    text(x + 8, y + 14, title, 'class="title"'),
    ...ticks.map(
      (tick) =>
        `<path class="grid" d="M${left} ${round(up(tick))}H${right}"/>` +
        text(left - 6, up(tick) + 4, write(tick), 'text-anchor="end"')
    ),
    ...points.map(({ connections }, i) =>
      text(at(i), bottom + 17, connections, 'text-anchor="middle"')
    ),
    text((left + right) / 2, bottom + 33, "connections", 'text-anchor="middle"'),
    ...series.map(({ colour, dash, width = 2, values }) => {
      const corners = values.map((value, i) => `${round(at(i))} ${round(up(value))}`)
      return (
        `<path fill="none" stroke="${colour}" stroke-width="${width}"${dash ? ` stroke-dasharray="${dash}"` : ""} d="M${corners.join("L")}"/>` +
        values
          .map(
            (value, i) =>
              `<circle cx="${round(at(i))}" cy="${round(up(value))}" r="3" fill="${colour}"/>`
          )
          .join("")
      )
    }),
    ...spread(names, bottom).map(({ name, colour, y: height }) =>
      text(right + 9, height + 4, name, `fill="${colour}" class="name"`)
    ),
  ].join("\n")
}

/** The report of bench.mjs as SVG. */
export function plot(report) {
  const points = rows
    .map((id) => report.workloads.find((row) => row.id === id))
    .filter(Boolean)
    .map((row) => ({ results: row.results, connections: row.id.split("-")[1] }))
  if (points.length < 2)
    throw new Error(`to draw, at least two of these are needed: ${rows.join(", ")}`)

  const half = size.width / 2
  const us = (value) =>
    value < 1000 ? `${value} µs` : value < 1e6 ? `${value / 1000} ms` : `${value / 1e6} s`
  const latency = { width: half, height: 310, y: 350, points, scale: logarithmic, write: us }
  const caption = [
    `Appends of 256 bytes to one stream. Medians of ${report.rounds} rounds of ${report.seconds} s, all servers in turns. The npm reference server: in memory bare, and behind nginx; on files bare.`,
    `Commit ${report.commit}, ${report.date}. ${report.cpus}, ${report.kernel}; nginx ${report.nginx}, SQLite ${report.sqlite}, Node ${report.node}, reference server ${report.reference}.`,
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img" font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="12" fill="#444">
<title>Append throughput and latency against connections</title>
<style>.title{font-size:15px;font-weight:600;fill:#222}.name{font-weight:600}.grid{stroke:#ddd}.caption{font-size:10.5px;fill:#666}</style>
<rect x="0.5" y="0.5" width="${size.width - 1}" height="${size.height - 1}" rx="8" fill="#fff" stroke="#d0d7de"/>
${panel({ x: 8, y: 16, width: size.width - 16, height: 320, points, title: "Appends a second", figure: ({ median }) => median, scale: linear, write: (value) => (value >= 1000 ? `${value / 1000} k` : value) })}
${panel({ ...latency, x: 8, title: "Latency, half of all appends (p50)", figure: ({ p50_us }) => p50_us })}
${panel({ ...latency, x: half, title: "Latency, 99 of 100 appends (p99)", figure: ({ p99_us }) => p99_us })}
${caption.map((line, i) => text(16, size.height - 28 + 15 * i, line, 'class="caption"')).join("\n")}
</svg>
`
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(plot(JSON.parse(fs.readFileSync(process.argv[2], "utf8"))))
