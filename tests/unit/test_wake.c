/* Waking other processes: the ring of changes and the bell. */
#include <sys/wait.h>

#include "hints/wake.h"
#include "hints_unit.h"

START_TEST(reports_each_change_once_in_order)
{
    struct hints *hints = unit_open_hints();
    const int64_t changed[] = {7, 8, 7};
    uint64_t seen = wake_head(hints);
    int64_t id;

    wake_publish(hints, changed, COUNT(changed));
    for (size_t i = 0; i < COUNT(changed); i++) {
        ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_STREAM);
        ck_assert_int_eq(id, changed[i]);
    }
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_NONE);
    unit_close_hints(hints);
}
END_TEST

START_TEST(tells_a_reader_that_changes_were_lost)
{
    struct hints *hints = unit_open_hints();
    uint64_t seen = wake_head(hints);
    int64_t id = 1;

    for (int i = 0; i < 100000; i++)
        wake_publish(hints, &id, 1);
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_LOST);
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_NONE);
    unit_close_hints(hints);
}
END_TEST

START_TEST(wakes_a_sleeping_process)
{
    struct hints *hints = unit_open_hints();
    int64_t id = 5;
    pid_t child;
    int status;

    wake_interest(hints, id, 1);
    child = fork();
    if (child == 0) {
        struct hints *mine;
        uint32_t bell;

        if (hints_open(&mine, path, NULL, NULL) != DS_OK)
            _exit(1);
        bell = wake_bell(mine);
        for (int i = 0; i < 200 && wake_bell(mine) == bell; i++)
            wake_wait(mine, bell, 100);
        _exit(wake_bell(mine) == bell ? 2 : 0);
    }
    (void)usleep(50 * 1000);
    wake_publish(hints, &id, 1);
    while (waitpid(child, &status, WNOHANG) == 0) { /* it may not have slept yet */
        wake_publish(hints, &id, 1);
        (void)usleep(10 * 1000);
    }
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    unit_close_hints(hints);
}
END_TEST

UNIT_MAIN(wake, reports_each_change_once_in_order, tells_a_reader_that_changes_were_lost,
          wakes_a_sleeping_process)
