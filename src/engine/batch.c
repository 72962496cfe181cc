/* One transaction for many writes: see batch.h. */
#include "engine/batch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/subscription.h"
#include "hints/duty.h"
#include "hints/wake.h"

enum {
    SLOTS = 1024,     /* of the table of streams; a power of two, at least 2 × BATCH_WRITES */
    RESCUE_MS = 1000, /* between checkpoints that make room on a full disk */
    FIRST_IDS = 64,   /* room in an array */
};

/* Ids in an array that grows. */
struct batch_ids {
    int64_t *id;
    size_t n, room;
};

/* The streams that a batch has touched, in an open hash table by path, and the ids of those whose
   readers must be woken. */
struct batch_streams {
    struct stream *slot[SLOTS];
    uint16_t used[BATCH_WRITES]; /* slots in use, in the order in which they were filled */
    size_t uses;
    struct batch_ids changed;
    struct batch_ids grown; /* have subscriptions, which are still to be told */
    bool lives;             /* streams were created or ended */
    bool failed;            /* out of memory: the transaction must not commit */
};

void batch_context_close(struct batch_context *context)
{
    if (context->streams) {
        free(context->streams->changed.id);
        free(context->streams->grown.id);
    }
    free(context->streams);
    context->streams = NULL;
}

/* --- streams of a batch --- */

/* The slot of the path, or the free one where it belongs. */
static uint32_t find_slot(const struct batch_streams *streams, const char *path)
{
    uint32_t i = (uint32_t)(hash_text(path) % SLOTS);

    while (streams->slot[i] && strcmp(streams->slot[i]->path, path) != 0)
        i = (i + 1) % SLOTS;
    return i;
}

static struct batch_streams *new_streams(void)
{
    struct batch_streams *streams = malloc(sizeof *streams);

    if (streams) { /* `used` is not cleared: untouched pages cost no memory */
        memset((void *)streams->slot, 0, sizeof streams->slot);
        streams->uses = 0;
        streams->changed = streams->grown = (struct batch_ids){NULL, 0, 0};
        streams->lives = streams->failed = false;
    }
    return streams;
}

static void drop_copies(struct batch_streams *streams)
{
    for (size_t i = 0; i < streams->uses; i++)
        streams->slot[streams->used[i]] = NULL;
    streams->uses = 0;
}

static void forget_all(struct batch_streams *streams)
{
    drop_copies(streams);
    streams->changed.n = streams->grown.n = 0;
    streams->lives = streams->failed = false;
}

static void add_id(struct batch_streams *streams, struct batch_ids *ids, int64_t id)
{
    size_t room = ids->room == 0 ? FIRST_IDS : 2 * ids->room;
    int64_t *more = ids->n < ids->room ? ids->id : realloc(ids->id, room * sizeof *more);

    if (!more) {
        streams->failed = true;
        return;
    }
    if (ids->n == ids->room)
        ids->room = room;
    ids->id = more;
    ids->id[ids->n++] = id;
}

enum ds_status batch_find(struct batch *batch, const char *path, struct stream **out)
{
    struct batch_streams *streams = batch->streams;
    uint32_t slot = find_slot(streams, path);
    struct stream *stream = streams->slot[slot];
    enum ds_status status;

    *out = stream;
    /* it is live, and stays so for the whole batch, which has a single `now` */
    if (stream && stream->id != 0)
        return DS_OK;
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
    add_id(batch->streams, &batch->streams->changed, stream_id);
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
        if (stream->is_subscribed)
            add_id(streams, &streams->grown, stream->id);
    }
    return status == DS_OK && streams->failed ? DS_NO_MEMORY : status;
}

enum ds_status batch_reread(struct batch *batch)
{
    enum ds_status status = batch_flush(batch);

    drop_copies(batch->streams);
    return status;
}

enum ds_status batch_make_room(struct batch *batch)
{
    return batch->streams->uses < BATCH_WRITES ? DS_OK : batch_reread(batch);
}

void batch_forget(struct batch *batch, const char *path)
{
    struct batch_streams *streams = batch->streams;
    struct stream *stream = streams->slot[find_slot(streams, path)];

    /* keeps its slot, so that streams in the slots after it are still found */
    if (stream)
        stream->id = 0;
}

void batch_ended(struct batch *batch, int64_t stream_id)
{
    note_change(batch, stream_id);
    batch->streams->lives = true;
}

void batch_made(struct batch *batch)
{
    batch->streams->lives = true;
}

void batch_wake(struct batch *batch, int64_t id)
{
    note_change(batch, id);
}

bool batch_take_lives(struct batch *batch)
{
    bool lives = batch->streams->lives;

    batch->streams->lives = false;
    return lives;
}

bool batch_take_grown(struct batch *batch, int64_t *stream_id)
{
    struct batch_ids *grown = &batch->streams->grown;

    if (grown->n == 0)
        return false;
    *stream_id = grown->id[--grown->n];
    return true;
}

/* --- one transaction --- */

/* Has the batch done anything that subscription_settle() must hear of? */
static bool owes_subscriptions(const struct batch_streams *streams)
{
    return streams->lives || streams->grown.n > 0;
}

static enum ds_status apply_all(struct batch *batch, struct commit_writes *writes)
{
    enum ds_status status = store_begin_write(batch->conn);
    struct commit_write *write;
    bool deletes = true;
    size_t bytes = 0;

