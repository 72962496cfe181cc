/*
 * Offsets as text: see offset.h.
 *
 * The form is fixed-width on purpose: clients compare offsets as text (protocol section 8), and
 * only then do text order and number order agree.
 *
 * Must hold: offset_parse(offset_format(p)) is p, and nothing else reads as a position.
 */
#include "protocol/offset.h"

#include "base/digits.h"

#include <assert.h>
#include <string.h>

enum { HALF_LEN = 16 }; /* digits on either side of the '_' */

enum offset_kind offset_parse(const char *text, size_t len, int64_t *position)
{
    int64_t generation, at;

    if (len == 2 && memcmp(text, "-1", 2) == 0) {
        *position = 0;
        return OFFSET_START;
    }
    if (len == 3 && memcmp(text, "now", 3) == 0)
        return OFFSET_NOW;
    if (len != OFFSET_TEXT_LEN || text[HALF_LEN] != '_' ||
        !digits_parse(text, HALF_LEN, OFFSET_POSITION_MAX, &generation) ||
        !digits_parse(text + HALF_LEN + 1, HALF_LEN, OFFSET_POSITION_MAX, &at))
        return OFFSET_INVALID;
    /* as text it sorts behind all we mint, so as a number it has to as well */
    *position = generation == 0 ? at : OFFSET_POSITION_MAX;
    return OFFSET_POSITION;
}

void offset_format(int64_t position, char text[static OFFSET_TEXT_SIZE])
{
    assert(position >= 0 && position <= OFFSET_POSITION_MAX);
    /* by hand: this runs for every message read, and printf would cost more than the rest */
    memset(text, '0', OFFSET_TEXT_LEN);
    text[HALF_LEN] = '_';
    text[OFFSET_TEXT_LEN] = '\0';
    for (char *digit = text + OFFSET_TEXT_LEN - 1; position > 0; position /= 10)
        *digit-- = (char)('0' + position % 10);
}
