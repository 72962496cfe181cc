/*
 * The program that delivers webhooks (protocol section 7.1): it POSTs the wakes that are due, and
 * writes down how each attempt ended. Any number of these processes may run, and one of them
 * delivers: it has the duty of hints/duty.h. It is a program of its own, so that no other one needs
 * the network, an HTTP client or signatures.
 *
 *     deliver_loop.c     one thread: what it does when, from its start to its end
 *     deliver_turn.c     its transactions, and the transfers of libcurl
 *     deliver_choice.c   which of the attempts that are due begin
 *     deliver_bell.c     a second thread, which only wakes the first
 *     deliver_post.c     one POST: request, limits, and what its answer means
 *     deliver_guard.c    which addresses a connection may be opened to
 *     deliver_key.c      the keys that sign: made, published, rotated, removed
 *     deliver_sign.c     Ed25519
 *
 *     wake is due ──▶ attempt begun, next one planned ──▶ POST ──▶ attempt ended
 *     (database)         (one transaction)                            (one transaction)
 *
 * Must hold: the time of the next attempt is written before the POST, so a process that dies
 * neither forgets an attempt nor repeats it at once. The end of an attempt counts only if the wake
 * is still the same. What this process has in memory is needed for nothing else than the transfers
 * under way.
 */
#ifndef DELIVER_H
#define DELIVER_H

#include <signal.h>
#include <stdbool.h>

struct config;

/*
 * Delivers until one of the signals arrives, which must be blocked; transfers under way then get
 * DS_STOP_TIMEOUT_MS. once: ends when nothing is due, or at once if another process delivers.
 * Returns the exit status of the process.
 */
int deliver_run(const struct config *config, const sigset_t *signals, bool once);

#endif
