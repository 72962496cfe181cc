/*
 * SQLite's memory in a CGI process, which has one thread and seldom lives longer than a request.
 *
 * Most of that request is reading the schema: thousands of small blocks. They are cut one after
 * the other from large pieces, and one that is given back goes to the next that asks for its size.
 * A process with waiting readers, which lives longer, goes round with what it has. Nothing is ever
 * given back to the system but the largest ones, which are malloc()'s.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store_private.h"

enum {
    GRAIN = 16,
    SMALL = 8192, /* a page and what SQLite keeps with it, at the most */
    CLASSES = SMALL / GRAIN + 1,
    FIRST = 96 * 1024, /* what any request needs */
    PIECE = 64 * 1024,
    HEAD = 8,
};

struct block {
    int64_t size;       /* without this head */
    struct block *next; /* of those to be had; where the content was */
};

static struct block *spare[CLASSES];
static char *piece;
static size_t left;

static struct block *block_of(void *memory)
{
    return (struct block *)(void *)((char *)memory - HEAD);
}

static int memory_round(int size)
{
    return (size + HEAD + GRAIN - 1) / GRAIN * GRAIN - HEAD;
}

/* The first one with all of its pages: one call costs less than a fault for each. */
static bool get_piece(void)
{
    static bool other;

    left = other ? PIECE : FIRST;
    piece = other ? malloc(PIECE)
                  : mmap(NULL, FIRST, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (!piece || piece == MAP_FAILED)
        left = 0;
    else
        other = true;
    return left > 0;
}

static struct block *cut(size_t size)
{
    struct block *block;

    if (left < size && !get_piece()) /* what is left of a piece is little */
        return NULL;
    block = (struct block *)(void *)piece;
    piece += size;
    left -= size;
    return block;
}

static void *memory_get(int wanted)
{
    int size = memory_round(wanted);
    size_t whole = (size_t)size + HEAD;
    struct block *block;

    if (whole > SMALL) {
        block = malloc(whole);
    } else {
        block = spare[whole / GRAIN];
        if (block)
            spare[whole / GRAIN] = block->next;
        else
            block = cut(whole);
    }
    if (!block)
        return NULL;
    block->size = size;
    return (char *)block + HEAD;
}

static int memory_size(void *memory)
{
    return memory ? (int)block_of(memory)->size : 0;
}

static void memory_give(void *memory)
{
    struct block *block = block_of(memory);
    size_t whole = (size_t)block->size + HEAD;

    if (whole > SMALL) {
        free(block);
        return;
    }
    block->next = spare[whole / GRAIN];
    spare[whole / GRAIN] = block;
}

static void *memory_resize(void *memory, int wanted)
{
    int has = memory_size(memory);
    void *other;

    if (wanted <= has)
        return memory;
    other = memory_get(wanted);
    if (!other)
        return NULL;
    memcpy(other, memory, (size_t)has);
    memory_give(memory);
    return other;
}

static int memory_init(void *unused)
{
    (void)unused;
    return SQLITE_OK;
}

static void memory_shutdown(void *unused)
{
    (void)unused;
}

void store_use_one_thread(void)
{
    static const sqlite3_mem_methods methods = {
        .xMalloc = memory_get,
        .xFree = memory_give,
        .xRealloc = memory_resize,
        .xSize = memory_size,
        .xRoundup = memory_round,
        .xInit = memory_init,
        .xShutdown = memory_shutdown,
    };

    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    /* both would be laid out beforehand, and touched: more than a request needs */
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}
