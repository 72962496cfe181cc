/* cli_table.c: commands are found by their names, and no option hides another. */
#include "cli/cli_table.h"

#include "unit.h"

static void check_unlike(const char *command, const struct cli_option *a,
                         const struct cli_option *b)
{
    ck_assert_msg(strcmp(a->name, b->name) != 0, "%s: --%s twice", command, a->name);
    ck_assert_msg(!a->letter || a->letter != b->letter, "%s: -%c twice", command, a->letter);
}

START_TEST(no_two_options_of_a_command_are_alike)
{
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_option *own = cli_commands[i].options;

        for (const struct cli_option *a = own; a && a->name; a++) {
            for (const struct cli_option *b = a + 1; b->name; b++)
                check_unlike(cli_commands[i].name, a, b);
            for (const struct cli_option *b = cli_globals; b->name; b++)
                check_unlike(cli_commands[i].name, a, b);
        }
    }
}
END_TEST

START_TEST(finds_commands_of_one_word_and_of_two)
{
    static const struct {
        const char *first, *second, *found; /* NULL: none */
    } cases[] = {
        {"tail", NULL, "tail"},
        {"tail", "add", "tail"},
        {"fault", "add", "fault add"},
        {"fault", "clear", "fault clear"},
        {"fault", NULL, NULL},
        {"fault", "ad", NULL},
        {"tai", NULL, NULL},
        {"tails", NULL, NULL},
        {"fault add", NULL, "fault add"},
        {"", NULL, NULL},
        {"add", NULL, NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct cli_command *found = cli_command_find(cases[i].first, cases[i].second);

        ck_assert_pstr_eq(found ? found->name : NULL, cases[i].found);
    }
}
END_TEST

UNIT_MAIN(cli_table, no_two_options_of_a_command_are_alike, finds_commands_of_one_word_and_of_two)
