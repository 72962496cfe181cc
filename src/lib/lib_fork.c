/*
 * fork() without exec().
 *
 * A child inherits the descriptors of the open stores, and with them our locks: after our end, no
 * other process could take over our share of upkeep. The child therefore lets go of them at once.
 *
 * The child cannot open the same database, either. It has a copy of SQLite's memory, which says
 * that this process holds locks that it does not hold, or that a thread is writing that does not
 * exist. It may open another database, if no thread was inside SQLite at the fork.
 */
#include <pthread.h>
#include <sys/stat.h>

#include "base/log.h"
#include "hints/hints.h"
#include "lib/lib.h"
#include "store/store.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, ds_store) open_stores; /* of this process */
static LIST_HEAD(, ds_store) inherited;   /* of the parent; never freed */

static void lock_stores(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void unlock_stores(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* No other thread may hold a lock of ours at the fork: the child could never take it. */
static void prepare_fork(void)
{
    log_hold();
    lock_stores();
}

static void continue_parent(void)
{
    unlock_stores();
    log_let_go();
}

static void abandon_stores(void)
{
    struct ds_store *store;

    while ((store = LIST_FIRST(&open_stores))) {
        hints_abandon(store_hints(store->engine.store));
        LIST_REMOVE(store, link);
        LIST_INSERT_HEAD(&inherited, store, link);
    }
    unlock_stores();
    log_let_go();
}

void lib_fork_prepare(void)
{
    (void)pthread_atfork(prepare_fork, continue_parent, abandon_stores);
}

void lib_fork_add(struct ds_store *store)
{
    struct stat info;

    if (stat(store->config.database, &info) == 0) { /* a store in memory has no name */
        store->device = info.st_dev;
        store->inode = info.st_ino;
    }
    lock_stores();
    LIST_INSERT_HEAD(&open_stores, store, link);
    unlock_stores();
}

void lib_fork_remove(struct ds_store *store)
{
    struct ds_store *at;

    lock_stores();
    LIST_FOREACH(at, &open_stores, link) {
        if (at == store) { /* it is not in the list if it could not be opened */
            LIST_REMOVE(store, link);
            break;
        }
    }
    unlock_stores();
}

bool lib_fork_has(const char *database)
{
    const struct ds_store *store;
    struct stat info;
    bool has = false;

    if (stat(database, &info) != 0)
        return false;
    lock_stores();
    LIST_FOREACH(store, &inherited, link)
        has = has || (store->device == info.st_dev && store->inode == info.st_ino);
    unlock_stores();
    return has;
}
