/*
 * A growing byte buffer.
 *
 * Errors are sticky: after one failed growth every later call does nothing and buf_failed() says
 * so, which lets a caller write a whole answer and ask once. A zeroed struct buf is an empty one.
 * Not thread-safe.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data;  /* malloc'd, not NUL-terminated; NULL while nothing was added */
    size_t len;  /* bytes in use */
    size_t size; /* bytes allocated */
    bool failed; /* out of memory once */
};

void buf_close(struct buf *buf);                             /* frees and empties */
void buf_clear(struct buf *buf);                             /* empties, keeps the memory */
void buf_add(struct buf *buf, const void *data, size_t len); /* appends bytes */
void buf_addc(struct buf *buf, char c);                      /* appends one byte */
void buf_add_int(struct buf *buf, int64_t value);            /* appends it in decimal */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_failed(const struct buf *buf);

/* Room for `more` further bytes. Inline, for mostly there is, and then the call would cost most. */
bool buf_grow(struct buf *buf, size_t more); /* where there is not */
static inline bool buf_reserve(struct buf *buf, size_t more)
{
    return !buf->failed && (more <= buf->size - buf->len || buf_grow(buf, more));
}

/* Appends a string. Inline, for of most the compiler knows the length. */
static inline void buf_adds(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

/* The data leaves the buffer and is the caller's to free(). */
char *buf_take(struct buf *buf, size_t *len);

#endif
