/* A cache of stream rows, and the state of the log: see row_cache.c. */
#ifndef ROW_CACHE_H
#define ROW_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct store_conn;
struct stream;

/* Finds a cached row that a SELECT would find now. Its texts go into the arena. */
bool row_cache_get(struct store_conn *conn, struct arena *arena, const char *path,
                   struct stream *stream);

/* Caches a row that was read after row_cache_get() had found none. */
void row_cache_put(struct store_conn *conn, const struct stream *stream);
void row_cache_close(struct store_conn *conn);

/*
 * A 64-bit number for the state of the write-ahead log: it differs after each commit, and stays the
 * same when a process rebuilds the index of the same log. 0: unknown. Call it after a read.
 */
uint64_t row_cache_wal_state(struct store_conn *conn);

#endif
