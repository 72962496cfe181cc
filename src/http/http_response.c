/* The head of an answer: see http_response.h. */
#include "http/http_response.h"

#include <string.h>

#include "base/buf.h"
#include "config/config.h"
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
