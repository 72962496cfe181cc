/*
 * The hints: see hints.h.
 *
 * Other programs may write to the file's folder, so this process does not trust the file:
 *
 *     not a regular file, or owned by a    refused (place.h): root must not write through a link
 *       user without write access to the
 *       database
 *     another magic or version             hints_mend() of a running process resets the content
 *                                          within a second; otherwise the next process that opens
 *                                          the file does. The file of another version of this
 *                                          program is not changed
 *     interest[] below our own share, or   hints_mend() sets it to our own share
 *       impossibly high
 *     ring[], head, bell, accepts          these numbers are only compared; readers read the
 *                                          database every HINTS_RECHECK_MS anyway
 *     wal_synced                           a hash of 64 bits: a wrong number matches no state of
 *                                          the log, so the log is synced (store_sync.c)
 *     renewal[] in a wrong slot, or        ignored, replaced by the next renewal, and never
 *       beyond the stream's TTL            saved (renewal.c, store_renewed(), store_renew())
 *     delivered_at                         within 15 minutes by chance: a webhook is accepted
 *                                          although nothing delivers it yet
 *     write_hint                           see write_lock.h
 *     too short                            extended; a process that touches the missing part before
 *                                          that dies, as with SQLite's -shm
 *     removed or replaced                  hints_mend() changes to the file that has the name now
 */
#include "hints/hints.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "hints/hints_file.h"
#include "hints/hints_layout.h"

#define HINTS_SUFFIX "-wake"

enum {
    HINTS_VERSION = 4,
    HINTS_MAGIC = 0x44735761,
    MOST_INTEREST = 1 << 24, /* processes in one slot; a higher count is damage */
    MOST_VERSIONS = 1000,    /* a higher version number is damage */
    CHANGE_AGAIN_MS = 60000, /* between attempts to change to a new file that cannot be used */
};

