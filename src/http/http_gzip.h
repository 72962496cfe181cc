/*
 * Compressed answers, for clients that no web server stands before (RFC 9110 sections 8.4.1.3 and
 * 12.5.3). The rules are those of the web servers' configurations in deploy/: JSON of a kilobyte or
 * more. Pure, thread-safe.
 */
#ifndef HTTP_GZIP_H
#define HTTP_GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/http_type.h"

struct buf;

enum {
    HTTP_GZIP_LEAST = 1024,            /* bytes: what is shorter leaves in one packet anyway */
    HTTP_GZIP_MOST = 16 * 1024 * 1024, /* bytes: what is longer would keep a CPU for too long */
};

/* Does Accept-Encoding (NULL: not sent) prefer gzip to the body as it is? Malformed elements are
   ignored. */
bool http_gzip_is_wanted(const char *accept_encoding);

/* Is a body of this kind of type and length compressed for a client that wants it? */
bool http_gzip_suits(enum http_type_kind kind, size_t len);

/*
 * Replaces the bytes with their compressed form. False if that is not shorter, or if there is no
 * memory for it: the buffer is then as it was. The bytes must be HTTP_GZIP_MOST at most. Takes some
 * 6 ms for each megabyte, and until it returns 270 KB of memory beside that of the result.
 */
bool http_gzip_pack(struct buf *body);

#endif
