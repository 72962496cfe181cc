/*
 * Many streams behind one descriptor, for programs with an event loop.
 *
 *     any process ── commit ──▶ bell ──▶ thread of the watch: looks ──▶ ready ══▶ descriptor
 *     event loop  ── poll(2) on the descriptor, ds_watch_next() ◀────── ready
 *
 * The thread sleeps on the bell (wake.h), which rings for every stream that anybody waits for, and
 * looks at those of its streams that are among the changes. A look compares the stream with what
 * the program was told of it; where they differ, the stream becomes ready. The descriptor is
 * readable exactly while a stream is ready.
 *
 * No lost wake-up (invariant I3): ds_watch_add() counts its interest and puts the stream into the
 * tables, and only then looks. A commit before the look is seen by the look; a commit after it is
 * published after that, when the thread finds the stream in the tables.
 *
 * Not every writer rings the bell: the sqlite3 prompt does not. Once a second the thread asks
 * whether anybody has committed, and if so looks at all streams.
 *
 * One lock guards everything. It is never held during a look.
 */
#include <search.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "engine/upkeep.h"
#include "hints/hints.h"
#include "hints/wake.h"
#include "lib/lib.h"
#include "protocol/expiry.h"
#include "protocol/offset.h"
#include "store/store.h"

struct watched {
    const char *path; /* normalised; in the same block of memory */
    int64_t stream_id;
    void *tag;
    enum ds_status status;     /* DS_OK, or how the stream ended */
    int64_t tail, told;        /* as of the last look; as the program was told */
    bool closed, told_closed;  /* likewise */
    int64_t ttl_seconds;       /* -1: none */
    int64_t expires_at;        /* 0: never */
    bool wants_look, is_ready; /* is in the list of that name */
    bool has_failed;           /* the last look did; the next tick repeats it */
    TAILQ_ENTRY(watched) all, looks, ready;
};

TAILQ_HEAD(watched_list, watched);

/* Two numbers of store_data_version() can be compared only if one connection gave both. */
struct version {
    const struct store_conn *conn;
    int64_t number;
};

struct ds_watch {
    struct ds_store *store;
    struct hints *hints;
    int descriptor; /* an eventfd, whose count is above 0 while a stream is ready */
    pthread_t thread;
    bool has_thread;
    atomic_bool stopping;
    atomic_bool hurries; /* the next tick is due now */
    uint64_t seen;   /* number of the last change; only the thread uses it, tick_at and versions */
    int64_t tick_at; /* monotonic ms */
    struct version versions[LIB_CONNECTIONS];

    pthread_mutex_t lock;  /* guards what follows */
    void *by_path, *by_id; /* tsearch(3) */
    struct watched_list all;
    struct watched_list looks; /* those that the thread must look at */
    struct watched_list ready; /* for ds_watch_next() */
    struct watched *ended;     /* unlisted; the program may read its path until its next call */
    int briefs;                /* streams with a brief TTL, see lib_is_brief() */
};

/* --- tables, under the lock --- */

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct watched *)a)->path, ((const struct watched *)b)->path);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t id = ((const struct watched *)a)->stream_id;
    int64_t other = ((const struct watched *)b)->stream_id;

    return (id > other) - (id < other);
}

static struct watched *find_by_path(const struct ds_watch *watch, const char *path)
{
    const struct watched key = {.path = path};
    void *const *node = tfind(&key, &watch->by_path, compare_paths);

    return node ? *node : NULL;
}

static struct watched *find_by_id(const struct ds_watch *watch, int64_t stream_id)
{
    const struct watched key = {.stream_id = stream_id};
    void *const *node = tfind(&key, &watch->by_id, compare_ids);

    return node ? *node : NULL;
}

static void want_look(struct ds_watch *watch, struct watched *watched)
{
    if (watched->wants_look || watched->status != DS_OK)
        return;
    watched->wants_look = true;
    TAILQ_INSERT_TAIL(&watch->looks, watched, looks);
}

static void want_look_at_all(struct ds_watch *watch)
{
    struct watched *watched;

    TAILQ_FOREACH(watched, &watch->all, all)
        want_look(watch, watched);
}

static void become_ready(struct ds_watch *watch, struct watched *watched)
{
    const uint64_t one = 1;

    if (watched->is_ready)
        return;
    if (TAILQ_EMPTY(&watch->ready))
        (void)!write(watch->descriptor, &one, sizeof one); /* from 0 to 1: cannot fail */
    watched->is_ready = true;
    TAILQ_INSERT_TAIL(&watch->ready, watched, ready);
}

