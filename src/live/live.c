/*
 * The live desk (see live.h): its threads, and handing over to them.
 *
 * Only the desk's thread touches struct live, except for the inbox, which a lock guards, and atomic
 * fields. The bell thread waits on the futex of wake.h and turns it into an event for the desk's
 * epoll.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/engine.h"
#include "exchange/exchange.h"
#include "hints/hints.h"
#include "hints/wake.h"
#include "live/live_private.h"
#include "store/store.h"

enum { SPARE_DESCRIPTORS = 128 };

static void wake_desk(const struct live *live)
{
    uint64_t one = 1;

    if (live->poke < 0) /* in a CGI process before live_run() */
        return;
    if (write(live->poke, &one, sizeof one) < 0 && errno != EAGAIN)
        log_error("cannot wake the live desk: %s", strerror(errno));
}

/* --- threads --- */

static void *run_bell(void *arg)
{
    struct live *live = arg;
    struct hints *hints = store_hints(live->engine->store);
    uint32_t noted = live->bell_noted;

    while (!atomic_load(&live->stopping)) {
        wake_wait(hints, noted, HINTS_RECHECK_MS);
        if (wake_bell(hints) != noted) {
            noted = wake_bell(hints);
            wake_desk(live);
        }
    }
    return NULL;
}

static bool start_bell(struct live *live)
{
    /* before the thread exists: no ring is lost */
    live->bell_noted = wake_bell(store_hints(live->engine->store));
    live->bell_started = pthread_create(&live->bell, NULL, run_bell, live) == 0;
    return live->bell_started;
}

static void *run_desk(void *arg)
{
    struct live *live = arg;

    while (!atomic_load(&live->stopping))
        live_turn(live);
    return NULL;
}

static enum ds_status open_connection(struct live *live)
{
    enum ds_status status = store_connect(&live->conn, live->engine->store);

    if (status == DS_OK)
        (void)store_data_version(live->conn, &live->data_version);
    return status;
}

static void close_everybody(struct live *live)
{
    struct parked *parked;

    live_empty_inbox(live);
    while ((parked = live_table_first_due(&live->table, INT64_MAX)))
        live_leave(live, parked, false);
}

bool live_is_empty(struct live *live)
{
    return atomic_load(&live->parked) == 0;
}

static bool open_descriptors(struct live *live)
{
    struct epoll_event event = {.events = EPOLLIN};

    live->epoll = descriptor_high(epoll_create1(EPOLL_CLOEXEC));
    live->poke = descriptor_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return live->epoll >= 0 && live->poke >= 0 &&
           epoll_ctl(live->epoll, EPOLL_CTL_ADD, live->poke, &event) == 0;
}

void live_run(struct live *live)
{
    if (!open_descriptors(live) || open_connection(live) != DS_OK) { /* logged */
        close_everybody(live);
        return;
    }
    wake_desk(live);        /* the inbox was filled before the eventfd existed */
    (void)start_bell(live); /* without it, the tick finds changes within a second */
    while (atomic_load(&live->parked) > 0)
        live_turn(live);
}

/* DS_MAX_PARKED, or fewer, so that SPARE_DESCRIPTORS stay for everything else. */
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

enum ds_status live_start(struct live **out, struct engine *engine, struct exchanges *exchanges,
                          bool thread)
{
    struct live *live = calloc(1, sizeof *live);
    enum ds_status status;

    if (!live)
        return DS_NO_MEMORY;
    live->engine = engine;
    live->exchanges = exchanges;
    live->most = most_parked(engine->config);
    live->seen = wake_head(store_hints(engine->store));
    live->epoll = live->poke = -1;
    (void)pthread_mutex_init(&live->lock, NULL);
    status = thread ? open_connection(live) : DS_OK; /* most CGI processes never need it */
    if (status == DS_OK && thread && !open_descriptors(live))
        status = DS_FAILED;
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
    wake_desk(live);
}

void live_stop(struct live *live)
{
    if (!live)
        return;
    atomic_store(&live->stopping, true);
    if (live->threaded) {
        wake_desk(live);
        (void)pthread_join(live->desk, NULL);
    }
    if (live->bell_started) {
        wake_ring(store_hints(live->engine->store));
        (void)pthread_join(live->bell, NULL);
    }
    close_everybody(live);
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
    first = LIST_EMPTY(&live->inbox);
    LIST_INSERT_HEAD(&live->inbox, parked, link);
    (void)pthread_mutex_unlock(&live->lock);
    if (first)
        wake_desk(live);
}

static int64_t time_for(const struct config *config, enum live_kind kind)
{
    int64_t tenth = config->sse_lifetime_ms / 10;

    if (kind == LIVE_LONG_POLL)
        return config->long_poll_timeout_ms;
    /* jitter: readers that came together must not all return together (section 10.2) */
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
    parked->ends_at = clock_monotonic_ms() + time_for(live->engine->config, reader->kind);
    if (exchange->head.len > 0) {
        struct chunk *head = chunk_take(&exchange->head);

        if (!head) {
            free(parked);
            goto full;
        }
        outgoing_add(&parked->out, head);
        parked->state = PARKED_SENDING;
    }
    atomic_fetch_add(&live->exchanges->count, 1); /* the exchange continues as this struct parked */
    exchange_free(exchange);
    hand_over(live, parked);
    return true;
full:
    atomic_fetch_sub(&live->parked, 1);
    return false;
}

bool live_delay(struct live *live, struct ds_exchange *exchange, int64_t ms,
                void (*resume)(struct ds_exchange *exchange))
{
    struct parked *parked = NULL;

    if (atomic_fetch_add(&live->parked, 1) < live->most && !live_is_backed_up(live))
        parked = calloc(1, sizeof *parked);
    if (!parked) {
        atomic_fetch_sub(&live->parked, 1);
        return false;
    }
    parked->peer = exchange->peer;
    parked->state = PARKED_DELAYED;
    parked->exchange = exchange;
    parked->resume = resume;
    parked->ends_at = clock_monotonic_ms() + ms + 1; /* + 1: never early */
    live_count_backlog(live, parked, (int64_t)exchange->request.body_len);
    hand_over(live, parked);
    return true;
}

void live_drain(struct live *live, struct peer *peer, struct outgoing *out)
{
    struct parked *parked = live_is_backed_up(live) ? NULL : calloc(1, sizeof *parked);

    if (!parked) { /* closes the connection of a client that does not read */
        outgoing_clear(out);
        peer->done(peer, false);
        return;
    }
    parked->state = PARKED_DRAINING;
    parked->peer = peer;
    parked->out = *out;
    live_count_backlog(live, parked, outgoing_bytes(out));
    atomic_fetch_add(&live->parked, 1);
    atomic_fetch_add(&live->exchanges->count, 1);
    hand_over(live, parked);
}
