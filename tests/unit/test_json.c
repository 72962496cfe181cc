/* json.c: which texts are refused, and how a body is split into messages. */
#include "protocol/json.h"

#include "unit.h"

static const char *precheck(const char *text, size_t len)
{
    char *copy = unit_copy(text, len);
    const char *reason = json_precheck(copy, len);

    free(copy);
    return reason;
}

START_TEST(accepts_everything_that_json_may_contain)
{
    static const char *const cases[] = {
        "null",
        "\"\"",
        "{\"a\":[1,2,{\"b\":\"c\"}]}",
        "  [1]\r\n\t",
        "\"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80\"",
        "\"\\u0000\"",      /* an escaped NUL is an ordinary character */
        "\"\\ud800\"",      /* so is an escaped lone surrogate: RFC 8259 section 8.2 */
        "\"\xEF\xBB\xBF\"", /* U+FEFF inside a string */
        "\"[[[[ not brackets ]]]] {\"",
        "", /* json_is_valid() refuses these three */
        "}]]",
        "{\"a\":",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *reason = precheck(cases[i], strlen(cases[i]));

        ck_assert_msg(reason == NULL, "%s: %s", unit_show(cases[i], strlen(cases[i])), reason);
    }
}
END_TEST

START_TEST(refuses_nul_bytes_byte_order_marks_and_bad_utf_8)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"\0", 1},
        {"1\0", 2},
        {"{\"a\":1}\0garbage", 15},
        {"\"a\0b\"", 5},
        {"\xEF\xBB\xBF[]", 5},
        {"\xEF\xBB\xBF", 3},
        {"\"\xFF\"", 3},
        {"\"\xC3\"", 3},
        {"\"\xC0\xAF\"", 4},
        {"\"\xED\xA0\x80\"", 5}, /* a surrogate in UTF-8 */
        {"\"\xF4\x90\x80\x80\"", 6},
        {"\"abcdefghijklmnop\xE2\x82\"", 20},
        {"\xE9", 1},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *reason = precheck(cases[i].text, cases[i].len);

        ck_assert_msg(reason != NULL && reason[0] != '\0' && !strchr(reason, '\n'), "%s: %s",
                      unit_show(cases[i].text, cases[i].len), reason ? reason : "passed");
    }
}
END_TEST

/* Prechecks open × depth, middle, close × depth. */
static const char *precheck_nested(int depth, const char *open, const char *middle,
                                   const char *close)
{
    static char text[20000];
    size_t len = 0;

    for (int i = 0; i < depth; i++)
        len += (size_t)sprintf(text + len, "%s", open);
    len += (size_t)sprintf(text + len, "%s", middle);
    for (int i = 0; i < depth; i++)
        len += (size_t)sprintf(text + len, "%s", close);
    return precheck(text, len);
}

START_TEST(limits_the_depth_exactly)
{
    static const struct {
        const char *open, *close;
        bool more; /* it opens and closes another level before the innermost */
    } cases[] = {{"[", "]", false},
                 {"{\"a\":", "}", false},
                 {" [ ", " ] ", false},
                 {"[\"]\",", "]", false},
                 {"[[],", "]", true}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        int most = JSON_DEPTH_MAX - cases[i].more;

        ck_assert_msg(!precheck_nested(most, cases[i].open, "1", cases[i].close), "%s",
                      cases[i].open);
        ck_assert_msg(precheck_nested(most + 1, cases[i].open, "1", cases[i].close), "%s",
                      cases[i].open);
    }
}
END_TEST

START_TEST(ignores_brackets_inside_strings)
{
    static char text[4000];

    memset(text, '[', sizeof text);
    text[0] = '"';
    text[sizeof text - 1] = '"';
    ck_assert_ptr_null(precheck(text, sizeof text));
    /* an escaped quote does not end the string, wherever it is in a word of eight bytes */
    for (size_t i = 1; i < 40; i++) {
        text[i] = '\\';
        text[i + 1] = '"';
        ck_assert_msg(!precheck(text, sizeof text), "escaped quote at %zu", i);
        /* but the quote after an escaped backslash does */
        text[i + 1] = '\\';
        text[i + 2] = '"';
        ck_assert_msg(precheck(text, sizeof text), "escaped backslash at %zu", i);
        memset(text + i, '[', 3);
    }
}
END_TEST

START_TEST(does_not_count_siblings_as_depth)
{
    static char text[60000];
    size_t len = 0;

    text[len++] = '[';
    for (int i = 0; i < 10000; i++)
        len += (size_t)sprintf(text + len, "[{}],");
    text[len - 1] = ']';
    ck_assert_ptr_null(precheck(text, len));
}
END_TEST

