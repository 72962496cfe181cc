/*
 * Conditional requests (RFC 9110 section 13.1.2). Pure, thread-safe.
 */
#ifndef HTTP_ETAG_H
#define HTTP_ETAG_H

#include <stdbool.h>

/*
 * Does If-None-Match (a list of entity tags, or "*") contain etag, which has its quotes? The
 * comparison is weak, and accepts the forms that web servers make of our tag when they compress an
 * answer: W/"x", "x-gzip", "x-br", "x-deflate", "x-zstd". In a malformed list, only the tags before
 * the malformed part count.
 */
bool http_etag_matches(const char *if_none_match, const char *etag);

#endif
