/*
 * The live desk (see live.h): one parked exchange, and serving the readers of one stream.
 *
 * Must hold: the desk reads a stream once for all its readers at the same position, and gives no
 * reader a second slice before every other reader has had its turn.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/engine.h"
#include "exchange/exchange.h"
#include "hints/wake.h"
#include "live/live_encode.h"
#include "live/live_private.h"
#include "store/store.h"

enum { CACHED = 8 }; /* answers kept during one visit */

/* --- one parked exchange --- */

void live_watch_socket(struct live *live, struct parked *parked, bool writable, int op)
{
    /* Never wait for input on the output of a CGI process: epoll reports errors and hang-ups
       anyway, and input there may be the rest of a request's body, if both are one socket. What an
       HTTP client sends meanwhile is its next request, for later. */
    static const uint32_t events_of[] = {
        [PEER_CGI] = 0,
        [PEER_FCGI] = EPOLLIN | EPOLLRDHUP,
        [PEER_HTTP] = EPOLLRDHUP,
    };
    struct epoll_event event = {.data.ptr = parked};

    event.events = events_of[parked->peer->kind] | (writable ? (uint32_t)EPOLLOUT : 0);
    /* an HTTP client may end its half and read on; a reader that waits has left if it does so */
    if (parked->peer->kind == PEER_HTTP && parked->state == PARKED_DRAINING)
        event.events &= (uint32_t)EPOLLOUT;
    /* EPERM: the output of a CGI process is a file, which always takes everything */
    if (epoll_ctl(live->epoll, op, parked->peer->fd, &event) != 0 && errno != EPERM)
        log_error("cannot watch a connection: %s", strerror(errno));
    parked->wants_writable = writable;
}

void live_count_backlog(struct live *live, struct parked *parked, int64_t bytes)
{
    atomic_fetch_add(&live->backlog, bytes - parked->backlog);
    parked->backlog = bytes;
}

bool live_is_backed_up(struct live *live)
{
    return atomic_load(&live->backlog) > live->engine->config->max_queued_bytes;
}

/* Removes a delayed exchange from the desk. */
static struct ds_exchange *take_delayed(struct live *live, struct parked *parked)
{
    struct ds_exchange *exchange = parked->exchange;

    assert(parked->state == PARKED_DELAYED && exchange);
    LIST_REMOVE(parked, link);
    live_count_backlog(live, parked, 0);
    live_table_set_due(&live->table, parked, 0);
    (void)epoll_ctl(live->epoll, EPOLL_CTL_DEL, parked->peer->fd, NULL);
    free(parked);
    atomic_fetch_sub(&live->parked, 1);
    return exchange;
}

void live_resume(struct live *live, struct parked *parked)
{
    void (*resume)(struct ds_exchange * exchange) = parked->resume;
    struct ds_exchange *exchange = take_delayed(live, parked);

    exchange->conn = live->conn;
    resume(exchange);
}

void live_leave(struct live *live, struct parked *parked, bool ok)
{
    struct peer *peer = parked->peer;

    if (parked->state == PARKED_DELAYED) {
        exchange_drop(take_delayed(live, parked));
        return;
    }
    (void)epoll_ctl(live->epoll, EPOLL_CTL_DEL, peer->fd, NULL);
    live_count_backlog(live, parked, 0);
    outgoing_clear(&parked->out);
    free(parked->reader.if_none_match);
    if (parked->watch && live_table_remove(&live->table, parked))
        wake_interest(store_hints(live->engine->store), parked->reader.stream_id, -1);
    live_table_set_due(&live->table, parked, 0);
    free(parked);
    atomic_fetch_sub(&live->parked, 1);
    atomic_fetch_sub(&live->exchanges->count, 1);
    peer->done(peer, ok);
}

bool live_is_sending(const struct parked *parked)
{
    return parked->state == PARKED_SENDING || parked->state == PARKED_DRAINING;
}

bool live_push(struct live *live, struct parked *parked)
{
    bool end = parked->out.end;

    assert(live_is_sending(parked));
    switch (peer_send(parked->peer, &parked->out)) {
    case PEER_SENT:
        if (end) {
            live_leave(live, parked, true);
            return false;
        }
        assert(parked->state == PARKED_SENDING); /* what drains ends with its `out` */
        parked->state = PARKED_WAITING;
        live_count_backlog(live, parked, 0);
        if (parked->wants_writable)
            live_watch_socket(live, parked, false, EPOLL_CTL_MOD);
        return true;
    case PEER_AGAIN:
        live_count_backlog(live, parked, outgoing_bytes(&parked->out));
        if (!parked->wants_writable)
            live_watch_socket(live, parked, true, EPOLL_CTL_MOD);
        return true;
    case PEER_GONE:
    default:
        live_leave(live, parked, false);
        return false;
    }
}

static int64_t next_due(const struct live *live, const struct parked *parked, int64_t now)
{
    const struct config *config = live->engine->config;
    int64_t due = parked->ends_at;

    if (live_is_sending(parked))
        return now + config->io_timeout_ms;
    if (parked->state == PARKED_WAITING && parked->reader.kind == LIVE_SSE &&
        now + config->sse_keepalive_ms < due)
        due = now + config->sse_keepalive_ms;
    return due;
}

