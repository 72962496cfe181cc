/* cli_value.c: tells as early as possible that input cannot become JSON. */
#include "cli/cli_value.h"

#include "protocol/json.h"

#include "unit.h"

static enum cli_value_state state_of(const char *text, size_t len)
{
    struct cli_value value = {0};

    (void)cli_value_feed(&value, text, len);
    return cli_value_state(&value);
}

START_TEST(is_wrong_at_the_first_byte_that_cannot_be)
{
    static const struct {
        const char *text;
        size_t taken; /* bytes, up to and including the wrong one */
    } cases[] = {
        {"Server listening on port 3000", 1},
        {"[info] hello", 2},
        {"{n:8}", 2},
        {"nul\nl", 4},
        {"null hypothesis", 6},
        {"123 listening", 5},
        {"2026-11-28 started", 5},
        {"01", 2},
        {"-a", 2},
        {"1.e", 3},
        {"\"a\nb\"", 3},
        {"\"\\x\"", 3},
        {"\"\\u12g4\"", 6},
        {"[1,]", 4},
        {"[1 2", 4},
        {"{\"a\"}", 5},
        {"{\"a\":1,}", 8},
        {"[1}", 3},
        {"{}\n{}", 4},
        {"\xEF\xBB\xBF{}", 1},     /* a byte order mark */
        {"\"\xC0\x80\"", 2},       /* overlong */
        {"\"\xED\xA0\x80\"", 3},   /* a surrogate */
        {"\"\xE4\xB8\"", 4},       /* cut short */
        {"\"\xF4\x90\x80\x80", 3}, /* beyond the last one */
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cli_value value = {0};
        size_t taken = cli_value_feed(&value, cases[i].text, strlen(cases[i].text));

        ck_assert_msg(cli_value_state(&value) == CLI_VALUE_WRONG && taken == cases[i].taken,
                      "%s: state %d after %zu", cases[i].text, cli_value_state(&value), taken);
        ck_assert_uint_eq(cli_value_feed(&value, "1", 1), 0);
    }
    ck_assert_int_eq(state_of("\"a\0b\"", 5), CLI_VALUE_WRONG);
    ck_assert_int_eq(state_of("1\0", 2), CLI_VALUE_WRONG);
}
END_TEST

START_TEST(no_beginning_of_a_value_is_wrong)
{
    static const char *const texts[] = {
        "{\"a\": [1, -0.5e+10, true, false, null, \"\\u00e4\\n\\\"\", [], {}], \"\": {\"b\": 0}}",
        " \"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80\" ",
        "[\r\n\t[[1e5]],\n{\n}\n]\n",
    };

    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t len = strlen(texts[i]);

        for (size_t part = 0; part < len; part++)
            ck_assert_msg(state_of(texts[i], part) != CLI_VALUE_WRONG, "%zu, %zu bytes", i, part);
        ck_assert_int_eq(state_of(texts[i], len), CLI_VALUE_WHOLE);
    }
    ck_assert_int_eq(state_of(" \n", 2), CLI_VALUE_BLANK);
    ck_assert_int_eq(state_of("12", 2), CLI_VALUE_WHOLE);
    ck_assert_int_eq(state_of("-", 1), CLI_VALUE_BEGUN);
    ck_assert_int_eq(state_of("[1", 2), CLI_VALUE_BEGUN);
    ck_assert_int_eq(state_of("tru", 3), CLI_VALUE_BEGUN);
}
END_TEST

START_TEST(goes_as_deep_as_the_server_does)
{
    struct cli_value value = {0};

    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        (void)cli_value_feed(&value, "[", 1);
    ck_assert_int_eq(cli_value_state(&value), CLI_VALUE_BEGUN);
    (void)cli_value_feed(&value, "[", 1);
    ck_assert_int_eq(cli_value_state(&value), CLI_VALUE_WRONG);
}
END_TEST

/* Random pieces of JSON: most of these texts are wrong, many of them only at the end. */
START_TEST(takes_what_the_validator_takes)
{
    static const char *const pieces[] = {
        "[",  "]",    "{",   "}",    ",",    ":",        "\"",       "\"a\"", "1", "0",
        "-",  ".5",   "e",   "+",    "true", "false",    "nul",      "l",     " ", "\n",
        "\\", "\\u0", "00a", "\xC3", "\xBC", "\xE2\x82", "\xF0\x9F", "\x80"};
    uint64_t seed = 20261128;
    int whole = 0;

    for (int round = 0; round < 300000; round++) {
        char text[64];
        size_t len = 0, count;
        bool valid;

        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        count = (seed >> 60) % 9 + 1;
        for (size_t i = 0; i < count; i++) {
            const char *piece;

            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            piece = pieces[(seed >> 33) % COUNT(pieces)];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        valid = !json_precheck(text, len) && json_is_valid(text, len);
        whole += valid;
        unit_check((state_of(text, len) == CLI_VALUE_WHOLE) == valid, "%.*s", (int)len, text);
    }
    ck_assert_int_gt(whole, 1000);
}
END_TEST

UNIT_MAIN(cli_value, is_wrong_at_the_first_byte_that_cannot_be, no_beginning_of_a_value_is_wrong,
          goes_as_deep_as_the_server_does, takes_what_the_validator_takes)
