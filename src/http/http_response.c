/* The head of an answer: see http_response.h. */
#include "http/http_response.h"

#include <string.h>

#include "base/buf.h"
#include "config/config.h"
#include "exchange/exchange.h"
#include "http/http_cors.h"
#include "protocol/offset.h"

static const char *reason_phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 402:
        return "Payment Required";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 418:
        return "I'm a teapot";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 507:
        return "Insufficient Storage";
    default: /* an injected fault */
        return status < 300 ? "Success" : status < 400 ? "Redirection" : "Error";
    }
}

void http_begin(struct buf *head, const struct config *config, const char *origin, int status)
{
    buf_clear(head);
    buf_reserve(head, 1024); /* one allocation for most answers */
    buf_adds(head, "Status: ");
    buf_add_int(head, status);
    buf_addc(head, ' ');
    buf_adds(head, reason_phrase(status));
    buf_adds(head, "\r\nX-Content-Type-Options: nosniff\r\n"
                   "Cross-Origin-Resource-Policy: cross-origin\r\n");
    http_cors_add(head, config, origin);
    if (config->test_endpoints)
        buf_adds(head, "DS-Test-Endpoints: on\r\n");
}

void http_answer(struct ds_exchange *exchange, int status)
{
    http_begin(&exchange->head, exchange->config, exchange->request.origin, status);
}

static void add_printable(struct buf *head, const char *value)
{
    char *to;

    if (!buf_reserve(head, strlen(value)))
        return;
    to = head->data + head->len;
    for (; *value; value++)
        if ((unsigned char)*value >= 0x20 && *value != 0x7f)
            *to++ = *value;
    head->len = (size_t)(to - head->data);
}

void http_add(struct buf *head, const char *name, const char *value)
{
    buf_adds(head, name);
    buf_adds(head, ": ");
    add_printable(head, value);
    buf_adds(head, "\r\n");
}

void http_add_int(struct buf *head, const char *name, int64_t value)
{
    buf_adds(head, name);
    buf_adds(head, ": ");
    buf_add_int(head, value);
    buf_adds(head, "\r\n");
}

void http_add_offset(struct buf *head, int64_t position)
{
    char text[OFFSET_TEXT_SIZE];

    offset_format(position, text);
    buf_adds(head, "Stream-Next-Offset: ");
    buf_add(head, text, OFFSET_TEXT_LEN);
    buf_adds(head, "\r\n");
}

void http_end(struct buf *head, int64_t length)
{
    if (length >= 0)
        http_add_int(head, "Content-Length", length);
    buf_adds(head, "\r\n");
}

void http_refuse_begin(struct ds_exchange *exchange, int status)
{
    exchange->refused = true;
    http_answer(exchange, status);
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_add(&exchange->head, "Content-Type", "text/plain; charset=utf-8");
}

void http_refuse_end(struct ds_exchange *exchange, const char *reason)
{
    buf_clear(&exchange->body);
    buf_adds(&exchange->body, reason);
    http_end(&exchange->head, (int64_t)exchange->body.len);
}

void http_refuse(struct ds_exchange *exchange, int status, const char *reason)
{
    http_refuse_begin(exchange, status);
    if (status == 503)
        http_add(&exchange->head, "Retry-After", "1");
    http_refuse_end(exchange, reason);
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
    [DS_CONFLICT] = {409, "the request is at odds with the stream"},
    [DS_CLOSED] = {409, "the stream is closed"},
    [DS_FENCED] = {403, "a newer epoch of this producer is writing"},
    [DS_GAP] = {409, "an earlier Producer-Seq is missing"},
    [DS_FORBIDDEN] = {403, "the registry is written by the server alone"},
    [DS_TIMEOUT] = {503, "nothing happened in time, try again"},
};

int http_status_of(enum ds_status status)
{
    return answers[status].http;
}

void http_write_no_memory(struct buf *answer, const struct config *config)
{
    const char *reason = answers[DS_NO_MEMORY].reason;

    http_begin(answer, config, http_cors_origin(config, NULL), answers[DS_NO_MEMORY].http);
    http_add(answer, "Cache-Control", "no-store");
    http_add(answer, "Content-Type", "text/plain; charset=utf-8");
    http_add(answer, "Retry-After", "1");
    http_end(answer, (int64_t)strlen(reason));
    buf_adds(answer, reason);
}

void http_refuse_status(struct ds_exchange *exchange, enum ds_status status)
{
    http_refuse(exchange, answers[status].http, answers[status].reason);
}
