/* fault.c: which requests meet a fault, how long they wait, and how a body changes. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "protocol/fault.h"
#include "protocol/json.h"
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

START_TEST(meets_every_method_if_none_is_given)
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

START_TEST(does_not_change_a_body_without_a_reason)
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
    mangle_body(&mangle, &body); /* an empty body */
    ck_assert_int_eq(body.len, 0);
}
END_TEST

static size_t count_changed(const struct buf *body, const struct buf *before)
{
    size_t changed = 0;

    ck_assert_int_eq(body->len, before->len);
    for (size_t i = 0; i < body->len; i++)
        changed += body->data[i] != before->data[i];
    return changed;
}

START_TEST(changes_about_three_percent_of_the_bytes)
{
    static const char *const texts[] = {"0123456789", "XYZ", "\xC3\xA9\xE2\x82\xAC",
                                        "\xFF\x80\xC0x"};
    struct mangle mangle = {.corrupt = true};
    struct buf body = {0}, before = {0};

    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t changed;

        fill(&body, texts[i], 100000);
        fill(&before, texts[i], 100000);
        mangle_body(&mangle, &body);
        changed = count_changed(&body, &before);
        ck_assert_msg(changed * 1000 > body.len * 26 && changed * 1000 < body.len * 33,
                      "%s: %zu of %zu", unit_show(texts[i], strlen(texts[i])), changed, body.len);
    }
    buf_close(&body);
    buf_close(&before);
}
END_TEST

START_TEST(makes_json_unparseable_each_time)
{
    static const char *const texts[] = {"[]", "[1]",  "[\"a\"]",        "[{\"n\":1.0},{\"n\":2}]",
                                        "7",  "\"\"", "[\"\xC3\xA9\"]", "[\"\xE2\x82\xAC\", 1]"};
    struct mangle mangle = {.corrupt = true};
    struct buf body = {0};

    for (size_t i = 0; i < COUNT(texts); i++)
        for (int round = 0; round < 2000; round++) {
            fill(&body, texts[i], 1);
            mangle_body(&mangle, &body);
            unit_check(utf8_is_valid(body.data, body.len), "%s is not UTF-8", texts[i]);
            unit_check(json_precheck(body.data, body.len) || !json_is_valid(body.data, body.len),
                       "%s became valid", texts[i]);
        }
    buf_close(&body);
}
END_TEST

START_TEST(changes_utf8_into_other_valid_utf8)
{
    /* the limits of each form: beyond them is another length, an overlong form or a surrogate */
    static const char *const texts[] = {
        "a",
        "X",
        "Y",
        "Z",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
    };
    struct mangle mangle = {.corrupt = true, .truncate = true};
    struct buf body = {0}, before = {0};

    for (size_t i = 0; i < COUNT(texts); i++)
        for (int round = 0; round < 1000; round++) {
            size_t last, times = 1 + (size_t)round % 100;

            fill(&body, texts[i], times);
            /* truncated within the last character; the rest must remain text */
            mangle.bytes = (int64_t)(body.len - (strlen(texts[i]) > 1 && times > 1 ? 1 : 0));
            fill(&before, texts[i], times);
            before.len = (size_t)mangle.bytes;
            mangle_body(&mangle, &body);
            ck_assert_int_eq(body.len, before.len);
            last = utf8_incomplete_tail(body.data, body.len);
            unit_check(utf8_is_valid(body.data, body.len - last), "%s is not UTF-8",
                       unit_show(body.data, body.len));
            unit_check(count_changed(&body, &before) > 0, "%s is what it was",
                       unit_show(body.data, body.len));
        }
    buf_close(&body);
    buf_close(&before);
}
END_TEST

UNIT_MAIN(fault, meets_requests_of_its_method_in_any_case, meets_every_method_if_none_is_given,
          meets_as_many_as_its_probability_says, waits_as_long_as_delay_and_jitter_say,
          cuts_a_body_to_its_bytes, does_not_change_a_body_without_a_reason,
          changes_about_three_percent_of_the_bytes, makes_json_unparseable_each_time,
          changes_utf8_into_other_valid_utf8)
