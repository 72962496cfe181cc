/* Worker slots: never more waiting workers than slots, and a released slot is used again. */
#include "gateway/worker_slots.h"
#include "unit.h"

enum { ROUNDS = 2000 };

static struct worker_slots slots;
static _Atomic int holders, most;

static void *work(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        int now;

        worker_slots_acquire(&slots);
        now = atomic_fetch_add(&holders, 1) + 1;
        if (now > atomic_load(&most))
            atomic_store(&most, now);
        (void)sched_yield();
        atomic_fetch_sub(&holders, 1);
        worker_slots_release(&slots);
    }
    return arg;
}

static int most_of(int64_t cpus)
{
    pthread_t thread[6];

    atomic_store(&most, 0);
    worker_slots_open(&slots, cpus);
    for (size_t i = 0; i < COUNT(thread); i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, work, NULL), 0);
    for (size_t i = 0; i < COUNT(thread); i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    worker_slots_close(&slots);
    return atomic_load(&most);
}

START_TEST(has_a_slot_for_half_of_the_cpus)
{
    ck_assert_int_eq(most_of(-1), 1); /* the number of CPUs is unknown */
    ck_assert_int_eq(most_of(1), 1);
    ck_assert_int_eq(most_of(2), 1);
    ck_assert_int_eq(most_of(3), 1);
    ck_assert_int_le(most_of(8), 4);
    ck_assert_int_gt(most_of(64), 0);
}
END_TEST

START_TEST(hands_a_released_slot_to_a_waiting_thread)
{
    pthread_t thread;

    worker_slots_open(&slots, 1);
    worker_slots_acquire(&slots);
    ck_assert_int_eq(pthread_create(&thread, NULL, work, NULL), 0);
    worker_slots_release(&slots); /* otherwise the thread would never end */
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    worker_slots_close(&slots);
}
END_TEST

START_TEST(tells_lasting_slowness_from_one_slow_request)
{
    worker_slots_open(&slots, 2);
    for (int i = 0; i < 100; i++)
        worker_slots_note(&slots, 20);
    ck_assert(!worker_slots_requests_are_slow(&slots));
    worker_slots_note(&slots, 3000); /* a request that lost its CPU for a while */
    ck_assert(!worker_slots_requests_are_slow(&slots));
    for (int i = 0; i < 30; i++)
        worker_slots_note(&slots, 1000);
    ck_assert(worker_slots_requests_are_slow(&slots));
    for (int i = 0; i < 100; i++)
        worker_slots_note(&slots, 20);
    ck_assert(!worker_slots_requests_are_slow(&slots));
    worker_slots_close(&slots);
}
END_TEST

UNIT_MAIN(worker_slots, has_a_slot_for_half_of_the_cpus, hands_a_released_slot_to_a_waiting_thread,
          tells_lasting_slowness_from_one_slow_request)
