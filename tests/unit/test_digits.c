/* digits.c: which texts are a number or a %XX; no number overflows. */
#include "base/digits.h"

#include "unit.h"

START_TEST(reads_plain_digits_up_to_the_limit)
{
    static const struct {
        const char *text;
        int64_t max;
        int64_t value; /* -1: refused */
    } cases[] = {
        {"0", 10, 0},
        {"7", 10, 7},
        {"10", 10, 10},
        {"11", 10, -1},
        {"0010", 10, 10},
        {"000000000000000000000000000000000000000003", 10, 3},
        {"0", 0, 0},
        {"1", 0, -1},
        {"9007199254740991", INT64_C(9007199254740991), INT64_C(9007199254740991)},
        {"9007199254740992", INT64_C(9007199254740991), -1},
        {"9223372036854775807", INT64_MAX, INT64_MAX},
        {"9223372036854775808", INT64_MAX, -1},
        {"18446744073709551617", INT64_MAX, -1},
        {"5", 7, 5},
        {"69", 70, 69},
        {"70", 70, 70},
        {"71", 70, -1},
        {"99999999999999999999999999999999999999999999", INT64_MAX, -1},
        {"", 10, -1},
        {"-1", 10, -1},
        {"-0", 10, -1},
        {"+1", 10, -1},
        {" 1", 10, -1},
        {"1 ", 10, -1},
        {"1.0", 10, -1},
        {"1e0", 10, -1},
        {"0x1", 10, -1},
        {"1abc", 10, -1},
        {"/", 10, -1},
        {":", 10, -1},
        {"\xB2", 10, -1}, /* superscript two in Latin-1 */
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = unit_copy(cases[i].text, strlen(cases[i].text));
        int64_t value = -1;
        bool ok = digits_parse(text, strlen(cases[i].text), cases[i].max, &value);

        ck_assert_msg(ok == (cases[i].value >= 0) && value == cases[i].value,
                      "\"%s\" up to %lld: %d, %lld", cases[i].text, (long long)cases[i].max, ok,
                      (long long)value);
        free(text);
    }
}
END_TEST

START_TEST(refuses_a_nul_among_the_digits)
{
    int64_t value = 5;

    ck_assert(!digits_parse("1\0002", 3, 1000, &value));
    ck_assert_int_eq(value, 5);
}
END_TEST

START_TEST(knows_the_value_of_every_hexadecimal_digit)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

    for (int c = 0; c < 256; c++) {
        const char *at = c != 0 ? strchr(lower, c) : NULL,
                   *or_at = c != 0 ? strchr(upper, c) : NULL;
        int value = at ? (int)(at - lower) : or_at ? (int)(or_at - upper) : -1;

        ck_assert_int_eq(digits_hex((char)c), value);
    }
}
END_TEST

START_TEST(decodes_every_percent_encoding)
{
    char text[4];

    for (int byte = 0; byte < 256; byte++) {
        (void)snprintf(text, sizeof text, "%%%02x", (unsigned)byte & 255);
        ck_assert_int_eq(digits_percent(text, text + 3), byte);
        (void)snprintf(text, sizeof text, "%%%02X", (unsigned)byte & 255);
        ck_assert_int_eq(digits_percent(text, text + 3), byte);
    }
}
END_TEST

START_TEST(refuses_malformed_percent_encodings)
{
    static const char *const cases[] = {"",    "%",   "%4",  "%zz", "%4g", "%g4", "%4G",
                                        "%G4", "%4Q", "%@0", "%`0", "%:0", "%/0", "%[0",
                                        "%-1", "%+1", "% 1", "441", "%%4", "%0x"};

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i]);
        char *text = unit_copy(cases[i], len);

        ck_assert_msg(digits_percent(text, text + len) == -1, "\"%s\"", cases[i]);
        free(text);
    }
}
END_TEST

START_TEST(writes_numbers_as_printf_does)
{
    static const int64_t values[] = {0,
                                     1,
                                     9,
                                     10,
                                     15,
                                     16,
                                     255,
                                     256,
                                     1700000000123,
                                     INT64_C(9999999999999999),
                                     INT64_C(1000000000000000000),
                                     INT64_MAX,
                                     -1,
                                     -10,
                                     INT64_MIN + 1,
                                     INT64_MIN};

    for (size_t i = 0; i < COUNT(values); i++) {
        char text[DIGITS_MOST], printed[32];
        size_t len = digits_write(text, values[i]);

        (void)snprintf(printed, sizeof printed, "%lld", (long long)values[i]);
        ck_assert_msg(len == strlen(printed) && memcmp(text, printed, len) == 0, "%s", printed);
        len = digits_write_hex(text, (uint64_t)values[i]);
        (void)snprintf(printed, sizeof printed, "%llx", (unsigned long long)values[i]);
        ck_assert_msg(len == strlen(printed) && memcmp(text, printed, len) == 0, "%s", printed);
    }
}
END_TEST

UNIT_MAIN(digits, reads_plain_digits_up_to_the_limit, refuses_a_nul_among_the_digits,
          knows_the_value_of_every_hexadecimal_digit, decodes_every_percent_encoding,
          refuses_malformed_percent_encodings, writes_numbers_as_printf_does)
