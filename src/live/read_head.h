/* What catch-up reads and live reads share: the head of an answer that carries data. */
#ifndef READ_HEAD_H
#define READ_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct buf;
struct config;
struct stream;

/* An answer to a read, as its head needs to know it. */
struct read_view {
    const struct stream *stream;
    int64_t from;              /* position that was asked for */
    struct store_span span;    /* what was read */
    int64_t cursor;            /* Stream-Cursor, or -1 to leave it out */
    int64_t body_len;          /* bytes of the body */
    bool only_now;             /* the answer depends on the moment: no ETag, not stored */
    bool mangled;              /* an injected fault has changed the body: nobody may keep it */
    const char *if_none_match; /* or NULL */
    const char *origin;        /* of the request, see http_cors.h */
    int64_t now;               /* wall clock */
};

/* Writes the whole head: 200, or 304 (returns false: the body stays away), or 204 when empty. */
bool read_head_write(struct buf *head, const struct config *config, const struct read_view *view);

/* The 204 of a long-poll that found nothing, or the end of a closed stream. */
void read_head_write_nothing(struct buf *head, const struct config *config, const char *origin,
                             const struct stream *stream, int64_t position, int64_t cursor);

/*
 * Whoever writes a stream decides its type, text/html say, and a browser would run that page in the
 * origin of the site, with its cookies and streams: it runs in one of its own instead.
 */
void read_head_add_sandbox(struct buf *head);

/*
 * The ETag line of a read at the tail, which is empty: unlike that of a read with data it needs the
 * stream's row only, and it names the incarnation.
 */
void read_head_add_tail_etag(struct buf *head, const struct stream *stream);

#endif
