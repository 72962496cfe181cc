/*
 * The file of the shared hints: opened, locked, mapped, and looked after.
 *
 * Every process that has it open holds flock() on it. A process that gets the lock exclusively at
 * its start is alone, and clears away the remains of a crash.
 *
 * It lies where others may write, so we believe nothing in it:
 *
 *     not a file, a link, a stranger's     refused (place.h): root must not write through it
 *     another magic or version             a running process makes it anew within a second
 *                                          (wake_look()), else the next one that opens it does.
 *                                          An older or newer version of ours is not touched
 *     interest[] below our own count, or   wake_look() sets it to our own count
 *       impossibly high
 *     ring[], head, bell, doors            these numbers are only compared; readers look at the
 *                                          database every WAKE_RECHECK_MS anyway
 *     synced                               a number of 64 mixed bits: one that is wrong is that of
 *                                          no log, which is synced then (store_sync.c)
 *     touch[] in a wrong slot, or beyond   not believed, replaced by the next renewal, and never
 *       the stream's TTL                   saved (wake_touch(), store_renewed(), store_renew())
 *     the write lock's hints               see write_lock.h
 *     shorter than it must be              made longer; a process that touches the part that was
 *                                          cut off dies, as with SQLite's -shm
 *     removed or replaced                  wake_look() changes to the file that has the name now
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/place.h"
#include "hints/wake_private.h"

#define WAKE_SUFFIX "-wake"

enum {
    WAKE_VERSION = 3,
    WAKE_MAGIC = 0x44735761,
    MOST_INTEREST = 1 << 24, /* in a slot */
    MOST_VERSIONS = 1000,    /* a higher number is not a version of ours */
    CHANGE_AGAIN_MS = 60000,
    OPEN_MS = 5000, /* to wait for whoever is alone with the file */
};

/* What the kernel calls this run of the machine; empty where it does not say. */
static void read_boot_id(char id[static BOOT_ID])
{
    int fd = descriptor_high(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    ssize_t n = fd < 0 ? 0 : read(fd, id, BOOT_ID - 1);

    memset(id + (n > 0 ? n : 0), 0, BOOT_ID - (size_t)(n > 0 ? n : 0));
    if (fd >= 0)
        (void)close(fd);
}

/* All bytes are zero if the first one is, and each is like the one before it. */
static bool is_zero(const char *bytes, size_t n)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static bool is_ours(struct shared *shared)
{
    return atomic_load(&shared->magic) == WAKE_MAGIC &&
           atomic_load(&shared->version) == WAKE_VERSION;
}

/* Other processes may be at it. */
static void clear(struct shared *shared)
{
    for (int i = 0; i < WAKE_INTEREST; i++)
        atomic_store(&shared->interest[i], 0);
    for (int i = 0; i < WAKE_RING; i++)
        atomic_store(&shared->ring[i].number, 0);
    for (int i = 0; i < WAKE_TOUCH; i++) {
        atomic_store(&shared->touch[i].stream_id, 0);
        atomic_store(&shared->touch[i].until_ms, 0);
        atomic_store(&shared->touch[i].saved_ms, 0);
    }
    atomic_store(&shared->round_at, 0);
    atomic_store(&shared->synced, 0);
    atomic_store(&shared->tried_at, 0);
    atomic_store(&shared->head, 0);
    atomic_store(&shared->version, WAKE_VERSION);
    atomic_store(&shared->magic, WAKE_MAGIC);
}

/*
 * For a process that is alone: nobody is interested. TTL renewals stay, for a CGI process is alone
 * most of the time; after a restart of the machine nothing does. A page that is as it should be is
 * not written.
 */
static void begin_anew(struct shared *shared)
{
    char boot[BOOT_ID];

    read_boot_id(boot);
    if (!is_ours(shared) || memcmp(shared->boot, boot, BOOT_ID) != 0) {
        clear(shared);
        memcpy(shared->boot, boot, BOOT_ID);
    }
    if (!is_zero((const char *)shared->interest, sizeof shared->interest))
        memset((void *)shared->interest, 0, sizeof shared->interest);
}

/*
 * Other processes have the file open. If its header is not of this version, it is damaged, and one
 * of them mends it within a second; or they are of another version: then the file is theirs, and
 * we do not touch it. False in that case.
 */
static bool settle_with_others(struct shared *shared)
{
    const struct timespec moment = {0, 10 * 1000000};
    int64_t until = clock_monotonic_ms() + 2 * WAKE_RECHECK_MS;
    uint32_t version;

    while (!is_ours(shared) && atomic_load(&shared->magic) != 0 && clock_monotonic_ms() < until)
        (void)nanosleep(&moment, NULL);
    version = atomic_load(&shared->version);
    if (atomic_load(&shared->magic) == WAKE_MAGIC && version != WAKE_VERSION &&
        version < MOST_VERSIONS)
        return false;
    if (!is_ours(shared))
        clear(shared);
    return true;
}

/*
 * Gives the file its size, with blocks: on a full disk, a store into a hole would kill us. Only a
 * process that is alone fills holes, because that may overwrite what others write meanwhile.
 */
static bool allocate(int fd, bool alone)
{
    struct stat info;
    const off_t size = sizeof(struct shared);
    int error;

    if (fstat(fd, &info) != 0)
        return false;
    if (info.st_size >= size && (!alone || info.st_blocks * 512 >= size))
        return true;
    error = posix_fallocate(fd, 0, size);
    if (error != 0)
        errno = error;
    return error == 0;
}

static struct shared *map(int fd, bool alone)
{
    void *memory = allocate(fd, alone) ? mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                                              MAP_SHARED, fd, 0)
                                       : MAP_FAILED;

    return memory == MAP_FAILED ? NULL : memory;
}

