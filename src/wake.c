/*
 * The shared hints: see wake.h for the layout and who may write what.
 *
 * The file is locked with flock() by every process that has it: whoever gets it exclusively at
 * start is alone and clears away what a crash left behind.
 */
#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "futex.h"
#include "log.h"
#include "write_lock.h"

enum { BOOT_ID = 40 };

enum {
    WAKE_VERSION = 3,
    WAKE_MAGIC = 0x44735761,
    WAKE_INTEREST = 4096, /* slots; two streams in one slot cost a needless wake-up */
    WAKE_RING = 4096,     /* changes; a desk that falls further behind looks at all its streams */
    WAKE_TOUCH = 8192,    /* slots; two streams in one slot cost a write to the database */
    PATIENCE = 64,        /* times to yield to a writer in the middle of publishing */
    DOORS = 1 << 24,      /* that are told apart; and where their bytes begin, beyond the file */
    MOST_PLACES = 64,     /* of a door */
};

struct change {
    _Atomic uint64_t number; /* 1 + index; 0 while being written */
    _Atomic int64_t stream_id;
};

struct touch {
    _Atomic int64_t stream_id; /* 0: free */
    _Atomic int64_t until_ms;
    _Atomic int64_t saved_ms; /* the value the database has */
};

struct shared {
    uint32_t magic, version;
    char boot[BOOT_ID];       /* of the machine, when this was made */
    _Atomic int64_t round_at; /* when a CGI process last kept house */
    _Atomic uint32_t bell;
    _Atomic uint32_t doors; /* how often somebody has answered one */
    _Atomic uint64_t head;
    struct write_hint write_hint;
    _Atomic uint32_t interest[WAKE_INTEREST];
    struct change ring[WAKE_RING];
    struct touch touch[WAKE_TOUCH];
};

struct wake {
    int fd;
    struct shared *shared;
    struct write_lock write_lock;
    int touch_at; /* where wake_touch_sweep() goes on; of the one thread that calls it */
};

/* What the kernel calls this run of the machine; empty where it does not say. */
static void read_boot_id(char id[static BOOT_ID])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, id, BOOT_ID - 1);

    memset(id + (n > 0 ? n : 0), 0, BOOT_ID - (size_t)(n > 0 ? n : 0));
    if (fd >= 0)
        (void)close(fd);
}

/* All bytes are if the first one is and each is like the one before it. */
static bool is_zero(const char *bytes, size_t n)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/*
 * For a process that is alone: nobody is interested. TTL renewals stay, for
 * a CGI process is alone most of the time; after a restart of the machine nothing does. A page
 * that is as it should be is not written.
 */
static void begin_anew(struct shared *shared)
{
    char boot[BOOT_ID];

    read_boot_id(boot);
    if (shared->magic != WAKE_MAGIC || shared->version != WAKE_VERSION ||
        memcmp(shared->boot, boot, BOOT_ID) != 0) {
        memset((void *)shared, 0, sizeof *shared);
        memcpy(shared->boot, boot, BOOT_ID);
        shared->version = WAKE_VERSION;
        shared->magic = WAKE_MAGIC;
    }
    if (!is_zero((const char *)shared->interest, sizeof shared->interest))
        memset((void *)shared->interest, 0, sizeof shared->interest);
}

static bool map(struct wake *wake, bool first)
{
    struct stat info;
    void *memory;

    if (fstat(wake->fd, &info) != 0)
        return false;
    /* with its blocks: on a full disk, a store into a hole would kill us */
    if (info.st_size < (off_t)sizeof(struct shared) &&
        posix_fallocate(wake->fd, 0, sizeof(struct shared)) != 0)
        return false;
    memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, wake->fd, 0);
    if (memory == MAP_FAILED)
        return false;
    wake->shared = memory;
    if (first || wake->shared->magic == 0) /* or somebody emptied the file under the others */
        begin_anew(wake->shared);
    write_lock_init(&wake->write_lock, wake->fd, &wake->shared->write_hint);
    return true;
}

