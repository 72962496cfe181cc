/* cli_args.c: parses command lines as people type them. */
#include "cli/cli_args.h"

#include "unit.h"

static const struct cli_option common[] = {
    {"url", 'u', "URL", ""}, {"quiet", 'q', NULL, ""}, {"help", 'h', NULL, ""}, {0}};
static const struct cli_option own[] = {
    {"offset", 'o', "OFFSET", ""}, {"json", 'j', NULL, ""}, {"header", 'H', "TEXT", ""}, {0}};

/* Cuts a line into words at its spaces. Returns their number. */
static int cut(char *line, char **argv)
{
    int argc = 0;

    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return argc;
}

START_TEST(reads_options_wherever_they_stand)
{
    /* a line; its options as name=value; its operands; or the error */
    static const struct {
        const char *line, *given, *operands, *error;
    } cases[] = {
        {"", "", "", NULL},
        {"a b", "", "a b", NULL},
        {"--quiet a --json b", "quiet json", "a b", NULL},
        {"a -qj b", "quiet json", "a b", NULL},
        {"--url x a", "url=x", "a", NULL},
        {"--url=x a", "url=x", "a", NULL},
        {"--url= a", "url=", "a", NULL},
        {"--url=x=y", "url=x=y", "", NULL},
        {"-u x a", "url=x", "a", NULL},
        {"-ux a", "url=x", "a", NULL},
        {"-qux a", "quiet url=x", "a", NULL},
        {"-o -1 a", "offset=-1", "a", NULL},
        {"--offset -1", "offset=-1", "", NULL},
        {"--offset --json", "offset=--json", "", NULL},
        {"a -- --json -q", "", "a --json -q", NULL},
        {"a -- -- b", "", "a -- b", NULL},
        {"- a", "", "- a", NULL},
        {"-H a -H b", "header=a header=b", "", NULL},
        {"--nope", NULL, NULL, "unknown option --nope"},
        {"--nope=1", NULL, NULL, "unknown option --nope"},
        {"--jso", NULL, NULL, "unknown option --jso (did you mean --json?)"},
        {"--jsons", NULL, NULL, "unknown option --jsons (did you mean --json?)"},
        {"--hepl", NULL, NULL, "unknown option --hepl (did you mean --help?)"},
        {"-x", NULL, NULL, "unknown option -x"},
        {"-jx", NULL, NULL, "unknown option -x"},
        {"--json=1", NULL, NULL, "--json takes no value"},
        {"a --offset", NULL, NULL, "--offset needs a value: OFFSET"},
        {"a -qo", NULL, NULL, "--offset needs a value: OFFSET"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[100], error[100] = "", given[200] = "", operands[100] = "", *argv[20];
        struct cli_args args = {0};
        bool ok;

        (void)snprintf(line, sizeof line, "%s", cases[i].line);
        ok = cli_args_parse(&args, common, own, false, cut(line, argv), argv, error, sizeof error);
        ck_assert_msg(ok == !cases[i].error, "%s: %s", cases[i].line, error);
        if (!ok) {
            ck_assert_str_eq(error, cases[i].error);
            continue;
        }
        for (size_t j = 0; j < args.n_given; j++)
            (void)sprintf(given + strlen(given), "%s%s%s%s", j ? " " : "",
                          args.given[j].option->name, args.given[j].value ? "=" : "",
                          args.given[j].value ? args.given[j].value : "");
        for (int j = 0; j < args.n_operands; j++)
            (void)sprintf(operands + strlen(operands), "%s%s", j ? " " : "", args.operand[j]);
        ck_assert_msg(strcmp(given, cases[i].given) == 0, "%s: %s", cases[i].line, given);
        ck_assert_msg(strcmp(operands, cases[i].operands) == 0, "%s: %s", cases[i].line, operands);
    }
}
END_TEST

/* The first pass must stop at the command, whose options only the second pass knows. */
START_TEST(leaves_what_follows_the_command_to_it)
{
    char line[] = "-q tail --offset now x -- -y", error[100], *argv[20];
    struct cli_args args = {0};
    int argc = cut(line, argv);

    ck_assert(cli_args_parse(&args, common, NULL, true, argc, argv, error, sizeof error));
    ck_assert_int_eq(args.n_operands, 6);
    ck_assert_str_eq(args.operand[0], "tail");
    ck_assert_str_eq(args.operand[1], "--offset");
    ck_assert(cli_args_parse(&args, common, own, false, args.n_operands - 1, args.operand + 1,
                             error, sizeof error));
    ck_assert_int_eq(args.n_operands, 2);
    ck_assert_str_eq(args.operand[1], "-y");
    ck_assert(cli_args_has(&args, "quiet"));
    ck_assert_str_eq(cli_args_value(&args, "offset"), "now");
}
END_TEST

START_TEST(takes_the_last_value_and_lists_all)
{
    char line[] = "-H a --header b -H c -q", error[100], *argv[20];
    struct cli_args args = {0};
    size_t at = 0;

    ck_assert(
        cli_args_parse(&args, common, own, false, cut(line, argv), argv, error, sizeof error));
    ck_assert_str_eq(cli_args_value(&args, "header"), "c");
    ck_assert_str_eq(cli_args_next(&args, "header", &at), "a");
    ck_assert_str_eq(cli_args_next(&args, "header", &at), "b");
    ck_assert_str_eq(cli_args_next(&args, "header", &at), "c");
    ck_assert_ptr_null(cli_args_next(&args, "header", &at));
    ck_assert_str_eq(cli_args_value(&args, "quiet"), "");
    ck_assert_ptr_null(cli_args_value(&args, "url"));
    ck_assert(!cli_args_has(&args, "json"));
}
END_TEST

START_TEST(refuses_more_options_than_it_has_room_for)
{
    char flag[] = "-q", error[100], *argv[CLI_ARGS_MAX + 2];
    struct cli_args args = {0};

    for (int i = 0; i <= CLI_ARGS_MAX; i++)
        argv[i] = flag;
    ck_assert(cli_args_parse(&args, common, own, false, CLI_ARGS_MAX, argv, error, sizeof error));
    args = (struct cli_args){0};
    ck_assert(
        !cli_args_parse(&args, common, own, false, CLI_ARGS_MAX + 1, argv, error, sizeof error));
    ck_assert_str_eq(error, "too many options");
}
END_TEST

UNIT_MAIN(cli_args, reads_options_wherever_they_stand, leaves_what_follows_the_command_to_it,
          takes_the_last_value_and_lists_all, refuses_more_options_than_it_has_room_for)
