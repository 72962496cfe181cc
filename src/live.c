/*
 * The live desk: see live.h.
 *
 * Everything here belongs to the desk's thread, but for the inbox, which its lock guards, and the
 * bell thread at the end, which turns the futex of wake.h into a descriptor for epoll.
 */
#include "live.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "config.h"
#include "gateway.h"
#include "house.h"
#include "live_table.h"
#include "log.h"
#include "op_live.h"
#include "server.h"
#include "store.h"
#include "wake.h"

enum { EVENTS = 256, CACHED = 8, TICKS = 10, SPARE_DESCRIPTORS = 128 };

struct live {
    struct server *server;
    struct store_conn *conn;
    int epoll, poke; /* poke: an eventfd that ends the desk's sleep */
    struct live_table table;
    int64_t next_tick;
    uint64_t seen; /* changes looked at, see wake_next() */
    int64_t data_version;
    int recheck; /* ticks for which the streams they come by are looked at, whatever is known */

    pthread_mutex_t lock; /* guards the inbox */
    struct parked *inbox;
    atomic_int parked; /* everybody, the inbox included */
    int64_t most;      /* of them */
    atomic_bool letting_go, stopping;
    _Atomic int64_t backlog; /* bytes that wait for readers, DS_MAX_QUEUED_BYTES or so at most */
    bool let_go;             /* the desk has seen letting_go */

    bool threaded, bell_started;
    uint32_t bell_noted; /* its value when the bell thread began */
    pthread_t desk, bell;
};

static void end_sleep(const struct live *live)
{
    uint64_t one = 1;

    if (write(live->poke, &one, sizeof one) < 0 && errno != EAGAIN)
        log_error("cannot wake the live desk: %s", strerror(errno));
}

/* --- one parked exchange --- */

static void watch_socket(struct live *live, struct parked *parked, bool writable, int op)
{
    struct epoll_event event = {.data.ptr = parked};

    /* A CGI process's output is never read from: an error or a hang-up comes unasked, and what
       looks like input may be a request's body that was shut off behind its end. */
    event.events = (parked->peer->framed ? EPOLLIN | (uint32_t)EPOLLRDHUP : 0) |
                   (writable ? (uint32_t)EPOLLOUT : 0);
    /* EPERM: the output of a CGI process is a file, which is never full and never gone */
    if (epoll_ctl(live->epoll, op, parked->peer->fd, &event) != 0 && errno != EPERM)
        log_error("cannot watch a connection: %s", strerror(errno));
    parked->wants_writable = writable;
}

/* How many bytes wait in memory for a reader's socket. */
static void count_backlog(struct live *live, struct parked *parked, int64_t bytes)
{
    atomic_fetch_add(&live->backlog, bytes - parked->backlog);
    parked->backlog = bytes;
}

static bool is_backed_up(struct live *live)
{
    return atomic_load(&live->backlog) > live->server->config->max_queued_bytes;
}

/* Ends a parked exchange; the connection serves on if ok. */
static void leave(struct live *live, struct parked *parked, bool ok)
{
    struct peer *peer = parked->peer;

    (void)epoll_ctl(live->epoll, EPOLL_CTL_DEL, peer->fd, NULL);
    count_backlog(live, parked, 0);
    outgoing_clear(&parked->out);
    free(parked->reader.if_none_match);
    if (parked->watch && live_table_remove(&live->table, parked))
        wake_interest(store_wake(live->server->store), parked->reader.stream_id, -1);
    live_table_set_due(&live->table, parked, 0);
    free(parked);
    atomic_fetch_sub(&live->parked, 1);
    atomic_fetch_sub(&live->server->exchanges, 1);
    peer->done(peer, ok);
}

/* Writes what can be written. False when that ended the exchange. */
static bool push(struct live *live, struct parked *parked)
{
    bool end = parked->out.end;

    switch (peer_send(parked->peer, &parked->out)) {
    case PEER_SENT:
        if (end) {
            leave(live, parked, true);
            return false;
        }
        count_backlog(live, parked, 0);
        if (parked->wants_writable)
            watch_socket(live, parked, false, EPOLL_CTL_MOD);
        return true;
    case PEER_AGAIN:
        count_backlog(live, parked, outgoing_bytes(&parked->out));
        if (!parked->wants_writable)
            watch_socket(live, parked, true, EPOLL_CTL_MOD);
        return true;
    case PEER_GONE:
    default:
        leave(live, parked, false);
        return false;
    }
}

