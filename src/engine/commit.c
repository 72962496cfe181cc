/* Group commit: see commit.h. */
#include "engine/commit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "hints/duty.h"
#include "hints/wake.h"
#include "protocol/path.h"

enum {
    BATCH_WRITES = 512, /* most writes of one transaction: bounds its length and a crash's loss */
    SLOTS = 1024,       /* of the table of streams; a power of two, at least 2 × BATCH_WRITES */
    RESCUE_MS = 1000,   /* between checkpoints for the sake of a full disk */
};

/* The streams that a batch has touched: an open hash table by path, and the ids to wake. */
struct batch_streams {
    struct stream *slot[SLOTS];
    uint16_t used[BATCH_WRITES]; /* slots, in the order in which they were filled */
    size_t uses;
    int64_t changed[4 * BATCH_WRITES]; /* a write notes two at most, but for one sweep */
    size_t changes;
};

struct commit {
    const struct config *config;
    struct store *store;
    struct hints *hints;
    struct store_conn *conn;
    struct store_conn *lent; /* a CGI process's only one, of the gateway */
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the queue */
    pthread_cond_t filled;
    struct commit_write *first, **last;
    int64_t queued, queued_bytes;
    bool stopping;
    _Atomic int64_t wal_bytes;
    int64_t next_rescue;           /* of the thread that has a transaction open */
    struct batch_streams *streams; /* of the one transaction that is under way */
};

/* --- streams of a batch --- */

/* The slot that has the path, or the free one where it would go. */
static uint32_t find_slot(const struct batch_streams *streams, const char *path)
{
    uint32_t i = path_hash(path) % SLOTS;

    while (streams->slot[i] && strcmp(streams->slot[i]->path, path) != 0)
        i = (i + 1) % SLOTS;
    return i;
}

static struct batch_streams *new_streams(void)
{
    struct batch_streams *streams = malloc(sizeof *streams);

    if (streams) { /* and no more: the rest is memory that need not be there yet */
        memset((void *)streams->slot, 0, sizeof streams->slot);
        streams->uses = streams->changes = 0;
    }
    return streams;
}

static void forget_all(struct batch_streams *streams)
{
    for (size_t i = 0; i < streams->uses; i++)
        streams->slot[streams->used[i]] = NULL;
    streams->uses = streams->changes = 0;
}

enum ds_status batch_find(struct batch *batch, const char *path, struct stream **out)
{
    struct batch_streams *streams = batch->streams;
    uint32_t slot = find_slot(streams, path);
    struct stream *stream = streams->slot[slot];
    enum ds_status status;

    *out = stream;
    if (stream && stream->id != 0)
        return DS_OK; /* only live ones stay here, and `now` is the same for all of the batch */
    stream = arena_alloc(batch->arena, sizeof *stream);
    if (!stream)
        return DS_NO_MEMORY;
    status = store_find(batch->conn, batch->arena, path, batch->now, stream);
    if (status == DS_OK) {
        if (!streams->slot[slot])
            streams->used[streams->uses++] = (uint16_t)slot;
        streams->slot[slot] = stream;
    }
    *out = stream;
    return status;
}

static void note_change(struct batch *batch, int64_t stream_id)
{
    batch->streams->changed[batch->streams->changes++] = stream_id;
}

void batch_changed(struct batch *batch, struct stream *stream, enum stream_change change)
{
    if (stream->change == STREAM_SAME)
        note_change(batch, stream->id);
    if (stream->change < change)
        stream->change = change;
}

enum ds_status batch_flush(struct batch *batch)
{
    struct batch_streams *streams = batch->streams;
    enum ds_status status = DS_OK;

    for (size_t i = 0; status == DS_OK && i < streams->uses; i++) {
        struct stream *stream = streams->slot[streams->used[i]];

        if (stream->id == 0 || stream->change == STREAM_SAME)
            continue;
        status = store_update(batch->conn, stream);
        stream->change = STREAM_SAME;
    }
    return status;
}

void batch_forget(struct batch *batch, const char *path)
{
    struct batch_streams *streams = batch->streams;
    struct stream *stream = streams->slot[find_slot(streams, path)];

    if (stream)
        stream->id = 0; /* a tombstone: what follows in the chain is still found */
}

void batch_ended(struct batch *batch, int64_t stream_id)
{
    note_change(batch, stream_id);
}

/* --- one transaction --- */

static enum ds_status apply_all(struct batch *batch, struct commit_write *first)
{
    enum ds_status status = store_begin_write(batch->conn);
    bool deletes = true;
    size_t bytes = 0;

