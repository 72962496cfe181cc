/*
 * Arenas: see arena.h.
 *
 * An arena is a list of blocks, the newest first. A piece comes from the newest block, or from a
 * new one. The block of a large piece is put after the newest block, which may still have room.
 *
 * Must hold: pieces never move, so pointers into an arena are valid until arena_free().
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 4000 }; /* enough for most requests; with malloc's header, one page */

struct block {
    struct block *next;
    size_t used; /* bytes of data that are allocated */
    size_t size; /* bytes of data */
    alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct block *newest;
};

static struct block *block_new(size_t size)
{
    struct block *block = malloc(sizeof *block + size);

    if (block) {
        block->next = NULL;
        block->used = 0;
        block->size = size;
    }
    return block;
}

struct arena *arena_new(void)
{
    /* the struct arena is the first piece of its first block, which saves a malloc() */
    struct block *block = block_new(BLOCK_SIZE);
    struct arena *arena;

    if (!block)
        return NULL;
    arena = (struct arena *)(void *)block->data;
    block->used = alignof(max_align_t);
    arena->newest = block;
    return arena;
}

void arena_free(struct arena *arena)
{
    struct block *block, *next;

    if (!arena)
        return;
    for (block = arena->newest; block; block = next) {
        next = block->next;
        free(block);
    }
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    struct block *block = arena->newest, *fresh;
    void *piece;

    if (size > SIZE_MAX - align - sizeof *block)
        return NULL;
    size = (size + align - 1) / align * align;
    if (size <= block->size - block->used) {
        piece = block->data + block->used;
        block->used += size;
        return piece;
    }
    fresh = block_new(size > BLOCK_SIZE ? size : BLOCK_SIZE);
    if (!fresh)
        return NULL;
    fresh->used = size;
    if (size > BLOCK_SIZE / 2) { /* the newest block still has room for small pieces */
        fresh->next = block->next;
        block->next = fresh;
    } else {
        fresh->next = block;
        arena->newest = fresh;
    }
    return fresh->data;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *piece = arena_alloc(arena, size);

    if (piece)
        memset(piece, 0, size);
    return piece;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);

    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return NULL;
    text = arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