static void leave_ready(struct ds_watch *watch, struct watched *watched)
{
    uint64_t count;

    if (!watched->is_ready)
        return;
    watched->is_ready = false;
    TAILQ_REMOVE(&watch->ready, watched, ready);
    if (TAILQ_EMPTY(&watch->ready))
        (void)!read(watch->descriptor, &count, sizeof count);
}

/* Removes it from every table; the caller frees it. */
static void unlist_watched(struct ds_watch *watch, struct watched *watched)
{
    leave_ready(watch, watched);
    if (watched->wants_look)
        TAILQ_REMOVE(&watch->looks, watched, looks);
    watch->briefs -= lib_is_brief(watched->ttl_seconds);
    TAILQ_REMOVE(&watch->all, watched, all);
    (void)tdelete(watched, &watch->by_path, compare_paths);
    (void)tdelete(watched, &watch->by_id, compare_ids);
    wake_interest(watch->hints, watched->stream_id, -1);
}

static enum ds_status list_watched(struct ds_watch *watch, struct watched *watched)
{
    if (!tsearch(watched, &watch->by_path, compare_paths))
        return DS_NO_MEMORY;
    if (!tsearch(watched, &watch->by_id, compare_ids)) {
        (void)tdelete(watched, &watch->by_path, compare_paths);
        return DS_NO_MEMORY;
    }
    wake_interest(watch->hints, watched->stream_id, 1);
    if (lib_is_brief(
            watched->ttl_seconds)) { /* the thread may be asleep for longer than this TTL */
        watch->briefs++;
        atomic_store(&watch->hurries, true);
        wake_ring(watch->hints);
    }
    TAILQ_INSERT_TAIL(&watch->all, watched, all);
    return DS_OK;
}

/* Takes over the new entry. If its path is listed already, the old entry gets its values. */
static enum ds_status list_or_renew(struct ds_watch *watch, struct watched *watched)
{
    struct watched *old = find_by_path(watch, watched->path);
    enum ds_status status = DS_OK;

    if (old && old->status == DS_OK && old->stream_id == watched->stream_id) {
        leave_ready(watch, old);
        old->tag = watched->tag;
        old->told = watched->told;
        old->told_closed = false;
        free(watched);
        return DS_OK;
    }
    if (old) { /* its stream has ended */
        unlist_watched(watch, old);
        free(old);
    }
    status = list_watched(watch, watched);
    if (status != DS_OK)
        free(watched);
    return status;
}

/* --- looking --- */

/* Notes what a look has found. Looks may end in a different order from that in which they began, so
   no value may go back. */
static void take_look(struct ds_watch *watch, struct watched *watched, enum ds_status status,
                      const struct stream *stream)
{
    watched->has_failed = false;
    if (status == DS_OK) {
        watched->tail = stream->tail > watched->tail ? stream->tail : watched->tail;
        watched->closed |= stream->closed_at != 0;
        watched->expires_at = stream->expires_at;
    } else if (status == DS_NOT_FOUND || status == DS_GONE) {
        watched->status = status;
    } else {
        watched->has_failed = true;
    }
    if (watched->status != DS_OK || watched->tail > watched->told ||
        (watched->closed && !watched->told_closed))
        become_ready(watch, watched);
}

/* By the end of the look, the stream may not be watched any more. */
static void look_at_stream(struct ds_watch *watch, int64_t stream_id)
{
    struct arena *arena = arena_new();
    int64_t now = clock_wall_ms();
    struct store_conn *conn;
    struct stream stream;
    struct watched *watched;
    enum ds_status status = arena ? lib_acquire(watch->store, &conn) : DS_NO_MEMORY;

    if (status == DS_OK) {
        status = store_hold_id(conn, arena, stream_id, now, &stream);
        store_end_read(conn);
        lib_release(watch->store, conn);
    }
    if (status == DS_OK && stream.ttl_seconds >= 0)
        upkeep_renew(&watch->store->engine, stream_id, expiry_after_ttl(now, stream.ttl_seconds));
    (void)pthread_mutex_lock(&watch->lock);
    watched = find_by_id(watch, stream_id);
    if (watched)
        take_look(watch, watched, status, &stream);
    (void)pthread_mutex_unlock(&watch->lock);
    arena_free(arena);
}

