/* base64 of RFC 4648 section 4: the usual alphabet, padded, on one line. Pure, thread-safe. */
#ifndef BASE64_H
#define BASE64_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

void base64_add(struct buf *buf, const char *data, size_t len);

/*
 * Decodes len characters to `to`, which has room for len / 4 * 3 bytes and may be the text itself.
 * False when it is not to the letter what base64_add() writes: length, alphabet, padding, and
 * zeros in the bits that padding leaves over.
 */
bool base64_decode(const char *text, size_t len, char *to, size_t *decoded);

#endif
