/*
 * Live reads (protocol sections 5.7, 5.8): what to send to a waiting reader. Functions use no state
 * of their own.
 */
#ifndef LIVE_ENCODE_H
#define LIVE_ENCODE_H

#include <stdint.h>

#include "live/live.h"
#include "protocol/status.h"

struct config;

/*
 * Writes the head of an SSE answer, followed by the event of an injected fault, into
 * exchange->head; sets the reader's encoding.
 */
void live_begin_sse(struct ds_exchange *exchange, const struct stream *stream,
                    struct live_reader *reader);

/* The Stream-Cursor to answer with; client is the request's, or -1. now_ms: wall clock. */
int64_t live_cursor(const struct config *config, int64_t client, int64_t now_ms);

/*
 * The cursor to keep for a reader that waits: -1 if the client's is older than the current one, so
 * that such readers share answers with those that sent none. An SSE reader gets its (partly random)
 * cursor once, here, because it must not decrease from one event to the next.
 */
int64_t live_keep_cursor(const struct config *config, int64_t client, bool sse);

/*
 * Encodes what to send to a reader now; life is the status of store_hold_id(). An empty answer that
 * does not end means that the reader waits on. Within the read transaction of store_hold_id(). On
 * failure the caller drops the connection, and still owns the chunks of the answer.
 */
enum ds_status live_encode(const struct config *config, struct store_conn *conn,
                           const struct stream *stream, enum ds_status life,
                           const struct live_reader *reader, struct live_answer *answer);

#endif
