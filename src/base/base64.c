/* base64: see base64.h. */
#include "base/base64.h"

#include <stdint.h>

#include "base/buf.h"

void base64_add(struct buf *buf, const char *data, size_t len)
{
    static const char digit[64] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)data;
    size_t size = (len + 2) / 3 * 4;
    char *to;

    if (size == 0 || !buf_reserve(buf, size))
        return;
    to = buf->data + buf->len;
    buf->len += size;
    for (; len >= 3; len -= 3, at += 3) {
        unsigned bits = (unsigned)at[0] << 16 | (unsigned)at[1] << 8 | at[2];

        *to++ = digit[bits >> 18];
        *to++ = digit[bits >> 12 & 63];
        *to++ = digit[bits >> 6 & 63];
        *to++ = digit[bits & 63];
    }
    if (len > 0) { /* one or two bytes are left: pad them */
        unsigned bits = (unsigned)at[0] << 16 | (len == 2 ? (unsigned)at[1] << 8 : 0);

        *to++ = digit[bits >> 18];
        *to++ = digit[bits >> 12 & 63];
        *to++ = len == 2 ? digit[bits >> 6 & 63] : '=';
        *to++ = '=';
    }
}

/* The value of a digit, 0..63; 64 for any other character. */
static uint32_t base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : 64;
}

/*
 * Reads a group of four characters as 24 bits. The first `digits` of them must be digits, else
 * false; the others are padding and count as 0.
 */
static bool base64_read_group(const char *text, size_t digits, uint32_t *bits)
{
    *bits = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < digits ? base64_value(text[i]) : 0;

        if (value > 63)
            return false;
        *bits = *bits << 6 | value;
    }
    return true;
}

bool base64_decode(const char *text, size_t len, char *to, size_t *decoded)
{
    size_t n = 0;

    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        size_t padding = 0, bytes;
        uint32_t bits;

        if (i + 4 == len)
            padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        if (!base64_read_group(text + i, 4 - padding, &bits))
            return false;
        bytes = 3 - padding;
        if ((bits & (0xffffffU >> 8 * bytes)) != 0)
            return false;
        /* writing never overtakes reading, even in place */
        for (size_t byte = 0; byte < bytes; byte++)
            to[n++] = (char)(unsigned char)(bits >> (16 - 8 * byte) & 0xff);
    }
    *decoded = n;
    return true;
}
