// The table of gateway cases, which run at every door.
//
//   name     the row in the matrix
//   run(t)   makes the assertions; may return a figure for the cell
//   cannot   { DOOR: () => ({ why, instead }) }: the case cannot work at this door, and why;
//            instead(t) asserts what happens there. No case is skipped silently.
//
//   t.door         the name of the door
//   t.server       the server (harness.mjs)
//   t.url, t.api   its URL, and a client for it (http.mjs)
//   t.at(path)     the path with that of the URL in front, for requests that are written by hand
//   t.start(env)   starts another server, which the case must stop
//   t.managed      true if restart() of the server acts as a service manager would
//   t.oneProcess   true if all readers wait in the same process
//
// To add a case, add an entry to one of these lists.

import { caching } from "./caching.mjs"
import { crash } from "./crash.mjs"
import { hostile } from "./hostile.mjs"
import { live } from "./live.mjs"
import { pages } from "./pages.mjs"
import { requests } from "./requests.mjs"
import { subscriptions } from "./subscriptions.mjs"

export const table = [
  ...requests,
  ...subscriptions,
  ...hostile,
  ...caching,
  ...pages,
  ...live,
  ...crash,
]