/* The kernel's identifier of this boot; all zeros if there is none. */
static void read_boot_id(char id[static HINTS_BOOT_ID])
{
    int fd = descriptor_high(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    ssize_t n = fd < 0 ? 0 : read(fd, id, HINTS_BOOT_ID - 1);

    memset(id + (n > 0 ? n : 0), 0, HINTS_BOOT_ID - (size_t)(n > 0 ? n : 0));
    if (fd >= 0)
        (void)close(fd);
}

/* All bytes are 0 if the first one is, and each one equals the one before it. */
static bool is_all_zero(const char *bytes, size_t n)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static bool is_our_version(struct hints_shared *shared)
{
    return atomic_load(&shared->magic) == HINTS_MAGIC &&
           atomic_load(&shared->version) == HINTS_VERSION;
}

/* Resets the content. Other processes may use it meanwhile, hence the atomic stores. */
static void clear_content(struct hints_shared *shared)
{
    for (int i = 0; i < HINTS_INTEREST; i++)
        atomic_store(&shared->interest[i], 0);
    for (int i = 0; i < HINTS_RING; i++)
        atomic_store(&shared->ring[i].number, 0);
    for (int i = 0; i < HINTS_RENEWALS; i++) {
        atomic_store(&shared->renewal[i].stream_id, 0);
        atomic_store(&shared->renewal[i].until_ms, 0);
        atomic_store(&shared->renewal[i].saved_ms, 0);
    }
    atomic_store(&shared->round_at, 0);
    atomic_store(&shared->wal_synced, 0);
    atomic_store(&shared->tried_at, 0);
    atomic_store(&shared->delivered_at, 0);
    atomic_store(&shared->head, 0);
    atomic_store(&shared->version, HINTS_VERSION);
    atomic_store(&shared->magic, HINTS_MAGIC);
}

/*
 * Prepares the file for a process that is the only one: there is no interest. TTL renewals are
 * kept, because a CGI process is usually the only one; after a reboot nothing is kept. Memory that
 * already has the right value is not written, so that its pages stay clean.
 */
static void prepare_alone(struct hints_shared *shared)
{
    char boot[HINTS_BOOT_ID];

    read_boot_id(boot);
    if (!is_our_version(shared) || memcmp(shared->boot, boot, HINTS_BOOT_ID) != 0) {
        clear_content(shared);
        memcpy(shared->boot, boot, HINTS_BOOT_ID);
    }
    if (!is_all_zero((const char *)shared->interest, sizeof shared->interest))
        memset((void *)shared->interest, 0, sizeof shared->interest);
}

/*
 * Joins other processes that have the file open. If the header is not that of this version, either
 * it is damaged, and one of them repairs it within a second; or they are of another version, and
 * the result is false: this process must not use the file.
 */
static bool join_others(struct hints_shared *shared)
{
    const struct timespec moment = {0, 10 * 1000000};
    int64_t until = clock_monotonic_ms() + 2 * HINTS_RECHECK_MS;
    uint32_t version;

    while (!is_our_version(shared) && atomic_load(&shared->magic) != 0 &&
           clock_monotonic_ms() < until)
        (void)nanosleep(&moment, NULL);
    version = atomic_load(&shared->version);
    if (atomic_load(&shared->magic) == HINTS_MAGIC && version != HINTS_VERSION &&
        version < MOST_VERSIONS)
        return false;
    if (!is_our_version(shared))
        clear_content(shared);
    return true;
}

/* The database of streams.db-wake is streams.db. */
static bool name_files(struct hints *hints, const char *path)
{
    size_t len = strlen(path), end = strlen(HINTS_SUFFIX);

    if (len > end && strcmp(path + len - end, HINTS_SUFFIX) == 0)
        len -= end;
    hints->path = strdup(path);
    hints->database = strndup(path, len);
    return hints->path && hints->database;
}

/* --- repairs while the file is in use --- */

/*
 * Changes to the file that has the name now. It is mapped at the address of the old one, which
 * other threads are using.
 */
static bool change_file(struct hints *hints)
{
    bool first = false, ok;
    int fd = hints_file_open(hints->path, hints->database, &first);
    struct hints_shared *shared = fd < 0 ? NULL : hints_file_map(fd, first);

    if (shared && first)
        prepare_alone(shared);
    ok = shared && (first || join_others(shared)) &&
         mremap(shared, sizeof *shared, sizeof *shared, MREMAP_MAYMOVE | MREMAP_FIXED,
                hints->shared) != MAP_FAILED;
    if (ok) {
        (void)dup3(fd, hints->fd, O_CLOEXEC); /* releases our locks on the old file */
        atomic_store(&hints->delivers, false);
        (void)flock(hints->fd, LOCK_SH);
    } else if (shared) {
        (void)munmap(shared, sizeof *shared);
    }
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/*
 * A count below our own share, or impossibly high, is damage. Not checked while this process has no
 * readers, because then it does not depend on the counts.
 */
static bool is_interest_sound(struct hints *hints)
{
    if (atomic_load(&hints->interests) == 0)
        return true;
    for (int i = 0; i < HINTS_INTEREST; i++)
        if (atomic_load(&hints->shared->interest[i]) - atomic_load(&hints->counted[i]) >
            MOST_INTEREST)
            return false;
    return true;
}

/* Only our own share is known. Other processes restore theirs. */
static void mend_interest(struct hints *hints)
{
    for (int i = 0; i < HINTS_INTEREST; i++)
        atomic_store(&hints->shared->interest[i], atomic_load(&hints->counted[i]));
}

/* Under the write lock. If the new file cannot be used, logs that once a minute. */
static void change_under_lock(struct hints *hints, int64_t now)
{
    if (hints_lock_writers(hints, HINTS_RECHECK_MS) != DS_OK)
        return;
    if (change_file(hints)) {
        log_warn("%s was removed or replaced while in use: changed to the new file", hints->path);
    } else {
        log_warn("%s was removed or replaced while in use: processes that start now notice changes "
                 "up to a second late",
                 hints->path);
        hints->change_at = now + CHANGE_AGAIN_MS;
    }
    hints_unlock_writers(hints);
}

static void follow_name(struct hints *hints)
{
    int64_t now = clock_monotonic_ms();

    /* without a database, as with a store in memory, no other process will open the file */
    if (hints_file_is_current(hints->fd, hints->path) || now < hints->change_at ||
        access(hints->database, F_OK) != 0)
        return;
    if (atomic_exchange(&hints->checkpoints, true))
        return; /* a thread would lose the checkpoint lock: try again in a second */
    change_under_lock(hints, now);
    atomic_store(&hints->checkpoints, false);
}

bool hints_is_current(const struct hints *hints)
{
    return hints_file_is_current(hints->fd, hints->path) || access(hints->database, F_OK) != 0;
}

void hints_mend(struct hints *hints)
{
    follow_name(hints);
    (void)hints_file_allocate(hints->fd, false); /* extends a truncated file */
    if (!is_our_version(hints->shared)) {
        log_warn("%s was damaged: its content was reset", hints->path);
        clear_content(hints->shared);
    }
    if (!is_interest_sound(hints))
        mend_interest(hints);
}

enum ds_status hints_lock_writers(struct hints *hints, int64_t timeout_ms)
{
    return write_lock_acquire(&hints->write_lock, timeout_ms);
}

void hints_unlock_writers(struct hints *hints)
{
    write_lock_release(&hints->write_lock);
}

uint64_t hints_wal_synced(struct hints *hints)
{
    return hints->shared->boot[0] ? atomic_load(&hints->shared->wal_synced) : 0;
}

void hints_note_wal_synced(struct hints *hints, uint64_t state)
{
    atomic_store(&hints->shared->wal_synced, state);
}

/* --- opening and closing --- */

enum ds_status hints_open(struct hints **out, const char *path, void (*alone)(void *), void *arg)
{
    struct hints *hints = calloc(1, sizeof *hints);
    enum ds_status status = DS_NO_MEMORY;
    bool first = false;

    if (!hints)
        return DS_NO_MEMORY;
    hints->fd = -1;
    if (!name_files(hints, path))
        goto fail;
    status = DS_FAILED;
    hints->fd = hints_file_open(path, hints->database, &first);
    if (hints->fd < 0)
        goto fail;
    hints->shared = hints_file_map(hints->fd, first);
    if (!hints->shared) {
        log_error("cannot use %s: %s", path, strerror(errno));
        goto fail;
    }
    write_lock_init(&hints->write_lock, hints->fd, &hints->shared->write_hint);
    if (first) {
        prepare_alone(hints->shared);
        if (alone)
            alone(arg);
        (void)flock(hints->fd, LOCK_SH);
    } else if (!join_others(hints->shared)) {
        log_error("cannot use %s: another version of this program is using it", path);
        goto fail;
    }
    *out = hints;
    return DS_OK;
fail:
    hints_close(hints, NULL, NULL);
    return status;
}

void hints_close(struct hints *hints, void (*alone)(void *), void *arg)
{
    if (!hints)
        return;
    if (alone && flock(hints->fd, LOCK_EX | LOCK_NB) == 0)
        alone(arg);
    if (hints->shared) {
        write_lock_close(&hints->write_lock);
        (void)munmap(hints->shared, sizeof *hints->shared);
    }
    if (hints->fd >= 0) {
        hints_file_unlock(hints->fd);
        (void)close(hints->fd);
    }
    free(hints->path);
    free(hints->database);
    free(hints);
}

void hints_abandon(struct hints *hints)
{
    (void)munmap(hints->shared, sizeof *hints->shared); /* the mapping also keeps the file open */
    (void)close(hints->fd);
    hints->shared = NULL;
    hints->fd = -1;
}
