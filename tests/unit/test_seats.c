/* Workers that look for requests: so many, and somebody always when one is busy for long. */
#include "gateway/seats.h"
#include "unit.h"

enum { ROUNDS = 2000 };

static struct seats seats;
static _Atomic int seated, most;

static void *work(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        int now;

        seats_take(&seats);
        now = atomic_fetch_add(&seated, 1) + 1;
        if (now > atomic_load(&most))
            atomic_store(&most, now);
        (void)sched_yield();
        atomic_fetch_sub(&seated, 1);
        seats_leave(&seats);
    }
    return arg;
}

static int most_of(int64_t cpus)
{
    pthread_t thread[6];

    atomic_store(&most, 0);
    seats_open(&seats, cpus);
    for (size_t i = 0; i < COUNT(thread); i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, work, NULL), 0);
    for (size_t i = 0; i < COUNT(thread); i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    seats_close(&seats);
    return atomic_load(&most);
}

START_TEST(seats_as_many_as_half_of_the_cpus)
{
    ck_assert_int_eq(most_of(-1), 1); /* unknown */
    ck_assert_int_eq(most_of(1), 1);
    ck_assert_int_eq(most_of(2), 1);
    ck_assert_int_eq(most_of(3), 1);
    ck_assert_int_le(most_of(8), 4);
    ck_assert_int_gt(most_of(64), 0);
}
END_TEST

START_TEST(hands_a_seat_over_to_whoever_waits_for_it)
{
    pthread_t thread;

    seats_open(&seats, 1);
    seats_take(&seats);
    ck_assert_int_eq(pthread_create(&thread, NULL, work, NULL), 0);
    seats_leave(&seats); /* or it would never end */
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    seats_close(&seats);
}
END_TEST

START_TEST(tells_slow_times_from_a_slow_request)
{
    seats_open(&seats, 2);
    for (int i = 0; i < 100; i++)
        seats_note(&seats, 20);
    ck_assert(!seats_are_for_waiting(&seats));
    seats_note(&seats, 3000); /* lost its CPU for a while */
    ck_assert(!seats_are_for_waiting(&seats));
    for (int i = 0; i < 30; i++)
        seats_note(&seats, 1000);
    ck_assert(seats_are_for_waiting(&seats));
    for (int i = 0; i < 100; i++)
        seats_note(&seats, 20);
    ck_assert(!seats_are_for_waiting(&seats));
    seats_close(&seats);
}
END_TEST

UNIT_MAIN(seats, seats_as_many_as_half_of_the_cpus, hands_a_seat_over_to_whoever_waits_for_it,
          tells_slow_times_from_a_slow_request)
