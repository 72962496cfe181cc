/*
 * The hook is a program of the operator's (DS_HOOK). It is run once for every stream that this
 * process has created or deleted, after the commit, and reads one line of JSON from its standard
 * input:
 *
 *     {"type":"created","path":"/v1/stream/a","contentType":"text/plain",
 *      "createdAt":1764000000000,"timestamp":1764000000000}
 *
 * No request waits for it. Events are queued in memory, and a thread runs DS_HOOK_PROCESSES
 * programs at the same time. If the queue is full, further events are dropped. A CGI process has
 * no such thread: it runs the programs after it has sent its answer.
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

/* If thread is false, hook_stop() runs the programs. */
enum ds_status hook_start(struct hook **hook, const struct config *config, bool thread);

/* Queues an event. A ds_event_fn whose argument is the hook; does not block. */
void hook_tell(void *hook, const struct ds_event *event);

/*
 * Runs the programs for all queued events and waits for them until `until` (monotonic ms). Then it
 * kills the programs that are still running and drops the remaining events. hook_tell() must not be
 * called any more. NULL is allowed.
 */
void hook_stop(struct hook *hook, int64_t until);

#endif
