/* TTL renewals: see renewal.h. */
#include "hints/renewal.h"

#include "hints/hints.h"
#include "hints/hints_layout.h"

static struct renewal_slot *slot_of(struct hints *hints, int64_t stream_id)
{
    return &hints->shared->renewal[(uint64_t)stream_id % HINTS_RENEWALS];
}

/* Is it further ahead than a renewal can reach, even if clocks differ by HINTS_SLACK_MS? */
static bool is_too_late(int64_t until, int64_t latest)
{
    return until > latest && (uint64_t)until - (uint64_t)latest > HINTS_SLACK_MS;
}

bool renewal_note(struct hints *hints, int64_t stream_id, int64_t until_ms)
{
    struct renewal_slot *slot = slot_of(hints, stream_id);
    int64_t owner = 0, until;

    if (atomic_compare_exchange_strong(&slot->stream_id, &owner, stream_id)) {
        atomic_store(&slot->until_ms, until_ms); /* another stream may have left a later value */
    } else if (owner != stream_id) {
        return false;
    }
    until = atomic_load(&slot->until_ms);
    while ((until < until_ms || is_too_late(until, until_ms)) &&
           !atomic_compare_exchange_weak(&slot->until_ms, &until, until_ms))
        ;
    return atomic_load(&slot->stream_id) == stream_id; /* false if it was freed meanwhile */
}

int64_t renewal_find(struct hints *hints, int64_t stream_id)
{
    struct renewal_slot *slot = slot_of(hints, stream_id);

    if (atomic_load(&slot->stream_id) != stream_id)
        return 0;
    return atomic_load(&slot->until_ms);
}

/* Frees a slot whose value was saved in an earlier round, unless it was renewed just now. */
static void free_slot(struct renewal_slot *slot, int64_t until)
{
    if (!atomic_compare_exchange_strong(&slot->until_ms, &until, 0))
        return;
    atomic_store(&slot->saved_ms, 0);
    atomic_store(&slot->stream_id, 0);
}

void renewal_collect(struct hints *hints,
                     bool (*save)(void *arg, int64_t stream_id, int64_t until_ms), void *arg)
{
    for (int i = 0; i < HINTS_RENEWALS; i++) {
        struct renewal_slot *slot = &hints->shared->renewal[hints->save_at];
        int64_t stream_id = atomic_load(&slot->stream_id);
        int64_t until = atomic_load(&slot->until_ms);

        if (stream_id == 0) {
            /* free */
        } else if (stream_id < 0 || slot_of(hints, stream_id) != slot) {
            atomic_store(&slot->stream_id, 0); /* damage: no process writes this */
        } else if (until != atomic_load(&slot->saved_ms)) {
            if (!save(arg, stream_id, until))
                return; /* the next call begins with this slot */
        } else {
            free_slot(slot, until);
        }
        hints->save_at = (hints->save_at + 1) % HINTS_RENEWALS;
    }
}

void renewal_mark_saved(struct hints *hints, int64_t stream_id, int64_t until_ms)
{
    struct renewal_slot *slot = slot_of(hints, stream_id);

    if (atomic_load(&slot->stream_id) == stream_id)
        atomic_store(&slot->saved_ms, until_ms);
}
