/*
 * The JSON validator and SQLite's json_valid() follow the same grammar, so they must agree: on
 * texts that a generator makes from the grammar, on those texts with some bytes changed, and on all
 * short texts of a few characters.
 */
#include <sqlite3.h>

#include "base/buf.h"
#include "protocol/json.h"
#include "unit.h"

static sqlite3_stmt *oracle;
static sqlite3 *db;

static bool sqlite_says(const char *text, size_t len)
{
    bool valid;

    (void)sqlite3_bind_text64(oracle, 1, text, len, SQLITE_STATIC, SQLITE_UTF8);
    (void)sqlite3_step(oracle);
    valid = sqlite3_column_int(oracle, 0) == 1;
    (void)sqlite3_reset(oracle);
    return valid;
}

static void open_oracle(void)
{
    ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT json_valid(?1)", -1, &oracle, NULL), SQLITE_OK);
}

static void close_oracle(void)
{
    (void)sqlite3_finalize(oracle);
    (void)sqlite3_close(db);
}

static void compare(const char *text, size_t len)
{
    if (json_precheck(text, len))
        return;
    unit_check(json_is_valid(text, len) == sqlite_says(text, len), "%s is %s here",
               unit_show(text, len), json_is_valid(text, len) ? "valid" : "invalid");
}

static void add_value(struct buf *buf, uint32_t *seed, int depth)
{
    static const char *const scalars[] = {
        "0",      "-0",   "1",    "-12.5e+3",   "1e400",       "0.0E-1",       "true",
        "false",  "null", "\"\"", "\"a\\\"b\"", "\"\\u00e9\"", "\"\\ud800\"",  "\"\\\\\"",
        "123456", "[]",   "{}",   "[ ]",        "{ }",         "\"\xc3\xa9\"", "\"\\/\\b\\f\\n\"",
    };
    unsigned kind = unit_random(seed) % 6;

    if (kind < 3 || depth > 6) {
        buf_adds(buf, scalars[unit_random(seed) % COUNT(scalars)]);
        return;
    }
    buf_addc(buf, kind < 5 ? '[' : '{');
    for (unsigned i = unit_random(seed) % 4; i > 0; i--) {
        if (kind == 5)
            buf_adds(buf, "\"k\" : ");
        add_value(buf, seed, depth + 1);
        if (i > 1)
            buf_adds(buf, unit_random(seed) % 2 ? "," : " ,\n");
    }
    buf_addc(buf, kind < 5 ? ']' : '}');
}

START_TEST(agrees_on_generated_texts)
{
    struct buf buf = {0};
    uint32_t seed = 7;

    open_oracle();
    for (int i = 0; i < 20000; i++) {
        buf_clear(&buf);
        add_value(&buf, &seed, 0);
        unit_check(json_is_valid(buf.data, buf.len), "%s", unit_show(buf.data, buf.len));
        compare(buf.data, buf.len);
    }
    buf_close(&buf);
    close_oracle();
}
END_TEST

START_TEST(agrees_on_damaged_texts)
{
    static const char bytes[] = "[]{},:\"\\ \t\n0123456789-+.eEtrufalsn/x\x01'";
    struct buf buf = {0};
    uint32_t seed = 11;

    open_oracle();
    for (int i = 0; i < 200000; i++) {
        char *text;

        buf_clear(&buf);
        add_value(&buf, &seed, 4);
        for (unsigned changes = 1 + unit_random(&seed) % 3; changes > 0; changes--)
            buf.data[unit_random(&seed) % buf.len] = bytes[unit_random(&seed) % (sizeof bytes - 1)];
        buf.len -= unit_random(&seed) % 4 == 0;
        text = unit_copy(buf.data, buf.len); /* in a block of its exact size */
        compare(text, buf.len);
        free(text);
    }
    buf_close(&buf);
    close_oracle();
}
END_TEST

START_TEST(agrees_on_every_short_text)
{
    static const char bytes[] = "[]{},:\"\\ 01-.etn";
    enum { N = sizeof bytes - 1, LEN = 4 };
    char text[LEN];

    open_oracle();
    for (int len = 1; len <= LEN; len++) {
        long all = 1;

        for (int i = 0; i < len; i++)
            all *= N;
        for (long n = 0; n < all; n++) {
            long rest = n;

            for (int i = 0; i < len; i++, rest /= N)
                text[i] = bytes[rest % N];
            compare(text, (size_t)len);
        }
    }
    close_oracle();
}
END_TEST

START_TEST(refuses_texts_that_are_too_deep)
{
    char text[2 * JSON_DEPTH_MAX + 2];

    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    ck_assert(json_is_valid(text, 2 * JSON_DEPTH_MAX));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    ck_assert(!json_is_valid(text, 2 * JSON_DEPTH_MAX + 2));
    ck_assert(!json_is_valid("", 0));
    ck_assert(!json_is_valid(NULL, 0));
}
END_TEST

UNIT_MAIN(json_oracle, agrees_on_generated_texts, agrees_on_damaged_texts,
          agrees_on_every_short_text, refuses_texts_that_are_too_deep)
