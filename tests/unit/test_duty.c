/* duty.c and acceptor.c: one process has the duty, and a limited number of processes accept from a
   socket. */
#include "hints/acceptor.h"
#include "hints/duty.h"
#include "hints_unit.h"

START_TEST(gives_the_duty_to_one_process)
{
    struct hints *hints = unit_open_hints(), *other;

    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    ck_assert(duty_try_upkeep(hints));
    ck_assert(duty_try_upkeep(hints));
    ck_assert(!duty_try_upkeep(other));
    hints_close(hints, NULL, NULL);
    ck_assert(duty_try_upkeep(other));
    unit_close_hints(other);
}
END_TEST

START_TEST(limits_the_acceptors_of_each_socket)
{
    struct hints *hints[4] = {unit_open_hints()};

    for (size_t i = 1; i < COUNT(hints); i++)
        ck_assert_int_eq(hints_open(&hints[i], path, NULL, NULL), DS_OK);
    ck_assert(duty_try_upkeep(hints[0]));
    ck_assert(acceptor_try(hints[1], 77, 2));
    ck_assert(acceptor_try(hints[1], 77, 2)); /* a second call changes nothing */
    ck_assert(acceptor_try(hints[2], 77, 2));
    ck_assert(!acceptor_try(hints[3], 77, 2));
    ck_assert(acceptor_try(hints[3], 78, 1)); /* another socket */
    acceptor_leave(hints[3]);
    acceptor_leave(hints[1]);
    ck_assert(acceptor_try(hints[3], 77, 2));
    ck_assert(!duty_try_upkeep(hints[1])); /* leaving did not release the duty */
    for (size_t i = COUNT(hints) - 1; i > 0; i--)
        hints_close(hints[i], NULL, NULL);
    unit_close_hints(hints[0]);
}
END_TEST

UNIT_MAIN(duty, gives_the_duty_to_one_process, limits_the_acceptors_of_each_socket)
