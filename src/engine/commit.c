/* Group commit: see commit.h. */
#include "engine/commit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "config/config.h"
#include "store/store.h"

struct commit {
    struct batch_context context;
    struct store *store;
    struct store_conn *conn;
    struct store_conn *lent; /* in a CGI process: its only connection, which the gateway owns */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t filled;
    struct commit_writes queue;
    int64_t queued, queued_bytes;
    bool stopping;
};

/* Moves the first writes of the queue, `most` of them at most, to `writes`, which is empty. */
static void take_writes(struct commit *commit, int64_t most, struct commit_writes *writes)
{
    struct commit_write *write;

    for (; most > 0 && (write = STAILQ_FIRST(&commit->queue)); most--) {
        STAILQ_REMOVE_HEAD(&commit->queue, link);
        STAILQ_INSERT_TAIL(writes, write, link);
        commit->queued--;
        commit->queued_bytes -= (int64_t)write->bytes;
    }
}

static void refuse_writes(struct commit_writes *writes)
{
    struct commit_write *write;

    while ((write = STAILQ_FIRST(writes))) {
        STAILQ_REMOVE_HEAD(writes, link);
        write->finish(write, DS_BUSY);
    }
}

/*
 * Runs one batch. Waits for other processes before it takes the queue, so that writes submitted
 * during the wait are part of the batch.
 */
static void commit_queue(struct commit *commit)
{
    int64_t waiting = commit->queued;
    enum ds_status status;
    struct commit_writes writes = STAILQ_HEAD_INITIALIZER(writes);

    (void)pthread_mutex_unlock(&commit->lock);
    status = store_lock_write(commit->conn);
    (void)pthread_mutex_lock(&commit->lock);
    take_writes(commit, status == DS_BUSY ? waiting : BATCH_WRITES, &writes);
    (void)pthread_mutex_unlock(&commit->lock);
    if (status == DS_BUSY)
        refuse_writes(&writes);
    else
        batch_run(&commit->context, commit->conn, &writes);
    (void)pthread_mutex_lock(&commit->lock);
}

static void *run_committer(void *arg)
{
    struct commit *commit = arg;

    (void)pthread_mutex_lock(&commit->lock);
    while (!STAILQ_EMPTY(&commit->queue) || !commit->stopping) {
        if (!STAILQ_EMPTY(&commit->queue))
            commit_queue(commit);
        else
            (void)pthread_cond_wait(&commit->filled, &commit->lock);
    }
    (void)pthread_mutex_unlock(&commit->lock);
    return NULL;
}

/*
 * Commits in the caller, on the gateway's connection, since opening another one would be most of a
 * request's cost. If that connection is in a read transaction, the write needs one of its own.
 */
static void submit_in_place(struct commit *commit, struct commit_write *write)
{
    struct commit_writes writes = STAILQ_HEAD_INITIALIZER(writes);
    enum ds_status status = DS_OK;

    STAILQ_INSERT_TAIL(&writes, write, link);
    if (commit->lent && store_is_idle(commit->lent)) {
        batch_run(&commit->context, commit->lent, &writes);
        return;
    }
    if (!commit->conn)
        status = store_connect(&commit->conn, commit->store);
    if (status == DS_OK)
        batch_run(&commit->context, commit->conn, &writes);
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

    if (!commit->context.threaded) {
        submit_in_place(commit, write);
        return;
    }
    (void)pthread_mutex_lock(&commit->lock);
    full = commit->stopping || commit->queued >= commit->context.config->max_queued ||
           (commit->queued > 0 && commit->queued_bytes + (int64_t)write->bytes >
                                      commit->context.config->max_queued_bytes);
    if (!full) {
        if (STAILQ_EMPTY(&commit->queue))
            (void)pthread_cond_signal(&commit->filled);
        STAILQ_INSERT_TAIL(&commit->queue, write, link);
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
    commit->context.config = config;
    commit->context.hints = store_hints(store);
    commit->context.threaded = thread;
    commit->store = store;
    STAILQ_INIT(&commit->queue);
    status = thread ? store_connect(&commit->conn, store) : DS_OK;
    if (status != DS_OK)
        goto fail;
    if (thread)
        store_write_much(commit->conn);
    (void)pthread_mutex_init(&commit->lock, NULL);
    (void)pthread_cond_init(&commit->filled, NULL);
    status = DS_NO_MEMORY;
    if (thread && pthread_create(&commit->thread, NULL, run_committer, commit) != 0)
        goto fail;
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
    if (commit->context.threaded)
        (void)pthread_join(commit->thread, NULL);
}

void commit_free(struct commit *commit)
{
    if (!commit)
        return;
    (void)pthread_cond_destroy(&commit->filled);
    (void)pthread_mutex_destroy(&commit->lock);
    store_disconnect(commit->conn);
    batch_context_close(&commit->context);
    free(commit);
}

int64_t commit_wal_bytes(struct commit *commit)
{
    return atomic_load(&commit->context.wal_bytes);
}

void commit_wal_restarted(struct commit *commit)
{
    atomic_store(&commit->context.wal_bytes, 0);
}

void commit_wal_grew(struct commit *commit, int64_t bytes)
{
    atomic_store(&commit->context.wal_bytes, bytes);
}
