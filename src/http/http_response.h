/*
 * The head of an answer, line by line into a buffer. A gateway turns the Status line into an HTTP
 * one (RFC 3875 section 6.3).
 *
 * Call http_begin() first, add lines, and end with http_end(). Values that a client sent must be
 * checked before they come here; as a last guard, http_add() drops control characters, so that no
 * value can leave its line. A buffer that runs out of memory notes that: see buf.h.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct config;

/*
 * Clears the buffer and writes the status line and the lines that every answer has: CORS, and
 * browser security (protocol section 12.7). origin is that of the request: see http_cors.h.
 */
void http_begin(struct buf *head, const struct config *config, const char *origin, int status);

/* Add a line. */
void http_add(struct buf *head, const char *name, const char *value);
void http_add_int(struct buf *head, const char *name, int64_t value);
void http_add_offset(struct buf *head, int64_t position); /* Stream-Next-Offset */

/* Ends the head, with this Content-Length in bytes; length < 0: without one, for an answer that has
   no body, or whose length is unknown. */
void http_end(struct buf *head, int64_t length);

#endif