static int64_t next_due(const struct live *live, const struct parked *parked, int64_t now)
{
    const struct config *config = live->server->config;
    int64_t due = parked->ends_at;

    if (!outgoing_is_empty(&parked->out))
        return now + config->io_timeout_ms;
    if (parked->watch && parked->reader.kind == LIVE_SSE && now + config->sse_keepalive_ms < due)
        due = now + config->sse_keepalive_ms;
    return due;
}

static void schedule(struct live *live, struct parked *parked)
{
    live_table_set_due(&live->table, parked, next_due(live, parked, clock_monotonic_ms()));
}

/* --- serving the readers of one stream --- */

/* Answers encoded during one visit, for readers that stand at the same place. */
struct cache {
    struct {
        struct live_reader reader;
        struct live_answer answer;
    } entry[CACHED];
    int used;
};

static bool is_same(const struct live_reader *a, const struct live_reader *b)
{
    return a->kind == b->kind && a->position == b->position && a->cursor == b->cursor &&
           a->greeted == b->greeted && a->out_of_time == b->out_of_time &&
           a->only_now == b->only_now && !a->if_none_match && !b->if_none_match;
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

static enum ds_status encode(struct live *live, struct cache *cache, const struct stream *stream,
                             enum ds_status life, const struct live_reader *reader,
                             struct live_answer *answer)
{
    enum ds_status status;

    for (int i = 0; i < cache->used; i++)
        if (is_same(&cache->entry[i].reader, reader)) {
            answer_ref(answer, &cache->entry[i].answer);
            return DS_OK;
        }
    status = op_live_encode(live->server, live->conn, stream, life, reader, answer);
    if (status != DS_OK || reader->if_none_match || cache->used == CACHED)
        return status;
    cache->entry[cache->used].reader = *reader;
    answer_ref(&cache->entry[cache->used++].answer, answer);
    return DS_OK;
}

/* Gives one reader what there is for it. Returns whether there is more for it at once. */
static bool serve(struct live *live, struct cache *cache, const struct stream *stream,
                  enum ds_status life, struct parked *parked)
{
    struct live_answer answer = {.next = parked->reader.position};
    bool progress;

    if (is_backed_up(live)) { /* reading on costs memory: later */
        parked->watch->expires_at = 1;
        return false;
    }
    if (encode(live, cache, stream, life, &parked->reader, &answer) != DS_OK) {
        chunk_unref(answer.head);
        chunk_unref(answer.body);
        leave(live, parked, false); /* logged; the client comes back */
        return false;
    }
    if (!answer.head && !answer.body && !answer.end)
        return false; /* nothing for it yet */
    progress = answer.next != parked->reader.position;
    parked->reader.position = answer.next;
    parked->reader.greeted = true;
    if (answer.head)
        outgoing_add(&parked->out, answer.head);
    if (answer.body)
        outgoing_add(&parked->out, answer.body);
    parked->out.end = answer.end;
    if (!push(live, parked))
        return false;
    schedule(live, parked);
    return progress && outgoing_is_empty(&parked->out);
}

/* Looks at a stream once and serves all its readers. */
static void visit(struct live *live, struct watch *watch)
{
    struct arena *arena = arena_new();
    struct cache cache = {.used = 0};
    struct stream stream = {0};
    struct parked *parked, *next;
    enum ds_status life = arena ? store_begin_read(live->conn) : DS_NO_MEMORY;

    watch->marked = watch->dirty = false;
    if (life == DS_OK)
        life = store_find_id(live->conn, arena, watch->stream_id, clock_wall_ms(), &stream);
    watch->ttl_seconds = life == DS_OK ? stream.ttl_seconds : -1;
    watch->expires_at = life == DS_OK ? stream.expires_at : 1; /* 1: look again next second */
    watch->visiting = true; /* or it would go with its last reader */
    for (parked = watch->first; parked; parked = next) {
        next = parked->next;
        if (outgoing_is_empty(&parked->out) && serve(live, &cache, &stream, life, parked))
            watch->dirty = true; /* another slice, after the others had their turn */
    }
    watch->visiting = false;
    store_end_read(live->conn);
    cache_clear(&cache);
    arena_free(arena);
    if (!watch->first)
        live_table_drop(&live->table, watch);
    else if (watch->dirty)
        live_table_mark(&live->table, watch);
}

static void visit_marked(struct live *live)
{
    struct watch *watch = live_table_take_marked(&live->table);

    while (watch) {
        struct watch *next = watch->next_marked;

        if (watch->first)
            visit(live, watch);
        else
            live_table_drop(&live->table, watch);
        watch = next;
    }
}

/* --- what the desk wakes up for --- */

static void admit(struct live *live, struct parked *parked)
{
    bool fresh = false;

    watch_socket(live, parked, false, EPOLL_CTL_ADD);
    if (parked->reader.stream_id != 0) {
        if (!live_table_add(&live->table, parked, &fresh)) {
            leave(live, parked, false);
            return;
        }
        /* counted before the database is looked at: no wake-up is lost */
        if (fresh)
            wake_interest(store_wake(live->server->store), parked->reader.stream_id, 1);
        if (live->let_go)
            parked->reader.out_of_time = true;
        live_table_mark(&live->table, parked->watch);
    }
    if (!live_table_reserve(&live->table)) {
        leave(live, parked, false);
        return;
    }
    if (outgoing_is_empty(&parked->out) || push(live, parked))
        schedule(live, parked);
}

static void empty_inbox(struct live *live)
{
    struct parked *parked, *next;

    (void)pthread_mutex_lock(&live->lock);
    parked = live->inbox;
    live->inbox = NULL;
    (void)pthread_mutex_unlock(&live->lock);
    for (; parked; parked = next) {
        next = parked->next;
        parked->next = NULL;
        admit(live, parked);
    }
}

static void hear_changes(struct live *live)
{
    struct wake *wake = store_wake(live->server->store);
    struct watch *watch;
    int64_t stream_id;

    for (;;) {
        switch (wake_next(wake, &live->seen, &stream_id)) {
        case WAKE_NONE:
            return;
        case WAKE_LOST:
            live_table_mark_all(&live->table);
            break;
        case WAKE_STREAM:
            watch = live_table_find(&live->table, stream_id);
            if (watch)
                live_table_mark(&live->table, watch);
            break;
        }
    }
}

static void handle_event(struct live *live, const struct epoll_event *event)
{
    struct parked *parked = event->data.ptr;
    uint64_t count;

    if (!parked) {
        if (read(live->poke, &count, sizeof count) < 0) {
            /* nothing was written after all */
        }
        return;
    }
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) &&
        (!parked->peer->framed || peer_is_gone(parked->peer))) {
        leave(live, parked, false);
        return;
    }
    if (event->events & EPOLLOUT && push(live, parked)) {
        schedule(live, parked);
        if (parked->watch && outgoing_is_empty(&parked->out))
            live_table_mark(&live->table, parked->watch); /* on from its offset */
    }
}

