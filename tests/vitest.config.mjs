// Tests start servers and measure what those do: one file at a time, each in a process of its own.
export default {
  test: {
    include: ["system/*.test.mjs"],
    pool: "forks",
    fileParallelism: false,
    // concurrent tests mostly wait, such as all doors for the same 90 s
    maxConcurrency: 20,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
  },
}
