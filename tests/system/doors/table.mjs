// The table of gateway cases: one list, run at every door.
//
//   name     the row in the matrix
//   run(t)   asserts; the value that it returns is a figure for the cell
//   cannot   { DOOR: () => ({ why, instead }) }: this door cannot do it, for the reason `why`;
//            instead(t) asserts what happens there. No case is left out silently.
//
// t: door, server (harness.mjs), url, api (http.mjs), at(path) (puts the path of the url in front,
// for requests that are written by hand), start(env) (another server, which the case must stop),
// managed (the server's restart() does what a service manager does), oneProcess (one process has
// all readers).
//
// To add a case: an entry in one of these lists.

import { caching } from "./caching.mjs"
import { crash } from "./crash.mjs"
import { hostile } from "./hostile.mjs"
import { live } from "./live.mjs"
import { pages } from "./pages.mjs"
import { requests } from "./requests.mjs"

export const table = [...requests, ...hostile, ...caching, ...pages, ...live, ...crash]
