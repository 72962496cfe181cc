/*
 * Commits that a killed process has left unsynced in the write-ahead log.
 *
 * A process may be killed between writing a commit to the log and syncing it. Processes that have
 * the database open do not see that commit, because SQLite adds it to the log's index only after
 * the sync. But if no process has it open, the next one rebuilds the index, finds the complete
 * commit in the log and accepts it: readers see it, and a repeated request is answered as done,
 * although nothing was synced. A power cut could then undo an acknowledged write.
 *
 * So a process that opens a database syncs the log and its folder before it answers anything,
 * unless the log is in the state that the last synced commit has left. After each commit that
 * SQLite has synced, the committing process notes the log's state in the hints file: a number made
 * from the checksum of the last frame and the salts of the log (row_cache_wal_state()). Even a
 * damaged hints file has the number of an unsynced log only with a chance of one in 2^64, and a
 * restart of the machine clears it.
 *
 * Afterwards the process keeps one connection open (store.first, until store_connect() gives it to
 * the committer), so that it never rebuilds the index.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/place.h"
#include "hints/hints.h"
#include "store/sqlite/row_cache.h"
#include "store/sqlite/store_private.h"

/* Opening and closing these files loses no lock: SQLite locks only the database and its index. */
static bool sync_file(const char *name, bool *empty)
{
    int fd = descriptor_high(open(name, O_RDONLY | O_CLOEXEC));
    struct stat info = {.st_size = 0};
    bool ok = fd >= 0 ? fstat(fd, &info) == 0 : errno == ENOENT;

    *empty = info.st_size == 0;
    if (fd < 0)
        return ok;
    if (ok && !*empty)
        ok = fsync(fd) == 0;
    (void)close(fd);
    return ok;
}

static enum ds_status sync_both(const struct config *config)
{
    char name[PLACE_NAME_SIZE], *slash;
    bool empty = false;
    bool ok = place_beside(name, config->database, "-wal") && sync_file(name, &empty);

    if (ok && empty)
        return DS_OK;
    slash = ok ? strrchr(name, '/') : NULL;
    if (slash) {
        slash[slash == name] = '\0';
        ok = sync_file(name, &empty);
    }
    if (ok)
        return DS_OK;
    log_error("cannot sync the log of %s: %s", config->database, strerror(errno));
    return DS_FAILED;
}

enum ds_status store_sync_log(struct store_conn *conn)
{
    struct hints *hints = conn->store->hints;
    uint64_t state = row_cache_wal_state(conn);
    enum ds_status status = DS_OK;

    if (state == 0 || state != hints_wal_synced(hints)) {
        status = sync_both(conn->store->config);
        /* another process may have committed meanwhile, and not synced yet */
        if (status == DS_OK && row_cache_wal_state(conn) == state)
            hints_note_wal_synced(hints, state);
    }
    return status;
}

void store_note_synced(struct store_conn *conn)
{
    if (conn->store->config->durability == DURABILITY_FULL)
        hints_note_wal_synced(conn->store->hints, row_cache_wal_state(conn));
}
