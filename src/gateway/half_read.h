/*
 * What the requests that are still arriving hold in memory, over all connections of the process:
 * DS_MAX_QUEUED_BYTES bounds it. Thread-safe.
 */
#ifndef HALF_READ_H
#define HALF_READ_H

#include <stdbool.h>
#include <stdint.h>

struct config;

/*
 * The request now holds `holds` bytes, of which *held were counted before. False, with a line in
 * the log from time to time, if that is too much: the request must then be refused, and what it
 * holds be freed and counted again. A request that is the only one is always let in, however large.
 */
bool half_read_count(const struct config *config, int64_t *held, int64_t holds);

/* The request holds nothing any more. */
void half_read_end(int64_t *held);

#endif
