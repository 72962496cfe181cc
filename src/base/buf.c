/* A growing byte buffer: see buf.h. It doubles its size, so that appending n bytes costs O(n). */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"

void buf_close(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

bool buf_grow(struct buf *buf, size_t more)
{
    size_t size;
    char *data;

    if (more > SIZE_MAX / 2 - buf->len) {
        buf->failed = true;
        return false;
    }
    size = buf->size ? buf->size : 256;
    while (size - buf->len < more)
        size *= 2;
    data = realloc(buf->data, size);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->size = size;
    return true;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
    if (len == 0 || !buf_reserve(buf, len))
        return;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void buf_addc(struct buf *buf, char c)
{
    if (buf_reserve(buf, 1))
        buf->data[buf->len++] = c;
}

void buf_add_int(struct buf *buf, int64_t value)
{
    if (buf_reserve(buf, DIGITS_MOST))
        buf->len += digits_write(buf->data + buf->len, value);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || !buf_reserve(buf, (size_t)len + 1)) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

char *buf_take(struct buf *buf, size_t *len)
{
    char *data = buf->data;

    *len = buf->len;
    *buf = (struct buf){0};
    return data;
}
