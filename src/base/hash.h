/*
 * FNV-1a with 64 bits, the only hash of the project: for tables in memory, for names that must be
 * the same in every run, and to tell one state of a file from another.
 *
 * It is not cryptographic. Clients choose what is hashed (paths), so a table must remain correct
 * when all its keys have the same value. Pure, thread-safe.
 */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_OF_NOTHING UINT64_C(14695981039346656037)

static inline uint64_t hash_add_byte(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * UINT64_C(1099511628211);
}

/* The hash of a string, without its NUL. */
static inline uint64_t hash_text(const char *text)
{
    uint64_t hash = HASH_OF_NOTHING;

    for (; *text; text++)
        hash = hash_add_byte(hash, (unsigned char)*text);
    return hash;
}

/* The hash of len bytes. */
static inline uint64_t hash_bytes(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    uint64_t hash = HASH_OF_NOTHING;

    for (size_t i = 0; i < len; i++)
        hash = hash_add_byte(hash, bytes[i]);
    return hash;
}

#endif
