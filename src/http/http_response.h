/*
 * The head of an answer. A gateway turns the Status line into an HTTP one (RFC 3875 section 6.3).
 *
 * Call http_begin() or http_answer() once, add lines, and end with one of http_end_…(), after which
 * the exchange is ready for exchange_finish(). Callers must check values of a client's before they
 * come here; as a last guard, control characters in values are dropped, so that no value can leave
 * its line.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct buf;
struct config;
struct ds_exchange;

/*
 * The status line and the lines that every answer has: CORS and browser security (12.7). origin is
 * that of the request, see http_cors.h.
 */
void http_begin(struct buf *head, const struct config *config, const char *origin, int status);

/* The same for the exchange's own answer. */
void http_answer(struct ds_exchange *exchange, int status);

void http_add(struct buf *head, const char *name, const char *value);
void http_add_int(struct buf *head, const char *name, int64_t value);
void http_add_offset(struct buf *head, int64_t position); /* Stream-Next-Offset */

/* Ends the head; length < 0: no Content-Length, for answers without a body or of unknown length. */
void http_end(struct buf *head, int64_t length);

/*
 * A whole answer: a status, a reason as text without an end of line (clients show and compare it as
 * it is), never cached. Replaces what was begun.
 */
void http_refuse(struct ds_exchange *exchange, int status, const char *reason);

/* A whole 503 answer, to be kept ready for when there is no memory for another one. */
void http_write_no_memory(struct buf *answer, const struct config *config);

/* As http_refuse, but with room for further lines; end with http_refuse_end(). */
void http_refuse_begin(struct ds_exchange *exchange, int status);
void http_refuse_end(struct ds_exchange *exchange, const char *reason);

/* The one table from ds_status to HTTP, and http_refuse by it. */
int http_status_of(enum ds_status status);
void http_refuse_status(struct ds_exchange *exchange, enum ds_status status);

#endif
