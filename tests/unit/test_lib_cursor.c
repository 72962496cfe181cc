/* The functions ds_cursor_*. test_cursor.c tests the rules behind them. */
#include <time.h>

#include "durable_streams.h"
#include "unit.h"

START_TEST(the_current_cursor_counts_intervals_since_the_epoch)
{
    const struct ds_cursor_options minutes = {.interval_seconds = 60, .epoch = 0};
    const struct ds_cursor_options future = {.interval_seconds = 1, .epoch = INT64_MAX};
    int64_t before = (int64_t)time(NULL), cursor = ds_cursor_calculate(NULL);
    int64_t minute = ds_cursor_calculate(&minutes);
    int64_t after = (int64_t)time(NULL);

    ck_assert_int_ge(cursor,
                     (before - DS_CURSOR_DEFAULT_EPOCH) / DS_CURSOR_DEFAULT_INTERVAL_SECONDS);
    ck_assert_int_le(cursor,
                     (after - DS_CURSOR_DEFAULT_EPOCH) / DS_CURSOR_DEFAULT_INTERVAL_SECONDS);
    ck_assert_int_ge(minute, before / 60);
    ck_assert_int_le(minute, after / 60);
    ck_assert_int_eq(ds_cursor_calculate(&future), 0);
}
END_TEST

START_TEST(a_client_behind_gets_the_current_cursor)
{
    ck_assert_int_eq(ds_cursor_handle_collision(100, -1, NULL), 100);
    ck_assert_int_eq(ds_cursor_handle_collision(100, 99, NULL), 100);
    /* never sent to a client */
    ck_assert_int_eq(ds_cursor_handle_collision(100, INT64_MAX, NULL), 100);
}
END_TEST

START_TEST(a_client_that_is_not_behind_is_sent_ahead_by_up_to_an_hour)
{
    const struct ds_cursor_options days = {.interval_seconds = 86400};
    int64_t least = INT64_MAX, most = 0;

    for (int i = 0; i < 20000; i++) {
        int64_t ahead = ds_cursor_handle_collision(100, 5000, NULL) - 5000;

        least = ahead < least ? ahead : least;
        most = ahead > most ? ahead : most;
    }
    ck_assert_int_eq(least, 1);
    ck_assert_int_eq(most, 3600 / DS_CURSOR_DEFAULT_INTERVAL_SECONDS);
    ck_assert_int_eq(ds_cursor_handle_collision(7, 7, &days), 8);
}
END_TEST

START_TEST(a_response_takes_the_text_that_the_client_sent)
{
    int64_t now = ds_cursor_calculate(NULL);
    char text[32];

    (void)snprintf(text, sizeof text, "%lld", (long long)now + 1000000);
    ck_assert_int_gt(ds_cursor_generate_response(text, NULL), now + 1000000);
    ck_assert_int_ge(ds_cursor_generate_response(NULL, NULL), now);
    ck_assert_int_le(ds_cursor_generate_response(NULL, NULL), now + 10);
    ck_assert_int_le(ds_cursor_generate_response("", NULL), now + 10);
    ck_assert_int_le(ds_cursor_generate_response("nonsense", NULL), now + 10);
    ck_assert_int_le(ds_cursor_generate_response("99999999999999999999", NULL), now + 10);
}
END_TEST

UNIT_MAIN(lib_cursor, the_current_cursor_counts_intervals_since_the_epoch,
          a_client_behind_gets_the_current_cursor,
          a_client_that_is_not_behind_is_sent_ahead_by_up_to_an_hour,
          a_response_takes_the_text_that_the_client_sent)
