/*
 * A growing byte buffer.
 *
 * Errors are sticky: after a failed allocation all further calls do nothing, and buf_failed() is
 * true. A caller can therefore write a whole answer and check once. A zeroed struct buf is an empty
 * buffer. Not thread-safe.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data;  /* malloc()ed, without a final NUL; NULL until something is appended */
    size_t len;  /* bytes in use */
    size_t size; /* bytes allocated */
    bool failed; /* an allocation has failed */
};

void buf_close(struct buf *buf);                             /* frees the memory, and empties */
void buf_clear(struct buf *buf);                             /* empties, and keeps the memory */
void buf_add(struct buf *buf, const void *data, size_t len); /* appends bytes */
void buf_addc(struct buf *buf, char c);                      /* appends one byte */
void buf_add_int(struct buf *buf, int64_t value);            /* appends a number in decimal */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_failed(const struct buf *buf);

/*
 * Makes room for `more` further bytes; false when out of memory. Inline, because there usually is
 * room, and then the call would cost more than the check.
 */
bool buf_grow(struct buf *buf, size_t more); /* called where there is no room */
static inline bool buf_reserve(struct buf *buf, size_t more)
{
    return !buf->failed && (more <= buf->size - buf->len || buf_grow(buf, more));
}

/* Appends a string. Inline, because the compiler knows the length of a literal. */
static inline void buf_adds(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

/* Returns the data, which the caller frees with free(), and its length. The buffer is then
   empty. */
char *buf_take(struct buf *buf, size_t *len);

#endif
