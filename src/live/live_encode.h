/* Live reads (protocol sections 5.7, 5.8): what a waiting reader is sent. */
#ifndef LIVE_ENCODE_H
#define LIVE_ENCODE_H

#include <stdint.h>

#include "live/live.h"
#include "protocol/status.h"

struct config;

/*
 * The head of an SSE answer into the exchange, the event of a fault behind it, and the reader's
 * encoding.
 */
void live_begin_sse(struct ds_exchange *exchange, const struct stream *stream,
                    struct live_reader *reader);

/* The cursor to answer with; client is -1 where it sent none. */
int64_t live_cursor(const struct config *config, int64_t client, int64_t now_ms);

/*
 * What is to be kept of a client's cursor while it waits: -1 if it is behind the time, so that
 * readers without and with an old one are alike. For SSE, which answers many times, the cursor is
 * drawn once here: it must not go back from one event to the next.
 */
int64_t live_keep_cursor(const struct config *config, int64_t client, bool sse);

/*
 * What a reader gets from the stream as it is. life is what store_hold_id() said of it. An answer
 * with nothing in it means: wait on. Called by the desk, within a read transaction.
 */
enum ds_status live_encode(const struct config *config, struct store_conn *conn,
                           const struct stream *stream, enum ds_status life,
                           const struct live_reader *reader, struct live_answer *answer);

#endif
