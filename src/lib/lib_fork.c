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

#include "hints/hints.h"
#include "lib/lib.h"
#include "store/store.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ds_store *open_stores; /* of this process */
static struct ds_store *inherited;   /* of its parent; their memory stays */

static void lock_stores(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void unlock_stores(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void abandon_stores(void)
{
    struct ds_store *store, *next;

    for (store = open_stores; store; store = next) {
        next = store->next;
        hints_abandon(store_hints(store->engine.store));
        store->next = inherited;
        inherited = store;
    }
    open_stores = NULL;
    unlock_stores();
}

void lib_fork_prepare(void)
{
    (void)pthread_atfork(lock_stores, unlock_stores, abandon_stores);
}

void lib_fork_add(struct ds_store *store)
{
    struct stat info;

    if (stat(store->config.database, &info) == 0) { /* not of a store in memory */
        store->device = info.st_dev;
        store->inode = info.st_ino;
    }
    lock_stores();
    store->next = open_stores;
    open_stores = store;
    unlock_stores();
}

void lib_fork_remove(struct ds_store *store)
{
    struct ds_store **at = &open_stores;

    lock_stores();
    while (*at && *at != store)
        at = &(*at)->next;
    if (*at)
        *at = store->next;
    unlock_stores();
}

bool lib_fork_has(const char *database)
{
    struct stat info;
    bool has = false;

    if (stat(database, &info) != 0)
        return false;
    lock_stores();
    for (const struct ds_store *store = inherited; store && !has; store = store->next)
        has = store->device == info.st_dev && store->inode == info.st_ino;
    unlock_stores();
    return has;
}
