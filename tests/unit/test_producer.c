/* producer.c: the headers, and the decision table, row by row. */
#include "protocol/producer.h"

#include "unit.h"

#define ID_64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_256 ID_64 ID_64 ID_64 ID_64

START_TEST(reads_three_good_headers)
{
    static const struct {
        const char *id, *epoch, *seq;
        int64_t epoch_value, seq_value;
    } cases[] = {
        {"p", "0", "0", 0, 0},
        {"order-service-1", "7", "123", 7, 123},
        {"with space, \"quotes\" and \xC3\xA9", "1", "2", 1, 2},
        {ID_256, "0", "0", 0, 0},
        {"p", "9007199254740991", "9007199254740991", PRODUCER_NUMBER_MAX, PRODUCER_NUMBER_MAX},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct producer producer;
        const char *reason = producer_parse(&producer, cases[i].id, cases[i].epoch, cases[i].seq);

        ck_assert_msg(reason == NULL, "\"%s\": %s", cases[i].id, reason);
        ck_assert_ptr_eq(producer.id, cases[i].id);
        ck_assert_uint_eq(producer.id_len, strlen(cases[i].id));
        ck_assert_int_eq(producer.epoch, cases[i].epoch_value);
        ck_assert_int_eq(producer.seq, cases[i].seq_value);
    }
}
END_TEST

START_TEST(finds_no_producer_without_headers)
{
    struct producer producer = {.id = "left over"};

    ck_assert_ptr_null(producer_parse(&producer, NULL, NULL, NULL));
    ck_assert_ptr_null(producer.id);
}
END_TEST

START_TEST(wants_all_three_or_none)
{
    for (int have = 1; have < 7; have++) {
        struct producer producer;

        ck_assert_msg(producer_parse(&producer, have & 1 ? "p" : NULL, have & 2 ? "0" : NULL,
                                     have & 4 ? "0" : NULL) != NULL,
                      "id %d epoch %d seq %d", have & 1, have & 2, have & 4);
        ck_assert_ptr_null(producer.id);
    }
}
END_TEST

START_TEST(refuses_bad_ids)
{
    static const char *const ids[] = {"",      "a\tb",  "a\nb",     "a\rb",       "\x01",
                                      "a\x1F", "a\x7F", ID_256 "x", ID_256 ID_256};

    for (size_t i = 0; i < COUNT(ids); i++) {
        struct producer producer;

        ck_assert_msg(producer_parse(&producer, ids[i], "0", "0") != NULL, "\"%s\"",
                      unit_show(ids[i], strlen(ids[i])));
        ck_assert_ptr_null(producer.id);
    }
}
END_TEST

START_TEST(refuses_bad_numbers_in_either_place)
{
    static const char *const numbers[] = {"",
                                          "-1",
                                          "+1",
                                          "1.0",
                                          "1e3",
                                          "1abc",
                                          "abc",
                                          " 1",
                                          "1 ",
                                          "0x1",
                                          "NaN",
                                          "9007199254740992",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "18446744073709551616",
                                          "\xEF\xBC\x91"};

    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct producer producer;

        ck_assert_msg(producer_parse(&producer, "p", numbers[i], "0") != NULL, "epoch \"%s\"",
                      numbers[i]);
        ck_assert_msg(producer_parse(&producer, "p", "0", numbers[i]) != NULL, "seq \"%s\"",
                      numbers[i]);
        ck_assert_ptr_null(producer.id);
    }
}
END_TEST

static enum producer_verdict judge(int64_t epoch, int64_t seq, bool exists, int64_t state_epoch,
                                   int64_t last_seq)
{
    struct producer producer = {.id = "p", .id_len = 1, .epoch = epoch, .seq = seq};
    struct producer_state state = {.exists = exists, .epoch = state_epoch, .last_seq = last_seq};

    return producer_judge(&producer, &state);
}

