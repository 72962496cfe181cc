/*
 * base64 as in RFC 4648 section 4: the standard alphabet, padded, on one line. Pure, thread-safe.
 */
#ifndef BASE64_H
#define BASE64_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Appends len bytes, encoded. Out of memory: see buf_failed(). */
void base64_add(struct buf *buf, const char *data, size_t len);

/*
 * Decodes len characters into `to`, which has room for len / 4 * 3 bytes and may be the same memory
 * as text. *decoded becomes the number of bytes.
 *
 * False unless the text is exactly what base64_add() writes: the length, the alphabet, the padding,
 * and zeros in the bits that the padding leaves unused. `to` is undefined then.
 */
bool base64_decode(const char *text, size_t len, char *to, size_t *decoded);

#endif
