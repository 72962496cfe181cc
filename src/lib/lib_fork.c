/*
 * fork() without exec().
 *
 * A child has the descriptors of the stores that were open, and with them our locks: nobody could
 * do our share of upkeep when we have ended. So it lets go of them at once.
 *
 * Nor can it open the same database. SQLite's memory was copied as it was: it says of locks that
 * the child has them, which it has not, or that somebody writes, who is not there. Another file is
 * safe as far as no thread was within SQLite at that moment.
 */
#include <pthread.h>
#include <sys/stat.h>

#include "base/log.h"
#include "hints/hints.h"
#include "lib/lib.h"
#include "store/store.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, ds_store) open_stores; /* of this process */
static LIST_HEAD(, ds_store) inherited;   /* of its parent; their memory stays */

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

    if (stat(store->config.database, &info) == 0) { /* not of a store in memory */
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