void live_schedule(struct live *live, struct parked *parked)
{
    live_table_set_due(&live->table, parked, next_due(live, parked, live->now));
}

/* --- serving the readers of one stream --- */

/* The answers encoded during one visit, for other readers at the same position. */
struct cache {
    struct {
        struct live_reader reader;
        struct live_answer answer;
    } entry[CACHED];
    int used;
};

/* May other readers get the same answer? */
static bool is_shared(const struct live_reader *reader)
{
    return !reader->if_none_match && !mangle_is_any(&reader->mangle);
}

static bool is_same(const struct live_reader *a, const struct live_reader *b)
{
    return a->kind == b->kind && a->position == b->position && a->cursor == b->cursor &&
           a->greeted == b->greeted && a->out_of_time == b->out_of_time &&
           a->only_now == b->only_now && a->origin == b->origin && is_shared(a) && is_shared(b);
}

static void answer_ref(struct live_answer *to, const struct live_answer *from)
{
    *to = *from;
    if (to->head)
        (void)chunk_ref(to->head);
    if (to->body)
        (void)chunk_ref(to->body);
}

static void cache_clear(struct cache *cache)
{
    for (int i = 0; i < cache->used; i++) {
        chunk_unref(cache->entry[i].answer.head);
        chunk_unref(cache->entry[i].answer.body);
    }
    cache->used = 0;
}

static enum ds_status encode_shared(struct live *live, struct cache *cache,
                                    const struct stream *stream, enum ds_status life,
                                    const struct live_reader *reader, struct live_answer *answer)
{
    enum ds_status status;

    for (int i = 0; i < cache->used; i++)
        if (is_same(&cache->entry[i].reader, reader)) {
            answer_ref(answer, &cache->entry[i].answer);
            return DS_OK;
        }
    status = live_encode(live->engine->config, live->conn, stream, life, reader, answer);
    if (status != DS_OK || !is_shared(reader) || cache->used == CACHED)
        return status;
    cache->entry[cache->used].reader = *reader;
    answer_ref(&cache->entry[cache->used++].answer, answer);
    return DS_OK;
}

/* Sends one reader the next slice, if there is one. True when another slice is ready for it. */
static bool serve_reader(struct live *live, struct cache *cache, const struct stream *stream,
                         enum ds_status life, struct parked *parked)
{
    struct live_answer answer = {.next = parked->reader.position};
    bool progress;

    if (live_is_backed_up(live)) { /* too many bytes wait: no new ones now */
        parked->watch->again = true;
        return false;
    }
    if (encode_shared(live, cache, stream, life, &parked->reader, &answer) != DS_OK) {
        chunk_unref(answer.head);
        chunk_unref(answer.body);
        live_leave(live, parked, false); /* logged; the client reconnects */
        return false;
    }
    if (!answer.head && !answer.body && !answer.end)
        return false; /* nothing new for this reader */
    progress = answer.next != parked->reader.position;
    parked->reader.position = answer.next;
    parked->reader.greeted = true;
    if (answer.head)
        outgoing_add(&parked->out, answer.head);
    if (answer.body)
        outgoing_add(&parked->out, answer.body);
    parked->out.end = answer.end;
    parked->state = PARKED_SENDING;
    if (!live_push(live, parked))
        return false;
    live_schedule(live, parked);
    return progress && answer.next < stream->tail && parked->state == PARKED_WAITING;
}

/* Reads a stream's row once and serves all its readers. */
static void visit_stream(struct live *live, struct watch *watch)
{
    struct arena *arena = arena_new();
    struct cache cache = {.used = 0};
    struct stream stream = {0};
    struct parked *parked, *next;
    bool more = false; /* a reader needs another slice, in its next turn */
    enum ds_status life = DS_NO_MEMORY;

    watch->marked = false;
    if (arena)
        life = store_hold_id(live->conn, arena, watch->stream_id, clock_wall_ms(), &stream);
    watch->ttl_seconds = life == DS_OK ? stream.ttl_seconds : -1;
    watch->expires_at = life == DS_OK ? stream.expires_at : 0;
    watch->again = life != DS_OK;
    watch->visiting = true; /* keeps the watch when its last reader leaves */
    for (parked = LIST_FIRST(&watch->readers); parked; parked = next) {
        next = LIST_NEXT(parked, link);
        if (parked->state == PARKED_WAITING && serve_reader(live, &cache, &stream, life, parked))
            more = true;
    }
    watch->visiting = false;
    store_end_read(live->conn);
    cache_clear(&cache);
    arena_free(arena);
    if (LIST_EMPTY(&watch->readers))
        live_table_drop(&live->table, watch);
    else if (more)
        live_table_mark(&live->table, watch);
}

void live_visit_marked(struct live *live)
{
    struct watch *watch = live_table_take_marked(&live->table);

    while (watch) {
        struct watch *next = SLIST_NEXT(watch, in_marked);

        if (LIST_EMPTY(&watch->readers))
            live_table_drop(&live->table, watch);
        else
            visit_stream(live, watch);
        watch = next;
    }
}
