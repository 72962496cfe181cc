/* The small ones: HEAD, OPTIONS and the health check. */
#include "base/clock.h"
#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_cors.h"
#include "http/http_response.h"
#include "live/read_head.h"
#include "server/op.h"
#include "server/server.h"
#include "store/store.h"

/* Metadata without a body, and without renewing a TTL (sections 5.1, 5.5). */
void op_head(struct ds_exchange *exchange)
{
    struct buf *head = &exchange->head;
    struct stream stream;
    char when[CLOCK_TIME_SIZE];
    enum ds_status status = store_hold(exchange->conn, exchange->arena, exchange->request.path,
                                       clock_wall_ms(), &stream);

    store_end_read(exchange->conn);
    if (status != DS_OK) {
        exchange_refuse_status(exchange, status);
        exchange_finish(exchange);
        return;
    }
    exchange_answer(exchange, 200);
    http_add(head, "Content-Type", stream.content_type);
    read_head_add_sandbox(head);
    http_add_offset(head, stream.tail);
    if (stream.ttl_seconds >= 0) {
        http_add_int(head, "Stream-TTL", stream.ttl_seconds);
    } else if (stream.expires_at != 0) {
        clock_format_time(stream.expires_at, when);
        http_add(head, "Stream-Expires-At", when);
    }
    if (stream.closed_at != 0)
        http_add(head, "Stream-Closed", "true");
    http_add(head, "Cache-Control", "no-store");
    read_head_add_tail_etag(head,
                            &stream); /* of any other one, the last message had to be looked for */
    http_end(head, -1);
    exchange_finish(exchange);
}

/* The answer to a CORS preflight; harmless to everybody else. */
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

/* 200 when a read transaction works; what it says begins with ok then. */
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
