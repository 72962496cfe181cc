/*
 * The heads of answers to reads, for catch-up and live reads alike. They write into a buffer, which
 * notes a lack of memory (buf.h); thread-safe.
 */
#ifndef READ_HEAD_H
#define READ_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct buf;
struct config;
struct stream;

/* What the head must know of an answer to a read. */
struct read_view {
    const struct stream *stream;
    int64_t from;           /* the position that was asked for */
    struct store_span span; /* what was read */
    int64_t cursor;         /* Stream-Cursor; -1: none */
    int64_t body_len;       /* bytes */
    bool may_be_packed;     /* clients that want gzip get it here (http_gzip.h) */
    bool packed;            /* … and this is one of them: body_len is that of the packed form */
    bool only_now;          /* offset=now: no ETag, and not cached */
    bool mangled;           /* an injected fault has changed the body: not cached */
    const char *if_none_match; /* the request's, or NULL */
    const char *origin;        /* the request's, see http_cors.h */
    int64_t now;               /* wall clock, ms */
};

/* Does If-None-Match name the answer? */
bool read_head_is_unchanged(const struct read_view *view);

/* Writes a whole head: 200, or 304 without a body, for which it returns false. */
bool read_head_write(struct buf *head, const struct config *config, const struct read_view *view);

/* Writes a whole head: the 204 of a long-poll that found nothing, or of the end of a closed
   stream. */
void read_head_write_nothing(struct buf *head, const struct config *config, const char *origin,
                             const struct stream *stream, int64_t position, int64_t cursor);

/*
 * Adds Content-Security-Policy: sandbox. A stream's writer chooses its type, text/html for example,
 * and a browser would run such a page with the cookies and rights of the site's origin; in the
 * sandbox it gets an origin of its own.
 */
void read_head_add_sandbox(struct buf *head);

/*
 * Adds the ETag of an empty read at the tail, for HEAD: it needs the stream's row only, where the
 * tag of a read with data also needs its last message.
 */
void read_head_add_tail_etag(struct buf *head, const struct stream *stream);

#endif
