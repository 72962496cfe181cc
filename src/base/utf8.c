/*
 * UTF-8: see utf8.h.
 *
 * Only judge_character() knows the encoding; the public functions are built on it. ASCII, which is
 * most of what streams carry, is skipped eight bytes at a time.
 *
 * Empty text may be NULL, as it is in an empty struct buf. NULL + 0 is undefined in C, hence the
 * three early returns.
 *
 * Must hold: whatever utf8_add_lossy() appends is well-formed, and it appends valid text unchanged.
 */
#include "base/utf8.h"

#include "base/buf.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

enum verdict {
    WHOLE,  /* a character */
    CUT,    /* the beginning of a character, at the end of the text */
    BROKEN, /* no character begins with these bytes */
};

/*
 * Judges the first character of left >= 1 bytes. *len becomes its length; for an ill-formed one,
 * the length of the maximal subpart, which one U+FFFD replaces (Unicode 3.9, D93b).
 *
 *     lead      second    further      a narrower range of the second byte excludes
 *     C2..DF    80..BF
 *     E0        A0..BF    80..BF       overlong forms
 *     E1..EF    80..BF    80..BF
 *     ED        80..9F    80..BF       surrogates
 *     F0        90..BF    80..BF x 2   overlong forms
 *     F1..F3    80..BF    80..BF x 2
 *     F4        80..8F    80..BF x 2   above U+10FFFF
 */
static enum verdict judge_character(const unsigned char *at, size_t left, size_t *len)
{
    unsigned char lead = at[0], low = 0x80, high = 0xBF;
    size_t whole;

    *len = 1;
    if (lead < 0x80)
        return WHOLE;
    if (lead < 0xC2 || lead > 0xF4) /* a continuation byte, overlong, or above U+10FFFF */
        return BROKEN;
    whole = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    for (; *len < whole; ++*len) {
        if (*len == left)
            return CUT;
        if (at[*len] < low || at[*len] > high)
            return BROKEN;
        low = 0x80; /* only the second byte has a narrower range */
        high = 0xBF;
    }
    return WHOLE;
}

static const unsigned char *skip_ascii(const unsigned char *at, const unsigned char *end)
{
    uint64_t word;

    while (end - at >= (ptrdiff_t)sizeof word) {
        memcpy(&word, at, sizeof word);
        if (word & HIGH_BITS)
            break;
        at += sizeof word;
    }
    while (at < end && *at < 0x80)
        at++;
    return at;
}

bool utf8_is_valid(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text, *end;
    size_t step;

    if (len == 0)
        return true;
    end = at + len;
    while ((at = skip_ascii(at, end)) < end) {
        /* characters outside ASCII come in runs: try skip_ascii() again only after a run */
        do {
            if (judge_character(at, (size_t)(end - at), &step) != WHOLE)
                return false;
            at += step;
        } while (at < end && *at >= 0x80);
    }
    return true;
}

size_t utf8_incomplete_tail(const char *text, size_t len)
{
    const unsigned char *end;
    size_t step;

    if (len == 0)
        return 0;
    end = (const unsigned char *)text + len;
    /* a lead byte is never a continuation byte, so the bytes before it do not matter */
    for (size_t tail = 1; tail <= 3 && tail <= len; tail++)
        if (judge_character(end - tail, tail, &step) == CUT)
            return tail;
    return 0;
}

void utf8_add_lossy(struct buf *buf, const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text, *good = at, *end;
    size_t step;

    if (len == 0)
        return;
    end = at + len;
    (void)buf_reserve(buf, len); /* enough for valid text; U+FFFD may need more */
    while ((at = skip_ascii(at, end)) < end) {
        if (judge_character(at, (size_t)(end - at), &step) != WHOLE) {
            buf_add(buf, good, (size_t)(at - good));
            buf_adds(buf, "\xEF\xBF\xBD");
            good = at + step;
        }
        at += step;
    }
    buf_add(buf, good, (size_t)(end - good));
}
