/*
 * The answer of an exchange: how its head begins, refusals as whole answers, and the table from
 * enum ds_status to HTTP.
 *
 * After exchange_answer() add lines to exchange->head and end it (http_response.h), after
 * exchange_refuse_begin() end it with exchange_refuse_end(); the other refusals are complete. Then
 * call exchange_finish(). All of them replace an answer that was begun before. The exchange's owner
 * calls them.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include "protocol/status.h"

struct buf;
struct config;
struct ds_exchange;

/* Begins the head with the status line and the lines of every answer: see http_begin(). */
void exchange_answer(struct ds_exchange *exchange, int status);

/*
 * A whole answer: a status and the reason as its text, without an end of line, because clients
 * show and compare it as it is. It is never cached. A 503 gets Retry-After.
 */
void exchange_refuse(struct ds_exchange *exchange, int status, const char *reason);

/* The same with room for further lines between the two calls, and no Retry-After. */
void exchange_refuse_begin(struct ds_exchange *exchange, int status);
void exchange_refuse_end(struct ds_exchange *exchange, const char *reason);

/* exchange_refuse() with the HTTP status and the reason that the table has for this status. */
void exchange_refuse_status(struct ds_exchange *exchange, enum ds_status status);

/* The HTTP status that the table has for this status, and the reason. */
int exchange_http_status(enum ds_status status);
const char *exchange_reason(enum ds_status status);

/* Whole 503 answers, made in advance: for when there is no memory, and with a reason. */
void answer_write_no_memory(struct buf *answer, const struct config *config);
void answer_write_busy(struct buf *answer, const struct config *config, const char *reason);

#endif
