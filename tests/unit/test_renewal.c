/* renewal.c: TTL renewals are kept until they were saved, and all are saved in turn. */
#include <fcntl.h>
#include <stddef.h>

#include "hints/hints_layout.h"
#include "hints/renewal.h"
#include "hints/wake.h"
#include "hints_unit.h"

static bool count_one(void *arg, int64_t stream_id, int64_t until_ms)
{
    (void)stream_id;
    (void)until_ms;
    ++*(int *)arg;
    return true;
}

static bool take_two(void *arg, int64_t stream_id, int64_t until_ms)
{
    int64_t *taken = arg;

    (void)until_ms;
    if (taken[1] != 0)
        return false;
    taken[taken[0] != 0] = stream_id;
    return true;
}

START_TEST(keeps_a_renewal_for_a_round_after_it_was_saved)
{
    struct hints *hints = unit_open_hints();
    int saved = 0;

    ck_assert(renewal_note(hints, 3, 1000));
    ck_assert(renewal_note(hints, 3, 900)); /* an earlier end changes nothing */
    ck_assert_int_eq(renewal_find(hints, 3), 1000);
    ck_assert_int_eq(renewal_find(hints, 4), 0);
    ck_assert(!renewal_note(hints, 3 + 8192, 1000)); /* stream 3 has this slot */
    renewal_collect(hints, count_one, &saved);
    renewal_collect(hints, count_one, &saved);
    ck_assert_int_eq(saved, 2); /* twice: it was not marked as saved */
    renewal_mark_saved(hints, 3, 1000);
    ck_assert_int_eq(renewal_find(hints, 3), 1000);
    renewal_collect(hints, count_one, &saved);
    ck_assert_int_eq(saved, 2);
    ck_assert_int_eq(renewal_find(hints, 3), 0);
    ck_assert(renewal_note(hints, 3 + 8192, 1000));
    unit_close_hints(hints);
}
END_TEST

START_TEST(saves_every_renewal_in_turn)
{
    struct hints *hints = unit_open_hints();
    int64_t taken[2];
    bool seen[11] = {false};

    for (int64_t id = 1; id <= 10; id++)
        ck_assert(renewal_note(hints, id, 1000));
    for (int round = 0; round < 5; round++) {
        memset(taken, 0, sizeof taken);
        renewal_collect(hints, take_two, taken);
        for (int i = 0; i < 2; i++) {
            seen[taken[i]] = true;
            renewal_mark_saved(hints, taken[i], 1000);
            (void)renewal_note(hints, taken[i], 2000 + round); /* the stream is read all the time */
        }
    }
    for (int id = 1; id <= 10; id++)
        ck_assert_msg(seen[id], "stream %d was never saved", id);
    unit_close_hints(hints);
}
END_TEST

START_TEST(keeps_renewals_for_the_next_process)
{
    struct hints *hints = unit_open_hints();

    ck_assert(renewal_note(hints, 3, 1000));
    wake_interest(hints, 3, 1);
    hints_close(hints, NULL, NULL);
    ck_assert_int_eq(hints_open(&hints, path, NULL, NULL), DS_OK);
    ck_assert_int_eq(renewal_find(hints, 3), 1000);
    unit_close_hints(hints);
}
END_TEST

START_TEST(replaces_a_renewal_that_is_too_far_ahead)
{
    struct hints *hints = unit_open_hints();
    const int64_t far = INT64_MAX;
    int fd = open(path, O_RDWR);

    ck_assert(renewal_note(hints, 3, 1000));
    ck_assert_int_eq(
        pwrite(fd, &far, sizeof far, offsetof(struct hints_shared, renewal[3].until_ms)),
        sizeof far);
    ck_assert(renewal_note(hints, 3, 2000));
    ck_assert_int_eq(renewal_find(hints, 3), 2000);
    /* from a process whose clock is behind */
    ck_assert(renewal_note(hints, 3, 2000 - HINTS_SLACK_MS));
    ck_assert_int_eq(renewal_find(hints, 3), 2000);
    (void)close(fd);
    unit_close_hints(hints);
}
END_TEST

UNIT_MAIN(renewal, keeps_a_renewal_for_a_round_after_it_was_saved, saves_every_renewal_in_turn,
          keeps_renewals_for_the_next_process, replaces_a_renewal_that_is_too_far_ahead)
