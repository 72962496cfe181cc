/* Upkeep: see upkeep.h. */
#include "engine/upkeep.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/subscription.h"
#include "hints/duty.h"
#include "hints/hints.h"
#include "hints/renewal.h"
#include "store/store.h"

enum {
    ROUND_MS = 100, /* between checks of the log's size; everything else runs once a second */
    SECOND_MS = 1000,
    ORPHANED_MS = 60000,        /* between searches of all deleted streams */
    GIVE_BACK_MS = 30000,       /* between returns of free memory to the system */
    RENEWALS = 1024,            /* saved in one transaction */
    CGI_WAL_BYTES = 256 * 1024, /* each CGI process reads the whole log at its start */
};

struct upkeep {
    struct engine *engine;
    struct store_conn *conn;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* stopping was set, or busy was cleared */
    bool stopping, busy;  /* busy: a write of upkeep is under way */
    int64_t next_second;
    int64_t next_lease_end; /* wall clock ms: when a lease ends within this second; INT64_MAX */
    int64_t next_checkpoint;
    int64_t next_orphaned;
    int64_t next_return; /* of memory */
};

/* --- TTL renewals --- */

struct renewal {
    int64_t stream_id, until_ms;
};

struct renew_write {
    struct commit_write write;
    struct upkeep *upkeep; /* its thread waits for this write; NULL: no thread waits */
    struct hints *hints;
    size_t n;
    struct renewal renewal[];
};

static enum ds_status apply_renewals(struct batch *batch, struct commit_write *write)
{
    struct renew_write *renew = (struct renew_write *)write;
    /* first, because a row that is saved later would undo the renewal */
    enum ds_status status = batch_flush(batch);

    for (size_t i = 0; status == DS_OK && i < renew->n; i++)
        status = store_renew(batch->conn, renew->renewal[i].stream_id, renew->renewal[i].until_ms,
                             batch->now);
    return status;
}

static void set_busy(struct upkeep *upkeep, bool busy)
{
    (void)pthread_mutex_lock(&upkeep->lock);
    upkeep->busy = busy;
    /* under the lock, because the waiter may free the condition afterwards */
    (void)pthread_cond_signal(&upkeep->moved);
    (void)pthread_mutex_unlock(&upkeep->lock);
}

static void finish_renewals(struct commit_write *write, enum ds_status status)
{
    struct renew_write *renew = (struct renew_write *)write;

    if (status != DS_OK)
        log_warn("TTL renewals were not saved: will try again");
    for (size_t i = 0; status == DS_OK && i < renew->n; i++)
        renewal_mark_saved(renew->hints, renew->renewal[i].stream_id, renew->renewal[i].until_ms);
    if (renew->upkeep)
        set_busy(renew->upkeep, false);
    free(renew);
}

static struct renew_write *new_renewals(struct engine *engine, struct upkeep *upkeep, size_t room)
{
    struct renew_write *renew = calloc(1, sizeof *renew + room * sizeof renew->renewal[0]);

    if (renew) {
        renew->write.apply = apply_renewals;
        renew->write.finish = finish_renewals;
        renew->write.makes_room = true; /* needs no room, so a full disk must not refuse it */
        renew->upkeep = upkeep;
        renew->hints = store_hints(engine->store);
    }
    return renew;
}

void upkeep_renew(struct engine *engine, int64_t stream_id, int64_t until_ms)
{
    struct renew_write *renew;

    if (renewal_note(store_hints(engine->store), stream_id, until_ms))
        return;
    renew = new_renewals(engine, NULL, 1);
    if (!renew)
        return; /* out of memory: the stream expires a little early */
    renew->renewal[renew->n++] = (struct renewal){stream_id, until_ms};
    commit_submit(engine->commit, &renew->write);
}

static bool collect_renewal(void *arg, int64_t stream_id, int64_t until_ms)
{
    struct renew_write *renew = arg;

    /* the rest is saved in the next second */
    if (renew->n == RENEWALS)
        return false;
    renew->renewal[renew->n++] = (struct renewal){stream_id, until_ms};
    return true;
}

