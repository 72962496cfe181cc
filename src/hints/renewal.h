/*
 * TTL renewals: a read of a stream with a TTL extends the stream's life (protocol section 5.1). The
 * new end is only noted here, because a durable commit for each read would be too slow; the process
 * with the duty of upkeep saves the notes once a second.
 *
 *     slot = stream id modulo HINTS_RENEWALS        { stream_id, until_ms, saved_ms }
 *
 *              renewal_note()        renewal_collect()+commit       renewal_collect()
 *     free ───────────────▶ noted ──────────────────────▶ saved ───────────────────▶ free
 *                             ▲      renewal_mark_saved()    │
 *                             └──────────────────────────────┘
 *                                 renewal_note(), later end
 *
 * A saved note stays for one further round, so that a read whose snapshot is older than the
 * commit still finds it. If the file is lost, streams lose at most a second of their last renewal.
 *
 * Times are Unix milliseconds.
 */
#ifndef RENEWAL_H
#define RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

struct hints;

/*
 * Notes that a stream lives until until_ms at least. until_ms is now plus the stream's TTL, the
 * furthest that a renewal can reach: a noted value more than HINTS_SLACK_MS beyond it is damage,
 * and is replaced. False if another stream has the slot; the caller must save the renewal itself.
 */
bool renewal_note(struct hints *hints, int64_t stream_id, int64_t until_ms);

/* The noted end of a stream's life, or 0. May be damaged: the caller checks it against the TTL. */
int64_t renewal_find(struct hints *hints, int64_t stream_id);

/*
 * Calls save(arg, …) for every note whose end differs from the saved one, until save returns false;
 * the next call continues with that note. Frees the notes that were saved before. Only one thread
 * of the process may call this, and only in the process with the duty of upkeep (duty.h).
 */
void renewal_collect(struct hints *hints,
                     bool (*save)(void *arg, int64_t stream_id, int64_t until_ms), void *arg);

/* Says that this renewal was committed. */
void renewal_mark_saved(struct hints *hints, int64_t stream_id, int64_t until_ms);

#endif
