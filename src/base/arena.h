/*
 * An arena: memory that is made piece by piece and dies in one call.
 *
 * Whatever is made for one exchange lives in its arena. There is no free() of a single piece.
 * Not thread-safe: an arena belongs to whoever owns its exchange.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena;

/* NULL when out of memory. */
struct arena *arena_new(void);

/* Frees every piece. NULL is allowed. */
void arena_free(struct arena *arena);

/* size bytes, aligned for any type, uninitialised; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc, all bytes zero. */
void *arena_zalloc(struct arena *arena, size_t size);

/* A copy of len bytes and a final NUL; NULL when out of memory. */
char *arena_strndup(struct arena *arena, const char *text, size_t len);

/* printf into the arena; NULL when out of memory. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