/* --- writes of upkeep, one at a time --- */

struct sweep_write {
    struct commit_write write;
    struct upkeep *upkeep; /* NULL in a CGI process */
    bool orphaned;         /* also look for deleted streams whose forks are gone */
    bool more;
};

static enum ds_status apply_sweep(struct batch *batch, struct commit_write *write)
{
    struct sweep_write *sweep = (struct sweep_write *)write;
    int64_t ended[SWEEP_STREAMS];
    size_t n = 0;
    enum ds_status status = batch_flush(batch);

    if (status == DS_OK && sweep->orphaned)
        status = store_sweep_orphaned(batch->conn, batch->arena, batch->now);
    if (status == DS_OK)
        status = store_sweep(batch->conn, batch->arena, batch->now, ended, &n, &sweep->more);
    for (size_t i = 0; status == DS_OK && i < n; i++)
        batch_ended(batch, ended[i]);
    return status;
}

static void finish_sweep(struct commit_write *write, enum ds_status status)
{
    struct sweep_write *sweep = (struct sweep_write *)write;

    if (status != DS_OK)
        sweep->more = false;
    if (sweep->upkeep)
        set_busy(sweep->upkeep, false);
}

/* Also serves subscriptions, in the same way: one slice in each write. */
static enum ds_status apply_subscriptions(struct batch *batch, struct commit_write *write)
{
    return subscription_upkeep(batch, &((struct sweep_write *)write)->more);
}

static void submit_and_wait(struct upkeep *upkeep, struct commit_write *write)
{
    set_busy(upkeep, true);
    commit_submit(upkeep->engine->commit, write);
    (void)pthread_mutex_lock(&upkeep->lock);
    while (upkeep->busy)
        (void)pthread_cond_wait(&upkeep->moved, &upkeep->lock);
    (void)pthread_mutex_unlock(&upkeep->lock);
}

static bool is_stopping(struct upkeep *upkeep)
{
    bool stopping;

    (void)pthread_mutex_lock(&upkeep->lock);
    stopping = upkeep->stopping;
    (void)pthread_mutex_unlock(&upkeep->lock);
    return stopping;
}

/* The renewals that are to be saved; NULL when there are none. */
static struct renew_write *collect_renewals(struct engine *engine, struct upkeep *upkeep)
{
    struct renew_write *renew = new_renewals(engine, upkeep, RENEWALS);

    if (!renew)
        return NULL;
    renewal_collect(store_hints(engine->store), collect_renewal, renew);
    if (renew->n > 0)
        return renew;
    free(renew);
    return NULL;
}

static void save_renewals(struct upkeep *upkeep)
{
    struct renew_write *renew = collect_renewals(upkeep->engine, upkeep);

    if (renew)
        submit_and_wait(upkeep, &renew->write);
}

/* Every process whose commits find the log too long tries a checkpoint; after the first, the others
   find the log short again. False if a reader prevents it. */
static bool checkpoint_if_long(struct engine *engine, struct store_conn *conn)
{
    if (!engine->config->checkpoint || store_is_displaced(engine->store) ||
        commit_wal_bytes(engine->commit) < engine->config->wal_bytes)
        return true;
    if (store_checkpoint_anyway(conn, false) != DS_OK) {
        log_debug("a reader keeps the write-ahead log from restarting");
        return false;
    }
    commit_wal_restarted(engine->commit);
    return true;
}

void upkeep_trim(struct engine *engine, struct store_conn *conn)
{
    (void)checkpoint_if_long(engine, conn);
}

static void trim_log(struct upkeep *upkeep)
{
    int64_t now = clock_monotonic_ms();

    if (now >= upkeep->next_checkpoint && !checkpoint_if_long(upkeep->engine, upkeep->conn))
        upkeep->next_checkpoint = now + SECOND_MS;
}

