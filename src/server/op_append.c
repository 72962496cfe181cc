/*
 * POST: append, close, or both (protocol sections 5.2, 5.2.1, 5.3).
 *
 * A request that is wrong by itself is refused before the queue. stream_append() decides everything
 * that depends on the stream, inside the transaction.
 */
#include "base/arena.h"
#include "config/config.h"
#include "engine/stream_write.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "server/op.h"
#include "server/server.h"

enum { LONG_BODY = 64 * 1024 }; /* bytes of JSON whose check is worth yielding the slot for */

struct append {
    struct commit_write write; /* first: apply() and finish() cast it back to the struct append */
    struct stream_append asked;
    struct ds_exchange *exchange;
};

static enum ds_status apply_append(struct batch *batch, struct commit_write *write)
{
    return stream_append(batch, &((struct append *)write)->asked);
}

/* --- answers --- */

static void answer_success(struct ds_exchange *exchange, const struct stream_append *asked)
{
    bool fresh_data = !asked->duplicate && asked->body.len > 0;
    int status = asked->producer.id && fresh_data ? 200 : 204;

    exchange_answer(exchange, status);
    http_add_offset(&exchange->head, asked->tail);
    if (asked->producer.id) {
        http_add_int(&exchange->head, "Producer-Epoch", asked->producer.epoch);
        http_add_int(&exchange->head, "Producer-Seq", asked->state.last_seq);
    }
    if (asked->closed)
        http_add(&exchange->head, "Stream-Closed", "true");
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_end(&exchange->head, status == 200 ? 0 : -1);
}

static void answer_append(struct ds_exchange *exchange, const struct stream_append *asked)
{
    struct buf *head = &exchange->head;

    if (asked->verdict == DS_OK) {
        answer_success(exchange, asked);
        return;
    }
    exchange_refuse_begin(exchange, exchange_http_status(asked->verdict));
    if (asked->verdict == DS_CLOSED) {
        http_add(head, "Stream-Closed", "true");
        http_add_offset(head, asked->tail);
    } else if (asked->verdict == DS_FENCED) {
        http_add_int(head, "Producer-Epoch", asked->state.epoch);
    } else if (asked->verdict == DS_GAP) {
        http_add_int(head, "Producer-Expected-Seq",
                     asked->state.exists ? asked->state.last_seq + 1 : 0);
        http_add_int(head, "Producer-Received-Seq", asked->producer.seq);
    }
    exchange_refuse_end(exchange, asked->reason);
}

static void finish_append(struct commit_write *write, enum ds_status status)
{
    struct append *append = (struct append *)write;
    struct ds_exchange *exchange = append->exchange;

    if (status == DS_OK)
        answer_append(exchange, &append->asked);
    else
        exchange_refuse_status(exchange, status);
    exchange_finish(exchange); /* frees this write too */
}

void op_append(struct ds_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    const char *type = request->param[PARAM_CONTENT_TYPE], *reason;
    struct append *append = arena_zalloc(exchange->arena, sizeof *append);
    struct stream_append *asked = &append->asked;

    if (!append || !exchange_reserve(exchange, 0)) {
        exchange_answer_no_memory(exchange);
        return;
    }
    reason =
        producer_parse(&asked->producer, request->param[PARAM_PRODUCER_ID],
                       request->param[PARAM_PRODUCER_EPOCH], request->param[PARAM_PRODUCER_SEQ]);
    if (reason) {
        exchange_refuse(exchange, 400, reason);
        exchange_finish(exchange);
        return;
    }
    append->write.apply = apply_append;
    append->write.finish = finish_append;
    append->write.bytes = request->body_len;
    append->write.kill_after = request->param[PARAM_TEST_KILL] != NULL;
    append->exchange = exchange;
    asked->path = request->path;
    asked->content_type = type;
    asked->needs_type = true;
    asked->body.data = request->body;
    asked->body.len = request->body_len;
    asked->body.max_messages = exchange->config->max_messages;
    asked->seq = request->param[PARAM_STREAM_SEQ];
    asked->closes = http_request_closes(request);
    if (request->body_len > 0 && type && http_type_kind(type) == HTTP_TYPE_JSON) {
        if (request->body_len > LONG_BODY)
            exchange_yield_slot(exchange);
        stream_body_check_json(&asked->body);
    }
    commit_submit(exchange->server->engine.commit, &append->write);
}
