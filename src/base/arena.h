/*
 * An arena: memory that is allocated piece by piece and freed in one call.
 *
 * Everything that is allocated for an exchange lives in its arena, so no function has to free
 * single pieces. An arena belongs to the owner of its exchange: only one thread may use it at a
 * time.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena;

/* NULL when out of memory. */
struct arena *arena_new(void);

/* Frees the arena and every piece. arena may be NULL. */
void arena_free(struct arena *arena);

/* size bytes, aligned for any type and not initialised; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc(), with every byte 0. */
void *arena_zalloc(struct arena *arena, size_t size);

/* A copy of len bytes, and a final NUL; NULL when out of memory. */
char *arena_strndup(struct arena *arena, const char *text, size_t len);

/* The text that printf() would print; NULL when out of memory. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
