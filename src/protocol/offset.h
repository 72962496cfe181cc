/*
 * Offsets (protocol section 8): opaque to clients, sortable as text.
 *
 *     0000000000000000_0000000000000123
 *     └─ generation ─┘ └─ position ───┘   16 decimal digits each
 *
 * The generation is 0 in everything this server mints; the position counts payload bytes from the
 * start of the stream (JSON messages as they are stored, without the array around them). Forks
 * share the positions of their source up to the point of divergence.
 *
 * Clients should read on from offsets that they were given, but some count on from them: the Yjs
 * server of y-durable-streams asks for the offset of its last compaction plus one, and never comes
 * round after a 400. So a read takes every offset. One inside a message, which is none of ours,
 * reads the message from its start (store_read_span), and one beyond the tail is taken for the
 * tail. Where a fork begins is another matter: 400 if it is no place in the source.
 *
 * Pure: no I/O, thread-safe.
 */
#ifndef OFFSET_H
#define OFFSET_H

#include <stddef.h>
#include <stdint.h>

enum { OFFSET_TEXT_LEN = 33, OFFSET_TEXT_SIZE = OFFSET_TEXT_LEN + 1 };

/* The largest position that an offset can name, in bytes. */
#define OFFSET_POSITION_MAX INT64_C(9999999999999999)

enum offset_kind {
    OFFSET_INVALID,  /* not an offset: 400 */
    OFFSET_START,    /* "-1" */
    OFFSET_NOW,      /* "now" */
    OFFSET_POSITION, /* a minted one */
};

/*
 * Reads len bytes of text. For OFFSET_POSITION and OFFSET_START (0) *position is set to
 * 0..OFFSET_POSITION_MAX. A generation other than 0 is well-formed but names no position that
 * exists: *position is then OFFSET_POSITION_MAX, which lies beyond every tail.
 * Exactly 16 digits, '_' and 16 digits: a shorter form would sort differently as text.
 */
enum offset_kind offset_parse(const char *text, size_t len, int64_t *position);

/* Writes the offset of a position (0..OFFSET_POSITION_MAX) and a final NUL. */
void offset_format(int64_t position, char text[static OFFSET_TEXT_SIZE]);

#endif
