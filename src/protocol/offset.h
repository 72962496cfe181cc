/*
 * Offsets (protocol section 8): opaque to clients, and sortable as text.
 *
 *     0000000000000000_0000000000000123
 *     └─ generation ─┘ └─ position ───┘   16 decimal digits each
 *
 * The generation is 0 in every offset that this server creates. The position counts payload bytes
 * from the start of the stream (JSON messages as stored, without the array around them). A fork has
 * the positions of its source up to the place where it was forked.
 *
 * Clients should use only offsets that they were given, but some calculate others: the Yjs server
 * of y-durable-streams requests the offset of its last compaction plus one, and does not recover
 * from a 400. So a read accepts every offset. With an offset inside a message, it reads that
 * message from its start (store_read_span()); an offset beyond the tail counts as the tail. A fork
 * is stricter: an offset beyond the tail of its source is answered with 400.
 *
 * Pure, thread-safe.
 */
#ifndef OFFSET_H
#define OFFSET_H

#include <stddef.h>
#include <stdint.h>

enum { OFFSET_TEXT_LEN = 33, OFFSET_TEXT_SIZE = OFFSET_TEXT_LEN + 1 };

/* The largest position that an offset can express, in bytes. */
#define OFFSET_POSITION_MAX INT64_C(9999999999999999)

enum offset_kind {
    OFFSET_INVALID,  /* not an offset: 400 */
    OFFSET_START,    /* "-1" */
    OFFSET_NOW,      /* "now" */
    OFFSET_POSITION, /* of the form above */
};

/*
 * Reads an offset of len bytes. *position becomes 0 for OFFSET_START, and 0..OFFSET_POSITION_MAX
 * for OFFSET_POSITION. An offset with a generation other than 0 is well-formed, but no stream has
 * it: *position becomes OFFSET_POSITION_MAX, which is beyond every tail.
 *
 * Only the full form of 16 digits, '_' and 16 digits is accepted: a shorter one would sort
 * differently as text.
 */
enum offset_kind offset_parse(const char *text, size_t len, int64_t *position);

/* Writes the offset of a position, 0..OFFSET_POSITION_MAX, and a final NUL. */
void offset_format(int64_t position, char text[static OFFSET_TEXT_SIZE]);

#endif
