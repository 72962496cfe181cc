/*
 * The limit on acceptors: how many of the processes that share a listening socket accept
 * connections from it. More processes than the CPUs can run would only wake each other, and split
 * the writes into smaller batches. The other processes accept only when no acceptor does.
 *
 * Each socket has ACCEPTOR_LIMIT + 1 bytes (byte_lock.h); a process that holds one of the first
 * `limit` of them is an acceptor.
 */
#ifndef ACCEPTOR_H
#define ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>

struct hints;

enum { ACCEPTOR_LIMIT = 63 };

/*
 * Is this process, or does it now become, one of the `limit` (1 to ACCEPTOR_LIMIT) acceptors of a
 * socket? It remains one until acceptor_leave() or its end. socket is any number that identifies
 * the socket in all processes, such as its inode.
 */
bool acceptor_try(struct hints *hints, uint64_t socket, int64_t limit);

/* This process is no longer an acceptor, of any socket. */
void acceptor_leave(struct hints *hints);

/*
 * An acceptor announces that it is about to accept. The number of announcements so far, of all
 * sockets, tells the other processes whether acceptors are still at work.
 */
void acceptor_announce(struct hints *hints);
uint32_t acceptor_announced(struct hints *hints);

#endif