    if (status != DS_OK)
        return status;
    STAILQ_FOREACH(write, writes, link) {
        deletes &= write->makes_room;
        bytes += write->bytes;
    }
    batch->now = clock_wall_ms();
    if (bytes > SPILL_BYTES)
        status = store_keep_room(batch->conn, deletes);
    for (write = STAILQ_FIRST(writes); status == DS_OK && write; write = STAILQ_NEXT(write, link))
        status = write->apply(batch, write);
    if (status == DS_OK)
        status = batch_flush(batch);
    if (status == DS_OK && owes_subscriptions(batch->streams))
        status = subscription_settle(batch);
    if (status == DS_OK)
        status = store_keep_room(batch->conn, deletes);
    if (status == DS_OK)
        return store_commit(batch->conn);
    store_rollback(batch->conn);
    return status;
}

/* For the test of invariant I3: the process dies after the commit, before it wakes a reader. */
static void die_before_wake_up(const struct commit_writes *writes)
{
#ifdef DS_TEST_HOOKS
    const struct commit_write *write;

    STAILQ_FOREACH(write, writes, link) {
        if (write->kill_after)
            (void)raise(SIGKILL);
    }
#else
    (void)writes;
#endif
}

/* Applies the writes in one transaction and wakes the readers of the streams that changed. */
static enum ds_status run_transaction(struct batch_context *context, struct store_conn *conn,
                                      struct commit_writes *writes)
{
    struct batch batch = {.conn = conn, .arena = arena_new()};
    enum ds_status status = DS_NO_MEMORY;

    if (!context->streams) /* made only now, because most CGI processes never write */
        context->streams = new_streams();
    batch.streams = context->streams;
    if (batch.arena && batch.streams)
        status = apply_all(&batch, writes);
    else
        store_rollback(conn); /* releases the write lock, which the caller may have taken */
    if (status == DS_OK) {
        die_before_wake_up(writes);
        wake_publish(context->hints, batch.streams->changed.id, batch.streams->changed.n);
    }
    if (batch.streams)
        forget_all(batch.streams);
    arena_free(batch.arena);
    return status;
}

/* True at most once a second. CGI processes live only for a moment, so they note the time of their
   last attempt in the mapped file. */
static bool may_rescue(struct batch_context *context)
{
    int64_t now = clock_monotonic_ms();

    if (!context->threaded)
        return duty_checkpoint_is_due(context->hints, clock_wall_ms());
    if (now < context->next_rescue)
        return false;
    context->next_rescue = now + RESCUE_MS;
    return true;
}

/* A checkpoint lets the next transaction overwrite the log, which needs no room on the disk. */
static bool restart_log(struct batch_context *context, struct store_conn *conn)
{
    return context->config->checkpoint && may_rescue(context) &&
           store_checkpoint_anyway(conn, false) == DS_OK;
}

/*
 * Runs a list of one write. On a full disk, a write that makes room gets the reserve; twice if
 * necessary, since another program may take the room first.
 */
static enum ds_status run_alone(struct batch_context *context, struct store_conn *conn,
                                struct commit_writes *alone)
{
    bool makes_room = STAILQ_FIRST(alone)->makes_room;
    enum ds_status status = run_transaction(context, conn, alone);

    if (status == DS_NO_SPACE && !makes_room) {
        if (restart_log(context, conn))
            status = run_transaction(context, conn, alone);
        if (status == DS_NO_SPACE)
            store_note_full(conn);
        return status;
    }
    for (int i = 0; i < 2 && status == DS_NO_SPACE; i++) {
        if (!store_begin_reclaim(conn))
            return DS_BUSY;
        status = run_transaction(context, conn, alone);
        store_end_reclaim(conn);
    }
    return status;
}

static void run_one_by_one(struct batch_context *context, struct store_conn *conn,
                           struct commit_writes *writes)
{
    struct commit_writes done = STAILQ_HEAD_INITIALIZER(done);
    struct commit_write *write;

    while ((write = STAILQ_FIRST(writes))) {
        struct commit_writes alone = STAILQ_HEAD_INITIALIZER(alone);

        STAILQ_REMOVE_HEAD(writes, link);
        STAILQ_INSERT_TAIL(&alone, write, link);
        write->status = run_alone(context, conn, &alone);
        STAILQ_INSERT_TAIL(&done, write, link);
    }
    STAILQ_CONCAT(writes, &done);
}

void batch_run(struct batch_context *context, struct store_conn *conn, struct commit_writes *writes)
{
    struct commit_write *write = STAILQ_FIRST(writes);
    bool is_one = !STAILQ_NEXT(write, link);
    enum ds_status status =
        is_one ? run_alone(context, conn, writes) : run_transaction(context, conn, writes);

    if (status == DS_OK || status == DS_BUSY || is_one) {
        STAILQ_FOREACH(write, writes, link)
            write->status = status;
    } else {
        if (status != DS_NO_SPACE)
            log_warn("a batch failed: trying its writes one by one");
        run_one_by_one(context, conn, writes);
    }
    atomic_store(&context->wal_bytes, store_wal_bytes(conn));
    while ((write = STAILQ_FIRST(writes))) {
        STAILQ_REMOVE_HEAD(writes, link); /* before finish(), which ends the write */
        write->finish(write, write->status);
    }
    store_deliver_events(conn);
}
