/*
 * What a killed process has left in the log.
 *
 * A process may be killed between writing a commit to the log and syncing it. Who has the database
 * open then does not see that commit, for SQLite puts it into the log's index only after the sync.
 * But where nobody has, the next process makes the index anew, finds the commit whole in the log,
 * and takes it for committed: readers see it, and a request that is repeated is answered as carried
 * out, without anything being written or synced. A power cut could undo what was acknowledged.
 *
 * So a process that opens a database syncs the log, and the folder that has its name, before
 * anybody is told anything; unless the log is as the last synced commit has left it. Whoever
 * commits notes that in the hints file, when SQLite has synced: a number from the checksum of the
 * last frame and the salts of the log (known_log_state()). A file of hints may be wrong, but it
 * cannot have the number of a log that was not synced, except by one chance in 2^64. After a
 * restart of the machine it has none.
 *
 * From then on one of its connections stays open (store.first, until
 * store_connect() gives it away to the committer), so that no index of its is made anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "log.h"
#include "store_private.h"
#include "wake.h"

/* SQLite's locks are on the database and its index: closing these descriptors costs none of them.
 */
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
    char name[4096], *slash;
    size_t len = strlen(config->database);
    bool empty = false, ok = len + sizeof "-wal" <= sizeof name;

    if (ok) {
        memcpy(name, config->database, len);
        memcpy(name + len, "-wal", sizeof "-wal");
        ok = sync_file(name, &empty);
    }
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
    struct wake *wake = conn->store->wake;
    uint64_t state = known_log_state(conn);
    enum ds_status status = DS_OK;

    if (state == 0 || state != wake_synced(wake)) {
        status = sync_both(conn->store->config);
        /* somebody may have committed meanwhile, and not have synced yet */
        if (status == DS_OK && known_log_state(conn) == state)
            wake_note_synced(wake, state);
    }
    return status;
}

void store_note_synced(struct store_conn *conn)
{
    if (conn->store->config->durability == DURABILITY_FULL)
        wake_note_synced(conn->store->wake, known_log_state(conn));
}
