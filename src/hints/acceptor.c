/* The limit on acceptors: see acceptor.h. */
#include "hints/acceptor.h"

#include "hints/byte_lock.h"
#include "hints/hints_layout.h"

enum {
    SOCKETS = 1 << 24,          /* two sockets with the same number modulo this share their bytes */
    BYTES = ACCEPTOR_LIMIT + 1, /* of one socket */
};

bool acceptor_try(struct hints *hints, uint64_t socket, int64_t limit)
{
    off_t first = BYTE_ACCEPTORS + (off_t)(socket % SOCKETS) * BYTES;

    for (off_t byte = first; byte < first + limit; byte++)
        if (byte_lock_try(hints->fd, byte))
            return true;
    return false;
}

void acceptor_leave(struct hints *hints)
{
    byte_lock_release(hints->fd, BYTE_ACCEPTORS, 0);
}

void acceptor_announce(struct hints *hints)
{
    atomic_fetch_add(&hints->shared->accepts, 1);
}

uint32_t acceptor_announced(struct hints *hints)
{
    return atomic_load(&hints->shared->accepts);
}
