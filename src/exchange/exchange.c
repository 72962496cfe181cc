/* The life of an exchange: see exchange.h. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"

enum { ANSWER_SIZE = 1024 }; /* bytes; enough for most heads */

bool exchanges_open(struct exchanges *all, const struct config *config, struct server *server)
{
    all->config = config;
    all->server = server;
    answer_write_no_memory(&all->no_memory, config);
    return !buf_failed(&all->no_memory);
}

void exchanges_close(struct exchanges *all)
{
    buf_close(&all->no_memory);
}

struct ds_exchange *exchange_new(struct exchanges *all, struct peer *peer, struct store_conn *conn)
{
    struct arena *arena = arena_new();
    struct ds_exchange *exchange;

    if (!arena)
        return NULL;
    exchange = arena_zalloc(arena, sizeof *exchange); /* fits the arena's first block: never NULL */
    exchange->arena = arena;
    exchange->all = all;
    exchange->config = all->config;
    exchange->server = all->server;
    exchange->peer = peer;
    exchange->conn = conn;
    atomic_fetch_add(&all->count, 1);
    return exchange;
}

void exchange_free(struct ds_exchange *exchange)
{
    free(exchange->request.body);
    buf_close(&exchange->head);
    buf_close(&exchange->body);
    atomic_fetch_sub(&exchange->all->count, 1);
    arena_free(exchange->arena);
}

void exchange_yield_slot(struct ds_exchange *exchange)
{
    if (exchange->peer->yield_slot)
        exchange->peer->yield_slot();
}

bool exchange_reserve(struct ds_exchange *exchange, size_t more)
{
    /* Location repeats the path */
    return buf_reserve(&exchange->head, ANSWER_SIZE + strlen(exchange->request.path) + more);
}

bool exchanges_send_no_memory(const struct exchanges *all, struct peer *peer)
{
    return peer_send_ready(peer, all->no_memory.data, all->no_memory.len);
}

void exchange_answer_no_memory(struct ds_exchange *exchange)
{
    const struct exchanges *all = exchange->all;
    struct peer *peer = exchange->peer;

    exchange_free(exchange);
    peer->done(peer, exchanges_send_no_memory(all, peer));
}

void exchange_drop(struct ds_exchange *exchange)
{
    struct peer *peer = exchange->peer;

    exchange_free(exchange);
    peer->done(peer, false);
}

static bool has_body(const struct ds_exchange *exchange)
{
    return !exchange->no_body && (exchange->body.len > 0 || buf_failed(&exchange->body));
}

/* Sends as much as the socket takes, straight from the buffers, which needs no memory. */
static enum peer_sent send_in_place(struct ds_exchange *exchange, size_t *sent)
{
    /* the second reference keeps outgoing_clear() from freeing what the buffers own */
    struct chunk head = {.refs = 2, .len = exchange->head.len, .data = exchange->head.data};
    struct chunk body = {.refs = 2, .len = exchange->body.len, .data = exchange->body.data};
    struct outgoing out = {.end = true};
    enum peer_sent result;

    outgoing_add(&out, &head);
    if (has_body(exchange))
        outgoing_add(&out, &body);
    result = peer_send(exchange->peer, &out);
    *sent = out.sent;
    return result;
}

/* Moves head and body into chunks; false when out of memory. */
static bool move_to_chunks(struct ds_exchange *exchange, struct outgoing *out)
{
    bool with_body = has_body(exchange);
    struct chunk *head = chunk_take(&exchange->head);
    struct chunk *body = with_body ? chunk_take(&exchange->body) : NULL;

    if (!head || (with_body && !body)) {
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

/* A 503 says that nothing was changed. After a write that may be untrue, so the connection is
   closed instead. */
static void end_without_memory(struct ds_exchange *exchange)
{
    log_error("out of memory for an answer");
    if (exchange->refused || exchange->request.method == HTTP_GET ||
        exchange->request.method == HTTP_HEAD)
        exchange_answer_no_memory(exchange);
    else
        exchange_drop(exchange);
}

void exchange_finish(struct ds_exchange *exchange)
{
    struct peer *peer = exchange->peer;
    struct outgoing out = {0};
    size_t sent;

    if (buf_failed(&exchange->head) || (has_body(exchange) && buf_failed(&exchange->body))) {
        end_without_memory(exchange);
        return;
    }
    switch (send_in_place(exchange, &sent)) {
    case PEER_SENT:
        peer->done(peer, true);
        break;
    case PEER_AGAIN: /* a slow client: never wait for it here (I4) */
        if (move_to_chunks(exchange, &out)) {
            out.sent = sent;
            peer->drain(peer, &out);
            break;
        }
        log_error("out of memory for the rest of an answer");
        peer->done(peer, false);
        break;
    case PEER_GONE:
        peer->done(peer, false);
        break;
    }
    exchange_free(exchange);
}
