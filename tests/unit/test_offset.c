/* offset.c: only one form is accepted, and its order as text is its order as a number. */
#include "protocol/offset.h"

#include "unit.h"

static const char *const kind_name[] = {"INVALID", "START", "NOW", "POSITION"};

static void assert_parses(const char *text, size_t len, enum offset_kind kind, int64_t position)
{
    char *copy = unit_copy(text, len);
    int64_t at = -7;
    enum offset_kind got = offset_parse(copy, len, &at);

    ck_assert_msg(got == kind, "\"%s\": %s, not %s", unit_show(text, len), kind_name[got],
                  kind_name[kind]);
    if (kind == OFFSET_START || kind == OFFSET_POSITION)
        ck_assert_msg(at == position, "\"%s\": %lld, not %lld", unit_show(text, len), (long long)at,
                      (long long)position);
    free(copy);
}

START_TEST(reads_its_own_form)
{
    static const struct {
        const char *text;
        int64_t position;
    } cases[] = {
        {"0000000000000000_0000000000000000", 0},
        {"0000000000000000_0000000000000123", 123},
        {"0000000000000000_1000000000000000", INT64_C(1000000000000000)},
        {"0000000000000000_9999999999999999", OFFSET_POSITION_MAX},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_parses(cases[i].text, OFFSET_TEXT_LEN, OFFSET_POSITION, cases[i].position);
}
END_TEST

START_TEST(reads_the_sentinels_exactly)
{
    assert_parses("-1", 2, OFFSET_START, 0);
    assert_parses("now", 3, OFFSET_NOW, 0);
    assert_parses("NOW", 3, OFFSET_INVALID, 0);
    assert_parses("not", 3, OFFSET_INVALID, 0);
    assert_parses("now ", 4, OFFSET_INVALID, 0);
    assert_parses("-2", 2, OFFSET_INVALID, 0);
    assert_parses("-01", 3, OFFSET_INVALID, 0);
    assert_parses("-1\0", 3, OFFSET_INVALID, 0);
}
END_TEST

START_TEST(places_another_generation_beyond_every_tail)
{
    assert_parses("0000000000000001_0000000000000000", 33, OFFSET_POSITION, OFFSET_POSITION_MAX);
    assert_parses("9999999999999999_9999999999999999", 33, OFFSET_POSITION, OFFSET_POSITION_MAX);
    assert_parses("1000000000000000_0000000000000005", 33, OFFSET_POSITION, OFFSET_POSITION_MAX);
}
END_TEST

START_TEST(refuses_every_other_form)
{
    static const char *const cases[] = {
        "",
        "0",
        "123",
        "start",
        "0_0",
        "0000000000000000",
        "0000000000000000_",
        "_0000000000000000",
        "0000000000000000_000000000000000",   /* a digit too few: would sort differently */
        "0000000000000000_00000000000000000", /* a digit too many */
        "000000000000000_00000000000000000",  /* the '_' is at another place */
        "00000000000000000_000000000000000",
        "0000000000000000-0000000000000123",
        "0000000000000000 0000000000000123",
        "0000000000000000_000000000000012a",
        "000000000000000a_0000000000000123",
        "0000000000000000_-000000000000123",
        "0000000000000000_+000000000000123",
        "0000000000000000_ 000000000000123",
        "0000000000000000_00000000000001 3",
        "0000000000000000_0000000000000,23",
        "0000000000000000/0000000000000123",
        "0000000000000000_000000000000012\n",
        "\xD9\xA0\xD9\xA0\xD9\xA0\xD9\xA0\xD9\xA0\xD9\xA0\xD9\xA0\xD9\xA0_0000000000000000",
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_parses(cases[i], strlen(cases[i]), OFFSET_INVALID, 0);
}
END_TEST

START_TEST(refuses_its_form_with_any_one_byte_changed)
{
    static const char good[] = "0000000000000000_0000000000000123";

    for (size_t i = 0; i < OFFSET_TEXT_LEN; i++)
        for (int byte = 0; byte < 256; byte++) {
            char text[OFFSET_TEXT_SIZE];
            bool digit = byte >= '0' && byte <= '9';
            int64_t at;

            memcpy(text, good, sizeof good);
            text[i] = (char)byte;
            unit_check((offset_parse(text, OFFSET_TEXT_LEN, &at) == OFFSET_POSITION) ==
                           (i == 16 ? byte == '_' : digit),
                       "\"%s\"", unit_show(text, OFFSET_TEXT_LEN));
        }
}
END_TEST

START_TEST(reads_back_what_it_writes_in_the_same_order)
{
    char text[OFFSET_TEXT_SIZE], before[OFFSET_TEXT_SIZE];
    int64_t at;

    offset_format(0, before);
    ck_assert_str_eq(before, "0000000000000000_0000000000000000");
    /* increasing, over all numbers of digits */
    for (int64_t position = 1; position <= OFFSET_POSITION_MAX; position += 1 + position / 3) {
        offset_format(position, text);
        ck_assert_int_eq(offset_parse(text, strlen(text), &at), OFFSET_POSITION);
        ck_assert_int_eq(at, position);
        ck_assert_msg(strcmp(before, text) < 0, "%s sorts before %s", text, before);
        memcpy(before, text, sizeof text);
    }
    offset_format(OFFSET_POSITION_MAX, text);
    ck_assert_str_eq(text, "0000000000000000_9999999999999999");
}
END_TEST

UNIT_MAIN(offset, reads_its_own_form, reads_the_sentinels_exactly,
          places_another_generation_beyond_every_tail, refuses_every_other_form,
          refuses_its_form_with_any_one_byte_changed, reads_back_what_it_writes_in_the_same_order)