/* --- the thread --- */

static void mark_changes(struct ds_watch *watch)
{
    enum wake_change change;
    struct watched *watched;
    int64_t stream_id;

    (void)pthread_mutex_lock(&watch->lock);
    while ((change = wake_next(watch->hints, &watch->seen, &stream_id)) != WAKE_NONE) {
        if (change == WAKE_LOST) {
            want_look_at_all(watch);
        } else {
            watched = find_by_id(watch, stream_id);
            if (watched)
                want_look(watch, watched);
        }
    }
    (void)pthread_mutex_unlock(&watch->lock);
}

/* Has any process committed since the last call? True also if the answer is not known. */
static bool has_database_changed(struct ds_watch *watch)
{
    struct version *version = watch->versions, *end = version + LIB_CONNECTIONS;
    struct store_conn *conn;
    int64_t number = -1, before = -1;

    if (lib_acquire(watch->store, &conn) != DS_OK)
        return true;
    (void)store_data_version(conn, &number);
    while (version < end && version->conn && version->conn != conn)
        version++;
    if (version < end) {
        before = version->conn ? version->number : -1;
        *version = (struct version){conn, number};
    }
    lib_release(watch->store, conn);
    return number < 0 || number != before;
}

/* For everything that does not ring the bell: see the top of the file. */
static void tick_watch(struct ds_watch *watch)
{
    bool changed = has_database_changed(watch);
    int64_t now = clock_wall_ms();
    struct watched *watched;

    (void)pthread_mutex_lock(&watch->lock);
    TAILQ_FOREACH(watched, &watch->all, all)
        if (changed || watched->has_failed || watched->ttl_seconds >= 0 ||
            (watched->expires_at != 0 && watched->expires_at <= now))
            want_look(watch, watched);
    watch->tick_at =
        clock_monotonic_ms() + (watch->briefs > 0 ? LIB_BRIEF_RECHECK_MS : HINTS_RECHECK_MS);
    (void)pthread_mutex_unlock(&watch->lock);
}

static void look_at_marked(struct ds_watch *watch)
{
    struct watched *watched;
    int64_t stream_id;

    while (!atomic_load(&watch->stopping)) {
        (void)pthread_mutex_lock(&watch->lock);
        watched = TAILQ_FIRST(&watch->looks);
        if (watched) {
            TAILQ_REMOVE(&watch->looks, watched, looks);
            watched->wants_look = false;
            stream_id = watched->stream_id;
        }
        (void)pthread_mutex_unlock(&watch->lock);
        if (!watched)
            return;
        look_at_stream(watch, stream_id);
    }
}

static void *run_watch(void *arg)
{
    struct ds_watch *watch = arg;

    for (;;) {
        uint32_t bell = wake_bell(watch->hints);

        if (atomic_load(&watch->stopping))
            return NULL;
        mark_changes(watch);
        if (atomic_exchange(&watch->hurries, false) || clock_monotonic_ms() >= watch->tick_at)
            tick_watch(watch);
        look_at_marked(watch);
        if (clock_monotonic_ms() < watch->tick_at)
            wake_wait(watch->hints, bell, watch->tick_at - clock_monotonic_ms());
    }
}

/* The thread inherits the mask of signals: it must not run the program's handlers. */
static bool start_watch_thread(struct ds_watch *watch)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    watch->has_thread = pthread_create(&watch->thread, NULL, run_watch, watch) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return watch->has_thread;
}

/* --- for the program --- */

enum ds_status ds_watch_open(struct ds_store *store, struct ds_watch **out)
{
    struct ds_watch *watch = calloc(1, sizeof *watch);
    enum ds_status status = DS_OK;

    if (!watch)
        return DS_NO_MEMORY;
    watch->store = store;
    watch->hints = store_hints(store->engine.store);
    watch->seen = wake_head(watch->hints);
    (void)pthread_mutex_init(&watch->lock, NULL);
    TAILQ_INIT(&watch->all);
    TAILQ_INIT(&watch->looks);
    TAILQ_INIT(&watch->ready);
    watch->descriptor = descriptor_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (watch->descriptor < 0)
        status = DS_FAILED;
    else if (!start_watch_thread(watch))
        status = DS_NO_MEMORY;
    if (status == DS_OK)
        *out = watch;
    else
        ds_watch_close(watch);
    return status;
}