    for (const struct commit_write *write = first; write; write = write->next) {
        deletes &= write->makes_room;
        bytes += write->bytes;
    }
    if (status != DS_OK)
        return status;
    batch->now = clock_wall_ms();
    if (bytes > SPILL_BYTES)
        status = store_keep_room(batch->conn, deletes);
    for (struct commit_write *write = first; status == DS_OK && write; write = write->next)
        status = write->apply(batch, write);
    if (status == DS_OK)
        status = batch_flush(batch);
    if (status == DS_OK)
        status = store_keep_room(batch->conn, deletes);
    if (status == DS_OK)
        return store_commit(batch->conn);
    store_rollback(batch->conn);
    return status;
}

/* For the test of invariant I3: the commit is durable, and nobody has been woken. */
static void test_hook(const struct commit_write *first)
{
#ifdef DS_TEST_HOOKS
    for (const struct commit_write *write = first; write; write = write->next)
        if (write->kill_after)
            (void)raise(SIGKILL);
#else
    (void)first;
#endif
}

/* Applies a list of writes in one transaction and wakes the readers of what changed. */
static enum ds_status transact(struct commit *commit, struct store_conn *conn,
                               struct commit_write *first)
{
    struct batch batch = {.conn = conn, .arena = arena_new()};
    enum ds_status status = DS_NO_MEMORY;

    if (!commit->streams) /* not earlier: most CGI processes read */
        commit->streams = new_streams();
    batch.streams = commit->streams;
    if (batch.arena && batch.streams)
        status = apply_all(&batch, first);
    else
        store_rollback(conn); /* the write lock may have been taken beforehand */
    if (status == DS_OK) {
        test_hook(first);
        wake_publish(commit->hints, batch.streams->changed, batch.streams->changes);
    }
    if (batch.streams)
        forget_all(batch.streams);
    arena_free(batch.arena);
    return status;
}

/* Not within a second of the last one; of CGI processes, each would be the first. */
static bool may_rescue(struct commit *commit)
{
    int64_t now = clock_monotonic_ms();

    if (!commit->threaded)
        return duty_checkpoint_is_due(commit->hints, clock_wall_ms());
    if (now < commit->next_rescue)
        return false;
    commit->next_rescue = now + RESCUE_MS;
    return true;
}

/* Perhaps the log has what the disk lacks. */
static bool start_log_anew(struct commit *commit, struct store_conn *conn)
{
    return commit->config->checkpoint && may_rescue(commit) &&
           store_checkpoint_anyway(conn, false) == DS_OK;
}

/*
 * A write by itself. On a full disk, one that makes room gets the reserve; tried twice, because
 * another program may have taken the room first.
 */
static enum ds_status transact_alone(struct commit *commit, struct store_conn *conn,
                                     struct commit_write *write)
{
    enum ds_status status = transact(commit, conn, write);

    if (status == DS_NO_SPACE && !write->makes_room) {
        if (start_log_anew(commit, conn))
            status = transact(commit, conn, write);
        if (status == DS_NO_SPACE)
            store_note_full(conn);
        return status;
    }
    for (int i = 0; i < 2 && status == DS_NO_SPACE; i++) {
        if (!store_begin_reclaim(conn))
            return DS_BUSY;
        status = transact(commit, conn, write);
        store_end_reclaim(conn);
    }
    return status;
}

static void transact_one_by_one(struct commit *commit, struct store_conn *conn,
                                struct commit_write *first)
{
    struct commit_write *next;

    for (struct commit_write *write = first; write; write = next) {
        next = write->next;
        write->next = NULL;
        write->status = transact_alone(commit, conn, write);
        write->next = next;
    }
}

static void run_batch(struct commit *commit, struct store_conn *conn, struct commit_write *first)
{
    enum ds_status status =
        first->next ? transact(commit, conn, first) : transact_alone(commit, conn, first);
    struct commit_write *next;

    if (status == DS_OK || status == DS_BUSY || !first->next) {
        for (struct commit_write *write = first; write; write = write->next)
            write->status = status;
    } else {
        if (status != DS_NO_SPACE)
            log_warn("a batch failed: trying its writes one by one");
        transact_one_by_one(commit, conn, first);
    }
    atomic_store(&commit->wal_bytes, store_wal_bytes(conn));
    for (struct commit_write *write = first; write; write = next) {
        next = write->next; /* finish() ends the write */
        write->finish(write, write->status);
    }
    store_deliver_events(conn);
}

/* --- queue and thread --- */

/* Takes the queue, or the first `most` of it. */
static struct commit_write *take(struct commit *commit, int64_t most)
{
    struct commit_write *first = commit->first, **last = &commit->first;

    for (int n = 0; *last && n < most; n++) {
        commit->queued--;
        commit->queued_bytes -= (int64_t)(*last)->bytes;
        last = &(*last)->next;
    }
    commit->first = *last;
    if (!commit->first)
        commit->last = &commit->first;
    if (last != &commit->first)
        *last = NULL;
    return first;
}