static void keep_alive(struct live *live, struct parked *parked)
{
    struct buf buf = {0};
    struct chunk *chunk;

    sse_add_keepalive(&buf);
    chunk = buf_failed(&buf) ? NULL : chunk_take(&buf);
    if (!chunk) {
        buf_close(&buf);
        leave(live, parked, false);
        return;
    }
    outgoing_add(&parked->out, chunk);
    if (push(live, parked))
        schedule(live, parked);
}

/* Time is up for something. */
static void handle_due(struct live *live, struct parked *parked, int64_t now)
{
    if (!outgoing_is_empty(&parked->out)) {
        leave(live, parked, false); /* it has not read for DS_IO_TIMEOUT_MS */
    } else if (now >= parked->ends_at) {
        parked->reader.out_of_time = true;
        live_table_mark(&live->table, parked->watch);
        live_table_set_due(&live->table, parked, now + WAKE_RECHECK_MS);
    } else {
        keep_alive(live, parked);
    }
}

static void handle_timers(struct live *live)
{
    int64_t now = clock_monotonic_ms();
    struct parked *parked;

    while ((parked = live_table_first_due(&live->table)) && parked->due <= now)
        handle_due(live, parked, now);
}

/* What no wake-up tells, for one stream. */
static void look_after(struct live *live, struct watch *watch, int64_t now)
{
    if (watch->ttl_seconds >= 0)
        house_renew(live->server, watch->stream_id, now + watch->ttl_seconds * 1000);
    if (live->recheck > 0 ||
        (watch->ttl_seconds < 0 && watch->expires_at != 0 && watch->expires_at <= now))
        live_table_mark(&live->table, watch);
}

