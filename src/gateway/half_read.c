/* Counts what half-read requests hold: see half_read.h. */
#include "gateway/half_read.h"

#include <stdatomic.h>

#include "base/log.h"
#include "config/config.h"

enum { BESIDE_BODIES = 1024 * 1024 }; /* bytes for parameters, beyond DS_MAX_QUEUED_BYTES */

static _Atomic int64_t all_held;

bool half_read_count(const struct config *config, int64_t *held, int64_t holds)
{
    static _Atomic int64_t next_line;
    int64_t more = holds - *held, all = atomic_fetch_add(&all_held, more) + more;

    *held = holds;
    if (all <= config->max_queued_bytes + BESIDE_BODIES || all == holds)
        return true;
    if (log_is_due(&next_line))
        log_warn("incoming requests hold more than DS_MAX_QUEUED_BYTES: some are refused");
    return false;
}

void half_read_end(int64_t *held)
{
    if (*held > 0)
        atomic_fetch_sub(&all_held, *held);
    *held = 0;
}