/* Is the file that we have locked still the one of that name? */
static bool is_current(int fd, const char *path)
{
    struct stat ours, named;

    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* The file, made when it is missing; -1, logged, when there is something else. */
static int open_file(const char *path, const char *database)
{
    /* O_NONBLOCK: for what is not a file, and refused then */
    const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd;

    do {
        fd = descriptor_high(open(path, flags));
        if (fd < 0 && errno == ENOENT) {
            fd = descriptor_high(open(path, flags | O_CREAT | O_EXCL, 0600));
            if (fd >= 0)
                place_give(fd, database);
        }
    } while (fd < 0 && errno == EEXIST); /* another process was quicker */
    if (fd < 0) {
        log_error("cannot use %s: %s", path,
                  errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        return -1;
    }
    if (place_trusts(fd, path, database)) {
        if (geteuid() == 0)
            place_give(fd, database); /* what root made before the database was another's */
        return fd;
    }
    (void)close(fd);
    return -1;
}

/* Exclusively, if nobody else has it: such a lock is held for a moment only. */
static bool lock_file(int fd, bool *first)
{
    struct timespec pause = {0, 20 * 1000};
    int64_t until = clock_monotonic_ms() + OPEN_MS;

    *first = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (*first)
        return true;
    while (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_monotonic_ms() >= until)
            return false;
        (void)nanosleep(&pause, NULL);
        if (pause.tv_nsec < 10 * 1000000)
            pause.tv_nsec *= 2;
    }
    return true;
}

/* Opens and locks the file of that name; -1, logged. */
static int open_locked(const char *path, const char *database, bool *first)
{
    int fd;

    for (;;) {
        fd = open_file(path, database);
        if (fd < 0)
            return -1;
        if (!lock_file(fd, first)) {
            log_error("cannot use %s: %s", path,
                      errno == EWOULDBLOCK ? "another program has locked it" : strerror(errno));
            (void)close(fd);
            return -1;
        }
        if (is_current(fd, path))
            return fd;
        (void)close(fd); /* its last user has just taken it away */
    }
}

/* The database of streams.db-wake is streams.db. */
static bool name_files(struct wake *wake, const char *path)
{
    size_t len = strlen(path), end = strlen(WAKE_SUFFIX);

    if (len > end && strcmp(path + len - end, WAKE_SUFFIX) == 0)
        len -= end;
    wake->path = strdup(path);
    wake->database = strndup(path, len);
    return wake->path && wake->database;
}

/* --- while it is in use --- */

/* Changes to the file that has the name now; the addresses stay, for other threads use them. */
static bool change_file(struct wake *wake)
{
    bool first = false, ok;
    int fd = open_locked(wake->path, wake->database, &first);
    struct shared *shared = fd < 0 ? NULL : map(fd, first);

    if (shared && first)
        begin_anew(shared);
    ok = shared && (first || settle_with_others(shared)) &&
         mremap(shared, sizeof *shared, sizeof *shared, MREMAP_MAYMOVE | MREMAP_FIXED,
                wake->shared) != MAP_FAILED;
    if (ok) {
        (void)dup3(fd, wake->fd, O_CLOEXEC); /* our locks go with the old one */
        (void)flock(wake->fd, LOCK_SH);
    } else if (shared) {
        (void)munmap(shared, sizeof *shared);
    }
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* No count can be below our own share, or impossibly high. Without readers it does not matter. */
static bool is_interest_sound(struct wake *wake)
{
    if (atomic_load(&wake->interests) == 0)
        return true;
    for (int i = 0; i < WAKE_INTEREST; i++)
        if (atomic_load(&wake->shared->interest[i]) - atomic_load(&wake->counted[i]) >
            MOST_INTEREST)
            return false;
    return true;
}

/* Only our own share is certain then; other processes see to theirs. */
static void mend_interest(struct wake *wake)
{
    for (int i = 0; i < WAKE_INTEREST; i++)
        atomic_store(&wake->shared->interest[i], atomic_load(&wake->counted[i]));
}

/* Where the new file cannot be used, the log says so once a minute. */
static void follow(struct wake *wake, int64_t now)
{
    if (wake_lock(wake, WAKE_RECHECK_MS) != DS_OK)
        return;
    if (change_file(wake)) {
        log_warn("%s was removed or replaced while in use: going on with the new one", wake->path);
    } else {
        log_warn("%s was removed or replaced while in use: processes that start now do not hear of "
                 "changes at once",
                 wake->path);
        wake->change_at = now + CHANGE_AGAIN_MS;
    }
    wake_unlock(wake);
}

static void follow_name(struct wake *wake)
{
    int64_t now = clock_monotonic_ms();

    /* without a database, as of a store in memory, nobody will come for the file */
    if (is_current(wake->fd, wake->path) || now < wake->change_at ||
        access(wake->database, F_OK) != 0)
        return;
    if (atomic_exchange(&wake->checkpoints, true))
        return; /* another thread's lock must not go: in a second, then */
    follow(wake, now);
    atomic_store(&wake->checkpoints, false);
}

bool wake_is_current(const struct wake *wake)
{
    return is_current(wake->fd, wake->path) || access(wake->database, F_OK) != 0;
}

void wake_look(struct wake *wake)
{
    follow_name(wake);
    (void)allocate(wake->fd, false); /* somebody may have cut it off */
    if (!is_ours(wake->shared)) {
        log_warn("%s was damaged: it is made anew", wake->path);
        clear(wake->shared);
    }
    if (!is_interest_sound(wake))
        mend_interest(wake);
}

enum ds_status wake_open(struct wake **out, const char *path, void (*alone)(void *), void *arg)
{
    struct wake *wake = calloc(1, sizeof *wake);
    enum ds_status status = DS_NO_MEMORY;
    bool first = false;

    if (!wake)
        return DS_NO_MEMORY;
    wake->fd = -1;
    if (!name_files(wake, path))
        goto fail;
    status = DS_FAILED;
    wake->fd = open_locked(path, wake->database, &first);
    if (wake->fd < 0)
        goto fail;
    wake->shared = map(wake->fd, first);
    if (!wake->shared) {
        log_error("cannot use %s: %s", path, strerror(errno));
        goto fail;
    }
    write_lock_init(&wake->write_lock, wake->fd, &wake->shared->write_hint);
    if (first) {
        begin_anew(wake->shared);
        if (alone)
            alone(arg);
        (void)flock(wake->fd, LOCK_SH);
    } else if (!settle_with_others(wake->shared)) {
        log_error("%s belongs to another version that is still running", path);
        goto fail;
    }
    *out = wake;
    return DS_OK;
fail:
    wake_close(wake, NULL, NULL);
    return status;
}

/* Explicitly: a child that was forked without an exec may still have the file open. */
static void unlock(int fd)
{
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    (void)fcntl(fd, F_OFD_SETLK, &all);
    (void)flock(fd, LOCK_UN);
}

void wake_close(struct wake *wake, void (*alone)(void *), void *arg)
{
    if (!wake)
        return;
    if (alone && flock(wake->fd, LOCK_EX | LOCK_NB) == 0)
        alone(arg);
    if (wake->shared) {
        write_lock_close(&wake->write_lock);
        (void)munmap(wake->shared, sizeof *wake->shared);
    }
    if (wake->fd >= 0) {
        unlock(wake->fd);
        (void)close(wake->fd);
    }
    free(wake->path);
    free(wake->database);
    free(wake);
}

void wake_abandon(struct wake *wake)
{
    (void)munmap(wake->shared, sizeof *wake->shared); /* it holds on to the file, too */
    (void)close(wake->fd);
    wake->shared = NULL;
    wake->fd = -1;
}
