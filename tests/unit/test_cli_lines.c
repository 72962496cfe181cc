/* cli_lines.c: finds the same lines in input that arrives in any pieces. */
#include "cli/cli_lines.h"

#include "unit.h"

/* The lines of text in brackets, when it is fed in pieces of the given size. */
static void cut(const char *text, size_t piece, struct buf *seen)
{
    struct cli_lines lines = {0};
    size_t len = strlen(text), line_len;
    const char *line;

    for (size_t at = 0; at <= len; at += piece) {
        size_t size = piece < len - at ? piece : len - at;

        ck_assert(cli_lines_feed(&lines, text + at, size));
        if (at + piece > len)
            cli_lines_end(&lines);
        while (cli_lines_next(&lines, &line, &line_len)) {
            buf_addc(seen, '[');
            buf_add(seen, line, line_len);
            buf_addc(seen, ']');
        }
    }
    ck_assert(!cli_lines_next(&lines, &line, &line_len));
    cli_lines_close(&lines);
}

START_TEST(cuts_lines_however_they_come)
{
    static const struct {
        const char *text, *lines;
    } cases[] = {
        {"", ""},
        {"\n", "[\n]"},
        {"a", "[a]"},
        {"a\n", "[a\n]"},
        {"a\nb", "[a\n][b]"},
        {"a\r\nb\n\n", "[a\r\n][b\n][\n]"},
        {"one longer line\nand another one\n", "[one longer line\n][and another one\n]"},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t piece = 1; piece < 20; piece++) {
            struct buf seen = {0};

            cut(cases[i].text, piece, &seen);
            ck_assert_msg(seen.len == strlen(cases[i].lines) &&
                              (!seen.len || memcmp(seen.data, cases[i].lines, seen.len) == 0),
                          "%zu in pieces of %zu: %s", i, piece, unit_show(seen.data, seen.len));
            buf_close(&seen);
        }
}
END_TEST

START_TEST(hands_out_no_line_before_it_is_whole)
{
    struct cli_lines lines = {0};
    const char *line;
    size_t len;

    ck_assert(cli_lines_feed(&lines, "ab", 2));
    ck_assert(!cli_lines_next(&lines, &line, &len));
    ck_assert(cli_lines_feed(&lines, "c\nd", 3));
    ck_assert(cli_lines_next(&lines, &line, &len));
    ck_assert_uint_eq(len, 4);
    ck_assert_mem_eq(line, "abc\n", 4);
    ck_assert(!cli_lines_next(&lines, &line, &len));
    cli_lines_end(&lines);
    ck_assert(cli_lines_next(&lines, &line, &len));
    ck_assert_uint_eq(len, 1);
    cli_lines_close(&lines);
}
END_TEST

START_TEST(shows_what_no_line_was_taken_of)
{
    struct cli_lines lines = {0};
    const char *line;
    size_t len;

    ck_assert_ptr_nonnull(cli_lines_rest(&lines, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert(cli_lines_feed(&lines, "ab\ncd", 5));
    ck_assert_mem_eq(cli_lines_rest(&lines, &len), "ab\ncd", 5);
    ck_assert_uint_eq(len, 5);
    ck_assert(cli_lines_next(&lines, &line, &len));
    ck_assert_mem_eq(cli_lines_rest(&lines, &len), "cd", 2);
    ck_assert_uint_eq(len, 2);
    cli_lines_close(&lines);
}
END_TEST

START_TEST(trims_white_space)
{
    static const struct {
        const char *text, *inside;
    } cases[] = {{"", ""}, {" \t\r\n", ""}, {"a", "a"}, {" a b\r\n", "a b"}, {"\n{}\n", "{}"}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *line = cases[i].text;
        size_t len = strlen(line);

        cli_lines_trim(&line, &len);
        ck_assert_uint_eq(len, strlen(cases[i].inside));
        ck_assert(memcmp(line, cases[i].inside, len) == 0);
    }
}
END_TEST

UNIT_MAIN(cli_lines, cuts_lines_however_they_come, hands_out_no_line_before_it_is_whole,
          shows_what_no_line_was_taken_of, trims_white_space)
