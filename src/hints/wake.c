/* Waking the readers of every process: see wake.h. */
#include "hints/wake.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>

#include "base/futex.h"
#include "hints/hints_layout.h"

enum { PATIENCE = 64 }; /* how often to yield to a committer that is inside publish_one() */

static void publish_one(struct hints_shared *shared, int64_t stream_id)
{
    uint64_t index = atomic_fetch_add(&shared->head, 1);
    struct change *change = &shared->ring[index % HINTS_RING];

    atomic_store(&change->number, 0);
    atomic_store(&change->stream_id, stream_id);
    atomic_store(&change->number, index + 1);
}

void wake_publish(struct hints *hints, const int64_t *stream_ids, size_t n)
{
    struct hints_shared *shared = hints->shared;
    bool wanted = false;

    for (size_t i = 0; i < n; i++) {
        publish_one(shared, stream_ids[i]);
        if (atomic_load(&shared->interest[(uint64_t)stream_ids[i] % HINTS_INTEREST]) != 0)
            wanted = true;
    }
    if (wanted)
        wake_ring(hints);
}

void wake_ring(struct hints *hints)
{
    atomic_fetch_add(&hints->shared->bell, 1);
    futex_wake(&hints->shared->bell, INT_MAX);
}

/* Never below 0: a damaged count would wrap, and cause needless wake-ups from then on. */
static void count_down(_Atomic uint32_t *slot)
{
    uint32_t count = atomic_load(slot);

    while (count > 0 && !atomic_compare_exchange_weak(slot, &count, count - 1))
        ;
}

void wake_interest(struct hints *hints, int64_t stream_id, int change)
{
    uint64_t slot = (uint64_t)stream_id % HINTS_INTEREST;

    if (change > 0) {
        atomic_fetch_add(&hints->shared->interest[slot], 1);
        atomic_fetch_add(&hints->counted[slot], 1);
        atomic_fetch_add(&hints->interests, 1);
    } else {
        count_down(&hints->interests);
        count_down(&hints->counted[slot]);
        count_down(&hints->shared->interest[slot]);
    }
}

uint64_t wake_head(struct hints *hints)
{
    return atomic_load(&hints->shared->head);
}

/*
 * The number of a change. If its committer is just writing it, waits for the end, but not long: the
 * committer may have been killed.
 */
static uint64_t await_number(const struct change *change, uint64_t index)
{
    uint64_t number = atomic_load(&change->number);

    for (int i = 0; number <= index && i < PATIENCE; i++) {
        (void)sched_yield();
        number = atomic_load(&change->number);
    }
    return number;
}

enum wake_change wake_next(struct hints *hints, uint64_t *seen, int64_t *stream_id)
{
    struct hints_shared *shared = hints->shared;
    uint64_t head = atomic_load(&shared->head);
    struct change *change = &shared->ring[*seen % HINTS_RING];
    uint64_t number;

    if (*seen == head)
        return WAKE_NONE;
    if (*seen < head && head - *seen <= HINTS_RING) {
        number = await_number(change, *seen);
        *stream_id = atomic_load(&change->stream_id);
        if (number == *seen + 1 && atomic_load(&change->number) == number) {
            ++*seen;
            return WAKE_STREAM;
        }
    }
    *seen = head; /* the database has all changes that were published before */
    return WAKE_LOST;
}

uint32_t wake_bell(struct hints *hints)
{
    return atomic_load(&hints->shared->bell);
}

void wake_wait(struct hints *hints, uint32_t noted, int64_t timeout_ms)
{
    futex_sleep(&hints->shared->bell, noted, timeout_ms);
}
