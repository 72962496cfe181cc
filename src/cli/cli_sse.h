/*
 * Parses Server-Sent Events (HTML Living Standard 9.2.6): bytes in, events out. Lines end with LF,
 * CR or CRLF, and the network may cut the bytes anywhere. Pure, no I/O.
 */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Takes a whole event. Both texts are valid during the call. */
typedef bool cli_sse_fn(void *arg, const char *type, const char *data, size_t len);

/* Starts as zeroes with fn and arg; ends with cli_sse_close(). */
struct cli_sse {
    cli_sse_fn *fn; /* returns false to stop reading */
    void *arg;
    struct buf line;   /* the incomplete line */
    struct buf type;   /* of the incomplete event */
    struct buf data;   /* its data lines, each with an LF */
    bool after_cr;     /* an LF at this point belongs to the CR before it */
    bool not_at_start; /* a byte order mark is no longer allowed */
};

/* False: fn returned false, or out of memory. */
bool cli_sse_feed(struct cli_sse *sse, const char *data, size_t len);

/* Frees the memory. The standard says that an incomplete event is dropped. */
void cli_sse_close(struct cli_sse *sse);

#endif
