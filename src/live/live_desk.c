/*
 * The live desk (see live.h): the loop of its thread, which wakes up for events of sockets,
 * exchanges that are handed over, changes of streams, and time.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "config/config.h"
#include "engine/engine.h"
#include "engine/upkeep.h"
#include "hints/hints.h"
#include "hints/wake.h"
#include "live/live_private.h"
#include "protocol/expiry.h"
#include "protocol/sse.h"
#include "store/store.h"

enum { EVENTS = 256, TICKS = 10 };

static bool is_reader(const struct parked *parked)
{
    return parked->state == PARKED_WAITING || parked->state == PARKED_SENDING;
}

static void admit_parked(struct live *live, struct parked *parked)
{
    bool fresh = false;

    live_watch_socket(live, parked, false, EPOLL_CTL_ADD);
    if (is_reader(parked)) {
        if (!live_table_add(&live->table, parked, &fresh)) {
            live_leave(live, parked, false);
            return;
        }
        /* I3: the interest is counted before the desk reads the stream */
        if (fresh)
            wake_interest(store_hints(live->engine->store), parked->reader.stream_id, 1);
        if (live->let_go)
            parked->reader.out_of_time = true;
        live_table_mark(&live->table, parked->watch);
    }
    if (parked->state == PARKED_DELAYED)
        LIST_INSERT_HEAD(&live->delayed, parked, link);
    if (!live_table_reserve(&live->table)) {
        live_leave(live, parked, false);
        return;
    }
    if (parked->state == PARKED_DELAYED && live->let_go) {
        live_resume(live, parked);
        return;
    }
    if (!live_is_sending(parked) || live_push(live, parked))
        live_schedule(live, parked);
}

void live_empty_inbox(struct live *live)
{
    struct parked *parked, *next;

    (void)pthread_mutex_lock(&live->lock);
    parked = LIST_FIRST(&live->inbox);
    LIST_INIT(&live->inbox);
    (void)pthread_mutex_unlock(&live->lock);
    for (; parked; parked = next) {
        next = LIST_NEXT(parked, link);
        admit_parked(live, parked);
    }
}

static void take_changes(struct live *live)
{
    struct hints *hints = store_hints(live->engine->store);
    struct watch *watch;
    int64_t stream_id;

    for (;;) {
        switch (wake_next(hints, &live->seen, &stream_id)) {
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
            /* another event has emptied it */
        }
        return;
    }
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) &&
        (parked->peer->kind != PEER_FCGI || peer_is_gone(parked->peer))) {
        live_leave(live, parked, false);
        return;
    }
    if (event->events & EPOLLOUT && live_is_sending(parked) && live_push(live, parked)) {
        live_schedule(live, parked);
        if (parked->state == PARKED_WAITING)
            live_table_mark(&live->table, parked->watch); /* reads on from its offset */
    }
}

static void keep_alive(struct live *live, struct parked *parked)
{
    struct buf buf = {0};
    struct chunk *chunk;

    sse_add_keepalive(&buf);
    chunk = chunk_take(&buf);
    if (!chunk) {
        live_leave(live, parked, false);
        return;
    }
    outgoing_add(&parked->out, chunk);
    parked->state = PARKED_SENDING;
    if (live_push(live, parked))
        live_schedule(live, parked);
}

/* What was scheduled for this exchange is due. */
static void handle_due(struct live *live, struct parked *parked, int64_t now)
{
    switch (parked->state) {
    case PARKED_SENDING:
    case PARKED_DRAINING:
        live_leave(live, parked, false); /* the socket took nothing for DS_IO_TIMEOUT_MS */
        break;
    case PARKED_DELAYED:
        live_resume(live, parked);
        break;
    case PARKED_WAITING:
        if (now < parked->ends_at) {
            keep_alive(live, parked);
            break;
        }
        parked->reader.out_of_time = true;
        live_table_mark(&live->table, parked->watch);
        live_table_set_due(&live->table, parked, now + HINTS_RECHECK_MS);
        break;
    }
}

static void handle_timers(struct live *live)
{
    struct parked *parked;

    while ((parked = live_table_first_due(&live->table, live->now)))
        handle_due(live, parked, live->now);
}

/* Finds the changes of one stream for which no writer rings the bell. */
static void check_stream(struct live *live, struct watch *watch, int64_t now)
{
    if (watch->ttl_seconds >= 0)
        upkeep_renew(live->engine, watch->stream_id, expiry_after_ttl(now, watch->ttl_seconds));
    if (live->recheck > 0 || watch->again ||
        (watch->ttl_seconds < 0 && watch->expires_at != 0 && watch->expires_at <= now))
        live_table_mark(&live->table, watch);
}

/*
 * Checks every stream once a second, since some changes come without a wake-up: a write at the
 * sqlite3 prompt, a writer that died before it rang the bell, a stream that expires. Renews TTLs,
 * which a waiting reader keeps from running out. Each tick checks a tenth of the streams, so that
 * readers are not delayed by many streams at a time.
 */
static void tick_streams(struct live *live)
{
    int64_t now = clock_wall_ms(), version = live->data_version;
    size_t share = live->table.count / TICKS + 1;

    (void)store_data_version(live->conn, &version);
    if (version != live->data_version)
        live->recheck = TICKS; /* somebody has committed: read every stream once */
    live->data_version = version;
    for (; share > 0; share--)
        check_stream(live, live_table_next(&live->table), now);
    if (live->recheck > 0)
        live->recheck--;
    live->next_tick = clock_monotonic_ms() + HINTS_RECHECK_MS / TICKS;
}

static void release_readers(struct live *live)
{
    struct watch *watch;
    struct parked *parked;

    live->let_go = true;
    while (!LIST_EMPTY(&live->delayed))
        live_resume(live, LIST_FIRST(&live->delayed));
    LIST_FOREACH(watch, &live->table.watches, in_table) {
        LIST_FOREACH(parked, &watch->readers, link)
            parked->reader.out_of_time = true;
        live_table_mark(&live->table, watch);
    }
}

static int sleep_ms(struct live *live)
{
    int64_t until = live_table_next_due(&live->table), now = clock_monotonic_ms();

    if (!SLIST_EMPTY(&live->table.marked))
        return 0;
    if (until == 0)
        return -1; /* no exchange: sleep until one is handed over */
    if (!LIST_EMPTY(&live->table.watches) && live->next_tick < until)
        until = live->next_tick;
    return until > now ? (int)(until - now) : 0;
}

void live_turn(struct live *live)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(live->epoll, events, EVENTS, sleep_ms(live));

    live->now = clock_monotonic_ms();
    /* sockets first: later steps may free exchanges that these events point to */
    for (int i = 0; i < n; i++)
        handle_event(live, &events[i]);
    live_empty_inbox(live);
    if (atomic_load(&live->letting_go) && !live->let_go)
        release_readers(live);
    take_changes(live);
    handle_timers(live);
    if (!LIST_EMPTY(&live->table.watches) && live->now >= live->next_tick)
        tick_streams(live);
    live_visit_marked(live);
}
