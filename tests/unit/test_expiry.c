/* expiry.c: which TTLs are accepted, and when they end. */
#include "protocol/expiry.h"

#include "unit.h"

START_TEST(reads_a_plain_ttl)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {{"0", 0},
                 {"1", 1},
                 {"10", 10},
                 {"3600", 3600},
                 {"9007199254740991", INT64_C(9007199254740991)}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t seconds = -1;

        ck_assert_msg(expiry_parse_ttl(cases[i].text, &seconds), "\"%s\"", cases[i].text);
        ck_assert_int_eq(seconds, cases[i].seconds);
    }
}
END_TEST

START_TEST(rejects_a_leading_zero)
{
    int64_t seconds;

    ck_assert(!expiry_parse_ttl("00", &seconds));
    ck_assert(!expiry_parse_ttl("01", &seconds));
    ck_assert(!expiry_parse_ttl("03600", &seconds));
}
END_TEST

START_TEST(rejects_any_other_ttl)
{
    static const char *const cases[] = {"",
                                        "-1",
                                        "-0",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "60.5",
                                        "3600.0",
                                        "3.6e3",
                                        "1e3",
                                        "0x10",
                                        "1h",
                                        "60s",
                                        "abc",
                                        "1,000",
                                        "1\n",
                                        "9007199254740992",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "99999999999999999999999999"};

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t seconds;

        ck_assert_msg(!expiry_parse_ttl(cases[i], &seconds), "\"%s\"", cases[i]);
    }
}
END_TEST

START_TEST(adds_a_ttl_to_a_time_without_overflow)
{
    ck_assert_int_eq(expiry_after_ttl(1700000000123, 0), 1700000000123);
    ck_assert_int_eq(expiry_after_ttl(1700000000123, 60), 1700000060123);
    ck_assert_int_eq(expiry_after_ttl(253402300799999, INT64_C(9007199254740991)),
                     INT64_C(9007452657041790999));
}
END_TEST

UNIT_MAIN(expiry, reads_a_plain_ttl, rejects_a_leading_zero, rejects_any_other_ttl,
          adds_a_ttl_to_a_time_without_overflow)
