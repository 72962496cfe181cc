/* OPTIONS: the answer to a CORS preflight, and to a client that asks for the methods of a path. */
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_cors.h"
#include "http/http_response.h"
#include "server/op.h"

void op_options(struct ds_exchange *exchange)
{
    struct buf *head = &exchange->head;

    exchange_answer(exchange, 204);
    http_add(head, "Allow", exchange->allow);
    http_cors_add_preflight(head, exchange->config, exchange->allow,
                            exchange->request.param[PARAM_REQUEST_HEADERS]);
    http_end(head, -1);
    exchange_finish(exchange);
}
