/* The live desk's tables: times in order, streams found, nothing freed too early. */
#include "live/live_table.h"
#include "unit.h"

enum { PARKED = 500, STEPS = 20000 };

static struct parked parked[PARKED];

START_TEST(keeps_times_in_order_under_any_change)
{
    struct live_table table = {0};
    uint32_t seed = 99;

    memset(parked, 0, sizeof parked);
    for (int step = 0; step < STEPS; step++) {
        struct parked *one = &parked[unit_random(&seed) % PARKED];
        int64_t due = unit_random(&seed) % 4 == 0 ? 0 : 1 + unit_random(&seed) % 1000;
        int64_t earliest = 0, now = 1 + unit_random(&seed) % 1000;
        struct parked *first;

        ck_assert(live_table_reserve(&table));
        live_table_set_due(&table, one, due);
        for (int i = 0; i < PARKED; i++)
            if (parked[i].due != 0 && (earliest == 0 || parked[i].due < earliest))
                earliest = parked[i].due;
        unit_check((earliest == 0) == (live_table_next_due(&table) == 0), "step %d", step);
        unit_check(live_table_next_due(&table) <= earliest, "step %d: too late", step);
        first = live_table_first_due(&table, now);
        if (earliest == 0 || earliest > now)
            unit_check(!first, "step %d: nobody is due", step);
        else
            unit_check(first && first->due <= now, "step %d: not due", step);
        if (now % 10 == 0) /* at the largest time all are due */
            unit_check(!live_table_first_due(&table, INT64_MAX) == (earliest == 0), "step %d",
                       step);
    }
    live_table_close(&table);
}
END_TEST

START_TEST(finds_readers_by_stream_until_the_last_one_leaves)
{
    struct live_table table = {0};
    bool fresh;

    memset(parked, 0, sizeof parked);
    for (int i = 0; i < PARKED; i++) {
        parked[i].reader.stream_id = 1 + i % 200;
        ck_assert(live_table_add(&table, &parked[i], &fresh));
        ck_assert_int_eq(fresh, i < 200);
    }
    ck_assert_int_eq(table.count, 200);
    for (int i = 0; i < PARKED; i++) {
        bool last = i >= PARKED - 200;

        ck_assert_ptr_nonnull(live_table_find(&table, 1 + i % 200));
        ck_assert_int_eq(live_table_remove(&table, &parked[i]), last);
    }
    ck_assert_int_eq(table.count, 0);
    ck_assert_ptr_null(live_table_find(&table, 1));
    live_table_close(&table);
}
END_TEST

START_TEST(keeps_a_marked_stream_without_readers_until_it_is_looked_at)
{
    struct live_table table = {0};
    struct watch *watch;
    bool fresh;

    memset(parked, 0, sizeof parked);
    parked[0].reader.stream_id = parked[1].reader.stream_id = 9;
    ck_assert(live_table_add(&table, &parked[0], &fresh));
    watch = parked[0].watch;
    live_table_mark(&table, watch);
    live_table_mark(&table, watch);
    ck_assert(live_table_remove(&table, &parked[0]));
    ck_assert_ptr_eq(live_table_find(&table, 9), watch);
    ck_assert(live_table_add(&table, &parked[1], &fresh));
    ck_assert(fresh); /* the interest ended with the last reader */
    ck_assert_ptr_eq(live_table_take_marked(&table), watch);
    ck_assert_ptr_null(SLIST_NEXT(watch, in_marked));
    ck_assert_ptr_null(live_table_take_marked(&table));
    watch->marked = false;
    ck_assert(live_table_remove(&table, &parked[1]));
    ck_assert_ptr_null(live_table_find(&table, 9));
    live_table_close(&table);
}
END_TEST

UNIT_MAIN(live_table, keeps_times_in_order_under_any_change,
          finds_readers_by_stream_until_the_last_one_leaves,
          keeps_a_marked_stream_without_readers_until_it_is_looked_at)