/* Sweeps in slices, each a write of its own: other writes wait for one slice at most. */
static void sweep_streams(struct upkeep *upkeep)
{
    struct sweep_write write = {
        .write = {.apply = apply_sweep, .finish = finish_sweep, .makes_room = true},
        .upkeep = upkeep,
        .orphaned = clock_monotonic_ms() >= upkeep->next_orphaned,
    };
    bool needed = false;

    if (store_sweep_needed(upkeep->conn, clock_wall_ms(), &needed) != DS_OK)
        return;
    if (write.orphaned)
        upkeep->next_orphaned = clock_monotonic_ms() + ORPHANED_MS;
    for (write.more = needed || write.orphaned; write.more && !is_stopping(upkeep);
         write.orphaned = false) {
        submit_and_wait(upkeep, &write.write);
        trim_log(upkeep); /* deletions also make the log grow */
    }
}

/* Ends leases, and settles what a statement at the sqlite3 prompt has changed. */
static void serve_subscriptions(struct upkeep *upkeep)
{
    struct sweep_write write = {.write = {.apply = apply_subscriptions, .finish = finish_sweep},
                                .upkeep = upkeep};
    bool has = false;

    upkeep->next_lease_end = INT64_MAX;
    if (store_has_subscriptions(upkeep->conn, &has) != DS_OK || !has ||
        store_subscriptions_need(upkeep->conn, clock_wall_ms(), &write.more) != DS_OK)
        return;
    while (write.more && !is_stopping(upkeep))
        submit_and_wait(upkeep, &write.write);
    (void)store_next_lease_end(upkeep->conn, &upkeep->next_lease_end);
}

/* Every process checks this for itself, since each may have another file open. */
static void check_place(const struct engine *engine)
{
    if (store_find_place(engine->store) == STORE_REPLACED && engine->is_restarted)
        (void)kill(getpid(), SIGTERM); /* the next process opens the file that is there now */
}

/*
 * Returns memory that nobody uses. malloc() keeps for each thread what its busiest moment needed,
 * and would let a process grow by a few hundred KiB with every hour that has a busier one. Not for
 * the library: the memory of its program is not ours.
 */