START_TEST(judges_by_the_table)
{
    static const struct {
        int64_t epoch, seq;
        bool exists;
        int64_t state_epoch, last_seq;
        enum producer_verdict verdict;
    } cases[] = {
        /* no state; its other members do not count then */
        {0, 0, false, 0, 0, PRODUCER_ACCEPT},
        {5, 0, false, 9, 9, PRODUCER_ACCEPT},
        {0, 1, false, 0, 0, PRODUCER_GAP},
        {9, 10, false, 9, 9, PRODUCER_GAP},
        /* an older epoch, whatever its sequence */
        {4, 0, true, 5, 3, PRODUCER_STALE_EPOCH},
        {4, 3, true, 5, 3, PRODUCER_STALE_EPOCH},
        {4, 4, true, 5, 3, PRODUCER_STALE_EPOCH},
        {4, 99, true, 5, 3, PRODUCER_STALE_EPOCH},
        /* a newer epoch begins at 0 */
        {6, 0, true, 5, 3, PRODUCER_ACCEPT},
        {99, 0, true, 5, 3, PRODUCER_ACCEPT},
        {6, 1, true, 5, 3, PRODUCER_BAD_EPOCH_START},
        {6, 4, true, 5, 3, PRODUCER_BAD_EPOCH_START},
        /* the same epoch */
        {5, 0, true, 5, 3, PRODUCER_DUPLICATE},
        {5, 3, true, 5, 3, PRODUCER_DUPLICATE},
        {5, 4, true, 5, 3, PRODUCER_ACCEPT},
        {5, 5, true, 5, 3, PRODUCER_GAP},
        {5, PRODUCER_NUMBER_MAX, true, 5, 3, PRODUCER_GAP},
        /* the largest numbers */
        {0, 0, true, 0, 0, PRODUCER_DUPLICATE},
        {0, 1, true, 0, 0, PRODUCER_ACCEPT},
        {5, PRODUCER_NUMBER_MAX, true, 5, PRODUCER_NUMBER_MAX - 1, PRODUCER_ACCEPT},
        {5, PRODUCER_NUMBER_MAX, true, 5, PRODUCER_NUMBER_MAX, PRODUCER_DUPLICATE},
        {PRODUCER_NUMBER_MAX, 0, true, 5, 3, PRODUCER_ACCEPT},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        enum producer_verdict got = judge(cases[i].epoch, cases[i].seq, cases[i].exists,
                                          cases[i].state_epoch, cases[i].last_seq);

        ck_assert_msg(got == cases[i].verdict, "case %zu: epoch %lld seq %lld: %d, not %d", i,
                      (long long)cases[i].epoch, (long long)cases[i].seq, (int)got,
                      (int)cases[i].verdict);
    }
}
END_TEST

START_TEST(accepts_each_request_once_in_any_order_of_retries)
{
    struct producer_state state = {0};
    uint32_t random = 11;
    int accepted[4][6] = {{0}};

    for (int n = 0; n < 20000; n++) {
        int64_t epoch = unit_random(&random) % 4, seq = unit_random(&random) % 6;

        if (epoch == 3 && n < 15000) /* the last epoch begins late, so that each has its turn */
            continue;
        if (judge(epoch, seq, state.exists, state.epoch, state.last_seq) != PRODUCER_ACCEPT)
            continue;
        accepted[epoch][seq]++;
        state = (struct producer_state){.exists = true, .epoch = epoch, .last_seq = seq};
    }
    for (int epoch = 0; epoch < 4; epoch++)
        for (int seq = 0; seq < 6; seq++)
            ck_assert_msg(accepted[epoch][seq] <= 1, "epoch %d seq %d: %d times", epoch, seq,
                          accepted[epoch][seq]);
    for (int seq = 0; seq < 6;
         seq++) /* the last epoch is not fenced off, so all its requests are accepted */
        ck_assert_msg(accepted[3][seq] == 1, "seq %d of the last epoch", seq);
}
END_TEST

UNIT_MAIN(producer, reads_three_good_headers, finds_no_producer_without_headers,
          wants_all_three_or_none, refuses_bad_ids, refuses_bad_numbers_in_either_place,
          judges_by_the_table, accepts_each_request_once_in_any_order_of_retries)
