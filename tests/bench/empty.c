/*
 * The ceiling: the program with its gateway, and nothing behind it. Every request is read whole and
 * answered 204 with the header lines of an append's answer; nothing is parsed, looked up or
 * written.
 *
 * Linked from the program's own objects but route.o, in whose place this stands.
 */
#include <string.h>

#include "gateway.h"
#include "http_response.h"
#include "route.h"
#include "server.h"

void route(struct ds_exchange *exchange)
{
    const char *target = exchange->request.param[PARAM_TARGET];
    bool asked = target && strcmp(target, "/health") == 0; /* by who waits for the start */

    http_begin(&exchange->head, exchange->server->config, asked ? 200 : 204);
    http_add_offset(&exchange->head, 0);
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_end(&exchange->head, -1);
    exchange_finish(exchange);
}