static void refuse_all(struct commit_write *first)
{
    struct commit_write *next;

    for (struct commit_write *write = first; write; write = next) {
        next = write->next;
        write->finish(write, DS_BUSY);
    }
}

/*
 * One batch. Other processes are waited for before the queue is taken, not after: what comes
 * meanwhile goes along.
 */
static void commit_queue(struct commit *commit)
{
    int64_t waiting = commit->queued;
    enum ds_status status;
    struct commit_write *first;

    (void)pthread_mutex_unlock(&commit->lock);
    status = store_lock_write(commit->conn);
    (void)pthread_mutex_lock(&commit->lock);
    first = take(commit, status == DS_BUSY ? waiting : BATCH_WRITES);
    (void)pthread_mutex_unlock(&commit->lock);
    if (status == DS_BUSY)
        refuse_all(first);
    else
        run_batch(commit, commit->conn, first);
    (void)pthread_mutex_lock(&commit->lock);
}

static void *run(void *arg)
{
    struct commit *commit = arg;

    (void)pthread_mutex_lock(&commit->lock);
    while (commit->first || !commit->stopping) {
        if (commit->first)
            commit_queue(commit);
        else
            (void)pthread_cond_wait(&commit->filled, &commit->lock);
    }
    (void)pthread_mutex_unlock(&commit->lock);
    return NULL;
}

/*
 * On the gateway's connection, for making another one is most of what a request costs; unless it
 * is reading just now, and what is read goes on with what it has begun with.
 */
static void submit_in_place(struct commit *commit, struct commit_write *write)
{
    enum ds_status status = DS_OK;

    if (commit->lent && store_is_idle(commit->lent)) {
        run_batch(commit, commit->lent, write);
        return;
    }
    if (!commit->conn)
        status = store_connect(&commit->conn, commit->store);
    if (status == DS_OK)
        run_batch(commit, commit->conn, write);
    else
        write->finish(write, status);
}

void commit_lend(struct commit *commit, struct store_conn *conn)
{
    commit->lent = conn;
}

void commit_submit(struct commit *commit, struct commit_write *write)
{
    bool full;

    write->next = NULL;
    if (!commit->threaded) {
        submit_in_place(commit, write);
        return;
    }
    (void)pthread_mutex_lock(&commit->lock);
    full = commit->stopping || commit->queued >= commit->config->max_queued ||
           (commit->queued > 0 &&
            commit->queued_bytes + (int64_t)write->bytes > commit->config->max_queued_bytes);
    if (!full) {
        if (!commit->first)
            (void)pthread_cond_signal(&commit->filled);
        *commit->last = write;
        commit->last = &write->next;
        commit->queued++;
        commit->queued_bytes += (int64_t)write->bytes;
    }
    (void)pthread_mutex_unlock(&commit->lock);
    if (full)
        write->finish(write, DS_BUSY);
}

enum ds_status commit_start(struct commit **out, struct store *store, const struct config *config,
                            bool thread)
{
    struct commit *commit = calloc(1, sizeof *commit);
    enum ds_status status;

    if (!commit)
        return DS_NO_MEMORY;
    commit->config = config;
    commit->store = store;
    commit->hints = store_hints(store);
    commit->last = &commit->first;
    status = thread ? store_connect(&commit->conn, store) : DS_OK;
    if (status != DS_OK)
        goto fail;
    if (thread)
        store_write_much(commit->conn);
    (void)pthread_mutex_init(&commit->lock, NULL);
    (void)pthread_cond_init(&commit->filled, NULL);
    status = DS_NO_MEMORY;
    if (thread && pthread_create(&commit->thread, NULL, run, commit) != 0)
        goto fail;
    commit->threaded = thread;
    *out = commit;
    return DS_OK;
fail:
    store_disconnect(commit->conn);
    free(commit);
    return status;
}

void commit_stop(struct commit *commit)
{
    if (!commit)
        return;
    (void)pthread_mutex_lock(&commit->lock);
    commit->stopping = true;
    (void)pthread_cond_signal(&commit->filled);
    (void)pthread_mutex_unlock(&commit->lock);
    if (commit->threaded)
        (void)pthread_join(commit->thread, NULL);
}

void commit_free(struct commit *commit)
{
    if (!commit)
        return;
    (void)pthread_cond_destroy(&commit->filled);
    (void)pthread_mutex_destroy(&commit->lock);
    store_disconnect(commit->conn);
    free(commit->streams);
    free(commit);
}

int64_t commit_wal_bytes(struct commit *commit)
{
    return atomic_load(&commit->wal_bytes);
}

void commit_wal_restarted(struct commit *commit)
{
    atomic_store(&commit->wal_bytes, 0);
}

void commit_wal_grew(struct commit *commit, int64_t bytes)
{
    atomic_store(&commit->wal_bytes, bytes);
}
