// The table of gateway cases: one list, run at every door.
//
//   name     the row in the matrix
//   run(t)   asserts; what it returns is a figure for the cell
//   cannot   { DOOR: () => ({ why, instead }) }: this door cannot do it, for that reason; instead(t)
//            asserts what happens there. Nothing is left out in silence.
//
// t: door, server (harness.mjs), url, api (http.mjs), at(path) (with the path of the url in front, for
// requests that are written by hand), start(env) (another server, to be stopped by the case), managed
// (restart() of the server does what a service manager does), oneProcess (all readers wait in one).
//
// To add a case: an entry in one of these lists.

import { caching } from "./caching.mjs"
import { crash } from "./crash.mjs"
import { hostile } from "./hostile.mjs"
import { live } from "./live.mjs"
import { pages } from "./pages.mjs"
import { requests } from "./requests.mjs"

export const table = [...requests, ...hostile, ...caching, ...pages, ...live, ...crash]
