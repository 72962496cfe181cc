/*
 * Upkeep: what nobody should wait for. Expired streams and the rows of deleted ones are
 * swept, TTL renewals are saved, the write-ahead log is checkpointed. One process of those on a
 * database has the duty (wake_try_duty); if it dies, another takes over within a second. A CGI
 * process does a bounded share of it after its answer.
 */
#ifndef UPKEEP_H
#define UPKEEP_H

#include <stdint.h>

#include "protocol/status.h"

struct upkeep;
struct engine;
struct store_conn;

enum ds_status upkeep_start(struct upkeep **upkeep, struct engine *engine);

/* Ends the thread. NULL is allowed. */
void upkeep_stop(struct upkeep *upkeep);

/* A bounded share, in place, for a CGI process that has answered. */
void upkeep_once(struct engine *engine, struct store_conn *conn);

/*
 * Notes that a stream with a TTL lives until until_ms at least, because somebody reads it. Costs
 * no commit of its own; any thread.
 */
void upkeep_renew(struct engine *engine, int64_t stream_id, int64_t until_ms);

#endif
