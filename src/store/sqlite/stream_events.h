/* Events of streams that were created or deleted: see stream_events.c. */
#ifndef STREAM_EVENTS_H
#define STREAM_EVENTS_H

#include "store/store.h"

/* Notes that the transaction under way creates or deletes a stream. */
void stream_events_note(struct store_conn *conn, enum ds_event_kind kind,
                        const struct stream *stream, int64_t at);

/* Called after a commit, after a rollback, and at the end of the connection. registry_id: 0
   without a registry. */
void stream_events_commit(struct store_conn *conn, int64_t registry_id);
void stream_events_forget(struct store_conn *conn);
void stream_events_close(struct store_conn *conn);

#endif
