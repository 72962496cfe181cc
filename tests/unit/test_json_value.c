/* json_value.c: finds the members of objects, and resolves texts and numbers. */
#include "protocol/json_value.h"

#include "base/arena.h"
#include "base/buf.h"
#include "protocol/json.h"
#include "protocol/json_string.h"
#include "unit.h"

static struct json_value whole(const char *text)
{
    return (struct json_value){text, strlen(text)};
}

START_TEST(finds_members_of_objects)
{
    static const struct {
        const char *object, *name, *value; /* NULL: there is none */
    } cases[] = {
        {"{}", "a", NULL},
        {"{ }", "a", NULL},
        {"[]", "a", NULL},
        {"1", "a", NULL},
        {"\"a\"", "a", NULL},
        {"{\"a\":1}", "a", "1"},
        {"{ \"a\" : 1 }", "a", "1"},
        {"{\n\"a\"\n:\n-1.5e3\n}", "a", "-1.5e3"},
        {"{\"b\":2,\"a\":1}", "a", "1"},
        {"{\"b\":{\"a\":3},\"c\":[{\"a\":4}],\"a\":1}", "a", "1"},
        {"{\"a\":{\"b\":[1,{}]}, \"b\":2}", "a", "{\"b\":[1,{}]}"},
        {"{\"a\":[1, 2] ,\"b\":2}", "a", "[1, 2]"},
        {"{\"x\":\"\\\",\\\"a\\\":9\",\"a\":\"}\\\\\"}", "a", "\"}\\\\\""},
        {"{\"ab\":1}", "a", NULL},
        {"{\"a\":1}", "ab", NULL},
        {"{\"\":1}", "", "1"},
        {"{\"a\":1,\"a\":2}", "a", "2"},
        {"{\"a\":true}", "a", "true"},
        {"{\"a\":null ,\"b\":1}", "a", "null"},
        {"{\"b\":[[],[[]],{}],\"a\":{}}", "a", "{}"},
        {"{\"value\":{\"path\":\"a\"},\"key\":\"a\"}", "key", "\"a\""},
        {"{\"\\u0061b\":1}", "ab", "1"}, /* names with escapes */
        {"{\"a\\/b\":1}", "a/b", "1"},
        {"{\"a\":1,\"\\u0061\":2}", "a", "2"},
        {"{\"\\ud83d\\ude00\":1}", "\xF0\x9F\x98\x80", "1"},
        {"{\"a\\u0000b\":1}", "a", NULL},
        {"{\"\\u0000\":1}", "", NULL},
        {"{\"a\\u0062c\":1}", "ab", NULL},
        {"{\"a\\u0062\":1}", "abc", NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].object);
        char *copy = unit_copy(cases[i].object, len);
        struct json_value found = json_get((struct json_value){copy, len}, cases[i].name);

        ck_assert(json_is_valid(copy, len));
        if (!cases[i].value)
            ck_assert_msg(found.len == 0, "%s", cases[i].object);
        else
            ck_assert_msg(found.len == strlen(cases[i].value) &&
                              memcmp(found.at, cases[i].value, found.len) == 0,
                          "%s: %s", cases[i].object, unit_show(found.at, found.len));
        free(copy);
    }
}
END_TEST

START_TEST(reads_texts)
{
    static const struct {
        const char *json, *text; /* NULL: no text */
    } cases[] = {
        {"\"\"", ""},
        {"\"a b\"", "a b"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC"},
        {"\"\\ud83d\\ude00!\"", "\xF0\x9F\x98\x80!"},
        {"\"\\ud83d\"", "\xEF\xBF\xBD"},
        {"\"\\ude00x\"", "\xEF\xBF\xBDx"},
        {"\"\\ud83d\\u0041\"", "\xEF\xBF\xBD"
                               "A"},
        {"\"a\\u0000b\"", NULL},
        {"1", NULL},
        {"null", NULL},
        {"[]", NULL},
    };
    struct arena *arena = arena_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].json);
        char *copy = unit_copy(cases[i].json, len);
        const char *text = json_text(arena, (struct json_value){copy, len});

        if (!cases[i].text)
            ck_assert_msg(!text, "%s", cases[i].json);
        else
            ck_assert_msg(text && strcmp(text, cases[i].text) == 0, "%s", cases[i].json);
        free(copy);
    }
    ck_assert_ptr_null(json_text(arena, (struct json_value){NULL, 0}));
    arena_free(arena);
}
END_TEST

