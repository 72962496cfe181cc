/*
 * The shared hints: see wake.h for the layout and who may write what, wake_file.c for the file.
 */
#include "hints/wake.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/futex.h"
#include "hints/wake_private.h"

enum {
    PATIENCE = 64,    /* times to yield to a writer in the middle of publishing */
    DOORS = 1 << 24,  /* that are told apart; and where their bytes begin, beyond the file */
    MOST_PLACES = 64, /* of a door */
};

/*
 * A lock of this open file description, on bytes that stand for something (0 for the duty, 1 for a
 * checkpoint, 2 for the write lock, those beyond DOORS for doors): it goes when the process goes,
 * however it goes.
 */
static bool set_lock(int fd, short type, off_t start, off_t bytes)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
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

/* Never below 0, from where it would take long to come down again. */
static void count_down(_Atomic uint32_t *slot)
{
    uint32_t count = atomic_load(slot);

    while (count > 0 && !atomic_compare_exchange_weak(slot, &count, count - 1))
        ;
}

void wake_interest(struct wake *wake, int64_t stream_id, int change)
{
    uint64_t slot = (uint64_t)stream_id % WAKE_INTEREST;

    if (change > 0) {
        atomic_fetch_add(&wake->shared->interest[slot], 1);
        atomic_fetch_add(&wake->counted[slot], 1);
        atomic_fetch_add(&wake->interests, 1);
    } else {
        count_down(&wake->interests);
        count_down(&wake->counted[slot]);
        count_down(&wake->shared->interest[slot]);
    }
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

/* Beyond what a renewal by another process, or before the clock was put back, can have said. */
static bool is_too_late(int64_t until, int64_t latest)
{
    return until > latest && (uint64_t)until - (uint64_t)latest > WAKE_SLACK_MS;
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
    while ((until < until_ms || is_too_late(until, until_ms)) &&
           !atomic_compare_exchange_weak(&slot->until_ms, &until, until_ms))
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

        if (stream_id == 0) {
            /* free */
        } else if (stream_id < 0 || touch_slot(wake, stream_id) != slot) {
            atomic_store(&slot->stream_id, 0); /* nobody ever put that there */
        } else if (until != atomic_load(&slot->saved_ms)) {
            if (!save(arg, stream_id, until))
                return; /* the next round begins here */
        } else {
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
    if (atomic_exchange(&wake->checkpoints, true))
        return false;
    if (set_lock(wake->fd, F_WRLCK, 1, 1))
        return true;
    atomic_store(&wake->checkpoints, false);
    return false;
}

void wake_end_checkpoint(struct wake *wake)
{
    (void)set_lock(wake->fd, F_UNLCK, 1, 1);
    atomic_store(&wake->checkpoints, false);
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

/* At a time that is more than a second away: notes this one. */
static bool is_due(_Atomic int64_t *last, int64_t now_ms)
{
    int64_t at = atomic_load(last);

    return (at > now_ms || at <= now_ms - WAKE_RECHECK_MS) &&
           atomic_compare_exchange_strong(last, &at, now_ms);
}

bool wake_round_is_due(struct wake *wake, int64_t now_ms)
{
    return is_due(&wake->shared->round_at, now_ms);
}

void wake_round_soon(struct wake *wake)
{
    atomic_store(&wake->shared->round_at, 0);
}

uint64_t wake_synced(struct wake *wake)
{
    return wake->shared->boot[0] ? atomic_load(&wake->shared->synced) : 0;
}

void wake_note_synced(struct wake *wake, uint64_t state)
{
    atomic_store(&wake->shared->synced, state);
}

bool wake_checkpoint_is_due(struct wake *wake, int64_t now_ms)
{
    return is_due(&wake->shared->tried_at, now_ms);
}

void wake_checkpoint_soon(struct wake *wake)
{
    atomic_store(&wake->shared->tried_at, 0);
}