void ds_watch_close(struct ds_watch *watch)
{
    struct watched *watched;

    if (!watch)
        return;
    atomic_store(&watch->stopping, true);
    if (watch->has_thread) {
        wake_ring(watch->hints);
        (void)pthread_join(watch->thread, NULL);
    }
    while ((watched = TAILQ_FIRST(&watch->all))) {
        unlist_watched(watch, watched);
        free(watched);
    }
    free(watch->ended);
    if (watch->descriptor >= 0)
        (void)close(watch->descriptor);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
}

int ds_watch_descriptor(const struct ds_watch *watch)
{
    return watch->descriptor;
}

static struct watched *make_watched(const struct lib_place *place, const struct stream *stream,
                                    void *tag)
{
    size_t size = strlen(place->path) + 1;
    struct watched *watched = malloc(sizeof *watched + size);

    if (!watched)
        return NULL;
    *watched = (struct watched){
        .path = memcpy(watched + 1, place->path, size),
        .stream_id = stream->id,
        .tag = tag,
        .tail = place->from,
        .told = place->from,
        .ttl_seconds = stream->ttl_seconds,
        .expires_at = stream->expires_at,
    };
    return watched;
}

/* Finds the stream and the position that its reader has reached. */
static enum ds_status prepare_watched(struct ds_store *store, const char *path, const char *offset,
                                      void *tag, struct watched **watched)
{
    struct arena *arena = arena_new();
    struct store_conn *conn;
    struct lib_place place;
    struct stream stream;
    enum ds_status status = DS_NO_MEMORY;

    if (arena)
        status = offset ? lib_place_parse(store, arena, path, offset, &place) : DS_INVALID;
    if (status == DS_OK)
        status = lib_acquire(store, &conn);
    if (status == DS_OK) {
        status = lib_place_find(store, conn, arena, &place, &stream);
        store_end_read(conn);
        lib_release(store, conn);
    }
    if (status == DS_OK) {
        *watched = make_watched(&place, &stream, tag);
        status = *watched ? DS_OK : DS_NO_MEMORY;
    }
    arena_free(arena);
    return status;
}

enum ds_status ds_watch_add(struct ds_watch *watch, const char *path, const char *offset, void *tag)
{
    struct watched *watched = NULL;
    int64_t stream_id;
    enum ds_status status = prepare_watched(watch->store, path, offset, tag, &watched);

    if (status != DS_OK)
        return status;
    stream_id = watched->stream_id;
    (void)pthread_mutex_lock(&watch->lock);
    status = list_or_renew(watch, watched);
    (void)pthread_mutex_unlock(&watch->lock);
    if (status == DS_OK)
        look_at_stream(watch, stream_id); /* for commits before it was listed */
    return status;
}

enum ds_status ds_watch_remove(struct ds_watch *watch, const char *path)
{
    struct arena *arena = arena_new();
    struct watched *watched = NULL;
    const char *normal, *reason;
    enum ds_status status =
        arena ? lib_path(watch->store, arena, path, &normal, &reason) : DS_NO_MEMORY;

    if (status == DS_OK) {
        (void)pthread_mutex_lock(&watch->lock);
        watched = find_by_path(watch, normal);
        if (watched)
            unlist_watched(watch, watched);
        (void)pthread_mutex_unlock(&watch->lock);
        status = watched ? DS_OK : DS_NOT_FOUND;
        free(watched);
    }
    arena_free(arena);
    return status;
}

enum ds_status ds_watch_next(struct ds_watch *watch, struct ds_watch_event *event)
{
    struct watched *watched;

    (void)pthread_mutex_lock(&watch->lock);
    free(watch->ended);
    watch->ended = NULL;
    watched = TAILQ_FIRST(&watch->ready);
    if (watched) {
        *event = (struct ds_watch_event){
            .status = watched->status,
            .path = watched->path,
            .tag = watched->tag,
            .closed = watched->closed,
        };
        offset_format(watched->tail, event->tail);
        watched->told = watched->tail;
        watched->told_closed = watched->closed;
        leave_ready(watch, watched);
        if (watched->status != DS_OK) {
            unlist_watched(watch, watched);
            watch->ended = watched;
        }
    }
    (void)pthread_mutex_unlock(&watch->lock);
    return watched ? DS_OK : DS_TIMEOUT;
}
