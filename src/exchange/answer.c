/* The answer of an exchange: see answer.h. */
#include "exchange/answer.h"

#include <string.h>

#include "exchange/exchange.h"
#include "http/http_cors.h"
#include "http/http_response.h"

void exchange_answer(struct ds_exchange *exchange, int status)
{
    http_begin(&exchange->head, exchange->config, exchange->request.origin, status);
}

void exchange_refuse_begin(struct ds_exchange *exchange, int status)
{
    exchange->refused = true;
    exchange_answer(exchange, status);
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_add(&exchange->head, "Content-Type", "text/plain; charset=utf-8");
}

void exchange_refuse_end(struct ds_exchange *exchange, const char *reason)
{
    buf_clear(&exchange->body);
    buf_adds(&exchange->body, reason);
    http_end(&exchange->head, (int64_t)exchange->body.len);
}

void exchange_refuse(struct ds_exchange *exchange, int status, const char *reason)
{
    exchange_refuse_begin(exchange, status);
    if (status == 503)
        http_add(&exchange->head, "Retry-After", "1");
    exchange_refuse_end(exchange, reason);
}

static const struct {
    int http;
    const char *reason;
} answers[] = {
    [DS_OK] = {200, ""},
    [DS_INVALID] = {400, "the request is not valid"},
    [DS_NOT_FOUND] = {404, "there is no such stream"},
    [DS_GONE] = {410, "this stream was deleted; forks still read it"},
    [DS_PRUNED] = {410, "the data from this offset on is no longer there"},
    [DS_TOO_LARGE] = {413, "the body is too large"},
    [DS_BUSY] = {503, "the database is busy, try again"},
    [DS_NO_MEMORY] = {503, "out of memory, try again"},
    [DS_NO_SPACE] = {507, "the disk is full"},
    [DS_FAILED] = {500, "the server failed; its log says why"},
    [DS_CONFLICT] = {409, "the request conflicts with the stream"},
    [DS_CLOSED] = {409, "the stream is closed"},
    [DS_FENCED] = {403, "a newer epoch of this producer is writing"},
    [DS_GAP] = {409, "an earlier Producer-Seq is missing"},
    [DS_FORBIDDEN] = {403, "only the server writes the registry"},
    [DS_TIMEOUT] = {503, "nothing happened in time, try again"},
    [DS_CANCELLED] = {503, "the server is stopping, try again"}, /* only in the library */
    [DS_CLAIMED] = {409, "another worker holds the lease"},
    [DS_IDLE] = {409, "nothing is pending"},
    [DS_DENIED] = {401, "the token is not one of this subscription"},
};

int exchange_http_status(enum ds_status status)
{
    return answers[status].http;
}

const char *exchange_reason(enum ds_status status)
{
    return answers[status].reason;
}

void answer_write_no_memory(struct buf *answer, const struct config *config)
{
    answer_write_busy(answer, config, answers[DS_NO_MEMORY].reason);
}

void answer_write_busy(struct buf *answer, const struct config *config, const char *reason)
{
    http_begin(answer, config, http_cors_origin(config, NULL), 503);
    http_add(answer, "Cache-Control", "no-store");
    http_add(answer, "Content-Type", "text/plain; charset=utf-8");
    http_add(answer, "Retry-After", "1");
    http_end(answer, (int64_t)strlen(reason));
    buf_adds(answer, reason);
}

void exchange_refuse_status(struct ds_exchange *exchange, enum ds_status status)
{
    exchange_refuse(exchange, answers[status].http, answers[status].reason);
}
