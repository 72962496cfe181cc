/* DELETE (protocol section 5.4): stream_delete() does it inside the transaction. */
#include "base/arena.h"
#include "engine/stream_write.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "server/op.h"
#include "server/server.h"

struct deletion {
    struct commit_write write;
    struct stream_delete asked;
    struct ds_exchange *exchange;
};

static enum ds_status apply_delete(struct batch *batch, struct commit_write *write)
{
    return stream_delete(batch, &((struct deletion *)write)->asked);
}

static void finish_delete(struct commit_write *write, enum ds_status status)
{
    struct deletion *deletion = (struct deletion *)write;
    struct ds_exchange *exchange = deletion->exchange;

    if (status == DS_OK)
        status = deletion->asked.verdict;
    if (status == DS_OK) {
        exchange_answer(exchange, 204);
        http_add(&exchange->head, "Cache-Control", "no-store");
        http_end(&exchange->head, -1);
    } else {
        exchange_refuse_status(exchange, status);
    }
    exchange_finish(exchange);
}

void op_delete(struct ds_exchange *exchange)
{
    struct deletion *deletion = arena_zalloc(exchange->arena, sizeof *deletion);

    if (!deletion || !exchange_reserve(exchange, 0)) {
        exchange_answer_no_memory(exchange);
        return;
    }
    deletion->write.apply = apply_delete;
    deletion->write.finish = finish_delete;
    deletion->write.makes_room = true;
    deletion->asked.path = exchange->request.path;
    deletion->exchange = exchange;
    commit_submit(exchange->server->engine.commit, &deletion->write);
}
