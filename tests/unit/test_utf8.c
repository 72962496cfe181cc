/* utf8.c against a second, slower implementation of RFC 3629, over all edge cases. */
#include "base/utf8.h"

#include "base/buf.h"
#include "unit.h"

/* The byte values at which the rules change, and their neighbours. */
static const unsigned char edge[] = {0x00, 'a',  0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                     0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
                                     0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5};

/* Decodes first, and then checks that the code point may be encoded that way. */
static bool is_valid_slowly(const unsigned char *at, size_t len)
{
    while (len > 0) {
        unsigned lead = at[0], more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        static const unsigned least[] = {0, 0x80, 0x800, 0x10000};
        unsigned code = more == 0 ? lead : lead & (0x3Fu >> more);

        if ((lead >= 0x80 && lead < 0xC0) || lead >= 0xF8 || len < more + 1)
            return false;
        for (unsigned i = 1; i <= more; i++) {
            if ((at[i] & 0xC0) != 0x80)
                return false;
            code = code << 6 | (at[i] & 0x3Fu);
        }
        if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
        at += more + 1;
        len -= more + 1;
    }
    return true;
}

/* The n-th of all texts of len edge bytes. */
static void make(char *text, size_t len, unsigned n)
{
    for (size_t i = 0; i < len; i++, n /= COUNT(edge))
        text[i] = (char)edge[n % COUNT(edge)];
}

START_TEST(knows_valid_from_invalid_at_every_edge)
{
    unsigned combinations = 1;

    for (size_t len = 0; len <= 4; len++, combinations *= COUNT(edge)) {
        char *text = malloc(len ? len : 1);

        for (unsigned n = 0; n < combinations; n++) {
            make(text, len, n);
            unit_check(utf8_is_valid(text, len) == is_valid_slowly((unsigned char *)text, len),
                       "\"%s\"", unit_show(text, len));
        }
        free(text);
    }
}
END_TEST

START_TEST(finds_one_bad_byte_at_any_place_of_long_text)
{
    /* at every place relative to words of eight bytes, in ASCII and in other text */
    static const char *const fill[] = {"abcdefghij", "\xC3\xA9", "\xE2\x82\xAC",
                                       "\xF0\x9F\x98\x80"};

    for (size_t f = 0; f < COUNT(fill); f++)
        for (size_t times = 1; times < 12; times++) {
            size_t unit = strlen(fill[f]), len = unit * times;
            char *text = malloc(len);

            for (size_t i = 0; i < times; i++)
                memcpy(text + i * unit, fill[f], unit);
            unit_check(utf8_is_valid(text, len), "%s", unit_show(text, len));
            for (size_t i = 0; i < len; i++) {
                char was = text[i];

                text[i] = (char)0xFF;
                unit_check(!utf8_is_valid(text, len), "%s", unit_show(text, len));
                text[i] = was;
            }
            free(text);
        }
}
END_TEST

START_TEST(finds_an_incomplete_character_at_the_end)
{
    static const struct {
        const char *text;
        size_t tail;
    } cases[] = {
        {"", 0},
        {"a", 0},
        {"abcdefgh", 0},
        {"\xC3\xA9", 0},
        {"\xC3", 1},
        {"a\xC3", 1},
        {"\xE2", 1},
        {"\xE2\x82", 2},
        {"\xE2\x82\xAC", 0},
        {"abc\xE2\x82", 2},
        {"\xF0", 1},
        {"\xF0\x9F", 2},
        {"\xF0\x9F\x98", 3},
        {"\xF0\x9F\x98\x80", 0},
        {"abc\xF0\x9F\x98", 3},
        {"\xC3\xA9\xC3", 1},
        {"\xF0\x9F\xE2", 1}, /* the first can no longer be completed, the second can */
        {"\xF0\xF0\x9F", 2},
        {"\xE0\x80", 0}, /* can never become a character: overlong */
        {"\xED\xA0", 0}, /* a surrogate */
        {"\xF4\x90", 0}, /* above U+10FFFF */
        {"\xF0\x80", 0},
        {"\xF0\x9F\x41", 0},
        {"\xC0", 0},
        {"\xC1", 0},
        {"\xF5", 0},
        {"\xFF", 0},
        {"\x80", 0},
        {"\x80\x80\x80", 0},
        {"\xC3\xA9\xA9", 0},
        {"\xE2\x82\xAC\x82", 0},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].text);
        char *text = unit_copy(cases[i].text, len);
        size_t tail = utf8_incomplete_tail(text, len);

        ck_assert_msg(tail == cases[i].tail, "\"%s\": %zu, not %zu", unit_show(text, len), tail,
                      cases[i].tail);
        free(text);
    }
}
END_TEST

