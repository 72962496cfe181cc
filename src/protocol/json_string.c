/* Writing JSON strings: see json_string.h. */
#include "protocol/json_string.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

/* The character after the backslash; 0 if c needs no escape, or \u00XX. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

void json_add_escaped(struct buf *buf, const char *text, size_t len)
{
    size_t start = 0;

    for (size_t i = 0; i < len; i++) {
        char escape = short_escape(text[i]);
        unsigned char c = (unsigned char)text[i], low;

        if (!escape && c >= 0x20 && c != 0x7F && c != 0xC2)
            continue;
        /* C2 80 to C2 9F are U+0080 to U+009F, which terminals obey as they obey ESC */
        low = c == 0xC2 && i + 1 < len ? (unsigned char)text[i + 1] : 0;
        if (c == 0xC2 && (low < 0x80 || low > 0x9F))
            continue;
        buf_add(buf, text + start, i - start);
        i += c == 0xC2;
        start = i + 1;
        buf_addc(buf, '\\');
        if (escape)
            buf_addc(buf, escape);
        else
            buf_printf(buf, "u%04x", c == 0xC2 ? low : c);
    }
    buf_add(buf, text + start, len - start);
}

void json_add_text(struct buf *buf, const char *text)
{
    struct buf clean = {0};

    utf8_add_lossy(&clean, text, strlen(text));
    buf_addc(buf, '"');
    json_add_escaped(buf, clean.data ? clean.data : "", clean.len);
    buf_addc(buf, '"');
    buf->failed = buf->failed || buf_failed(&clean);
    buf_close(&clean);
}
