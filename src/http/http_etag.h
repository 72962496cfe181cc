/*
 * Conditional requests (RFC 9110 section 13.1.2). Pure, thread-safe.
 */
#ifndef HTTP_ETAG_H
#define HTTP_ETAG_H

#include <stdbool.h>

/*
 * Does If-None-Match (a list of entity tags, or "*") name etag (with its quotes)? Weak comparison;
 * and the forms that web servers make of our tag when they compress: W/"x", "x-gzip", "x-br",
 * "x-deflate", "x-zstd". A malformed list matches nothing from the malformed part on.
 */
bool http_etag_matches(const char *if_none_match, const char *etag);

#endif
