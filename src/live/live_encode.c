/*
 * Live reads (protocol sections 5.7, 5.8): what the desk sends to a waiting reader, and when its
 * exchange ends.
 *
 *     long-poll   data → 200 · closed at the tail → 204 · time is up → 204 · stream gone → 404, 410
 *     SSE         data → data and control event, on and on · closed at the tail → last control
 *                 event, end · time is up or stream gone → end
 *
 * A text stream may end in the middle of a UTF-8 character that the next message completes. SSE is
 * text, so those bytes are held back; the control event names the offset before them, and a reader
 * that reconnects from there loses nothing.
 *
 * A CRLF that is split between two messages or slices must not become two line breaks. The CR is
 * sent at once, as a line break, because a writer may end each message with CR (Enter at a
 * terminal) and wait for the reader's reaction. An LF at the start of the next slice is then the
 * second half of that line break, and is skipped. Whether a CR precedes it is read from the
 * database and not remembered for the connection, so that a text reads the same wherever a
 * connection began or broke.
 */
#include "live/live_encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "live/read_head.h"
#include "protocol/cursor.h"
#include "store/store.h"

/* Bytes of payload in one event: a reader gets this much before others have their turn. */
enum { SSE_SLICE = 64 * 1024 };

int64_t live_cursor(const struct config *config, int64_t client, int64_t now_ms)
{
    int64_t current = cursor_calculate(now_ms, config->cursor_interval_s, config->cursor_epoch_s);

    return cursor_response(current, client, config->cursor_interval_s, clock_random());
}

int64_t live_keep_cursor(const struct config *config, int64_t client, bool sse)
{
    int64_t now = clock_wall_ms(), current = live_cursor(config, -1, now);

    if (client < current)
        return -1;
    return sse ? live_cursor(config, client, now) : client;
}

void live_begin_sse(struct ds_exchange *exchange, const struct stream *stream,
                    struct live_reader *reader)
{
    const struct fault *fault = exchange->fault;
    struct buf *head = &exchange->head;

    reader->encoding = stream->kind == HTTP_TYPE_JSON   ? SSE_JSON
                       : stream->kind == HTTP_TYPE_TEXT ? SSE_TEXT
                                                        : SSE_BASE64;
    exchange_answer(exchange, 200);
    http_add(head, "Content-Type", "text/event-stream");
    /* no-transform: a proxy that compresses would delay events (RFC 9111 section 5.2.2.6) */
    http_add(head, "Cache-Control", "no-cache, no-transform");
    http_add(head, "X-Accel-Buffering", "no"); /* nginx would buffer the answer */
    if (reader->encoding == SSE_BASE64)
        http_add(head, "Stream-SSE-Data-Encoding", "base64");
    http_end(head, -1);
    if (fault && fault->event_type)
        sse_add_event(head, fault->event_type, fault->event_data, strlen(fault->event_data));
}

/* Moves a buffer into a chunk of the answer. */
static enum ds_status give_chunk(struct buf *buf, struct chunk **chunk)
{
    *chunk = chunk_take(buf);
    return *chunk ? DS_OK : DS_NO_MEMORY;
}

/* --- long-poll --- */

static enum ds_status encode_refusal(const struct config *config, enum ds_status life,
                                     const struct live_reader *reader, struct live_answer *answer)
{
    struct ds_exchange scratch = {.config = config, .request.origin = reader->origin};
    enum ds_status status;

    exchange_refuse_status(&scratch, life);
    answer->end = true;
    status = give_chunk(&scratch.head, &answer->head);
    if (status != DS_OK) {
        buf_close(&scratch.body);
        return status;
    }
    return give_chunk(&scratch.body, &answer->body);
}

static enum ds_status poll_data(const struct config *config, struct store_conn *conn,
                                const struct stream *stream, const struct live_reader *reader,
                                struct live_answer *answer)
{
    int64_t now = clock_wall_ms();
    struct buf head = {0}, body = {0};
    struct read_view view = {
        .stream = stream,
        .from = reader->position,
        .cursor = live_cursor(config, reader->cursor, now),
        .only_now = reader->only_now,
        .mangled = mangle_is_any(&reader->mangle),
        .if_none_match = reader->if_none_match,
        .origin = reader->origin,
        .now = now,
    };
    enum ds_status status = store_read_span(conn, stream, reader->position,
                                            (size_t)config->read_chunk_bytes, &body, &view.span);