/*
 * Once a second for every stream: a write from the sqlite3 prompt or by a process that died before
 * it could wake us, streams that expire, and TTLs that readers keep from running out. In tenths,
 * so that many streams do not hold up the readers of one.
 */
static void tick(struct live *live)
{
    int64_t now = clock_wall_ms(), version = live->data_version;
    size_t share = live->table.count / TICKS + 1;

    (void)store_data_version(live->conn, &version);
    if (version != live->data_version)
        live->recheck = TICKS; /* somebody has committed: once around */
    live->data_version = version;
    for (; share > 0; share--)
        look_after(live, live_table_next(&live->table), now);
    if (live->recheck > 0)
        live->recheck--;
    live->next_tick = clock_monotonic_ms() + WAKE_RECHECK_MS / TICKS;
}

static void let_everybody_go(struct live *live)
{
    live->let_go = true;
    for (struct watch *watch = live->table.watches; watch; watch = watch->next) {
        for (struct parked *parked = watch->first; parked; parked = parked->next)
            parked->reader.out_of_time = true;
        live_table_mark(&live->table, watch);
    }
}

static int sleep_ms(struct live *live)
{
    struct parked *first = live_table_first_due(&live->table);
    int64_t until, now = clock_monotonic_ms();

    if (live->table.marked)
        return 0;
    if (!first)
        return -1; /* nobody here: sleep until somebody is handed over */
    until = first->due;
    if (live->table.watches && live->next_tick < until)
        until = live->next_tick;
    return until > now ? (int)(until - now) : 0;
}

static void turn(struct live *live)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(live->epoll, events, EVENTS, sleep_ms(live));

    /* first the sockets: later steps may end exchanges that these events name */
    for (int i = 0; i < n; i++)
        handle_event(live, &events[i]);
    empty_inbox(live);
    if (atomic_load(&live->letting_go) && !live->let_go)
        let_everybody_go(live);
    hear_changes(live);
    handle_timers(live);
    if (live->table.watches && clock_monotonic_ms() >= live->next_tick)
        tick(live);
    visit_marked(live);
}

/* --- threads --- */

static void *run_bell(void *arg)
{
    struct live *live = arg;
    struct wake *wake = store_wake(live->server->store);
    uint32_t noted = live->bell_noted;

    while (!atomic_load(&live->stopping)) {
        wake_wait(wake, noted, WAKE_RECHECK_MS);
        if (wake_bell(wake) != noted) {
            noted = wake_bell(wake);
            end_sleep(live);
        }
    }
    return NULL;
}

static bool start_bell(struct live *live)
{
    live->bell_noted = wake_bell(store_wake(live->server->store)); /* before anybody waits for it */
    if (!live->bell_started)
        live->bell_started = pthread_create(&live->bell, NULL, run_bell, live) == 0;
    return live->bell_started;
}

static void *run_desk(void *arg)
{
    struct live *live = arg;

    while (!atomic_load(&live->stopping))
        turn(live);
    return NULL;
}

void live_run(struct live *live)
{
    if (atomic_load(&live->parked) == 0)
        return;
    (void)start_bell(live); /* without it the tick of a second must do */
    while (atomic_load(&live->parked) > 0)
        turn(live);
}

/* DS_MAX_PARKED, but some descriptors stay for everything else. */
static int64_t most_parked(const struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        (int64_t)limit.rlim_cur - SPARE_DESCRIPTORS > config->max_parked)
        return config->max_parked;
    return (int64_t)limit.rlim_cur > 2 * SPARE_DESCRIPTORS
               ? (int64_t)limit.rlim_cur - SPARE_DESCRIPTORS
               : (int64_t)limit.rlim_cur / 2;
}

enum ds_status live_start(struct live **out, struct server *server, bool thread)
{
    struct live *live = calloc(1, sizeof *live);
    struct epoll_event event = {.events = EPOLLIN};
    enum ds_status status;

