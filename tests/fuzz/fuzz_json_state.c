/*
 * Messages of the state protocol. A stored message is valid JSON, and must be so with the offset in
 * it. In an invalid text no byte outside it is read.
 */
#include "fuzz.h"

#include "protocol/json.h"
#include "protocol/json_state.h"

#define OFFSET "\"0000000000000000_0000000000000123\""

static char *put_in(const char *text, size_t size, const struct json_place *place, size_t *len)
{
    const char *value = place->member ? ",\"offset\":" OFFSET : OFFSET;
    size_t rest = size - place->at - place->cut;
    char *out = malloc(size + strlen(value));

    fuzz_require(out);
    memcpy(out, text, place->at);
    memcpy(out + place->at, value, strlen(value));
    memcpy(out + place->at + strlen(value), text + place->at + place->cut, rest);
    *len = place->at + strlen(value) + rest;
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct json_place place, again;
    char *out;
    size_t len;

    if (!json_state_place(text, size, &place))
        return 0;
    fuzz_require(place.at <= size && place.cut <= size - place.at);
    fuzz_require(place.member == (place.cut == 0));
    if (json_precheck(text, size) || !json_is_valid(text, size))
        return 0;
    out = put_in(text, size, &place, &len);
    fuzz_require(json_is_valid(out, len));
    /* readers use the inserted offset */
    fuzz_require(json_state_place(out, len, &again));
    fuzz_require(!again.member && again.cut == strlen(OFFSET));
    fuzz_require(memcmp(out + again.at, OFFSET, again.cut) == 0);
    free(out);
    return 0;
}
