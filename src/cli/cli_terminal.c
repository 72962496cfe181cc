/* Text for a terminal: see cli_terminal.h. */
#include "cli/cli_terminal.h"

#include <stdint.h>

#include "base/buf.h"
#include "base/utf8.h"

/* Reads the first character of text. Returns its length; 0: the bytes are not UTF-8. */
static size_t read_character(const char *text, size_t left, uint32_t *c)
{
    static const unsigned char mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned char lead = (unsigned char)*text;
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    if (len > left || !utf8_is_valid(text, len))
        return 0;
    *c = lead & mask[len];
    for (size_t i = 1; i < len; i++)
        *c = *c << 6 | ((unsigned char)text[i] & 0x3F);
    return len;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

/* Marks, embeddings, overrides and isolates of direction; separators of lines and paragraphs. */
static bool leaves_its_place(uint32_t c)
{
    return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

static bool is_safe(uint32_t c, enum cli_terminal_kind kind)
{
    if (kind == CLI_TERMINAL_TEXT)
        return c == '\n' || c == '\t' || !is_control(c);
    return !is_control(c) && !leaves_its_place(c);
}

static void add_visible(struct buf *buf, uint32_t c)
{
    if (c < 0x80)
        buf_printf(buf, "^%c", (int)(c ^ 0x40)); /* DEL becomes ^? */
    else
        buf_printf(buf, "<U+%04X>", (unsigned)c);
}

void cli_terminal_add(struct buf *buf, const char *text, size_t len, enum cli_terminal_kind kind)
{
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c;

        size = read_character(text + i, len - i, &c);
        if (size > 0 && is_safe(c, kind)) {
            buf_add(buf, text + i, size);
        } else if (size > 0) {
            add_visible(buf, c);
        } else {
            buf_printf(buf, "<%02X>", (unsigned)(unsigned char)text[i]);
            size = 1;
        }
    }
}

void cli_terminal_add_json(struct buf *buf, const char *text, size_t len)
{
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c;

        size = read_character(text + i, len - i, &c);
        if (size > 0 && c >= 0x7F && is_control(c)) /* JSON has escaped the others */
            buf_printf(buf, "\\u%04x", (unsigned)c);
        else
            buf_add(buf, text + i, size > 0 ? size : (size = 1));
    }
}

void cli_terminal_unbreak_json(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n' || text[i] == '\r') /* strings contain none */
            text[i] = ' ';
}
