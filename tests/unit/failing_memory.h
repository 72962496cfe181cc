/*
 * Lets the n-th allocation of SQLite and all later ones fail: for loops that let the first, second,
 * third … one fail until the tested code runs to its end.
 */
#ifndef FAILING_MEMORY_H
#define FAILING_MEMORY_H

#include <check.h>
#include <sqlite3.h>
#include <stdbool.h>

static sqlite3_mem_methods real_memory;
static int allocations_left = -1; /* until they fail; negative: none fails */

static inline bool memory_fails(void)
{
    if (allocations_left > 0)
        allocations_left--;
    else
        return allocations_left == 0;
    return false;
}

static inline void *failing_malloc(int size)
{
    return memory_fails() ? NULL : real_memory.xMalloc(size);
}

static inline void *failing_realloc(void *memory, int size)
{
    return memory_fails() ? NULL : real_memory.xRealloc(memory, size);
}

/* Before the first connection. */
static inline void use_failing_memory(void)
{
    sqlite3_mem_methods failing;

    (void)sqlite3_shutdown();
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
    failing = real_memory;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0); /* every allocation comes here */
}

#endif
