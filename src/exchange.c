/* The life of an exchange: see gateway.h. */
#include <stdlib.h>

#include "arena.h"
#include "gateway.h"
#include "http_response.h"
#include "live.h"
#include "log.h"
#include "server.h"

struct ds_exchange *exchange_new(struct server *server, struct peer *peer, struct store_conn *conn)
{
    struct arena *arena = arena_new();
    struct ds_exchange *exchange;

    if (!arena)
        return NULL;
    exchange = arena_zalloc(arena, sizeof *exchange); /* fits the first block: cannot fail */
    exchange->arena = arena;
    exchange->server = server;
    exchange->peer = peer;
    exchange->conn = conn;
    atomic_fetch_add(&server->exchanges, 1);
    return exchange;
}

void exchange_free(struct ds_exchange *exchange)
{
    free(exchange->request.body);
    buf_close(&exchange->head);
    buf_close(&exchange->body);
    atomic_fetch_sub(&exchange->server->exchanges, 1);
    arena_free(exchange->arena);
}

void exchange_takes_long(struct ds_exchange *exchange)
{
    if (exchange->peer->takes_long)
        exchange->peer->takes_long();
}

void exchange_drop(struct ds_exchange *exchange)
{
    struct peer *peer = exchange->peer;

    exchange_free(exchange);
    peer->done(peer, false);
}

/* Head and body become chunks of an answer; false when out of memory. */
static bool load(struct ds_exchange *exchange, struct outgoing *out)
{
    bool has_body = !exchange->no_body && (exchange->body.len > 0 || buf_failed(&exchange->body));
    struct chunk *head = chunk_take(&exchange->head);
    struct chunk *body = has_body ? chunk_take(&exchange->body) : NULL;

    if (!head || (has_body && !body)) {
        chunk_unref(head);
        chunk_unref(body);
        return false;
    }
    outgoing_add(out, head);
    if (body)
        outgoing_add(out, body);
    out->end = true;
    return true;
}

void exchange_finish(struct ds_exchange *exchange)
{
    struct server *server = exchange->server;
    struct peer *peer = exchange->peer;
    struct outgoing out = {0};

    if (!load(exchange, &out)) {
        log_error("out of memory for an answer");
        exchange_drop(exchange);
        return;
    }
    switch (peer_send(peer, &out)) {
    case PEER_SENT:
        peer->done(peer, true);
        break;
    case PEER_AGAIN: /* a slow reader: it is not waited for here */
        live_drain(server->live, peer, &out);
        break;
    case PEER_GONE:
        outgoing_clear(&out);
        peer->done(peer, false);
        break;
    }
    exchange_free(exchange);
}
