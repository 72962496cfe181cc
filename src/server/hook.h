/*
 * The hook: a program of the operator's (DS_HOOK) that is run for every stream that this process
 * has made or deleted, after the commit. It gets one line of JSON on its standard input:
 *
 *     {"type":"created","path":"/v1/stream/a","contentType":"text/plain",
 *      "createdAt":1764000000000,"timestamp":1764000000000}
 *
 * Nobody waits for it: events queue here, a thread runs DS_HOOK_PROCESSES programs at once, and
 * what does not fit into the queue is dropped. A CGI process runs them in place, after its answer.
 *
 *     committer ── hook_tell ──▶ queue ──▶ thread: start, wait, kill after DS_HOOK_TIMEOUT_MS
 */
#ifndef HOOK_H
#define HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

struct config;
struct hook;

/* Without a thread, hook_stop() does the work. */
enum ds_status hook_start(struct hook **hook, const struct config *config, bool thread);

/* A ds_event_fn, with the hook as its argument; does not block. */
void hook_tell(void *hook, const struct ds_event *event);

/*
 * Runs what is queued and waits for it, until `until` (monotonic ms) at most: then programs are
 * killed and events dropped. Nobody may tell anything any more. NULL is allowed.
 */
void hook_stop(struct hook *hook, int64_t until);

#endif
