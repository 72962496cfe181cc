/*
 * The commits that a killed process has left in the log.
 *
 * A process may be killed between writing a commit to the log and syncing it. Other processes that
 * have the database open do not see that commit, because SQLite puts it into the log's index only
 * after the sync. But if none has, the next process makes the index anew, finds the whole commit in
 * the log, and takes it for committed: readers see it, and a repeated request is answered as
 * carried out, although nothing is written or synced. A power cut could then undo an acknowledged
 * write.
 *
 * So a process that opens a database syncs the log, and the folder that has its name, before it
 * gives any answer; unless the log is as the last synced commit has left it. After each commit that
 * SQLite has synced, the committing process notes the state of the log in the hints file: a number
 * made of the checksum of the last frame and the salts of the log (row_cache_wal_state()). The
 * hints file may be wrong, but it has the number of a log that was not synced only by a chance of
 * one in 2^64; a restart of the machine clears it.
 *
 * From then on one of the process's connections stays open (store.first, until store_connect()
 * gives it to the committer), so that it never makes the index anew.
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
#include "store/sqlite/store_private.h"

/* SQLite locks the database and its index, not these files: closing one of these loses no lock. */
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
        /* somebody may have committed meanwhile, and not have synced yet */
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
