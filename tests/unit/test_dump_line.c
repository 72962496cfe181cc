/* dump_line.c: base64, and a line that was written is read back unchanged. */
#include "base/base64.h"
#include "base/buf.h"
#include "dump/dump_line.h"
#include "unit.h"

static const char *parse(struct dump_line *line, const char *text)
{
    static char copy[1000];

    ck_assert_uint_lt(strlen(text), sizeof copy);
    (void)strcpy(copy, text);
    return dump_line_parse(line, copy, strlen(copy));
}

START_TEST(decodes_what_base64_encodes)
{
    uint32_t seed = 7;

    for (size_t len = 0; len < 200; len++) {
        struct buf buf = {0};
        char data[200];
        size_t decoded = 999;

        for (size_t i = 0; i < len; i++)
            data[i] = (char)unit_random(&seed);
        base64_add(&buf, data, len);
        unit_check(buf.len == (len + 2) / 3 * 4, "length %zu", len);
        unit_check(base64_decode(buf.data ? buf.data : "", buf.len, buf.data, &decoded), "%zu",
                   len);
        unit_check(decoded == len && (len == 0 || memcmp(buf.data, data, len) == 0), "%zu", len);
        buf_close(&buf);
    }
}
END_TEST

START_TEST(accepts_canonical_base64_only)
{
    static const char *const wrong[] = {"A",    "AA",   "AAA",   "A===",     "AA=A",
                                        "====", "AB==", "AAB=",  "AA==AAAA", "AA=AAAAA",
                                        "A A=", "AA-_", "AAAA\n"};
    char out[16];
    size_t len;

    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(!base64_decode(wrong[i], strlen(wrong[i]), out, &len), "%s", wrong[i]);
    ck_assert(base64_decode("+w==", 4, out, &len));
    ck_assert_uint_eq(len, 1);
    ck_assert_int_eq((unsigned char)out[0], 0xfb);
}
END_TEST

START_TEST(reads_back_any_bytes_as_a_text)
{
    uint32_t seed = 3;

    for (int round = 0; round < 20000; round++) {
        size_t len = unit_random(&seed) % 40;
        struct buf buf = {0};
        struct dump_line line;
        char data[40];

        for (size_t i = 0; i < len; i++) /* at times ASCII only, with control characters */
            data[i] = (char)(unit_random(&seed) % (round % 3 ? 128 : 256));
        dump_add_number(&buf, DUMP_F_POSITION, round);
        dump_add_number(&buf, DUMP_F_APPENDED_AT, INT64_MAX);
        dump_add_number(&buf, DUMP_F_BYTES, (int64_t)len);
        dump_add_text(&buf, DUMP_F_DATA, data, len);
        dump_end_line(&buf);
        unit_check(memchr(buf.data, '\n', buf.len) == buf.data + buf.len - 1, "%s",
                   unit_show(buf.data, buf.len));
        buf.data[buf.len - 1] = '\0';
        unit_check(!dump_line_parse(&line, buf.data, buf.len - 1), "%s", unit_show(data, len));
        unit_check(line.kind == DUMP_MESSAGE && line.value[DUMP_F_POSITION].number == round &&
                       line.value[DUMP_F_APPENDED_AT].number == INT64_MAX,
                   "%s", unit_show(data, len));
        unit_check(line.value[DUMP_F_DATA].len == len &&
                       memcmp(line.value[DUMP_F_DATA].text, data, len) == 0,
                   "%s", unit_show(data, len));
        buf_close(&buf);
    }
}
END_TEST

START_TEST(writes_text_in_readable_form)
{
    struct buf buf = {0};

    dump_add_text(&buf, DUMP_F_DATA, "gr\303\274n \"x\"\\\n\001", 12);
    dump_end_line(&buf);
    buf_addc(&buf, '\0');
    ck_assert_str_eq(buf.data, "{\"data\":\"gr\303\274n \\\"x\\\"\\\\\\n\\u0001\"}\n");
    buf_clear(&buf);
    dump_add_text(&buf, DUMP_F_DATA, "\302\233\302\240\177\302\200",
                  7); /* control characters of C1 are escaped */
    dump_end_line(&buf);
    buf_addc(&buf, '\0');
    ck_assert_str_eq(buf.data, "{\"data\":\"\\u009b\302\240\\u007f\\u0080\"}\n");
    buf_clear(&buf);
    dump_add_text(&buf, DUMP_F_DATA, "a\0b", 3);
    dump_end_line(&buf);
    buf_addc(&buf, '\0');
    ck_assert_str_eq(buf.data, "{\"data_base64\":\"YQBi\"}\n");
    buf_close(&buf);
}
END_TEST

START_TEST(accepts_json_of_other_writers)
{
    struct dump_line line;

    ck_assert_ptr_null(parse(&line, " { \"data\" : \"\\u00fc\\ud83d\\ude00\\/\\b\\f\" ,\t"
                                    "\"bytes\":9 , \"position\" : 7,\"appended_at\":0 } "));
    ck_assert_int_eq(line.kind, DUMP_MESSAGE);
    ck_assert_int_eq(line.value[DUMP_F_POSITION].number, 7);
    ck_assert_str_eq(line.value[DUMP_F_DATA].text, "\303\274\360\237\230\200/\b\f");
    ck_assert(!line.value[DUMP_F_PART].present);
}
END_TEST

START_TEST(refuses_lines_that_it_does_not_know)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "7",
        "null",
        "{\"position\":0}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"} x",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\",\"more\":1}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\",\"tail\":1}",
        "{\"position\":0,\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\",\"data_base64\":\"YQ==\"}",
        "{\"position\":-1,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"position\":1.0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"position\":1e2,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"position\":9223372036854775808,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"position\":\"0\",\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"position\":null,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":7}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":{}}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"\\u0000\"}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"\\udc00\"}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"\\ud800\\u0041\"}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"\377\"}",
        "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data_base64\":\"a\"}",
        "{\"position_base64\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
        "{\"\\u0070osition\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}",
    };
    struct dump_line line;

    ck_assert_ptr_null(
        parse(&line, "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}"));
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(parse(&line, wrong[i]) != NULL, "%s", wrong[i]);
}
END_TEST

UNIT_MAIN(dump_line, decodes_what_base64_encodes, accepts_canonical_base64_only,
          reads_back_any_bytes_as_a_text, writes_text_in_readable_form,
          accepts_json_of_other_writers, refuses_lines_that_it_does_not_know)