    if (!live)
        return DS_NO_MEMORY;
    live->server = server;
    live->most = most_parked(server->config);
    live->seen = wake_head(store_wake(server->store));
    live->epoll = epoll_create1(EPOLL_CLOEXEC);
    live->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&live->lock, NULL);
    status = store_connect(&live->conn, server->store);
    if (status == DS_OK && (live->epoll < 0 || live->poke < 0 ||
                            epoll_ctl(live->epoll, EPOLL_CTL_ADD, live->poke, &event) != 0))
        status = DS_FAILED;
    if (status == DS_OK)
        (void)store_data_version(live->conn, &live->data_version);
    if (status == DS_OK && thread) {
        live->threaded = pthread_create(&live->desk, NULL, run_desk, live) == 0;
        if (!live->threaded || !start_bell(live))
            status = DS_NO_MEMORY;
    }
    if (status != DS_OK) {
        live_stop(live);
        return status;
    }
    *out = live;
    return DS_OK;
}

void live_let_go(struct live *live)
{
    atomic_store(&live->letting_go, true);
    end_sleep(live);
}

void live_stop(struct live *live)
{
    struct parked *parked;

    if (!live)
        return;
    atomic_store(&live->stopping, true);
    if (live->threaded) {
        end_sleep(live);
        (void)pthread_join(live->desk, NULL);
    }
    if (live->bell_started) {
        wake_ring(store_wake(live->server->store));
        (void)pthread_join(live->bell, NULL);
    }
    empty_inbox(live);
    while ((parked = live_table_first_due(&live->table)))
        leave(live, parked, false);
    live_table_close(&live->table);
    store_disconnect(live->conn);
    if (live->epoll >= 0)
        (void)close(live->epoll);
    if (live->poke >= 0)
        (void)close(live->poke);
    (void)pthread_mutex_destroy(&live->lock);
    free(live);
}

/* --- handing over --- */

static void hand_over(struct live *live, struct parked *parked)
{
    bool first;

    (void)pthread_mutex_lock(&live->lock);
    first = !live->inbox;
    parked->next = live->inbox;
    live->inbox = parked;
    (void)pthread_mutex_unlock(&live->lock);
    if (first)
        end_sleep(live);
}

static int64_t time_for(const struct config *config, enum live_kind kind)
{
    int64_t tenth = config->sse_lifetime_ms / 10;

    if (kind == LIVE_LONG_POLL)
        return config->long_poll_timeout_ms;
    /* readers that came together do not all come back together (section 10.2) */
    return config->sse_lifetime_ms - tenth + (int64_t)(clock_random() % (uint64_t)(2 * tenth + 1));
}

bool live_park(struct live *live, struct ds_exchange *exchange, const struct live_reader *reader)
{
    struct parked *parked;

    if (atomic_fetch_add(&live->parked, 1) >= live->most)
        goto full;
    parked = calloc(1, sizeof *parked);
    if (!parked)
        goto full;
    parked->peer = exchange->peer;
    parked->reader = *reader;
    parked->ends_at = clock_monotonic_ms() + time_for(live->server->config, reader->kind);
    if (exchange->head.len > 0) {
        struct chunk *head = buf_failed(&exchange->head) ? NULL : chunk_take(&exchange->head);

        if (!head) {
            free(parked);
            goto full;
        }
        outgoing_add(&parked->out, head);
    }
    atomic_fetch_add(&live->server->exchanges, 1); /* it goes on, without its arena */
    exchange_free(exchange);
    hand_over(live, parked);
    return true;
full:
    atomic_fetch_sub(&live->parked, 1);
    return false;
}

void live_drain(struct live *live, struct peer *peer, struct outgoing *out)
{
    struct parked *parked = is_backed_up(live) ? NULL : calloc(1, sizeof *parked);

    if (!parked) { /* the one who would wait is the one who does not read */
        outgoing_clear(out);
        peer->done(peer, false);
        return;
    }
    parked->peer = peer;
    parked->out = *out;
    count_backlog(live, parked, outgoing_bytes(out));
    atomic_fetch_add(&live->parked, 1);
    atomic_fetch_add(&live->server->exchanges, 1);
    hand_over(live, parked);
}
