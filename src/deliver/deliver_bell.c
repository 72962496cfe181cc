/* Waking the deliverer: see deliver_bell.h. */
#include "deliver/deliver_bell.h"

#include "engine/subscription.h"
#include "hints/hints.h"
#include "hints/wake.h"

/* Is one of the changes since the last call a wake that is to be delivered? */
static bool is_for_us(struct bell *bell)
{
    bool found = false;
    int64_t id;

    for (enum wake_change change = WAKE_STREAM; change != WAKE_NONE;) {
        change = wake_next(bell->hints, &bell->seen, &id);
        if (change == WAKE_LOST || (change == WAKE_STREAM && id == SUBSCRIPTION_WAKE_ID))
            found = true;
    }
    return found;
}

static void *run_bell(void *arg)
{
    struct bell *bell = arg;

    while (!atomic_load(&bell->stopping)) {
        if (is_for_us(bell)) {
            atomic_store(&bell->rung, true);
            (void)curl_multi_wakeup(bell->multi);
        }
        wake_wait(bell->hints, bell->noted, HINTS_RECHECK_MS);
        bell->noted = wake_bell(bell->hints);
    }
    return NULL;
}

bool bell_start(struct bell *bell, struct hints *hints, CURLM *multi)
{
    bell->hints = hints;
    bell->multi = multi;
    bell->seen = wake_head(hints);
    wake_interest(hints, SUBSCRIPTION_WAKE_ID, 1);
    bell->noted = wake_bell(hints);
    bell->started = pthread_create(&bell->thread, NULL, run_bell, bell) == 0;
    if (!bell->started)
        wake_interest(hints, SUBSCRIPTION_WAKE_ID, -1);
    return bell->started;
}

bool bell_take(struct bell *bell)
{
    return atomic_exchange(&bell->rung, false);
}

void bell_stop(struct bell *bell)
{
    if (!bell->started)
        return;
    atomic_store(&bell->stopping, true);
    wake_ring(bell->hints);
    (void)pthread_join(bell->thread, NULL);
    wake_interest(bell->hints, SUBSCRIPTION_WAKE_ID, -1);
    bell->started = false;
}
