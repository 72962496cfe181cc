/*
 * Server-Sent Events as a reader has them (HTML Living Standard 9.2.6): bytes in, events out.
 * Lines end with LF, CR or CRLF, wherever the network cuts them. Pure, no I/O.
 */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* A whole event. Both texts die with the call. */
typedef bool cli_sse_fn(void *arg, const char *type, const char *data, size_t len);

/* Begin with zeroes and fn; end with cli_sse_close(). */
struct cli_sse {
    cli_sse_fn *fn; /* false ends the reading */
    void *arg;
    struct buf line;   /* the line that is not ended yet */
    struct buf type;   /* of the event that is not ended yet */
    struct buf data;   /* its data lines, each with a LF */
    bool after_cr;     /* a LF now belongs to the CR before it */
    bool not_at_start; /* a byte order mark may no longer come */
};

/* False when fn said so or memory ran out. */
bool cli_sse_feed(struct cli_sse *sse, const char *data, size_t len);

/* Frees the memory; an event that was not ended is dropped, as the standard has it. */
void cli_sse_close(struct cli_sse *sse);

#endif