    mangle_body(&reader->mangle, &body);
    view.body_len = (int64_t)body.len;
    if (status == DS_OK && !read_head_write(&head, config, &view))
        buf_clear(&body);
    if (status == DS_OK)
        status = give_chunk(&head, &answer->head);
    if (status == DS_OK)
        status = give_chunk(&body, &answer->body);
    buf_close(&head);
    buf_close(&body);
    answer->next = view.span.next;
    answer->end = true;
    return status;
}

static enum ds_status encode_poll(const struct config *config, struct store_conn *conn,
                                  const struct stream *stream, const struct live_reader *reader,
                                  struct live_answer *answer)
{
    struct buf head = {0};

    if (reader->position < stream->tail)
        return poll_data(config, conn, stream, reader, answer);
    if (stream->closed_at == 0 && !reader->out_of_time)
        return DS_OK;
    read_head_write_nothing(&head, config, reader->origin, stream, reader->position,
                            live_cursor(config, reader->cursor, clock_wall_ms()));
    answer->end = true;
    return give_chunk(&head, &answer->head);
}

/* --- SSE --- */

/* Is the first byte of this text, which begins at `position`, the second half of a CRLF? */
static bool is_after_cr(struct store_conn *conn, const struct stream *stream, int64_t position,
                        const struct buf *text)
{
    char before = '\0';

    return text->len > 0 && text->data[0] == '\n' && position > 0 &&
           store_read_byte(conn, stream, position - 1, &before) == DS_OK && before == '\r';
}

/* Adds the data event of the next slice, unless there is nothing to send in it. */
static enum ds_status add_data(struct store_conn *conn, const struct stream *stream,
                               const struct live_reader *reader, struct buf *frame, int64_t *next,
                               bool *at_tail)
{
    struct buf data = {0};
    enum ds_status status = store_read(conn, stream, reader->position, SSE_SLICE, &data, next);
    bool is_text = status == DS_OK && reader->encoding == SSE_TEXT;
    size_t held = 0, skip = 0;

    *at_tail = *next == stream->tail;
    if (is_text && is_after_cr(conn, stream, *next - (int64_t)data.len, &data))
        skip = 1;
    if (is_text && !(*at_tail && stream->closed_at != 0))
        held = utf8_incomplete_tail(data.data, data.len);
    *next -= (int64_t)held;
    if (status == DS_OK && data.len > held + skip) {
        sse_add_data(frame, reader->encoding, data.data + skip, data.len - held - skip);
        sse_add_id(frame, *next);
    }
    buf_close(&data);
    return status;
}

static enum ds_status encode_sse(const struct config *config, struct store_conn *conn,
                                 const struct stream *stream, const struct live_reader *reader,
                                 struct live_answer *answer)
{
    struct sse_control control = {.next = reader->position};
    struct buf frame = {0};
    bool at_tail = reader->position == stream->tail;
    enum ds_status status = DS_OK;

    if (!at_tail)
        status = add_data(conn, stream, reader, &frame, &control.next, &at_tail);
    if (status != DS_OK) {
        buf_close(&frame);
        return status;
    }
    answer->next = control.next;
    control.up_to_date = at_tail;
    control.closed = stream->closed_at != 0 && at_tail;
    answer->end = control.closed || reader->out_of_time;
    if (frame.len == 0 && reader->greeted && !control.closed && control.next == reader->position)
        return DS_OK; /* nothing to send; when out of time, the connection just ends */
    control.cursor = live_cursor(config, -1, clock_wall_ms());
    if (control.cursor < reader->cursor)
        control.cursor = reader->cursor;
    sse_add_control(&frame, &control);
    return give_chunk(&frame, &answer->body);
}

enum ds_status live_encode(const struct config *config, struct store_conn *conn,
                           const struct stream *stream, enum ds_status life,
                           const struct live_reader *reader, struct live_answer *answer)
{
    if (life == DS_NOT_FOUND || life == DS_GONE) {
        if (reader->kind == LIVE_LONG_POLL)
            return encode_refusal(config, life, reader, answer);
        answer->end = true; /* the client gets 404 or 410 when it reconnects */
        return DS_OK;
    }
    if (life != DS_OK) { /* the database cannot be read now: wait until time is up */
        answer->end = reader->out_of_time;
        return answer->end && reader->kind == LIVE_LONG_POLL
                   ? encode_refusal(config, life, reader, answer)
                   : DS_OK;
    }
    if (reader->kind == LIVE_LONG_POLL)
        return encode_poll(config, conn, stream, reader, answer);
    return encode_sse(config, conn, stream, reader, answer);
}
