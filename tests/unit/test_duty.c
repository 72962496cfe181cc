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

START_TEST(knows_whether_a_process_delivers)
{
    struct hints *hints = unit_open_hints(), *other;

    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    ck_assert(!duty_has_delivery(hints));
    ck_assert(!duty_has_delivery(other));
    ck_assert(duty_try_delivery(other));
    ck_assert(duty_try_delivery(other)); /* a second call changes nothing */
    ck_assert(!duty_try_delivery(hints));
    ck_assert(duty_has_delivery(hints));
    ck_assert(duty_has_delivery(other));
    ck_assert(duty_delivers(hints, 1));
    ck_assert(duty_try_upkeep(hints)); /* another duty */
    hints_close(other, NULL, NULL);
    ck_assert(!duty_has_delivery(hints));
    ck_assert(!duty_delivers(hints, 1));
    ck_assert(duty_try_delivery(hints));
    ck_assert(duty_has_delivery(hints));
    unit_close_hints(hints);
}
END_TEST

/* The process that had the duty has to get it again in the new file. */
START_TEST(does_not_claim_the_delivery_of_a_replaced_file)
{
    struct hints *hints = unit_open_hints(), *other;

    ck_assert(duty_try_delivery(hints));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    ck_assert(!duty_has_delivery(other));
    ck_assert(duty_try_delivery(other));
    hints_mend(hints);
    ck_assert(!duty_try_delivery(hints));
    ck_assert(duty_has_delivery(hints)); /* by the other one */
    hints_close(other, NULL, NULL);
    ck_assert(!duty_has_delivery(hints));
    unit_close_hints(hints);
}
END_TEST

START_TEST(counts_a_noted_delivery_for_15_minutes)
{
    const int64_t now = INT64_C(1800000000000), minute = 60000;
    struct hints *hints = unit_open_hints(), *other;

    ck_assert(!duty_delivers(hints, now));
    ck_assert(!duty_delivers(hints, 0));
    duty_note_delivery(hints, now);
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    ck_assert(duty_delivers(other, now));
    ck_assert(duty_delivers(other, now + 14 * minute));
    ck_assert(!duty_delivers(other, now + 16 * minute));
    ck_assert(duty_delivers(other, now - 14 * minute)); /* the clock was set back */
    ck_assert(!duty_delivers(other, now - 16 * minute));
    ck_assert(!duty_has_delivery(other));
    hints_close(other, NULL, NULL);
    unit_close_hints(hints);
}
END_TEST

UNIT_MAIN(duty, gives_the_duty_to_one_process, limits_the_acceptors_of_each_socket,
          knows_whether_a_process_delivers, does_not_claim_the_delivery_of_a_replaced_file,
          counts_a_noted_delivery_for_15_minutes)
