/*
 * Offsets as text: see offset.h.
 *
 * The width is fixed because clients compare offsets as text (protocol section 8): only then is the
 * order of the texts that of the positions.
 *
 * Must hold: offset_parse(offset_format(p)) is p, and no other text is read as position p.
 */
#include "protocol/offset.h"

#include "base/digits.h"

#include <assert.h>
#include <string.h>

enum { HALF_LEN = 16 }; /* digits before and after the '_' */

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
    /* as text it sorts after all offsets of this server, so its position must, too */
    *position = generation == 0 ? at : OFFSET_POSITION_MAX;
    return OFFSET_POSITION;
}

void offset_format(int64_t position, char text[static OFFSET_TEXT_SIZE])
{
    assert(position >= 0 && position <= OFFSET_POSITION_MAX);
    /* without printf(), which would cost more than the rest of a short read */
    memset(text, '0', OFFSET_TEXT_LEN);
    text[HALF_LEN] = '_';
    text[OFFSET_TEXT_LEN] = '\0';
    for (char *digit = text + OFFSET_TEXT_LEN - 1; position > 0; position /= 10)
        *digit-- = (char)('0' + position % 10);
}