/* Is the file that we have locked still the one of that name? */
static bool is_current(const struct wake *wake, const char *path)
{
    struct stat ours, named;

    return fstat(wake->fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* Opens and locks the file: exclusively, if nobody else has it. */
static bool open_locked(struct wake *wake, const char *path, bool *first)
{
    for (;;) {
        wake->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
        if (wake->fd < 0)
            return false;
        *first = flock(wake->fd, LOCK_EX | LOCK_NB) == 0;
        if (!*first && flock(wake->fd, LOCK_SH) != 0)
            return false;
        if (is_current(wake, path))
            return true;
        (void)close(wake->fd); /* its last user has just taken it away */
    }
}

enum ds_status wake_open(struct wake **out, const char *path, void (*alone)(void *), void *arg)
{
    struct wake *wake = calloc(1, sizeof *wake);
    bool first;

    if (!wake)
        return DS_NO_MEMORY;
    if (!open_locked(wake, path, &first) || !map(wake, first))
        goto fail;
    if (first && alone)
        alone(arg);
    if (first && flock(wake->fd, LOCK_SH) != 0)
        goto fail;
    if (wake->shared->magic != WAKE_MAGIC || wake->shared->version != WAKE_VERSION) {
        log_error("%s belongs to another version that is still running", path);
        errno = EBUSY;
        goto fail;
    }
    *out = wake;
    return DS_OK;
fail:
    log_error("cannot use %s: %s", path, strerror(errno));
    wake_close(wake, NULL, NULL);
    return DS_FAILED;
}

/*
 * A lock of this open file description, on bytes that stand for something (0 for the duty, 1 for a
 * checkpoint, those beyond DOORS for doors): it goes when the process goes, however it goes.
 */
static bool set_lock(int fd, short type, off_t start, off_t bytes)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Said aloud: a child that was forked without an exec may have the file open still. */
static void unlock(int fd)
{
    (void)set_lock(fd, F_UNLCK, 0, 0);
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
    free(wake);
}

void wake_abandon(struct wake *wake)
{
    (void)munmap(wake->shared, sizeof *wake->shared); /* it holds on to the file, too */
    (void)close(wake->fd);
    wake->shared = NULL;
    wake->fd = -1;
}

/* --- changes --- */

static void publish_one(struct shared *shared, int64_t stream_id)
{
    uint64_t index = atomic_fetch_add(&shared->head, 1);
    struct change *change = &shared->ring[index % WAKE_RING];

    atomic_store(&change->number, 0);
    atomic_store(&change->stream_id, stream_id);
    atomic_store(&change->number, index + 1);
}

void wake_publish(struct wake *wake, const int64_t *stream_ids, size_t n)
{
    struct shared *shared = wake->shared;
    bool wanted = false;

    for (size_t i = 0; i < n; i++) {
        publish_one(shared, stream_ids[i]);
        if (atomic_load(&shared->interest[(uint64_t)stream_ids[i] % WAKE_INTEREST]) != 0)
            wanted = true;
    }
    if (wanted)
        wake_ring(wake);
}

void wake_ring(struct wake *wake)
{
    atomic_fetch_add(&wake->shared->bell, 1);
    futex_wake(&wake->shared->bell, INT_MAX);
}

void wake_interest(struct wake *wake, int64_t stream_id, int change)
{
    _Atomic uint32_t *slot = &wake->shared->interest[(uint64_t)stream_id % WAKE_INTEREST];

    if (change > 0)
        atomic_fetch_add(slot, 1);
    else
        atomic_fetch_sub(slot, 1);
}

uint64_t wake_head(struct wake *wake)
{
    return atomic_load(&wake->shared->head);
}

/* 0 until the writer of a change has finished it: a moment, unless it was just killed. */
static uint64_t await_number(const struct change *change, uint64_t index)
{
    uint64_t number = atomic_load(&change->number);

    for (int i = 0; number <= index && i < PATIENCE; i++) {
        (void)sched_yield();
        number = atomic_load(&change->number);
    }
    return number;
}

enum wake_change wake_next(struct wake *wake, uint64_t *seen, int64_t *stream_id)
{
    struct shared *shared = wake->shared;
    uint64_t head = atomic_load(&shared->head);
    struct change *change = &shared->ring[*seen % WAKE_RING];
    uint64_t number;

    if (*seen == head)
        return WAKE_NONE;
    if (*seen < head && head - *seen <= WAKE_RING) {
        number = await_number(change, *seen);
        *stream_id = atomic_load(&change->stream_id);
        if (number == *seen + 1 && atomic_load(&change->number) == number) {
            ++*seen;
            return WAKE_STREAM;
        }
    }
    *seen = head; /* whatever was published before is in the database */
    return WAKE_LOST;
}

uint32_t wake_bell(struct wake *wake)
{
    return atomic_load(&wake->shared->bell);
}

void wake_wait(struct wake *wake, uint32_t noted, int64_t timeout_ms)
{
    futex_sleep(&wake->shared->bell, noted, timeout_ms);
}

/* --- TTL renewals --- */

static struct touch *touch_slot(struct wake *wake, int64_t stream_id)
{
    return &wake->shared->touch[(uint64_t)stream_id % WAKE_TOUCH];
}

bool wake_touch(struct wake *wake, int64_t stream_id, int64_t until_ms)
{
    struct touch *slot = touch_slot(wake, stream_id);
    int64_t owner = 0, until;

    if (atomic_compare_exchange_strong(&slot->stream_id, &owner, stream_id)) {
        atomic_store(&slot->until_ms, until_ms); /* whatever another stream left there */
    } else if (owner != stream_id) {
        return false;
    }
    until = atomic_load(&slot->until_ms);
    while (until < until_ms && !atomic_compare_exchange_weak(&slot->until_ms, &until, until_ms))
        ;
    return atomic_load(&slot->stream_id) == stream_id; /* not freed meanwhile */
}

int64_t wake_touched(struct wake *wake, int64_t stream_id)
{
    struct touch *slot = touch_slot(wake, stream_id);

    if (atomic_load(&slot->stream_id) != stream_id)
        return 0;
    return atomic_load(&slot->until_ms);
}

/* Frees a slot whose value the database has had since the last round, unless renewed just now. */
static void free_slot(struct touch *slot, int64_t until)
{
    if (!atomic_compare_exchange_strong(&slot->until_ms, &until, 0))
        return;
    atomic_store(&slot->saved_ms, 0);
    atomic_store(&slot->stream_id, 0);
}

void wake_touch_sweep(struct wake *wake,
                      bool (*save)(void *arg, int64_t stream_id, int64_t until_ms), void *arg)
{
    for (int i = 0; i < WAKE_TOUCH; i++) {
        struct touch *slot = &wake->shared->touch[wake->touch_at];
        int64_t stream_id = atomic_load(&slot->stream_id);
        int64_t until = atomic_load(&slot->until_ms);

        if (stream_id != 0 && until > atomic_load(&slot->saved_ms)) {
            if (!save(arg, stream_id, until))
                return; /* the next round begins here */
        } else if (stream_id != 0) {
            free_slot(slot, until);
        }
        wake->touch_at = (wake->touch_at + 1) % WAKE_TOUCH;
    }
}

void wake_touch_saved(struct wake *wake, int64_t stream_id, int64_t until_ms)
{
    struct touch *slot = touch_slot(wake, stream_id);

    if (atomic_load(&slot->stream_id) == stream_id)
        atomic_store(&slot->saved_ms, until_ms);
}

/* --- locks --- */

enum ds_status wake_lock(struct wake *wake, int64_t timeout_ms)
{
    return write_lock_take(&wake->write_lock, timeout_ms);
}

void wake_unlock(struct wake *wake)
{
    write_lock_leave(&wake->write_lock);
}

bool wake_try_duty(struct wake *wake)
{
    return set_lock(wake->fd, F_WRLCK, 0, 1);
}

bool wake_try_checkpoint(struct wake *wake)
{
    return set_lock(wake->fd, F_WRLCK, 1, 1);
}

void wake_end_checkpoint(struct wake *wake)
{
    (void)set_lock(wake->fd, F_UNLCK, 1, 1);
}

bool wake_try_door(struct wake *wake, uint64_t door, int64_t places)
{
    off_t first = DOORS + (off_t)(door % DOORS) * MOST_PLACES;

    for (off_t place = first; place < first + places; place++)
        if (set_lock(wake->fd, F_WRLCK, place, 1))
            return true;
    return false;
}

void wake_leave_door(struct wake *wake)
{
    (void)set_lock(wake->fd, F_UNLCK, DOORS, 0);
}

void wake_count_door(struct wake *wake)
{
    atomic_fetch_add(&wake->shared->doors, 1);
}

uint32_t wake_doors_counted(struct wake *wake)
{
    return atomic_load(&wake->shared->doors);
}

bool wake_round_is_due(struct wake *wake, int64_t now_ms)
{
    int64_t round_at = atomic_load(&wake->shared->round_at);

    return (now_ms < round_at || now_ms - round_at >= 1000) &&
           atomic_compare_exchange_strong(&wake->shared->round_at, &round_at, now_ms);
}

void wake_round_soon(struct wake *wake)
{
    atomic_store(&wake->shared->round_at, 0);
}
