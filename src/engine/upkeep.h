/*
 * Upkeep: background work that no request should wait for. It sweeps expired streams and the rows
 * of deleted ones, saves TTL renewals, keeps the reserve for a full disk, and checkpoints the
 * write-ahead log. Of all processes that use a database, one has the duty; if it ends, another
 * takes over within a second. A CGI process does a bounded share after its answer.
 */
#ifndef UPKEEP_H
#define UPKEEP_H

#include <stdint.h>

#include "protocol/status.h"

struct upkeep;
struct engine;
struct store_conn;

/* Starts the thread, with a connection of its own. engine is borrowed until upkeep_stop(). */
enum ds_status upkeep_start(struct upkeep **upkeep, struct engine *engine);

/* Ends the thread, which first saves and checkpoints once more. NULL is allowed. */
void upkeep_stop(struct upkeep *upkeep);

/* Does a bounded share on this thread, for a CGI process that has sent its answer. */
void upkeep_once(struct engine *engine, struct store_conn *conn);

/* For a process that stays and has no upkeep: takes a checkpoint if its own commits have made the
   write-ahead log too long. */
void upkeep_trim(struct engine *engine, struct store_conn *conn);

/*
 * Renews the TTL of a stream that is being read: the stream lives at least until until_ms (wall
 * clock). Usually only notes this in the mapped file, and upkeep saves the note within a second.
 * Any thread.
 */
void upkeep_renew(struct engine *engine, int64_t stream_id, int64_t until_ms);

#endif
