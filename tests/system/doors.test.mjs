// The table of gateway cases (doors/table.mjs) at the door that SETUP names; or, with SETUP=idle,
// the cases that need 90 s of silence, at all doors at once. Results go to build/doors/, from which
// matrix.mjs reads them.

if (process.env.SETUP === "idle") await import("./doors/idle.mjs")
else await import("./doors/run.mjs")
