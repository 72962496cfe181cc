/*
 * Upkeep, checkpoints and webhooks: which process does them, and when a CGI process should. All
 * processes are equal; a kernel lock (byte_lock.h) chooses one, and chooses another if that one
 * dies.
 *
 * Times are Unix milliseconds.
 */
#ifndef DUTY_H
#define DUTY_H

#include <stdbool.h>
#include <stdint.h>

struct hints;

/* True if this process has, or now gets, the duty of upkeep. It keeps the duty until it ends. */
bool duty_try_upkeep(struct hints *hints);

/*
 * Takes the right to take a checkpoint: one thread of all processes at a time (store_checkpoint.c).
 * False if another thread has it, or if hints_mend() is changing the file, which would lose the
 * lock.
 */
bool duty_try_checkpoint(struct hints *hints);
void duty_end_checkpoint(struct hints *hints);

/*
 * For CGI processes, which have no clock of their own: should this one do a round of upkeep? True
 * for one process a second, and at once after duty_round_soon().
 */
bool duty_round_is_due(struct hints *hints, int64_t now_ms);
void duty_round_soon(struct hints *hints);

/*
 * Likewise: may this CGI process try a checkpoint? Each try holds up all writers, and fails while a
 * reader uses the log; so after a failed try, true for one process a second only. A process that
 * succeeded calls duty_checkpoint_soon(), and the next one may try at once.
 */
bool duty_checkpoint_is_due(struct hints *hints, int64_t now_ms);
void duty_checkpoint_soon(struct hints *hints);

/*
 * True if this process has, or now gets, the duty of delivering webhooks. It keeps the duty until
 * it ends, or until hints_mend() changes to another file; so it asks again once a second.
 */
bool duty_try_delivery(struct hints *hints);

/* Has a process that duty, this one included? */
bool duty_has_delivery(struct hints *hints);

/* Notes that a process, started by cron for example, delivers webhooks and then ends. */
void duty_note_delivery(struct hints *hints, int64_t now_ms);

/*
 * Can clients rely on delivery? True if a process has the duty, or if a delivery was noted within
 * 15 minutes. The note may lie in the future by as much, because the clock was set back.
 */
bool duty_delivers(struct hints *hints, int64_t now_ms);

#endif
