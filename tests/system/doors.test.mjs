// The table of gateway cases (doors/table.mjs) at the door that SETUP names, or with SETUP=idle what
// takes 90 s of silence, at all of them at once. Results go to build/doors/, where matrix.mjs finds
// them.

if (process.env.SETUP === "idle") await import("./doors/idle.mjs")
else await import("./doors/run.mjs")
