/* cursor.c: the number of the interval, and no answer repeats the cursor of the client. */
#include "protocol/cursor.h"

#include "unit.h"

#define EPOCH_MS (DS_CURSOR_DEFAULT_EPOCH * 1000)

/* The answer to a client that sent this text; NULL: it sent no cursor. */
static int64_t respond(int64_t current, const char *client, int64_t interval_s, uint32_t random)
{
    return cursor_response(current, client ? cursor_parse(client, strlen(client)) : -1, interval_s,
                           random);
}

START_TEST(accepts_numbers_that_a_browser_can_count_to)
{
    ck_assert_int_eq(cursor_parse("0", 1), 0);
    ck_assert_int_eq(cursor_parse("12345", 5), 12345);
    ck_assert_int_eq(cursor_parse("007", 3), 7);
    ck_assert_int_eq(cursor_parse("9007199254740991", 16), INT64_C(9007199254740991));
}
END_TEST

START_TEST(counts_intervals_from_the_epoch)
{
    static const struct {
        int64_t now_ms, interval_s, epoch_s, cursor;
    } cases[] = {
        {EPOCH_MS, 20, DS_CURSOR_DEFAULT_EPOCH, 0},
        {EPOCH_MS + 19999, 20, DS_CURSOR_DEFAULT_EPOCH, 0},
        {EPOCH_MS + 20000, 20, DS_CURSOR_DEFAULT_EPOCH, 1},
        {EPOCH_MS + 20000 * INT64_C(123456), 20, DS_CURSOR_DEFAULT_EPOCH, 123456},
        {EPOCH_MS + 5000, 1, DS_CURSOR_DEFAULT_EPOCH, 5},
        {7000, 1, 0, 7},
        {7000, 100, 0, 0},
        {INT64_MAX, 1, 0, INT64_MAX / 1000},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_msg(cursor_calculate(cases[i].now_ms, cases[i].interval_s, cases[i].epoch_s) ==
                          cases[i].cursor,
                      "case %zu", i);
}
END_TEST

START_TEST(is_never_negative)
{
    ck_assert_int_eq(cursor_calculate(EPOCH_MS - 1000, 20, DS_CURSOR_DEFAULT_EPOCH), 0);
    ck_assert_int_eq(cursor_calculate(0, 20, DS_CURSOR_DEFAULT_EPOCH), 0);
    ck_assert_int_eq(cursor_calculate(INT64_MIN, 1, INT64_MAX), 0);
    ck_assert_int_eq(cursor_calculate(INT64_MAX, 1, INT64_MIN), 0);
}
END_TEST

START_TEST(answers_the_current_interval_to_a_client_behind_it)
{
    ck_assert_int_eq(respond(1000, NULL, 20, 77), 1000);
    ck_assert_int_eq(respond(1000, "999", 20, 77), 1000);
    ck_assert_int_eq(respond(1000, "0", 20, 77), 1000);
}
END_TEST

START_TEST(passes_a_client_that_is_level_or_ahead)
{
    static const char *const sent[] = {"1000", "1001", "999999", "9007199254740991"};
    uint32_t random = 3;

    for (size_t i = 0; i < COUNT(sent); i++)
        for (int n = 0; n < 1000; n++) {
            int64_t client = strtoll(sent[i], NULL, 10);
            int64_t got = respond(1000, sent[i], 20, unit_random(&random));

            unit_check(got > client && got <= client + 3600 / 20, "%s: %lld", sent[i],
                       (long long)got);
        }
}
END_TEST

START_TEST(jumps_from_one_second_to_an_hour)
{
    ck_assert_int_eq(respond(5, "5", 1, 0), 5 + 1);
    ck_assert_int_eq(respond(5, "5", 1, 3599), 5 + 3600);
    ck_assert_int_eq(respond(5, "5", 1, 3600), 5 + 1); /* from the start again */
    ck_assert_int_eq(respond(5, "5", 20, 3599), 5 + 180);
    ck_assert_int_eq(respond(5, "5", 20, 58), 5 + 2);
}
END_TEST

START_TEST(jumps_at_least_one_interval)
{
    ck_assert_int_eq(respond(5, "5", 20, 0), 6);
    ck_assert_int_eq(respond(5, "5", 3600, 10), 6);
    ck_assert_int_eq(respond(5, "5", INT64_MAX, UINT32_MAX), 6);
}
END_TEST

START_TEST(ignores_cursors_that_are_not_digits)
{
    static const char *const sent[] = {"",
                                       "abc",
                                       "-5000",
                                       "-1",
                                       "+5000",
                                       "5000 ",
                                       " 5000",
                                       "5e3",
                                       "5000x",
                                       "0x99",
                                       "5000.",
                                       "9007199254740992",
                                       "99999999999999999999999999999"};

    for (size_t i = 0; i < COUNT(sent); i++) {
        ck_assert_msg(cursor_parse(sent[i], strlen(sent[i])) == -1, "\"%s\"", sent[i]);
        ck_assert_msg(respond(1000, sent[i], 20, 77) == 1000, "\"%s\"", sent[i]);
    }
    ck_assert_int_eq(cursor_parse("5\0", 2), -1);
}
END_TEST

START_TEST(reads_no_byte_beyond_the_length)
{
    char *sent = unit_copy("5000", 4);

    ck_assert_int_eq(cursor_parse(sent, 4), 5000);
    ck_assert_int_eq(cursor_parse(sent, 3), 500);
    ck_assert_int_eq(cursor_parse(sent, 0), -1);
    free(sent);
}
END_TEST

UNIT_MAIN(cursor, accepts_numbers_that_a_browser_can_count_to, counts_intervals_from_the_epoch,
          is_never_negative, answers_the_current_interval_to_a_client_behind_it,
          passes_a_client_that_is_level_or_ahead, jumps_from_one_second_to_an_hour,
          jumps_at_least_one_interval, ignores_cursors_that_are_not_digits,
          reads_no_byte_beyond_the_length)
