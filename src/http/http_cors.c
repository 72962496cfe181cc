/* Which pages may read an answer: see http_cors.h. */
#include "http/http_cors.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "config/config.h"

/* The answer's headers that a page's script may read. */
#define EXPOSED                                                                                    \
    "Stream-Next-Offset, Stream-Cursor, Stream-Up-To-Date, Stream-Closed, Stream-TTL, "            \
    "Stream-Expires-At, Stream-SSE-Data-Encoding, Producer-Epoch, Producer-Seq, "                  \
    "Producer-Expected-Seq, Producer-Received-Seq, Location, ETag, Content-Type, "                 \
    "Content-Encoding, Retry-After, Vary"

/*
 * The headers that a page may send: the protocol's, and those that tracing libraries in browsers
 * add to every request (W3C trace context, Sentry, Zipkin, Datadog, New Relic, Application
 * Insights); pages with tracing could not use streams otherwise. The list names each header instead
 * of allowing all, since a page could then also send headers that a proxy trusts.
 */
#define ALLOWED                                                                                    \
    "Content-Type, Authorization, If-None-Match, Cache-Control, Last-Event-ID, "                   \
    "Stream-Seq, Stream-TTL, Stream-Expires-At, Stream-Closed, Stream-Forked-From, "               \
    "Stream-Fork-Offset, Stream-Fork-Sub-Offset, Producer-Id, Producer-Epoch, Producer-Seq, "      \
    "X-API-Key, X-Requested-With, X-Request-ID, X-Correlation-ID, traceparent, tracestate, "       \
    "baggage, sentry-trace, b3, X-B3-TraceId, X-B3-SpanId, X-B3-ParentSpanId, X-B3-Sampled, "      \
    "x-datadog-trace-id, x-datadog-parent-id, x-datadog-origin, x-datadog-sampling-priority, "     \
    "newrelic, Request-Id, Request-Context"

/* tchar of RFC 9110 section 5.6.2 */
#define TOKEN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

static bool has_several(const char *list)
{
    return list[0] && list[strlen(list) + 1];
}

const char *http_cors_origin(const struct config *config, const char *asked)
{
    if (!asked || !has_several(config->cors_origin))
        return NULL;
    for (const char *one = config->cors_origin; *one; one += strlen(one) + 1)
        if (strcmp(one, asked) == 0)
            return one;
    return NULL;
}

void http_cors_add(struct buf *head, const struct config *config, const char *origin)
{
    if (has_several(config->cors_origin))
        buf_adds(head, "Vary: Origin\r\n"); /* also if the page may not read it: a cache must keep
                                               the two answers apart */
    else
        origin = config->cors_origin;
    if (!origin || !origin[0])
        return;
    buf_adds(head, "Access-Control-Allow-Origin: ");
    buf_adds(head, origin);
    buf_adds(head, "\r\nAccess-Control-Expose-Headers: " EXPOSED "\r\n");
    if (config->cors_credentials)
        buf_adds(head, "Access-Control-Allow-Credentials: true\r\n");
}

/*
 * Allows every header that the page asks for. A `*` in the answer would not cover Authorization,
 * and browsers ignore it for requests with credentials.
 */
static void add_wanted(struct buf *head, const char *wanted)
{
    while (*wanted) {
        size_t len = strspn(wanted, TOKEN);

        if (len > 0) {
            buf_adds(head, ", ");
            buf_add(head, wanted, len);
        }
        wanted += len;
        wanted += strcspn(wanted, TOKEN);
    }
}

void http_cors_add_preflight(struct buf *head, const struct config *config, const char *methods,
                             const char *wanted)
{
    const char *more = config->cors_headers;

    if (!config->cors_origin[0])
        return;
    buf_adds(head, "Access-Control-Allow-Methods: ");
    buf_adds(head, methods);
    buf_adds(head, "\r\nAccess-Control-Allow-Headers: " ALLOWED);
    if (strcmp(more, "*") == 0) {
        add_wanted(head, wanted ? wanted : "");
        buf_adds(head, "\r\nVary: Access-Control-Request-Headers");
    } else {
        for (; *more; more += strlen(more) + 1) {
            buf_adds(head, ", ");
            buf_adds(head, more);
        }
    }
    buf_adds(head, "\r\nAccess-Control-Max-Age: 86400\r\n");
}
