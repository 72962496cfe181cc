/* DELETE (protocol section 5.4): takes effect at once; rows go later, see store_sweep.c. */
#include "arena.h"
#include "commit.h"
#include "gateway.h"
#include "http_response.h"
#include "op.h"
#include "server.h"

struct deletion {
    struct write write;
    struct ds_exchange *exchange;
    enum ds_status outcome;
};

static enum ds_status apply(struct batch *batch, struct write *write)
{
    struct deletion *deletion = (struct deletion *)write;
    const char *path = deletion->exchange->request.path;
    struct stream *stream;
    enum ds_status status = batch_find(batch, path, &stream);

    deletion->outcome = status;
    if (status == DS_NOT_FOUND || status == DS_GONE)
        return DS_OK;
    if (status == DS_OK)
        status = batch_flush(batch);
    if (status == DS_OK)
        status = store_delete(batch->conn, stream, batch->now);
    if (status == DS_OK) {
        batch_ended(batch, stream->id);
        batch_forget(batch, path);
    }
    return status;
}

static void finish(struct write *write, enum ds_status status)
{
    struct deletion *deletion = (struct deletion *)write;
    struct ds_exchange *exchange = deletion->exchange;

    if (status == DS_OK)
        status = deletion->outcome;
    if (status == DS_OK) {
        http_begin(&exchange->head, exchange->server->config, 204);
        http_add(&exchange->head, "Cache-Control", "no-store");
        http_end(&exchange->head, -1);
    } else {
        http_refuse_status(exchange, status);
    }
    exchange_finish(exchange);
}

void op_delete(struct ds_exchange *exchange)
{
    struct deletion *deletion = arena_zalloc(exchange->arena, sizeof *deletion);

    if (!deletion) {
        exchange_drop(exchange);
        return;
    }
    deletion->write.apply = apply;
    deletion->write.finish = finish;
    deletion->exchange = exchange;
    commit_submit(exchange->server->commit, &deletion->write);
}