START_TEST(tells_what_a_text_contains)
{
    static const struct {
        const char *text;
        enum json_kind kind;
    } cases[] = {
        {"null", JSON_NULL}, {" true\n", JSON_TRUE}, {"\tfalse", JSON_FALSE}, {"-1e5", JSON_NUMBER},
        {"0", JSON_NUMBER},  {"\"\"", JSON_STRING},  {"[]", JSON_ARRAY},      {" {} ", JSON_OBJECT},
        {"", JSON_NONE},     {" \r\n\t", JSON_NONE}, {"nul", JSON_NONE},      {"truer", JSON_NONE},
        {"\"", JSON_NONE},   {"\"a", JSON_NONE},     {"x", JSON_NONE},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].text);
        char *copy = unit_copy(cases[i].text, len);

        ck_assert_msg(json_kind(json_value_of(copy, len)) == cases[i].kind, "%s", cases[i].text);
        free(copy);
    }
    ck_assert_int_eq(json_kind(json_value_of(NULL, 0)), JSON_NONE);
    ck_assert_int_eq(json_kind(json_get(whole("{}"), "a")), JSON_NONE);
}
END_TEST

/* A text that C cannot represent is different from a value that is no text. */
START_TEST(tells_texts_from_other_values)
{
    ck_assert(json_is_text(whole("\"\"")));
    ck_assert(json_is_text(whole("\"\\\\u0000\"")));
    ck_assert(!json_is_text(whole("\"\\u0000\"")));
    ck_assert_int_eq(json_kind(whole("\"\\u0000\"")), JSON_STRING);
    ck_assert(!json_is_text(whole("1")));
    ck_assert(!json_is_text((struct json_value){NULL, 0}));
}
END_TEST

START_TEST(walks_over_arrays)
{
    static const struct {
        const char *array, *elements; /* with a bar after each */
    } cases[] = {
        {"[]", ""},
        {"[ ]", ""},
        {"[1]", "1|"},
        {"[ \"a,]\" , [2,3],{\"b\":[4]} , null ]", "\"a,]\"|[2,3]|{\"b\":[4]}|null|"},
        {"[[]]", "[]|"},
        {"{}", ""}, /* no arrays */
        {"1", ""},
        {"\"[1]\"", ""},
        {"", ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].array);
        char *copy = unit_copy(cases[i].array, len), found[100] = "";
        struct json_value value;
        struct json_each each;

        json_each_init(&each, (struct json_value){copy, len});
        while (json_each_next(&each, &value)) {
            (void)strncat(found, value.at, value.len);
            (void)strcat(found, "|");
        }
        ck_assert_str_eq(found, cases[i].elements);
        ck_assert(!json_each_next(&each, &value));
        free(copy);
    }
}
END_TEST

START_TEST(reads_integers_in_every_spelling)
{
    static const struct {
        const char *json;
        int64_t number;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"-0.0e7", 0},
        {"0e99999999999999999999", 0},
        {"1.0", 1},
        {"1e3", 1000},
        {"1.0e3", 1000},
        {"1.5E+1", 15},
        {"10e-1", 1},
        {"1200e-2", 12},
        {"-0.0025e4", -25},
        {"0.000000000000000000001e21", 1},
        {"1000000000000000000000000e-24", 1},
        {"9007199254740992", INT64_C(9007199254740992)},
        {"-9007199254740992", -INT64_C(9007199254740992)},
        {"9007199254740.992e3", INT64_C(9007199254740992)},
        {"9007199254740991.000000000000000000000000000000000000000", INT64_C(9007199254740991)},
        {"1e15", INT64_C(1000000000000000)},
        {"1e0000000000000000000000000000000001", 10},
    };
    static const char *const others[] = {
        "0.5",
        "1e-1",
        "1000.5",
        "-0.1",
        "9007199254740993",
        "-9007199254740993",
        "9007199254740992.5",
        "9007199254740992.0000000000000000000000000000000000001",
        "9007199254740990.99999999999999999999999999999999999",
        "1e16",
        "1e17",
        "9e99",
        "1e400",
        "1e9999999999999999999999999999",
        "1e-9999999999999999999999999999",
        "123456789012345678901234567890",
        "18446744073709551616", /* 2^64 */
        "null",
        "true",
        "\"1\"",
        "[1]",
        "{}",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].json);
        char *copy = unit_copy(cases[i].json, len);
        int64_t number = 7;

        ck_assert_msg(json_is_valid(copy, len), "%s", cases[i].json);
        ck_assert_msg(json_integer((struct json_value){copy, len}, &number), "%s", cases[i].json);
        ck_assert_msg(number == cases[i].number, "%s: %lld", cases[i].json, (long long)number);
        free(copy);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        int64_t number = 7;

        ck_assert_msg(!json_integer(whole(others[i]), &number), "%s: %lld", others[i],
                      (long long)number);
    }
}
END_TEST