/* Splits text, and joins the messages with bars: "1|2|3". */
static const char *split_joined(const char *text, size_t len)
{
    static char joined[1000];
    char *copy = unit_copy(text, len);
    struct json_split split;
    const char *message;
    size_t message_len, used = 0;

    joined[0] = '\0';
    json_split_init(&split, copy, len);
    while (json_split_next(&split, &message, &message_len))
        used += (size_t)snprintf(joined + used, sizeof joined - used, "%s%.*s", used ? "|" : "",
                                 (int)message_len, message);
    /* the end remains the end */
    ck_assert(!json_split_next(&split, &message, &message_len));
    free(copy);
    return joined;
}

START_TEST(splits_bodies_into_messages)
{
    static const struct {
        const char *text, *messages;
    } cases[] = {
        /* one value is one message (9.1.2) */
        {"{\"event\": \"created\"}", "{\"event\": \"created\"}"},
        {"  {\"a\":1}\r\n", "{\"a\":1}"},
        {"1.0", "1.0"},
        {"null", "null"},
        {"\"a, b] c\"", "\"a, b] c\""},
        {"\"[1,2]\"", "\"[1,2]\""},
        /* an array is flattened */
        {"[1,2,3]", "1|2|3"},
        {" [ 1 , 2\n,\t3 ] ", "1|2|3"},
        {"[1]", "1"},
        {"[null,true,false]", "null|true|false"},
        {"[{\"event\": \"a\"}, {\"event\": \"b\"}]", "{\"event\": \"a\"}|{\"event\": \"b\"}"},
        /* by one level only */
        {"[[1,2], [3,4]]", "[1,2]|[3,4]"},
        {"[[[1,2,3]]]", "[[1,2,3]]"},
        {"[[],{}]", "[]|{}"},
        {"[[]]", "[]"},
        /* bytes do not change */
        {"[1.0,1e400,-0,12345678901234567890123]", "1.0|1e400|-0|12345678901234567890123"},
        {"[{ \"a\" : [ 1 , 2 ] } ]", "{ \"a\" : [ 1 , 2 ] }"},
        /* brackets and commas in strings do not count */
        {"[\"a,b\",\"c]d\",\"e[f\",\"}\"]", "\"a,b\"|\"c]d\"|\"e[f\"|\"}\""},
        {"[\"\\\"\",\"\\\\\",\"\\\\\\\"],\"]", "\"\\\"\"|\"\\\\\"|\"\\\\\\\"],\""},
        {"[\"a string longer than one word, and then some\",2]",
         "\"a string longer than one word, and then some\"|2"},
        {"[{\"a,]}\":\"{[,\"},2]", "{\"a,]}\":\"{[,\"}|2"},
        /* no messages */
        {"[]", ""},
        {"[ \n ]", ""},
        {" [] ", ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *messages = split_joined(cases[i].text, strlen(cases[i].text));

        ck_assert_msg(strcmp(messages, cases[i].messages) == 0, "%s: %s, not %s", cases[i].text,
                      messages, cases[i].messages);
    }
}
END_TEST

START_TEST(finds_no_message_in_an_empty_text)
{
    struct json_split split;
    const char *message;
    size_t len;

    ck_assert_ptr_null(json_precheck(NULL, 0));
    json_split_init(&split, NULL, 0);
    ck_assert(!json_split_next(&split, &message, &len));
    ck_assert_str_eq(split_joined("", 0), "");
    ck_assert_str_eq(split_joined(" \n ", 3), "");
}
END_TEST

START_TEST(reports_whether_the_body_was_an_array)
{
    struct json_split split;

    json_split_init(&split, " [1]", 4);
    ck_assert(split.array);
    json_split_init(&split, "{\"a\":[]}", 8);
    ck_assert(!split.array);
    json_split_init(&split, "\"[\"", 3);
    ck_assert(!split.array);
}
END_TEST

/* Appends white space, or nothing. */
static size_t put_space(char *text, uint32_t *random)
{
    size_t len = unit_random(random) % 4 == 0 ? unit_random(random) % 4 : 0;

    for (size_t i = 0; i < len; i++)
        text[i] = " \n\r\t"[unit_random(random) % 4];
    return len;
}

/* Appends a random value, nested at most depth levels deep. */
static size_t put_value(char *text, uint32_t *random, int depth)
{
    static const char *const simple[] = {"0",
                                         "-1.50",
                                         "1e9",
                                         "true",
                                         "null",
                                         "\"\"",
                                         "[]",
                                         "{}",
                                         "\"a\\\"]\"",
                                         "\"\\\\\"",
                                         "\"{[,:]}, and more of it\"",
                                         "\"\\u005d\"",
                                         "\"gr\xC3\xBC\xC3\x9F\""};
    bool object = unit_random(random) % 2;
    unsigned elements = unit_random(random) % 4 + 1;
    size_t len = 0;

    if (depth == 0 || unit_random(random) % 2)
        return (size_t)sprintf(text, "%s", simple[unit_random(random) % COUNT(simple)]);
    text[len++] = object ? '{' : '[';
    for (unsigned i = 0; i < elements; i++) {
        len += put_space(text + len, random);
        if (object)
            len += (size_t)sprintf(text + len, "\"k,]%u\":", i);
        len += put_value(text + len, random, depth - 1);
        len += put_space(text + len, random);
        text[len++] = i + 1 < elements ? ',' : object ? '}' : ']';
    }
    return len;
}

START_TEST(splits_any_array_where_it_was_joined)
{
    static char text[100000], element[12][8000];
    uint32_t random = 17;

    for (int n = 0; n < 3000; n++) {
        unsigned count = unit_random(&random) % COUNT(element), found = 0;
        size_t len = put_space(text, &random), element_len[COUNT(element)], message_len;
        struct json_split split;
        const char *message;
        char *copy;

        text[len++] = '[';
        for (unsigned i = 0; i < count; i++) {
            element_len[i] = put_value(element[i], &random, 3);
            len += put_space(text + len, &random);
            memcpy(text + len, element[i], element_len[i]);
            len += element_len[i];
            len += put_space(text + len, &random);
            if (i + 1 < count)
                text[len++] = ',';
        }
        text[len++] = ']';
        len += put_space(text + len, &random);
        copy = unit_copy(text, len);
        unit_check(!json_precheck(copy, len), "%s", unit_show(text, len));
        json_split_init(&split, copy, len);
        for (; json_split_next(&split, &message, &message_len); found++)
            unit_check(found < count && message_len == element_len[found] &&
                           memcmp(message, element[found], message_len) == 0,
                       "message %u of %s", found, unit_show(text, len));
        unit_check(found == count, "%u of %u messages of %s", found, count, unit_show(text, len));
        free(copy);
    }
}
END_TEST

/* For any bytes: the messages lie inside the text, one after the other, and they end. */
static void assert_survives(const char *text, size_t len)
{
    char *copy = unit_copy(text, len);
    const char *message, *before = copy;
    struct json_split split;
    size_t message_len, calls = 0;

    (void)json_precheck(copy, len);
    json_split_init(&split, copy, len);
    while (json_split_next(&split, &message, &message_len)) {
        unit_check(message >= before && message + message_len <= copy + len,
                   "outside or backwards: %s", unit_show(text, len));
        before = message + message_len;
        unit_check(++calls <= len, "no end: %s", unit_show(text, len));
    }
    free(copy);
}

START_TEST(stays_within_any_bytes)
{
    static const char alphabet[] = "[[[]]]{}{},,,:\"\"\"\\\\ \n0a\xC3\xA9\xFF\0";
    uint32_t random = 23;
    char text[64];

    for (int n = 0; n < 300000; n++) {
        size_t len = unit_random(&random) % sizeof text;

        for (size_t i = 0; i < len; i++)
            text[i] = n % 8 == 0 ? (char)unit_random(&random)
                                 : alphabet[unit_random(&random) % sizeof alphabet];
        if (n % 2 && len > 0)
            text[0] = '[';
        assert_survives(text, len);
    }
}
END_TEST

START_TEST(stays_within_truncated_and_damaged_bodies)
{
    static const char good[] =
        " [ {\"a\":\"\\\"],\\\\\"} , [1,[2,3],\"x\"] ,\"longer than a word\\n\","
        "-1.5e3, null , {\"k\":{\"l\":[]}} ] ";
    uint32_t random = 29;
    char text[sizeof good];

    for (size_t len = 0; len < sizeof good; len++)
        assert_survives(good, len);
    for (int n = 0; n < 100000; n++) {
        memcpy(text, good, sizeof good);
        for (unsigned i = unit_random(&random) % 4 + 1; i > 0; i--)
            text[unit_random(&random) % sizeof good] = unit_random(&random) % 2
                                                           ? (char)unit_random(&random)
                                                           : "[]{},\"\\"[unit_random(&random) % 7];
        assert_survives(text, sizeof good - 1);
    }
}
END_TEST

UNIT_MAIN(json, accepts_everything_that_json_may_contain,
          refuses_nul_bytes_byte_order_marks_and_bad_utf_8, limits_the_depth_exactly,
          ignores_brackets_inside_strings, does_not_count_siblings_as_depth,
          splits_bodies_into_messages, finds_no_message_in_an_empty_text,
          reports_whether_the_body_was_an_array, splits_any_array_where_it_was_joined,
          stays_within_any_bytes, stays_within_truncated_and_damaged_bodies)
