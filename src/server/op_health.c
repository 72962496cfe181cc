/*
 * GET /health, for monitors and load balancers: 200 and a text that begins with "ok" when a read
 * transaction works.
 */
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "server/op.h"
#include "server/server.h"
#include "store/store.h"

void op_health(struct ds_exchange *exchange)
{
    struct stream stream;
    enum ds_status status = store_find(exchange->conn, exchange->arena, "/health", 0, &stream);

    if (status != DS_NOT_FOUND) {
        exchange_refuse_status(exchange, status);
    } else {
        exchange_answer(exchange, 200);
        http_add(&exchange->head, "Cache-Control", "no-store");
        http_add(&exchange->head, "Content-Type", "text/plain; charset=utf-8");
        buf_adds(&exchange->body, store_is_low(exchange->server->engine.store)
                                      ? "ok, but the disk is full: appends may be refused\n"
                                      : "ok\n");
        http_end(&exchange->head, (int64_t)exchange->body.len);
    }
    exchange_finish(exchange);
}
