/* Upkeep, checkpoints and webhooks: see duty.h. */
#include "hints/duty.h"

#include "hints/byte_lock.h"
#include "hints/hints.h"
#include "hints/hints_layout.h"

enum { DELIVERY_COUNTS_MS = 15 * 60 * 1000 };

bool duty_try_upkeep(struct hints *hints)
{
    return byte_lock_try(hints->fd, BYTE_DUTY);
}

bool duty_try_checkpoint(struct hints *hints)
{
    if (atomic_exchange(&hints->checkpoints, true))
        return false;
    if (byte_lock_try(hints->fd, BYTE_CHECKPOINT))
        return true;
    atomic_store(&hints->checkpoints, false);
    return false;
}

void duty_end_checkpoint(struct hints *hints)
{
    byte_lock_release(hints->fd, BYTE_CHECKPOINT, 1);
    atomic_store(&hints->checkpoints, false);
}

/*
 * Takes the current second for this process. True, and *last becomes now_ms, if *last is a second
 * or more ago, or lies in the future, because the clock was set back or the file is damaged.
 */
static bool take_second(_Atomic int64_t *last, int64_t now_ms)
{
    int64_t at = atomic_load(last);

    return (at > now_ms || at <= now_ms - HINTS_RECHECK_MS) &&
           atomic_compare_exchange_strong(last, &at, now_ms);
}

bool duty_round_is_due(struct hints *hints, int64_t now_ms)
{
    return take_second(&hints->shared->round_at, now_ms);
}

void duty_round_soon(struct hints *hints)
{
    atomic_store(&hints->shared->round_at, 0);
}

bool duty_checkpoint_is_due(struct hints *hints, int64_t now_ms)
{
    return take_second(&hints->shared->tried_at, now_ms);
}

void duty_checkpoint_soon(struct hints *hints)
{
    atomic_store(&hints->shared->tried_at, 0);
}

bool duty_try_delivery(struct hints *hints)
{
    bool delivers = byte_lock_try(hints->fd, BYTE_DELIVER);

    atomic_store(&hints->delivers, delivers);
    return delivers;
}

bool duty_has_delivery(struct hints *hints)
{
    /* the kernel does not name our own lock */
    return atomic_load(&hints->delivers) || byte_lock_is_taken(hints->fd, BYTE_DELIVER);
}

void duty_note_delivery(struct hints *hints, int64_t now_ms)
{
    atomic_store(&hints->shared->delivered_at, now_ms);
}

bool duty_delivers(struct hints *hints, int64_t now_ms)
{
    int64_t at = atomic_load(&hints->shared->delivered_at);

    if (duty_has_delivery(hints))
        return true;
    return at != 0 && at >= now_ms - DELIVERY_COUNTS_MS && at <= now_ms + DELIVERY_COUNTS_MS;
}
