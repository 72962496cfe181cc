/* Messages of the state protocol: see json_state.h. */
#include "protocol/json_state.h"

#include "base/digits.h"
#include "protocol/json_scan.h"

/* One member of an object. */
struct member {
    const char *name; /* without the quotes, as written */
    size_t name_len;
    const char *value, *end;
};

/* The comma or bracket after the value at `at`, or the end of the text. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;

    while (at < end) {
        if (*at == '"') {
            at = json_skip_string(at + 1, end);
            continue;
        }
        if (depth == 0 && (*at == ',' || json_closes(*at)))
            break;
        if (json_opens(*at))
            depth++;
        else if (json_closes(*at))
            depth--;
        at++;
    }
    return at;
}

/* Reads the member at *at, and moves *at after it and its comma; false if there is none. */
static bool read_member(const char **at, const char *end, struct member *member)
{
    const char *here = json_skip_space(*at, end), *stop;

    if (here == end || *here != '"')
        return false;
    stop = json_skip_string(here + 1, end);
    if (stop - here < 2)
        return false;
    member->name = here + 1;
    member->name_len = (size_t)(stop - here) - 2;
    here = json_skip_space(stop, end);
    if (here == end || *here != ':')
        return false;
    member->value = json_skip_space(here + 1, end);
    here = skip_value(member->value, end);
    *at = here + (here < end && *here == ',');
    while (here > member->value && json_is_space(here[-1]))
        here--;
    member->end = here;
    return here > member->value;
}

/* Compares a name, whose letters may be written as \u00XX. */
static bool is_named(const struct member *member, const char *name)
{
    const char *at = member->name, *end = at + member->name_len;

    for (; *name; name++) {
        if (end - at >= 6 && memcmp(at, "\\u00", 4) == 0) {
            if (digits_hex(at[4]) * 16 + digits_hex(at[5]) != (unsigned char)*name)
                return false;
            at += 6;
        } else if (at == end || *at++ != *name) {
            return false;
        }
    }
    return at == end;
}

/* A quick test that excludes most messages, before they are parsed. */
static bool may_have_headers(const char *text, size_t len)
{
    if (len < 2 || text[0] != '{')
        return false;
    if (memmem(text, len, "headers", 7))
        return true;
    return memchr(text, '\\', len) && memmem(text, len, "\\u00", 4);
}

bool json_state_place(const char *text, size_t len, struct json_place *place)
{
    const char *end = text + len, *at, *last;
    struct member member, headers = {NULL, 0, NULL, NULL}, offset = {NULL, 0, NULL, NULL};
    bool operation = false, control = false;

    if (!may_have_headers(text, len))
        return false;
    for (at = text + 1; read_member(&at, end, &member);)
        if (is_named(&member, "headers"))
            headers = member;
    if (!headers.value || *headers.value != '{')
        return false;
    at = last = headers.value + 1;
    while (read_member(&at, headers.end, &member)) {
        last = member.end;
        if (is_named(&member, "operation"))
            operation = *member.value == '"';
        else if (is_named(&member, "control"))
            control = *member.value == '"';
        else if (is_named(&member, "offset"))
            offset = member;
    }
    if (!operation && !control)
        return false;
    place->member = !offset.value;
    place->at = (size_t)((offset.value ? offset.value : last) - text);
    place->cut = offset.value ? (size_t)(offset.end - offset.value) : 0;
    return true;
}
