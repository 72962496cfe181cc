/*
 * Performs every operation on a database, whatever it contains: finds, reads, writes and deletes
 * each stream, sweeps, checks and exports. Any status is right, as long as the operation ends.
 */
#ifndef FUZZ_WALK_H
#define FUZZ_WALK_H

#include <sys/mman.h>

#include "base/arena.h"
#include "fuzz_store.h"
#include "protocol/fault.h"
#include "protocol/producer.h"
#include "store/store.h"
#include "store/store_list.h"
#include "store/store_subscription.h"
#include "store/tools/store_check.h"
#include "store/tools/store_dump.h"

enum { WALK_STREAMS = 40, WALK_READS = 2000, WALK_SWEEPS = 50 };

#define WALK_NOW INT64_C(1800000000000)

struct walk {
    struct store_conn *conn;
    struct arena *arena;
    const char *path[WALK_STREAMS];
    int paths;
};

static inline bool walk_note(void *arg, const struct stream *stream, const char *source,
                             enum ds_status life)
{
    struct walk *walk = arg;

    (void)life;
    fuzz_require(stream->path && stream->content_type && (!source || strlen(source) < SIZE_MAX));
    walk->path[walk->paths++] = arena_strndup(walk->arena, stream->path, strlen(stream->path));
    return walk->paths < WALK_STREAMS;
}

/* Reads a stream to its end: every read must make progress, or be the last. */
static inline void walk_read(const struct walk *walk, const char *path)
{
    struct stream stream;
    struct buf out = {0};
    int64_t position = 0, next = 0;
    enum ds_status status = store_hold(walk->conn, walk->arena, path, WALK_NOW, &stream);

    for (int i = 0; status == DS_OK && i < WALK_READS; i++) {
        buf_clear(&out);
        status = store_read(walk->conn, &stream, position, 50000, &out, &next);
        if (status != DS_OK || next == position)
            break;
        fuzz_require(next > position);
        position = next;
    }
    buf_close(&out);
    store_end_read(walk->conn);
    (void)store_begin_read(walk->conn);
    if (store_find(walk->conn, walk->arena, path, WALK_NOW, &stream) == DS_OK) {
        (void)store_resolve(walk->conn, &stream, 0, 1, &position);
        (void)store_resolve(walk->conn, &stream, stream.tail, 0, &position);
    }
    store_end_read(walk->conn);
}

static inline enum ds_status walk_write(const struct walk *walk, const char *path)
{
    const struct producer producer = {"p", 1, 0, 1};
    struct producer_state state;
    struct stream stream;
    enum ds_status status = store_find(walk->conn, walk->arena, path, WALK_NOW, &stream);

    if (status != DS_OK)
        return status;
    status = store_producer_get(walk->conn, stream.id, &producer, &state);
    if (status == DS_OK)
        status = store_append(walk->conn, &stream, "[1]", 3, WALK_NOW);
    if (status == DS_OK)
        status = store_update(walk->conn, &stream);
    if (status == DS_OK)
        status = store_producer_put(walk->conn, stream.id, &producer, WALK_NOW);
    return status;
}

/* One transaction, which is committed if everything succeeded. */
static inline void walk_change(const struct walk *walk, const char *path, bool deletes)
{
    struct stream stream;
    enum ds_status status = store_begin_write(walk->conn);

    if (status != DS_OK)
        return;
    if (!deletes)
        status = walk_write(walk, path);
    else if (store_find(walk->conn, walk->arena, path, WALK_NOW, &stream) == DS_OK)
        status = store_delete(walk->conn, &stream, WALK_NOW);
    if (status == DS_OK)
        (void)store_commit(walk->conn);
    else
        store_rollback(walk->conn);
}

static inline void walk_sweep(const struct walk *walk)
{
    int64_t ended[SWEEP_STREAMS];
    size_t n;
    bool more = true;

    for (int i = 0; more && i < WALK_SWEEPS; i++) {
        enum ds_status status = store_begin_write(walk->conn);

        more = false;
        if (status != DS_OK)
            return;
        status = store_sweep(walk->conn, walk->arena, WALK_NOW, ended, &n, &more);
        if (status == DS_OK && i == 0)
            status = store_sweep_orphaned(walk->conn, walk->arena, WALK_NOW);
        if (status == DS_OK)
            status = store_commit(walk->conn);
        else
            store_rollback(walk->conn);
        more = more && status == DS_OK;
    }
}

