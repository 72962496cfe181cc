/* Injected faults, without database and client: see fault.h. */
#include "protocol/fault.h"

#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

enum { PERCENT = 3 }; /* of the bytes */

bool fault_is_met(const struct fault *fault, const char *method, double draw)
{
    if (fault->method && fault->method[0] && strcasecmp(fault->method, method) != 0)
        return false;
    return draw < fault->probability;
}

int64_t fault_delay(const struct fault *fault)
{
    if (fault->delay_ms < 0)
        return 0;
    return fault->delay_ms + (int64_t)(fault_draw() * (double)(fault->jitter_ms + 1));
}

double fault_draw(void)
{
    return clock_random() / 4294967296.0;
}

static size_t draw_below(size_t limit)
{
    return ((size_t)clock_random() << 32 | clock_random()) % limit;
}

static void flip_bit(char *byte, size_t bits)
{
    *byte = (char)((unsigned char)*byte ^ 1U << draw_below(bits));
}

static bool is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/*
 * Changes the character that contains this byte. An ASCII character becomes a letter that no JSON
 * value begins with. In any other character one bit of the last byte changes: UTF-8 allows all
 * values of that byte's low six bits.
 */
static void change_character(char *text, size_t len, size_t at)
{
    static const char letters[] = "XYZ";

    while (at + 1 < len && is_inside_character(text[at + 1]))
        at++;
    if ((unsigned char)text[at] >= 0x80) {
        flip_bit(&text[at], 6);
    } else {
        size_t letter = draw_below(3);

        text[at] = letters[text[at] == letters[letter] ? (letter + 1) % 3 : letter];
    }
}

/*
 * Text remains UTF-8, because clients decode it before they parse it, and some cannot report an
 * error of decoding. The first character always changes.
 */
static void corrupt_text(char *text, size_t len)
{
    size_t first = 1;

    while (first < len && is_inside_character(text[first]))
        first++;
    for (size_t draws = len * PERCENT / 100; draws > 0 && first < len; draws--)
        change_character(text, len, first + draw_below(len - first));
    change_character(text, len, 0);
}

static void corrupt_bytes(char *data, size_t len)
{
    for (size_t draws = len * PERCENT / 100; draws > 0 && len > 1; draws--)
        flip_bit(&data[1 + draw_below(len - 1)], 8);
    flip_bit(&data[0], 8);
}

/* A body that ends within a character is text, too, if the rest of it is. */
static void corrupt_body(char *data, size_t len)
{
    size_t whole = len - utf8_incomplete_tail(data, len);

    if (whole > 0 && utf8_is_valid(data, whole))
        corrupt_text(data, whole);
    else
        corrupt_bytes(data, len);
}

void mangle_body(const struct mangle *mangle, struct buf *body)
{
    if (mangle->truncate && (int64_t)body->len > mangle->bytes)
        body->len = (size_t)mangle->bytes;
    if (mangle->corrupt && body->len > 0)
        corrupt_body(body->data, body->len);
}
