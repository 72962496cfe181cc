/* Writing JSON strings: see json_string.h. */
#include "json_string.h"

#include "buf.h"

/* Behind a backslash; 0: the character needs none, or \u00XX. */
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

        if (!escape && (unsigned char)text[i] >= 0x20)
            continue;
        buf_add(buf, text + start, i - start);
        start = i + 1;
        buf_addc(buf, '\\');
        if (escape)
            buf_addc(buf, escape);
        else
            buf_printf(buf, "u%04x", (unsigned)(unsigned char)text[i]);
    }
    buf_add(buf, text + start, len - start);
}