/* Exports to a nameless file, and rewinds it. */
static inline FILE *walk_export(struct store_conn *conn, enum ds_status *status)
{
    FILE *file = fdopen(memfd_create("export", MFD_CLOEXEC), "w+");
    struct store_dump dump = {.file = file};

    fuzz_require(file);
    *status = store_export(conn, &dump);
    fuzz_require((*status == DS_OK) == (dump.reason[0] == '\0'));
    rewind(file);
    return file;
}

static inline void walk_finding(void *arg, enum store_check_kind kind, const char *path,
                                const char *text)
{
    (void)arg;
    (void)path;
    fuzz_require(kind <= STORE_CHECK_NOTE && text && *text);
}

/* The number of damages that the check finds; -1 if the check failed. */
static inline int64_t walk_check(void)
{
    struct store_check check = {.database = fuzz_config.database,
                                .busy_timeout_ms = 100,
                                .now = WALK_NOW,
                                .fn = walk_finding};
    enum ds_status status = store_check(&check);

    fuzz_require(status == DS_OK || check.reason[0]);
    return status == DS_OK ? check.damages : -1;
}

/* All that is read of subscriptions, without their decisions. */
static inline void walk_subscriptions(const struct walk *walk)
{
    struct webhook_key keys[WEBHOOK_KEYS_MOST];
    struct subscription row = {.name = ""};
    struct subscription_link *links;
    const struct store_attempt_filter all = {.look = 4};
    int64_t ids[4], *idle;
    size_t n;
    bool has = false;

    (void)store_webhook_keys(walk->conn, keys, &n);
    if (store_has_subscriptions(walk->conn, &has) != DS_OK || !has)
        return;
    for (int i = 0; i < WALK_STREAMS; i++) {
        if (store_subscription_after(walk->conn, walk->arena, row.name, &row) != DS_OK)
            break;
        (void)store_links(walk->conn, walk->arena, row.id, STORE_LINKS_ALL, 100, &links, &n);
    }
    (void)store_subscriptions_due(walk->conn, WALK_NOW, ids, 4, &n);
    (void)store_subscriptions_to_attempt(walk->conn, WALK_NOW, &all, ids, 4, &n);
    if (store_begin_write(walk->conn) != DS_OK)
        return;
    (void)store_links_grow(walk->conn, walk->arena, 1, &idle, &n);
    store_rollback(walk->conn);
}

static inline void walk(struct store *store)
{
    struct walk walk = {.arena = arena_new()};
    struct buf faults = {0};
    enum ds_status status;

    fuzz_require(walk.arena);
    if (store_connect(&walk.conn, store) == DS_OK) {
        const struct store_list list = {.order = STORE_LIST_BY_EXPIRES, .dead = true};

        (void)store_list(walk.conn, &list, WALK_NOW, walk_note, &walk);
        for (int i = 0; i < walk.paths; i++)
            walk_read(&walk, walk.path[i]);
        (void)fclose(walk_export(walk.conn, &status));
        (void)store_fault_list(walk.conn, &faults);
        walk_subscriptions(&walk);
        for (int i = 0; i < walk.paths; i++)
            walk_change(&walk, walk.path[i], false);
        for (int i = 0; i < walk.paths; i += 2)
            walk_change(&walk, walk.path[i], true);
        walk_sweep(&walk);
        (void)store_checkpoint(walk.conn, false);
        (void)store_checkpoint(walk.conn, true);
        store_disconnect(walk.conn);
    }
    buf_close(&faults);
    arena_free(walk.arena);
}

/* --- a database that contains some of everything --- */

static inline struct stream walk_stream(struct store_conn *conn, const char *path, const char *type,
                                        const struct stream *source)
{
    struct stream stream = {.path = path, .content_type = type, .created_at = 1, .ttl_seconds = -1};

    stream.kind = http_type_kind(type);
    if (source) {
        stream.source_id = source->id;
        stream.tail = stream.fork_position = stream.fork_offset = source->tail;
    }
    fuzz_require(store_insert(conn, &stream) == DS_OK);
    for (int i = 0; i < 3; i++)
        fuzz_require(store_append(conn, &stream, "{\"a\":1}", 7, 2) == DS_OK);
    fuzz_require(store_update(conn, &stream) == DS_OK);
    return stream;
}

