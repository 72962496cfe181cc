/*
 * Bodies of control requests. The functions also get texts that are not valid JSON, which they
 * never do in the server. Even so they read no byte outside the text, and walks end. For a valid
 * text, what was found is a valid value.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "base/utf8.h"
#include "protocol/json.h"
#include "protocol/json_value.h"

static void check_value(struct arena *arena, struct json_value value, bool valid)
{
    enum json_kind kind = json_kind(value);
    const char *text = json_text(arena, value);
    int64_t number = 0;
    double rounded;

    fuzz_require(!valid || json_is_valid(value.at, value.len));
    fuzz_require(!valid || kind != JSON_NONE);
    fuzz_require(json_is_true(value) == (kind == JSON_TRUE));
    fuzz_require((text != NULL) == json_is_text(value));
    fuzz_require(!text || (kind == JSON_STRING && strlen(text) + 2 <= value.len));
    fuzz_require(!text || !valid || utf8_is_valid(text, strlen(text)));
    if (json_integer(value, &number)) {
        fuzz_require(kind == JSON_NUMBER && number >= -(INT64_C(1) << 53) &&
                     number <= INT64_C(1) << 53);
        /* a double has every integer of this range, so strtod() must find the same one */
        if (valid && json_number(value, &rounded))
            fuzz_require(rounded >= (double)number && rounded <= (double)number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a", "ab", "", "type", "streams", "wake_id", "done"};
    const char *text = (const char *)data, *end = text + size;
    struct json_value whole = json_value_of(text, size), value;
    bool valid = !json_precheck(text, size) && json_is_valid(text, size);
    struct arena *arena = arena_new();
    struct json_each each;
    size_t elements = 0;

    fuzz_require(arena);
    check_value(arena, whole, valid);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        value = json_get(whole, names[i]);
        if (value.len == 0)
            continue;
        fuzz_require(value.at > text && value.at + value.len <= end);
        check_value(arena, value, valid);
    }
    json_each_init(&each, whole);
    while (json_each_next(&each, &value)) {
        fuzz_require(value.at > text && value.at + value.len <= end && ++elements <= size);
        check_value(arena, value, valid);
    }
    arena_free(arena);
    return 0;
}
