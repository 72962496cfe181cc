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

UNIT_MAIN(json_value, finds_members_of_objects, reads_texts, reads_numbers_and_truth,
          writes_texts_that_read_back)
