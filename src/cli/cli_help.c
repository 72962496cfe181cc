/* The help of dsctl: see cli_help.h. */
#include "cli/cli_help.h"

#include <stdio.h>

#include "cli/cli_commands.h"
#include "cli/cli_table.h"
#include "durable_streams.h"

static void print_options(const struct cli_option *options)
{
    for (const struct cli_option *option = options; option && option->name; option++) {
        char left[64];

        (void)snprintf(left, sizeof left, "%s%c%s --%s%s%s", option->letter ? "-" : " ",
                       option->letter ? option->letter : ' ', option->letter ? "," : " ",
                       option->name, option->value ? " " : "", option->value ? option->value : "");
        (void)printf("  %-26s %s\n", left, option->help);
    }
}

void cli_help_print(void)
{
    (void)printf("dsctl " DS_VERSION ": durable streams from the shell\n"
                 "\n"
                 "usage: dsctl [OPTION ...] COMMAND [ARGUMENT ...]\n"
                 "\n");
    for (size_t i = 0; i < cli_n_commands; i++)
        (void)printf("  %-19s %s\n", cli_commands[i].name, cli_commands[i].summary);
    (void)printf("\ndsctl help COMMAND lists the options of a command and shows examples.\n"
                 "\noptions of every command:\n");
    print_options(cli_globals);
    (void)printf("\n"
                 "STREAM is a path, as in /v1/stream/x, or x for short. DURATION is a number of "
                 "seconds, or\n"
                 "a number with a unit: 90s, 15m, 5h, 7d, 2w.\n"
                 "\n"
                 "exit status: 0 success, 1 failure, 2 wrong command line, 3 no such stream,\n"
                 "4 conflict (the stream is closed or has other properties), 5 no answer,\n"
                 "6 tail: the stream was deleted and another one has its name,\n"
                 "7 nothing is pending in the subscription\n"
                 "\n"
                 "examples:\n"
                 "  dsctl serve &\n"
                 "  dsctl create hello --content-type text/plain\n"
                 "  echo 'hello, world' | dsctl append hello\n"
                 "  dsctl tail -f hello\n");
}

void cli_help_print_command(const struct cli_command *command)
{
    (void)printf("dsctl %s: %s\n\nusage: dsctl %s%s%s%s\n", command->name, command->summary,
                 command->name, command->options ? " [OPTION ...]" : "",
                 command->operands[0] ? " " : "", command->operands);
    if (command->about)
        (void)printf("\n%s", command->about);
    if (command->options) {
        (void)printf("\noptions:\n");
        print_options(command->options);
    }
    (void)printf("\noptions of every command:\n");
    print_options(cli_globals);
    (void)printf("\nexamples:\n%s", command->examples);
}

enum cli_exit cli_help(struct cli *cli)
{
    const char *first = cli_operand(cli, 0), *second = cli_operand(cli, 1);
    const struct cli_command *command;

    if (!first) {
        cli_help_print();
        return CLI_DONE;
    }
    command = cli_command_find(first, second);
    if (!command)
        return cli_command_unknown(cli, first, second);
    cli_help_print_command(command);
    return CLI_DONE;
}

enum cli_exit cli_version(struct cli *cli)
{
    (void)cli;
    (void)puts("dsctl " DS_VERSION);
    return CLI_DONE;
}
