/*
 * Server-Sent Events framing (protocol section 5.8; HTML Living Standard 9.2).
 *
 *     event: data\n          event: control\n
 *     data:<line>\n          data:{"streamNextOffset":"…",…}\n
 *     data:<line>\n          id: <offset>\n
 *     id: <offset>\n         \n
 *     \n
 *
 * The id is the offset to continue from. There is no space after "data:". Each CR, LF or CRLF in a
 * payload begins another data line, so a payload can neither end an event nor forge one.
 *
 * Every function appends to buf; out of memory: see buf_failed(). Pure, thread-safe.
 */
#ifndef SSE_H
#define SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum sse_encoding {
    SSE_TEXT,   /* text/ types: as text, with U+FFFD in place of ill-formed UTF-8 */
    SSE_JSON,   /* application/json: the caller passes the messages as one array */
    SSE_BASE64, /* all other types: base64 (RFC 4648) on one line */
};

/*
 * Adds one data event. A line that begins with a space gets another one before it, because readers
 * remove one.
 */
void sse_add_data(struct buf *buf, enum sse_encoding encoding, const char *payload, size_t len);

/* Gives the last event its id, the offset of position `next`. The last call added an event. */
void sse_add_id(struct buf *buf, int64_t next);

struct sse_control {
    int64_t next;    /* position, for streamNextOffset and the id */
    int64_t cursor;  /* streamCursor; not sent if closed */
    bool up_to_date; /* sends upToDate: true */
    bool closed;     /* sends streamClosed: true and upToDate: true */
};

/* Adds one control event, with its id. */
void sse_add_control(struct buf *buf, const struct sse_control *control);

/* Adds an event of any type, which must be one line, with text as its data. */
void sse_add_event(struct buf *buf, const char *type, const char *data, size_t len);

/* Adds a comment, so that proxies do not close a silent connection. */
void sse_add_keepalive(struct buf *buf);

#endif
