/* Injected faults without a server: whom they meet, how long they wait, what they do to a body. */
#include "arena.h"
#include "buf.h"
#include "fault.h"
#include "json.h"
#include "unit.h"

START_TEST(meets_requests_of_its_method_in_any_case)
{
    struct fault fault = {.method = "Post", .probability = 1};

    ck_assert(fault_is_met(&fault, "POST", 0.5));
    ck_assert(!fault_is_met(&fault, "GET", 0.5));
    ck_assert(!fault_is_met(&fault, "POSTS", 0.5));
    fault.method = "GET";
    ck_assert(!fault_is_met(&fault, "HEAD", 0.5));
}
END_TEST

START_TEST(meets_every_method_where_none_is_given)
{
    struct fault fault = {.probability = 1};

    ck_assert(fault_is_met(&fault, "DELETE", 0.999));
    fault.method = "";
    ck_assert(fault_is_met(&fault, "PATCH", 0));
}
END_TEST

START_TEST(meets_as_many_as_its_probability_says)
{
    static const double odds[] = {0, 0.2, 0.5, 1};
    enum { ROUNDS = 100000 };

    for (size_t i = 0; i < COUNT(odds); i++) {
        struct fault fault = {.probability = odds[i]};
        int met = 0;

        for (int round = 0; round < ROUNDS; round++)
            met += fault_is_met(&fault, "GET", fault_draw());
        unit_check(abs(met - (int)(odds[i] * ROUNDS)) < ROUNDS / 100, "%d of %d at %g", met, ROUNDS,
                   odds[i]);
    }
}
END_TEST

START_TEST(waits_as_long_as_delay_and_jitter_say)
{
    struct fault fault = {.delay_ms = 300, .jitter_ms = 300};
    int tenth[10] = {0};
    enum { ROUNDS = 10000 };

    for (int round = 0; round < ROUNDS; round++) {
        int64_t delay = fault_delay(&fault);

        unit_check(delay >= 300 && delay <= 600, "waits %d ms", (int)delay);
        tenth[delay == 600 ? 9 : (delay - 300) / 30]++;
    }
    for (int i = 0; i < 10; i++) /* evenly spread */
        unit_check(tenth[i] > ROUNDS / 20 && tenth[i] < ROUNDS / 7, "%d of %d in tenth %d",
                   tenth[i], ROUNDS, i);
    fault.jitter_ms = 0;
    ck_assert_int_eq(fault_delay(&fault), 300);
    fault.delay_ms = -1;
    fault.jitter_ms = 1000;
    ck_assert_int_eq(fault_delay(&fault), 0);
}
END_TEST

static void fill(struct buf *body, const char *text, size_t times)
{
    buf_clear(body);
    while (times-- > 0)
        buf_adds(body, text);
}

START_TEST(cuts_a_body_to_its_bytes)
{
    struct mangle mangle = {.truncate = true, .bytes = 4};
    struct buf body = {0};

    fill(&body, "[1,2,3]", 1);
    mangle_body(&mangle, &body);
    ck_assert_int_eq(body.len, 4);
    ck_assert_mem_eq(body.data, "[1,2", 4);
    mangle.bytes = 100;
    mangle_body(&mangle, &body);
    ck_assert_int_eq(body.len, 4);
    mangle.bytes = 0;
    mangle_body(&mangle, &body);
    ck_assert_int_eq(body.len, 0);
    ck_assert(mangle_is_any(&mangle));
    buf_close(&body);
}
END_TEST

START_TEST(leaves_a_body_alone_that_nothing_is_to_happen_to)
{
    struct mangle mangle = {.bytes = -1};
    struct buf body = {0};

    fill(&body, "[1,2,3]", 1);
    mangle_body(&mangle, &body);
    ck_assert_int_eq(body.len, 7);
    ck_assert_mem_eq(body.data, "[1,2,3]", 7);
    ck_assert(!mangle_is_any(&mangle));
    buf_close(&body);
    mangle.corrupt = true;
    mangle_body(&mangle, &body); /* an empty one */
    ck_assert_int_eq(body.len, 0);
}
END_TEST

static int bits_of(unsigned char byte)
{
    int bits = 0;

    for (; byte; byte = (unsigned char)(byte >> 1))
        bits += byte & 1;
    return bits;
}

START_TEST(flips_about_three_of_a_hundred_bits)
{
    struct mangle mangle = {.corrupt = true};
    struct buf body = {0}, before = {0};
    long flipped = 0;

    fill(&body, "0123456789", 100000);
    fill(&before, "0123456789", 100000);
    mangle_body(&mangle, &body);
    ck_assert_int_eq(body.len, before.len);
    for (size_t i = 0; i < body.len; i++)
        flipped += bits_of((unsigned char)(body.data[i] ^ before.data[i]));
    ck_assert_msg(flipped > 8000000 * 0.027 && flipped < 8000000 * 0.033, "%ld of 8000000",
                  flipped);
    buf_close(&body);
    buf_close(&before);
}
END_TEST

START_TEST(makes_json_unparseable_each_time)
{
    static const char *const texts[] = {"[]", "[1]", "[\"a\"]", "[{\"n\":1.0},{\"n\":2}]", "7"};
    struct mangle mangle = {.corrupt = true};
    struct buf body = {0};

    for (size_t i = 0; i < COUNT(texts); i++)
        for (int round = 0; round < 2000; round++) {
            fill(&body, texts[i], 1);
            mangle_body(&mangle, &body);
            /* neither as it is, nor when a reader has put U+FFFD for what is no UTF-8 */
            unit_check(json_precheck(body.data, body.len) || !json_is_valid(body.data, body.len),
                       "%s became valid", texts[i]);
            unit_check((unsigned char)body.data[0] >= 0x80, "%s begins with ASCII", texts[i]);
        }
    buf_close(&body);
}
END_TEST

UNIT_MAIN(fault, meets_requests_of_its_method_in_any_case, meets_every_method_where_none_is_given,
          meets_as_many_as_its_probability_says, waits_as_long_as_delay_and_jitter_say,
          cuts_a_body_to_its_bytes, leaves_a_body_alone_that_nothing_is_to_happen_to,
          flips_about_three_of_a_hundred_bits, makes_json_unparseable_each_time)
