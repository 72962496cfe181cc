// The npm reference server on a port: node reference.mjs PORT [FOLDER]

import { DurableStreamTestServer } from "@durable-streams/server"

const [port, folder] = process.argv.slice(2)
const server = new DurableStreamTestServer({
  port: Number(port),
  host: "127.0.0.1",
  ...(folder ? { dataDir: folder } : {}),
})
await server.start()
process.on("SIGTERM", async () => {
  await server.stop().catch(() => {})
  process.exit(0)
})