static inline void walk_fill(struct store_conn *conn)
{
    static char large[300000]; /* several rows */
    const struct producer producer = {"p", 1, 0, 0};
    const struct fault fault = {.path = "/a",
                                .count = 5,
                                .status = 500,
                                .probability = 1,
                                .delay_ms = -1,
                                .retry_after = -1};
    struct stream a, b, c, d;

    memset(large, 'x', sizeof large);
    fuzz_require(store_begin_write(conn) == DS_OK);
    a = walk_stream(conn, "/a", "text/plain", NULL);
    b = walk_stream(conn, "/b", "application/json", NULL);
    c = walk_stream(conn, "/c", "text/plain", &a);
    d = walk_stream(conn, "/d", "text/plain", &c);
    fuzz_require(store_append(conn, &a, large, sizeof large, 3) == DS_OK);
    b.ttl_seconds = 10;
    b.expires_at = WALK_NOW - 1;
    d.closed_at = 5;
    fuzz_require(store_update(conn, &a) == DS_OK && store_update(conn, &b) == DS_OK &&
                 store_update(conn, &d) == DS_OK);
    fuzz_require(store_producer_put(conn, a.id, &producer, 4) == DS_OK);
    fuzz_require(store_delete(conn, &c, 6) == DS_OK); /* kept for its fork */
    fuzz_require(store_commit(conn) == DS_OK);
    fuzz_require(store_fault_set(conn, &fault) == DS_OK);
}

static inline void walk_link(struct store_conn *conn, int64_t subscription_id,
                             const struct stream *stream, int64_t acked)
{
    const struct subscription_link link = {.path = stream->path,
                                           .stream_id = stream->id,
                                           .is_explicit = true,
                                           .acked = acked,
                                           .pending = stream->tail > acked};

    fuzz_require(store_link_put(conn, subscription_id, &link) == DS_OK);
}

/* A webhook that is being delivered, and one that was deleted. */
static inline void walk_subscribe(struct store_conn *conn)
{
    struct subscription hook = {.name = "h",
                                .is_webhook = true,
                                .url = "https://h/",
                                .lease_ttl_ms = 1000,
                                .config = "{}",
                                .base_url = ""},
                        gone = hook;
    const struct webhook_key key = {
        .kid = "k", .x = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ", .signs_from = 1};
    struct arena *arena = arena_new();
    struct stream a;

    gone.name = "gone";
    fuzz_require(arena && store_begin_write(conn) == DS_OK);
    fuzz_require(store_find(conn, arena, "/a", 0, &a) == DS_OK);
    fuzz_require(store_make_subscriptions(conn) == DS_OK);
    fuzz_require(store_subscription_insert(conn, &hook) == DS_OK);
    fuzz_require(store_subscription_insert(conn, &gone) == DS_OK);
    fuzz_require(store_subscription_delete(conn, gone.id) == DS_OK);
    walk_link(conn, hook.id, &a, 7);
    hook.generation = hook.attempts = 1;
    hook.wake_id = "w_1";
    hook.token = "secret";
    hook.next_attempt_at = hook.lease_until = WALK_NOW;
    fuzz_require(store_subscription_update(conn, &hook) == DS_OK);
    fuzz_require(store_commit(conn) == DS_OK);
    fuzz_require(store_webhook_key_put(conn, &key) == DS_OK);
    arena_free(arena);
}

/* The bytes of that database. */
static inline void walk_make(struct buf *bytes)
{
    struct store *store;
    struct store_conn *conn;

    fuzz_begin();
    fuzz_require(store_open(&store, &fuzz_config, false) == DS_OK);
    fuzz_require(store_connect(&conn, store) == DS_OK);
    walk_fill(conn);
    walk_subscribe(conn);
    fuzz_require(store_checkpoint(conn, true) == DS_OK);
    store_disconnect(conn);
    store_close(store, false);
    fuzz_load(bytes);
    fuzz_require(walk_check() == 0);
}

#endif