static void give_back_memory(struct upkeep *upkeep, int64_t now)
{
    if (now < upkeep->next_return || !upkeep->engine->is_restarted)
        return;
    upkeep->next_return = now + GIVE_BACK_MS;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

static void round_of(struct upkeep *upkeep)
{
    int64_t now = clock_monotonic_ms();

    trim_log(upkeep);
    if (upkeep->next_lease_end <= clock_wall_ms())
        serve_subscriptions(upkeep);
    if (now < upkeep->next_second)
        return;
    upkeep->next_second = now + SECOND_MS;
    hints_mend(store_hints(upkeep->engine->store));
    check_place(upkeep->engine);
    give_back_memory(upkeep, now);
    if (!duty_try_upkeep(store_hints(upkeep->engine->store)))
        return;
    save_renewals(upkeep);
    sweep_streams(upkeep);
    serve_subscriptions(upkeep);
    store_mend_reserve(upkeep->conn);
}

/* Checkpoints at a clean end: the next start need not read the log, and the one file is
   complete. */
static void leave_clean(struct upkeep *upkeep)
{
    const struct config *config = upkeep->engine->config;

    /* if the file was replaced, the log may belong to another one: never copy it */
    if (!duty_try_upkeep(store_hints(upkeep->engine->store)) ||
        store_find_place(upkeep->engine->store) != STORE_SAME)
        return;
    save_renewals(upkeep); /* the renewals of the last second */
    if (config->checkpoint && config->durability != DURABILITY_MEMORY)
        (void)store_checkpoint_anyway(upkeep->conn, !store_is_low(upkeep->engine->store));
}

static void *run_upkeep(void *arg)
{
    struct upkeep *upkeep = arg;
    struct timespec until;

    while (!is_stopping(upkeep)) {
        round_of(upkeep);
        until = clock_deadline(CLOCK_MONOTONIC, ROUND_MS);
        (void)pthread_mutex_lock(&upkeep->lock);
        if (!upkeep->stopping)
            (void)pthread_cond_clockwait(&upkeep->moved, &upkeep->lock, CLOCK_MONOTONIC, &until);
        (void)pthread_mutex_unlock(&upkeep->lock);
    }
    leave_clean(upkeep);
    return NULL;
}

enum ds_status upkeep_start(struct upkeep **out, struct engine *engine)
{
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    enum ds_status status;

    if (!upkeep)
        return DS_NO_MEMORY;
    upkeep->engine = engine;
    upkeep->next_lease_end = INT64_MAX;
    status = store_connect(&upkeep->conn, engine->store);
    if (status != DS_OK)
        goto fail;
    (void)pthread_mutex_init(&upkeep->lock, NULL);
    (void)pthread_cond_init(&upkeep->moved, NULL);
    status = DS_NO_MEMORY;
    if (pthread_create(&upkeep->thread, NULL, run_upkeep, upkeep) != 0)
        goto fail;
    *out = upkeep;
    return DS_OK;
fail:
    store_disconnect(upkeep->conn);
    free(upkeep);
    return status;
}

void upkeep_stop(struct upkeep *upkeep)
{
    if (!upkeep)
        return;
    (void)pthread_mutex_lock(&upkeep->lock);
    upkeep->stopping = true;
    (void)pthread_cond_signal(&upkeep->moved);
    (void)pthread_mutex_unlock(&upkeep->lock);
    (void)pthread_join(upkeep->thread, NULL);
    (void)pthread_cond_destroy(&upkeep->moved);
    (void)pthread_mutex_destroy(&upkeep->lock);
    store_disconnect(upkeep->conn);
    free(upkeep);
}

/* One CGI process a second does this: checking alone costs as much as a read. */
static void round_once(struct engine *engine, struct store_conn *conn)
{
    struct sweep_write write = {
        .write = {.apply = apply_sweep, .finish = finish_sweep, .makes_room = true}};
    struct sweep_write settle = {.write = {.apply = apply_subscriptions, .finish = finish_sweep}};
    struct renew_write *renew = collect_renewals(engine, NULL);
    bool needed = false, has = false;

    if (renew)
        commit_submit(engine->commit, &renew->write);
    if (store_sweep_needed(conn, clock_wall_ms(), &needed) == DS_OK && needed)
        commit_submit(engine->commit, &write.write);
    if (store_has_subscriptions(conn, &has) == DS_OK && has &&
        store_subscriptions_need(conn, clock_wall_ms(), &needed) == DS_OK && needed)
        commit_submit(engine->commit, &settle.write);
    if (write.more || settle.more)
        duty_round_soon(store_hints(engine->store)); /* the next request does the next slice */
    store_mend_reserve(conn);
}

void upkeep_once(struct engine *engine, struct store_conn *conn)
{
    const struct config *config = engine->config;
    struct hints *hints = store_hints(engine->store);
    bool due = duty_round_is_due(hints, clock_wall_ms()), duty;
    int64_t bytes = config->checkpoint ? commit_wal_bytes(engine->commit) : 0;
    int64_t most = config->wal_bytes;

    if (!due && bytes < CGI_WAL_BYTES && bytes < most)
        return;
    duty = duty_try_upkeep(hints);
    if (due && duty)
        round_once(engine, conn);
    /* a process that stays looks at the log only after commits of its own */
    if (duty && most > CGI_WAL_BYTES)
        most = CGI_WAL_BYTES;
    if (bytes < most || !duty_checkpoint_is_due(hints, clock_wall_ms()))
        return;
    /* empty the log: no other process may be left to know that it was copied */
    if (store_checkpoint_anyway(conn, duty && !store_is_low(engine->store)) == DS_OK)
        duty_checkpoint_soon(hints);
}
