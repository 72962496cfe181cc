/* cli_duration.c: durations with and without a unit. */
#include "cli/cli_duration.h"

#include "unit.h"

START_TEST(reads_a_number_and_a_unit)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"90", 90},
        {"0090", 90},
        {"90s", 90},
        {"15m", 900},
        {"5h", 18000},
        {"7d", 604800},
        {"2w", 1209600},
        {"0w", 0},
        {"", -1},
        {"s", -1},
        {"h5", -1},
        {"5 h", -1},
        {"5H", -1},
        {"5hh", -1},
        {"1.5h", -1},
        {"-5h", -1},
        {"+5h", -1},
        {"1h30m", -1},
        {"5 ", -1},
        {"5ms", -1},
        {"5y", -1},
        {"9999999999999999999s", -1},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t seconds = -1;
        bool ok = cli_duration_parse(cases[i].text, INT64_MAX, &seconds);

        ck_assert_msg(ok == (cases[i].seconds >= 0) && seconds == cases[i].seconds, "'%s': %lld",
                      cases[i].text, (long long)seconds);
    }
}
END_TEST

START_TEST(refuses_what_is_longer_than_the_most)
{
    int64_t seconds = -1;

    ck_assert(cli_duration_parse("1d", 86400, &seconds));
    ck_assert_int_eq(seconds, 86400);
    ck_assert(!cli_duration_parse("2d", 86400, &seconds));
    ck_assert(!cli_duration_parse("86401", 86400, &seconds));
    ck_assert(!cli_duration_parse("1w", 86400, &seconds));
    ck_assert(!cli_duration_parse("15250284452472w", INT64_MAX, &seconds)); /* one week too many */
    ck_assert_int_eq(seconds, 86400);
    ck_assert(cli_duration_parse("15250284452471w", INT64_MAX, &seconds));
}
END_TEST

UNIT_MAIN(cli_duration, reads_a_number_and_a_unit, refuses_what_is_longer_than_the_most)
