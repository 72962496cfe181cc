/* cli_login.c: credentials leave URLs and argv, and are read from where they are given. */
#include "cli/cli_login.h"

#include "base/arena.h"
#include "cli/cli.h"

#include "unit.h"

static const struct cli_option options[] = {
    {"user", 0, "", ""}, {"header", 'H', "", ""}, {"url", 'u', "", ""}, {0}};

START_TEST(takes_name_and_password_out_of_a_url)
{
    static const struct {
        const char *url, *userinfo, *rest; /* NULL: none */
    } cases[] = {
        {"http://me:pw@host/x", "me:pw", "http://host/x"},
        {"https://me@host", "me", "https://host"},
        {"me:pw@host:80", "me:pw", "host:80"},
        {"http://a@b:c@host", "a@b:c", "http://host"},
        {"http://:@host/", ":", "http://host/"},
        {"http://host/a@b", NULL, "http://host/a@b"},
        {"http://host?a@b", NULL, "http://host?a@b"},
        {"http://host", NULL, "http://host"},
        {"", NULL, ""},
    };
    struct cli cli = {.arena = arena_new()};

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].url);
        char *url = unit_copy(cases[i].url, len + 1);

        ck_assert_pstr_eq(cli_login_take_userinfo(&cli, url), cases[i].userinfo);
        ck_assert_str_eq(url, cases[i].rest);
        for (size_t at = strlen(url); at < len; at++)
            ck_assert_int_eq(url[at], 0);
        free(url);
    }
    arena_free(cli.arena);
}
END_TEST

START_TEST(leaves_no_secret_in_the_words_of_the_command_line)
{
    char words[][40] = {"--user",
                        "me:secret",
                        "-HX: secret",
                        "--header=Y: secret",
                        "--url",
                        "http://me:secret@host",
                        "http://me:secret@host/x",
                        "--header=@file",
                        "--user=me:last"};
    char *argv[COUNT(words)], error[100];
    struct cli cli = {.arena = arena_new()};

    for (size_t i = 0; i < COUNT(words); i++)
        argv[i] = words[i];
    ck_assert(cli_args_parse(&cli.args, options, NULL, false, (int)COUNT(words), argv, error,
                             sizeof error));
    ck_assert(cli_login_hide(&cli));
    for (size_t i = 0; i < COUNT(words); i++)
        for (size_t at = 0; at + 3 < sizeof words[i]; at++)
            ck_assert(memcmp(words[i] + at, "secr", 4) != 0 &&
                      memcmp(words[i] + at, "last", 4) != 0);
    ck_assert_str_eq(words[7], "--header=@file"); /* the name of a file is no secret */
    ck_assert_str_eq(cli_operand(&cli, 0), "http://host/x");
    ck_assert_str_eq(cli_value(&cli, "user"), "me:last");
    ck_assert_str_eq(cli_value(&cli, "url"), "http://me:secret@host");
    arena_free(cli.arena);
}
END_TEST

START_TEST(decodes_the_name_and_password_of_a_url)
{
    static const struct {
        const char *userinfo, *user, *password;
    } cases[] = {
        {"me:pw", "me", "pw"}, {"me", "me", ""},        {"m%40e:%3a%25", "m@e", ":%"},
        {"a:b:c", "a", "b:c"}, {"a%:b%4", "a%", "b%4"}, {"a%zz:", "a%zz", ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cli cli = {.arena = arena_new(), .login = {.userinfo = cases[i].userinfo}};

        ck_assert(cli_login_read(&cli, "other:x", NULL));
        ck_assert_str_eq(cli.login.user, cases[i].user);
        ck_assert_str_eq(cli.login.password, cases[i].password);
        arena_free(cli.arena);
    }
}
END_TEST

START_TEST(reads_headers_of_the_environment_one_a_line)
{
    struct cli cli = {.arena = arena_new()};

    ck_assert(cli_login_read(&cli, "", "A: 1\r\n\nB: 2\nC;"));
    ck_assert_ptr_null(cli.login.user);
    ck_assert_uint_eq(cli.login.n_headers, 3);
    ck_assert_str_eq(cli.login.headers[0], "A: 1");
    ck_assert_str_eq(cli.login.headers[1], "B: 2");
    ck_assert_str_eq(cli.login.headers[2], "C;");
    arena_free(cli.arena);
}
END_TEST

START_TEST(refuses_a_line_that_is_no_header)
{
    /* the second one would continue the header before it */
    static const char *const lines[] = {"A",     "A: 1\n B: 2", "\tA: 1", ": 1",
                                        "A : 1", " ",           ";",      "A; 1"};

    for (size_t i = 0; i < COUNT(lines); i++) {
        struct cli cli = {.arena = arena_new()};

        unit_check(!cli_login_read(&cli, "", lines[i]), "line %zu is taken", i);
        arena_free(cli.arena);
    }
}
END_TEST

UNIT_MAIN(cli_login, takes_name_and_password_out_of_a_url,
          leaves_no_secret_in_the_words_of_the_command_line, decodes_the_name_and_password_of_a_url,
          reads_headers_of_the_environment_one_a_line, refuses_a_line_that_is_no_header)
