/*
 * A body in chunks (RFC 9112 section 7.1), wherever the bytes happen to be cut. Pure.
 *
 * As strict as http_head.h: sizes are hexadecimal digits, 16 at most, and lines end with CR LF.
 * Extensions and trailers are read and ignored, within limits; trailers must be header lines.
 */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http_head.h"

enum {
    HTTP_CHUNKED_LINE = 4096,    /* bytes of a size line with its extensions */
    HTTP_CHUNKED_TRAILER = 8192, /* bytes of all trailer lines */
};

struct http_chunked {
    int state;
    uint64_t left;      /* bytes of the current chunk that have not arrived yet */
    size_t line;        /* bytes of the current line, or of the trailer, so far */
    bool digits;        /* the size has a digit */
    const char *reason; /* of a refusal, which is a 400 */
};

/* Content that was found: it lies in the bytes given. */
struct http_content {
    const char *at;
    size_t len;
};

/* Begins a body: all zero. */
static inline void http_chunked_begin(struct http_chunked *chunked)
{
    *chunked = (struct http_chunked){0};
}

/*
 * Takes bytes from *data on, up to and with the next piece of content, and moves *data and *len
 * beyond them. MORE: content->len is 0 when all bytes were used up. WHOLE: the body is complete,
 * and *data is where the next request begins. BAD: see chunked->reason.
 */
enum http_parse http_chunked_take(struct http_chunked *chunked, const char **data, size_t *len,
                                  struct http_content *content);

#endif
