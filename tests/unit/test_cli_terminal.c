/* cli_terminal.c: makes control characters visible. */
#include "cli/cli_terminal.h"

#include "base/buf.h"
#include "base/utf8.h"

#include "unit.h"

static void shows(const char *text, size_t len, enum cli_terminal_kind kind, const char *expected)
{
    struct buf buf = {0};

    cli_terminal_add(&buf, text, len, kind);
    buf_addc(&buf, '\0');
    ck_assert_str_eq(buf.data, expected);
    buf_close(&buf);
}

START_TEST(shows_control_characters)
{
    static const struct {
        const char *text, *shown, *field;
    } cases[] = {
        {"", "", ""},
        {"a b\tc\n", "a b\tc\n", "a b^Ic^J"},
        {"\x1b[2J\r\x07\x7f", "^[[2J^M^G^?", "^[[2J^M^G^?"},
        {"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80\xC2\xA0",
         "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80\xC2\xA0",
         "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80\xC2\xA0"},
        {"a\xC2\x9B"
         "31m\xC2\x80\xC2\x9F",
         "a<U+009B>31m<U+0080><U+009F>", "a<U+009B>31m<U+0080><U+009F>"},
        {"\x9B"
         "31m \xC5\x9B \xFF \xC3",
         "<9B>31m \xC5\x9B <FF> <C3>", "<9B>31m \xC5\x9B <FF> <C3>"},
        {"\xC0\x9B\xE0\x82\x9B", "<C0><9B><E0><82><9B>", "<C0><9B><E0><82><9B>"},
        {"a\xE2\x80\xAE"
         "b\xE2\x81\xA6\xE2\x80\xA8",
         "a\xE2\x80\xAE"
         "b\xE2\x81\xA6\xE2\x80\xA8",
         "a<U+202E>b<U+2066><U+2028>"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        shows(cases[i].text, strlen(cases[i].text), CLI_TERMINAL_TEXT, cases[i].shown);
        shows(cases[i].text, strlen(cases[i].text), CLI_TERMINAL_FIELD, cases[i].field);
    }
    shows("a\0b", 3, CLI_TERMINAL_FIELD, "a^@b");
}
END_TEST

/* Every pair of bytes. */
START_TEST(leaves_no_control_character_in_any_bytes)
{
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            const char text[] = {(char)first, (char)second, '[', '\0'};
            struct buf buf = {0};

            cli_terminal_add(&buf, text, 3, CLI_TERMINAL_FIELD);
            unit_check(utf8_is_valid(buf.data, buf.len), "%02x %02x", first, second);
            for (size_t i = 0; i < buf.len; i++) {
                unsigned char c = (unsigned char)buf.data[i];

                unit_check(c >= 0x20 && c != 0x7F, "%02x %02x", first, second);
                unit_check(c != 0xC2 || (unsigned char)buf.data[i + 1] >= 0xA0, "%02x %02x", first,
                           second);
            }
            buf_close(&buf);
        }
}
END_TEST

START_TEST(escapes_in_json_the_controls_that_json_allows)
{
    static const char text[] = "{\"a\xC2\x9B\":\"\x7F\xC3\xBC\xE2\x80\xAE\\u009b\"}";
    struct buf buf = {0};

    cli_terminal_add_json(&buf, text, sizeof text);
    ck_assert_str_eq(buf.data, "{\"a\\u009b\":\"\\u007f\xC3\xBC\xE2\x80\xAE\\u009b\"}");
    buf_close(&buf);
}
END_TEST

START_TEST(puts_values_on_one_line)
{
    char text[] = "{\n \"a\\n\":\r\n1}";

    cli_terminal_unbreak_json(text, strlen(text));
    ck_assert_str_eq(text, "{  \"a\\n\":  1}");
}
END_TEST

UNIT_MAIN(cli_terminal, shows_control_characters, leaves_no_control_character_in_any_bytes,
          escapes_in_json_the_controls_that_json_allows, puts_values_on_one_line)
