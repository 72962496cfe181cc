/* clock_text.c: which times are accepted, and the calendar behind them. */
#include "base/clock.h"

#include "unit.h"

#include <time.h>

START_TEST(reads_rfc_3339_times)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2024-10-09T00:00:00Z", INT64_C(1728432000000)},
        {"2026-01-02T03:04:05.678Z", INT64_C(1767323045678)},
        {"2026-01-02t03:04:05.678z", INT64_C(1767323045678)},
        {"2026-01-02T03:04:05.6Z", INT64_C(1767323045600)},
        {"2026-01-02T03:04:05.6789999999999999999999Z", INT64_C(1767323045678)},
        {"2026-01-02T05:04:05.678+02:00", INT64_C(1767323045678)},
        {"2026-01-01T21:34:05.678-05:30", INT64_C(1767323045678)},
        {"2026-01-02T03:04:05+00:00", INT64_C(1767323045000)},
        {"2026-01-02T03:04:05-00:00", INT64_C(1767323045000)}, /* "offset unknown", section 4.3 */
        {"2026-01-03T03:03:05+23:59", INT64_C(1767323045000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228799000)}, /* a leap second */
        {"2016-12-31T23:59:60.25Z", INT64_C(1483228799250)},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2038-01-19T03:14:08Z", INT64_C(2147483648000)},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
        {"0000-02-29T00:00:00Z", INT64_C(-62162121600000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -999;

        ck_assert_msg(clock_parse_time(cases[i].text, &ms), "%s", cases[i].text);
        ck_assert_msg(ms == cases[i].ms, "%s: %lld, not %lld", cases[i].text, (long long)ms,
                      (long long)cases[i].ms);
    }
}
END_TEST

START_TEST(rejects_days_that_are_not_in_the_calendar)
{
    static const char *const days[] = {"2026-02-29", "2026-02-30", "1900-02-29", "2100-02-29",
                                       "2024-02-30", "2026-04-31", "2026-06-31", "2026-09-31",
                                       "2026-11-31", "2026-01-32", "2026-01-00", "2026-00-01",
                                       "2026-13-01", "2026-99-99", "0000-00-00"};

    for (size_t i = 0; i < COUNT(days); i++) {
        char text[40];
        int64_t ms;

        (void)snprintf(text, sizeof text, "%sT00:00:00Z", days[i]);
        ck_assert_msg(!clock_parse_time(text, &ms), "%s", text);
    }
}
END_TEST

START_TEST(rejects_what_is_not_rfc_3339)
{
    static const char *const cases[] = {
        "",
        "tomorrow",
        "1767323045",
        "2026-01-02",
        "2026-01-02T03:04:05",  /* no zone */
        "2026-01-02T03:04Z",    /* no seconds */
        "2026-01-02 03:04:05Z", /* a space */
        "2026-01-02T03:04:05 Z",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z ",
        "2026-01-02T03:04:05ZZ",
        "2026-01-02T03:04:05.Z", /* a point without digits */
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05.5",
        "2026-01-02T24:00:00Z",
        "2026-01-02T23:60:00Z",
        "2026-01-02T23:59:61Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+02:60",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05+02",
        "2026-01-02T03:04:05+2:00",
        "2026-01-02T03:04:05GMT",
        "2026-1-2T3:4:5Z",
        "26-01-02T03:04:05Z",
        "12026-01-02T03:04:05Z",
        "+2026-01-02T03:04:05Z",
        "-001-01-02T03:04:05Z",
        "2026/01/02T03:04:05Z",
        "20260102T030405Z", /* ISO 8601, but not RFC 3339 */
        "2026-W01-5T03:04:05Z",
        "2026-002T03:04:05Z",
        "2026-01-02T03-04-05Z",
        "2026-01-02T-3:04:05Z",
        "2026-01-02T 3:04:05Z",
        "Fri, 02 Jan 2026 03:04:05 GMT",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms;

        ck_assert_msg(!clock_parse_time(cases[i], &ms), "\"%s\"", cases[i]);
    }
}
END_TEST

START_TEST(rejects_every_shortened_time)
{
    static const char whole[] = "2026-01-02T03:04:05.678+02:00";

    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *text = unit_copy(whole, len + 1);
        int64_t ms;

        text[len] = '\0';
        ck_assert_msg(!clock_parse_time(text, &ms), "\"%s\"", text);
        free(text);
    }
}
END_TEST

START_TEST(writes_times_as_people_read_them)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(1767323045678), "2026-01-02T03:04:05.678Z"},
        {INT64_C(951825600000), "2000-02-29T12:00:00.000Z"},
        {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
        /* times that the format cannot express become the nearest one that it can */
        {INT64_C(-62167219200001), "0000-01-01T00:00:00.000Z"},
        {INT64_C(253402300800000), "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[CLOCK_TIME_SIZE];

        clock_format_time(cases[i].ms, text);
        ck_assert_msg(strcmp(text, cases[i].text) == 0, "%lld: %s, not %s", (long long)cases[i].ms,
                      text, cases[i].text);
    }
}
END_TEST

START_TEST(agrees_with_the_c_library_on_every_day)
{
    char text[CLOCK_TIME_SIZE], expected[CLOCK_TIME_SIZE];

    for (int64_t day = -719528; day < 2932897; day++) {   /* the years 0000 to 9999 */
        int64_t ms = day * 86400000 + 45296789, back = 0; /* 12:34:56.789 */
        time_t seconds = (time_t)(day * 86400 + 45296);
        struct tm tm;

        clock_format_time(ms, text);
        unit_check(clock_parse_time(text, &back) && back == ms, "%s: %lld, not %lld", text,
                   (long long)back, (long long)ms);
        if (day % 13 != 0 && day % 365 > 2) /* the slow half now and then, and about New Year */
            continue;
        (void)gmtime_r(&seconds, &tm);
        (void)snprintf(expected, sizeof expected, "%04u-%02u-%02uT12:34:56.789Z",
                       (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
                       (unsigned)tm.tm_mday % 100u);
        unit_check(strcmp(text, expected) == 0, "%s, not %s", text, expected);
    }
}
END_TEST

UNIT_MAIN(clock_text, reads_rfc_3339_times, rejects_days_that_are_not_in_the_calendar,
          rejects_what_is_not_rfc_3339, rejects_every_shortened_time,
          writes_times_as_people_read_them, agrees_with_the_c_library_on_every_day)
