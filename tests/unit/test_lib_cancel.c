/* Waits that another thread, or a signal handler, ends. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "lib_unit.h"

enum { LONG_MS = 600 * 1000 };

struct waiter {
    pthread_t thread;
    struct ds_store *store;
    struct ds_cancel *cancel;
    enum ds_status status;
};

static void *wait_long(void *arg)
{
    struct waiter *waiter = arg;

    waiter->status = ds_wait_cancellable(waiter->store, "/a", DS_NOW, LONG_MS, waiter->cancel);
    return NULL;
}

static void begin_wait(struct waiter *waiter, struct ds_store *store, struct ds_cancel *cancel)
{
    *waiter = (struct waiter){0, store, cancel, DS_FAILED};
    ck_assert_int_eq(pthread_create(&waiter->thread, NULL, wait_long, waiter), 0);
}

static enum ds_status end_wait(struct waiter *waiter)
{
    ck_assert_int_eq(pthread_join(waiter->thread, NULL), 0);
    return waiter->status;
}

START_TEST(a_switch_that_is_set_ends_waits_before_they_look)
{
    struct ds_store *store = lib_begin();
    struct ds_cancel *cancel = NULL;

    lib_create(store, "/a", "text/plain");
    lib_append(store, "/a", "x");
    ck_assert_int_eq(ds_cancel_new(store, &cancel), DS_OK);
    ck_assert_int_eq(ds_wait_cancellable(store, "/a", DS_START, LONG_MS, cancel), DS_OK);
    ds_cancel_set(cancel);
    ck_assert_int_eq(ds_wait_cancellable(store, "/a", DS_START, LONG_MS, cancel), DS_CANCELLED);
    ck_assert_int_eq(ds_wait_cancellable(store, "/a", DS_NOW, 0, cancel), DS_CANCELLED);
    ck_assert_int_eq(ds_wait_cancellable(store, "/a", "nonsense", 0, cancel), DS_INVALID);
    ck_assert_int_eq(ds_wait_cancellable(store, "/a", DS_START, LONG_MS, NULL), DS_OK);
    ck_assert_int_eq(ds_wait(store, "/a", DS_START, LONG_MS), DS_OK);
    ds_cancel_clear(cancel);
    ck_assert_int_eq(ds_wait_cancellable(store, "/a", DS_NOW, 1, cancel), DS_TIMEOUT);
    ds_cancel_free(cancel);
    ds_cancel_free(NULL);
    lib_end(store);
}
END_TEST

START_TEST(waits_under_way_end_and_those_of_another_switch_do_not)
{
    struct waiter waiters[20], other;
    struct ds_store *store = lib_begin();
    struct ds_cancel *cancel = NULL, *unset = NULL;

    (void)alarm(50);
    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_cancel_new(store, &cancel), DS_OK);
    ck_assert_int_eq(ds_cancel_new(store, &unset), DS_OK);
    begin_wait(&other, store, unset);
    for (size_t i = 0; i < COUNT(waiters); i++)
        begin_wait(&waiters[i], store, cancel);
    (void)usleep(50 * 1000); /* most of them sleep by now, but the test does not depend on it */
    ds_cancel_set(cancel);
    for (size_t i = 0; i < COUNT(waiters); i++)
        ck_assert_int_eq(end_wait(&waiters[i]), DS_CANCELLED);
    for (;;) { /* the other one still waits, from the tail at the time when its wait began */
        const struct timespec moment = {0, 20 * 1000000};
        struct timespec until;

        lib_append(store, "/a", "x");
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        if (pthread_timedjoin_np(other.thread, NULL, &until) == 0)
            break;
        (void)nanosleep(&moment, NULL);
    }
    ck_assert_int_eq(other.status, DS_OK);
    ds_cancel_free(cancel);
    ds_cancel_free(unset);
    lib_end(store);
}
END_TEST

/* Cancels a wait after every possible delay. */
START_TEST(no_cancellation_is_lost)
{
    struct ds_store *store = lib_begin();
    struct ds_cancel *cancel = NULL;
    struct waiter waiter;

    (void)alarm(50); /* of LONG_MS */
    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_cancel_new(store, &cancel), DS_OK);
    for (int round = 0; round < 1000; round++) {
        begin_wait(&waiter, store, cancel);
        for (int i = 0; i < round % 100; i++)
            (void)sched_yield();
        ds_cancel_set(cancel);
        unit_check(end_wait(&waiter) == DS_CANCELLED, "round %d: %s", round,
                   ds_status_text(waiter.status));
        ds_cancel_clear(cancel);
    }
    ds_cancel_free(cancel);
    lib_end(store);
}
END_TEST

static struct ds_cancel *interrupted;

static void interrupt(int signal)
{
    (void)signal;
    ds_cancel_set(interrupted);
}

START_TEST(a_signal_handler_ends_a_wait)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 50 * 1000}};
    struct sigaction action = {.sa_handler = interrupt};
    struct ds_store *store = lib_begin();

    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_cancel_new(store, &interrupted), DS_OK);
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
    ck_assert_int_eq(ds_wait_cancellable(store, "/a", DS_NOW, LONG_MS, interrupted), DS_CANCELLED);
    ds_cancel_free(interrupted);
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_cancel, a_switch_that_is_set_ends_waits_before_they_look,
          waits_under_way_end_and_those_of_another_switch_do_not, no_cancellation_is_lost,
          a_signal_handler_ends_a_wait)