/* Against arithmetic with whole numbers: digits × 10^(exponent - places). */
START_TEST(agrees_with_exact_arithmetic)
{
    uint32_t state = 314159265;
    int integers = 0;

    for (int i = 0; i < 200000; i++) {
        uint32_t before = unit_random(&state) % 2000, after = unit_random(&state) % 1000;
        int exponent = (int)(unit_random(&state) % 13) - 6, scale = exponent - 3;
        int64_t digits = before * INT64_C(1000) + after, number = 0;
        bool expected = true, found;
        char json[40];

        (void)snprintf(json, sizeof json, "-%u.%03ue%d", before, after, exponent);
        for (; scale > 0; scale--)
            digits *= 10;
        for (; scale < 0 && expected; scale++) {
            expected = digits % 10 == 0;
            digits /= 10;
        }
        found = json_integer(whole(json), &number);
        unit_check(found == expected && (!found || number == -digits), "%s", json);
        integers += expected;
    }
    ck_assert_int_gt(integers, 10000);
}
END_TEST

START_TEST(reads_numbers_and_truth)
{
    int64_t number = 7;
    double fraction = 7;

    ck_assert(json_integer(whole("-12"), &number) && number == -12);
    ck_assert(json_integer(whole("9007199254740991"), &number));
    ck_assert_int_eq(number, INT64_C(9007199254740991));
    ck_assert(!json_integer(whole("\"1\""), &number));
    ck_assert(!json_integer((struct json_value){NULL, 0}, &number));
    ck_assert(json_number(whole("0.25"), &fraction));
    ck_assert(fraction > 0.2499 && fraction < 0.2501);
    ck_assert(!json_number(whole("true"), &fraction));
    ck_assert(json_is_true(whole("true")));
    ck_assert(!json_is_true(whole("false")));
    ck_assert(!json_is_true(whole("\"true\"")));
}
END_TEST

/* Any text that is written is valid JSON, and is read back unchanged. */
START_TEST(writes_texts_that_read_back)
{
    static const char *const texts[] = {"", "plain", "\"quoted\" \\ \n\r\t\x01\x1f\x7f",
                                        "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80"};
    struct arena *arena = arena_new();
    struct buf buf = {0};

    for (size_t i = 0; i < COUNT(texts); i++) {
        buf_clear(&buf);
        json_add_text(&buf, texts[i]);
        ck_assert(json_is_valid(buf.data, buf.len));
        ck_assert_str_eq(json_text(arena, (struct json_value){buf.data, buf.len}), texts[i]);
    }
    buf_clear(&buf);
    json_add_text(&buf, "a\xFFz");
    ck_assert_uint_eq(buf.len, 7);
    ck_assert_mem_eq(buf.data, "\"a\xEF\xBF\xBDz\"", 7);
    buf_close(&buf);
    arena_free(arena);
}
END_TEST

/* The sanitizers see a read beyond the end of any prefix of any text. */
START_TEST(reads_no_byte_outside_the_value)
{
    static const char text[] =
        "{\"a\\u0062\": [1, \"\\ud83d\\ude00\", {\"b\\\\\": null}], \"a\": -1.50e+3}";
    static const char noise[] = "\"\\u0d{}[],: 1e.-an";
    struct arena *arena = arena_new();
    uint32_t state = 12345;

    for (size_t len = 0; len < sizeof text; len++)
        for (int i = 0; i < 300; i++) {
            char *copy = unit_copy(text, len);
            struct json_value value = {copy, len}, found;
            struct json_each each;
            int64_t number;

            for (int n = i % 4; len > 0 && n > 0; n--)
                copy[unit_random(&state) % len] = noise[unit_random(&state) % (sizeof noise - 1)];
            found = json_get(value, "ab");
            unit_check(found.len == 0 || (found.at >= copy && found.at + found.len <= copy + len),
                       "%s", unit_show(copy, len));
            (void)json_text(arena, found);
            (void)json_integer(value, &number);
            (void)json_text(arena, value);
            json_each_init(&each, json_get(value, "a"));
            while (json_each_next(&each, &found))
                unit_check(found.at >= copy && found.at + found.len <= copy + len, "%s",
                           unit_show(copy, len));
            free(copy);
        }
    arena_free(arena);
}
END_TEST

UNIT_MAIN(json_value, finds_members_of_objects, reads_texts, tells_what_a_text_contains,
          tells_texts_from_other_values, walks_over_arrays, reads_integers_in_every_spelling,
          agrees_with_exact_arithmetic, reads_numbers_and_truth, writes_texts_that_read_back,
          reads_no_byte_outside_the_value)