START_TEST(finds_the_first_part_of_every_character)
{
    static const char *const character[] = {"\xC2\x80",         "\xDF\xBF",        "\xE0\xA0\x80",
                                            "\xED\x9F\xBF",     "\xEE\x80\x80",    "\xEF\xBF\xBF",
                                            "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};

    for (size_t i = 0; i < COUNT(character); i++)
        for (size_t cut = 1; cut < strlen(character[i]); cut++)
            ck_assert_msg(utf8_incomplete_tail(character[i], cut) == cut, "%s cut at %zu",
                          unit_show(character[i], strlen(character[i])), cut);
}
END_TEST

START_TEST(replaces_each_maximal_ill_formed_part_once)
{
#define R "\xEF\xBF\xBD"
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", ""},
        {"plain text, longer than a word", "plain text, longer than a word"},
        {"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80",
         "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80"},
        /* the examples of Unicode 3.9, tables 3-8 to 3-11 */
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", R R R R R R R R "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", R R R R R R R R "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", R R R R R "A" R R "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A"},
        {"\xC3", R},
        {"abcdefgh\xE2\x82", "abcdefgh" R},
        {"\xFF"
         "abcdefgh\xFFijklmnop\xFF",
         R "abcdefgh" R "ijklmnop" R},
    };
#undef R

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf buf = {0};
        size_t len = strlen(cases[i].text);
        char *text = unit_copy(cases[i].text, len);

        buf_adds(&buf, ">");
        utf8_add_lossy(&buf, text, len);
        ck_assert_msg(buf.len == 1 + strlen(cases[i].expected) && buf.data[0] == '>' &&
                          memcmp(buf.data + 1, cases[i].expected, buf.len - 1) == 0,
                      "case %zu: %s", i, unit_show(buf.data, buf.len));
        free(text);
        buf_close(&buf);
    }
}
END_TEST

START_TEST(repairs_any_text_and_keeps_valid_text)
{
    struct buf buf = {0};
    uint32_t random = 5;

    for (int n = 0; n < 20000; n++) {
        size_t len = unit_random(&random) % 40;
        char *text = malloc(len ? len : 1);

        for (size_t i = 0; i < len; i++)
            text[i] = (char)edge[unit_random(&random) % COUNT(edge)];
        buf_clear(&buf);
        utf8_add_lossy(&buf, text, len);
        unit_check(utf8_is_valid(buf.data, buf.len), "%s", unit_show(text, len));
        if (utf8_is_valid(text, len))
            unit_check(buf.len == len && (len == 0 || memcmp(buf.data, text, len) == 0), "%s",
                       unit_show(text, len));
        else
            unit_check(memmem(buf.data, buf.len, "\xEF\xBF\xBD", 3) != NULL, "%s",
                       unit_show(text, len));
        free(text);
    }
    buf_close(&buf);
}
END_TEST

START_TEST(accepts_an_empty_text_at_null)
{
    struct buf buf = {0};

    ck_assert(utf8_is_valid(NULL, 0));
    ck_assert_uint_eq(utf8_incomplete_tail(NULL, 0), 0);
    utf8_add_lossy(&buf, NULL, 0);
    ck_assert_uint_eq(buf.len, 0);
    buf_close(&buf);
}
END_TEST

UNIT_MAIN(utf8, accepts_an_empty_text_at_null, knows_valid_from_invalid_at_every_edge,
          finds_one_bad_byte_at_any_place_of_long_text, finds_an_incomplete_character_at_the_end,
          finds_the_first_part_of_every_character, replaces_each_maximal_ill_formed_part_once,
          repairs_any_text_and_keeps_valid_text)
