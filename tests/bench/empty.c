/*
 * The empty responder, which is the upper bound of the benchmarks: the program's gateway without
 * its operations. It reads every request to its end and answers 204 with the header lines of an
 * append's answer; it does not parse, look up or write anything. Reads of a stream whose name
 * begins with "catch-up" get as many bytes as the row of workloads.mjs writes to it, in answers as
 * long as ours.
 *
 * Linked with the program's own objects, except for route.o, which this file replaces.
 */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "server/route.h"
#include "server/server.h"

enum { STREAM_BYTES = 10000 * 1024 };

/* ?offset=-1 or =0000000000000000_0000000000012345 */
static int64_t position_of(const char *target)
{
    const char *offset = strstr(target, "offset="), *position = offset ? strchr(offset, '_') : NULL;

    return position ? strtoll(position + 1, NULL, 10) : 0;
}

static void send_bytes(struct ds_exchange *exchange, int64_t from)
{
    static const char bytes[64 * 1024];
    int64_t left = STREAM_BYTES - from, chunk = exchange->config->read_chunk_bytes;
    int64_t len = left < chunk ? left : chunk;

    for (int64_t i = 0; i < len; i += (int64_t)sizeof bytes)
        buf_add(&exchange->body, bytes,
                len - i < (int64_t)sizeof bytes ? (size_t)(len - i) : sizeof bytes);
    exchange_answer(exchange, 200);
    http_add_offset(&exchange->head, from + len);
    if (len == left)
        http_add(&exchange->head, "Stream-Up-To-Date", "true");
    http_end(&exchange->head, len);
    exchange_finish(exchange);
}

void route(struct ds_exchange *exchange)
{
    const char *target = exchange->request.param[PARAM_TARGET];
    bool asked = target && strcmp(target, "/health") == 0; /* asked until the server has started */

    if (target && strncmp(target, "/v1/stream/catch-up", 19) == 0 &&
        strcmp(exchange->request.param[PARAM_METHOD], "GET") == 0) {
        send_bytes(exchange, position_of(target));
        return;
    }
    exchange_answer(exchange, asked ? 200 : 204);
    http_add_offset(&exchange->head, 0);
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_end(&exchange->head, -1);
    exchange_finish(exchange);
}
