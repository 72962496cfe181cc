/*
 * Server-Sent Events framing (protocol section 5.8; HTML Living Standard 9.2).
 *
 *     event: data\n          event: control\n
 *     data:<line>\n          data:{"streamNextOffset":"…",…}\n
 *     data:<line>\n          id: <offset>\n
 *     id: <offset>\n         \n
 *     \n
 *
 * The id is the offset to go on from. No space follows "data:". CR, LF and CRLF inside a payload
 * all begin a further data line, so that no payload can end an event or forge one. Pure,
 * thread-safe.
 */
#ifndef SSE_H
#define SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum sse_encoding {
    SSE_TEXT,   /* text/ types: as text, ill-formed UTF-8 replaced by U+FFFD */
    SSE_JSON,   /* application/json: the messages as one array; the caller passes the array */
    SSE_BASE64, /* everything else: RFC 4648 base64 on one line */
};

/*
 * One data event. A payload that begins with a space keeps it: a space is put before every line
 * that begins with one, since readers take one away.
 */
void sse_add_data(struct buf *buf, enum sse_encoding encoding, const char *payload, size_t len);

/* Gives the event that was added last its id: the offset of the position after it. */
void sse_add_id(struct buf *buf, int64_t next);

struct sse_control {
    int64_t next;    /* position for streamNextOffset */
    int64_t cursor;  /* streamCursor; left out when closed */
    bool up_to_date; /* upToDate: true */
    bool closed;     /* streamClosed: true, and upToDate: true with it */
};

/* One control event, with its id. */
void sse_add_control(struct buf *buf, const struct sse_control *control);

/* Any other event: its type, which must be one line, and text as its data. */
void sse_add_event(struct buf *buf, const char *type, const char *data, size_t len);

/* A comment line that keeps proxies from closing a silent connection. */
void sse_add_keepalive(struct buf *buf);

#endif
