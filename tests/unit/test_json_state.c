/* json_state.c: which messages get headers.offset, and where. */
#include "protocol/json.h"
#include "protocol/json_state.h"
#include "unit.h"

/* The message as readers get it, with OFF as the offset; static. NULL: it is not changed. */
static const char *enrich(const char *text, size_t len)
{
    static char out[4096];
    struct json_place place;
    char *copy = unit_copy(text, len);
    bool found = json_state_place(copy, len, &place);

    free(copy);
    if (!found)
        return NULL;
    ck_assert_uint_le(place.at, len);
    ck_assert_uint_le(place.cut, len - place.at);
    (void)snprintf(out, sizeof out, "%.*s%s%.*s", (int)place.at, text,
                   place.member ? ",\"offset\":\"OFF\"" : "\"OFF\"",
                   (int)(len - place.at - place.cut), text + place.at + place.cut);
    ck_assert_msg(json_is_valid(out, strlen(out)), "%s", out);
    return out;
}

START_TEST(adds_an_offset_to_messages_of_the_state_protocol)
{
    static const char *const cases[][2] = {
        {"{\"type\":\"t\",\"key\":\"k\",\"value\":1.0,\"headers\":{\"operation\":\"insert\"}}",
         "{\"type\":\"t\",\"key\":\"k\",\"value\":1.0,\"headers\":{\"operation\":\"insert\","
         "\"offset\":\"OFF\"}}"},
        {"{\"headers\":{\"control\":\"reset\"}}",
         "{\"headers\":{\"control\":\"reset\",\"offset\":\"OFF\"}}"},
        /* operation and control may be any string */
        {"{\"headers\":{\"operation\":\"\"}}",
         "{\"headers\":{\"operation\":\"\",\"offset\":\"OFF\"}}"},
        {"{\"headers\":{\"operation\":7,\"control\":\"x\"}}",
         "{\"headers\":{\"operation\":7,\"control\":\"x\",\"offset\":\"OFF\"}}"},
        /* an existing offset is replaced, whatever its value is */
        {"{\"headers\":{\"offset\":\"old\",\"operation\":\"update\"},\"key\":1}",
         "{\"headers\":{\"offset\":\"OFF\",\"operation\":\"update\"},\"key\":1}"},
        {"{\"headers\":{\"operation\":\"x\",\"offset\" : {\"a\":[1,\"}\"]} }}",
         "{\"headers\":{\"operation\":\"x\",\"offset\" : \"OFF\" }}"},
        {"{\"headers\":{\"operation\":\"x\",\"o\\u0066fset\":null}}",
         "{\"headers\":{\"operation\":\"x\",\"o\\u0066fset\":\"OFF\"}}"},
        /* white space is kept */
        {"{ \"headers\" :\n{\t\"operation\" : \"insert\"\r\n} }",
         "{ \"headers\" :\n{\t\"operation\" : \"insert\",\"offset\":\"OFF\"\r\n} }"},
        /* names may be escaped */
        {"{\"\\u0068eaders\":{\"\\u006fperatio\\u006E\":\"x\"}}",
         "{\"\\u0068eaders\":{\"\\u006fperatio\\u006E\":\"x\",\"offset\":\"OFF\"}}"},
        /* if a name occurs twice, the last one counts */
        {"{\"headers\":{\"a\":1},\"headers\":{\"operation\":\"x\"}}",
         "{\"headers\":{\"a\":1},\"headers\":{\"operation\":\"x\",\"offset\":\"OFF\"}}"},
        {"{\"headers\":{\"operation\":1,\"operation\":\"x\",\"offset\":1,\"offset\":2}}",
         "{\"headers\":{\"operation\":1,\"operation\":\"x\",\"offset\":1,\"offset\":\"OFF\"}}"},
        /* the content of strings does not count */
        {"{\"v\":\"\\\\\\\"},{\\\"headers\\\":{\",\"headers\":{\"a\":\"}\",\"operation\":\"\\\"}\"}"
         "}",
         "{\"v\":\"\\\\\\\"},{\\\"headers\\\":{\",\"headers\":{\"a\":\"}\",\"operation\":\"\\\"}\","
         "\"offset\":\"OFF\"}}"},
        {"{\"value\":{\"headers\":{\"operation\":1}},\"headers\":{\"h\":{\"offset\":1},"
         "\"operation\":\"x\"}}",
         "{\"value\":{\"headers\":{\"operation\":1}},\"headers\":{\"h\":{\"offset\":1},"
         "\"operation\":\"x\",\"offset\":\"OFF\"}}"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *found = enrich(cases[i][0], strlen(cases[i][0]));

        ck_assert(json_is_valid(cases[i][0], strlen(cases[i][0])));
        ck_assert_msg(found && strcmp(found, cases[i][1]) == 0, "%s\n%s", cases[i][0],
                      found ? found : "(left alone)");
    }
}
END_TEST

START_TEST(does_not_change_other_messages)
{
    static const char *const cases[] = {
        "1",
        "\"headers\"",
        "null",
        "[]",
        "{}",
        "{ }",
        "[{\"headers\":{\"operation\":\"insert\"}}]",
        "{\"headers\":\"operation\"}",
        "{\"headers\":null}",
        "{\"headers\":[\"operation\",\"x\"]}",
        "{\"headers\":[{\"operation\":\"x\"}]}",
        "{\"headers\":{}}",
        "{\"headers\":{ }}",
        "{\"headers\":{\"operation\":1}}",
        "{\"headers\":{\"operation\":{\"operation\":\"x\"}}}",
        "{\"headers\":{\"control\":null,\"operation\":false}}",
        "{\"headers\":{\"Operation\":\"x\",\"operations\":\"x\",\"operatio\":\"x\",\"\":\"x\"}}",
        "{\"Headers\":{\"operation\":\"x\"}}",
        "{\"header\":{\"operation\":\"x\"},\"headers2\":{\"operation\":\"x\"}}",
        "{\"value\":{\"headers\":{\"operation\":\"insert\"}}}",
        "{\"value\":\"{\\\"headers\\\":{\\\"operation\\\":\\\"x\\\"}}\"}",
        "{\"headers\":{\"operation\":\"x\"},\"headers\":1}",
        "{\"headers\":{\"operation\":\"x\",\"operation\":1}}",
        "{\"headers\\u0000\":{\"operation\":\"x\"}}",
        "{\"\\u0168eaders\":{\"operation\":\"x\"}}",
        "{\"headers\":{\"operation\\\\u\":\"x\"}}",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *found = enrich(cases[i], strlen(cases[i]));

        ck_assert(json_is_valid(cases[i], strlen(cases[i])));
        ck_assert_msg(!found, "%s\n%s", cases[i], found);
    }
}
END_TEST

/* Invalid texts, which no stream contains: no byte outside is read, and the loops end. */
START_TEST(stays_within_any_bytes)
{
    static const char whole[] = "{\"a\":[\"\\\"\"],\"h\\u0065aders\":{\"offset\":{\"x\":\"}\"},"
                                "\"operation\":\"x\"} , \"headers\":{\"control\":\"y\"}}";
    static const char parts[] = "{}[]\":,\\ u0h";
    char text[64];
    uint32_t seed = 7;
    struct json_place place;

    for (size_t len = 0; len < sizeof whole; len++) {
        char *copy = unit_copy(whole, len);

        if (json_state_place(copy, len, &place))
            unit_check(place.at <= len && place.cut <= len - place.at, "%zu", len);
        free(copy);
    }
    for (int i = 0; i < 100000; i++) {
        size_t len = unit_random(&seed) % 40;
        char *copy;

        (void)memcpy(text, "{\"headers\":{\"control\"", 21);
        for (size_t at = 21; at < 21 + len; at++)
            text[at] = parts[unit_random(&seed) % (sizeof parts - 1)];
        copy = unit_copy(text, 21 + len);
        if (json_state_place(copy, 21 + len, &place))
            unit_check(place.at <= 21 + len && place.cut <= 21 + len - place.at, "%s",
                       unit_show(text, 21 + len));
        free(copy);
    }
}
END_TEST

UNIT_MAIN(json_state, adds_an_offset_to_messages_of_the_state_protocol,
          does_not_change_other_messages, stays_within_any_bytes)
