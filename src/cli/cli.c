/*
 * dsctl: Durable Streams from the shell, over HTTP or directly on a database file. See cli.h.
 *
 * This file turns the command line and the environment into the call of a command.
 */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/descriptors.h"
#include "cli/cli_backend.h"
#include "cli/cli_commands.h"
#include "cli/cli_help.h"
#include "cli/cli_table.h"

/* Finds the command, and removes the words of its name from the operands. */
static const struct cli_command *take_command(struct cli *cli)
{
    const struct cli_command *command = cli_command_find(cli_operand(cli, 0), cli_operand(cli, 1));
    int words = command && strchr(command->name, ' ') ? 2 : 1;

    if (command) {
        cli->args.operand += words;
        cli->args.n_operands -= words;
    }
    return command;
}

const char *cli_variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

static bool load_settings(struct cli *cli)
{
    const char *url = cli_value(cli, "url"), *db = cli_value(cli, "db");
    int64_t retry = -1;
    char *copy;

    if (url && db) {
        (void)cli_fail(cli, CLI_USAGE, "--url and --db cannot be used together");
        return false;
    }
    if (!url && !db) {
        url = getenv("DS_URL");
        db = getenv("DS_DB");
        if (db && !db[0])
            db = NULL;
    }
    if (!url || !url[0])
        url = CLI_DEFAULT_URL;
    copy = arena_strndup(cli->arena, url, strlen(url));
    if (!copy) {
        (void)cli_no_memory(cli);
        return false;
    }
    cli->login.userinfo = cli_login_take_userinfo(cli, copy);
    for (size_t len = strlen(copy); len > 0 && copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    cli->url = copy;
    cli->db = db;
    cli->quiet = cli_has(cli, "quiet");
    if (!cli_duration(cli, "retry", 0, 86400, &retry))
        return false;
    cli->retry_ms = retry < 0 ? -1 : retry * 1000;
    return true;
}

static enum cli_exit run_command(struct cli *cli)
{
    enum cli_exit exit;

    if (cli->command->needs == CLI_DATABASE && !cli->db)
        return cli_fail(cli, CLI_USAGE, "this command needs a database file: --db FILE");
    if (cli->command->needs != CLI_EITHER)
        return cli->command->run(cli);
    if (!cli->db && !cli_login_read(cli, getenv("DS_USER"), getenv("DS_HEADER")))
        return CLI_USAGE;
    cli->backend = cli->db ? &cli_local : &cli_remote;
    exit = cli->backend->open(cli);
    if (exit != CLI_DONE)
        return exit;
    exit = cli->command->run(cli);
    cli->backend->close(cli);
    return exit;
}

static enum cli_exit parse_and_run(struct cli *cli, int argc, char **argv)
{
    char error[160];
    int n;

    if (!cli_args_parse(&cli->args, cli_globals, NULL, true, argc - 1, argv + 1, error,
                        sizeof error))
        return cli_fail(cli, CLI_USAGE, "%s: see dsctl help", error);
    if (cli_has(cli, "version"))
        return cli_version(cli);
    if (cli->args.n_operands == 0) {
        if (!cli_has(cli, "help"))
            return cli_fail(cli, CLI_USAGE, "which command? See dsctl help");
        cli_help_print();
        return CLI_DONE;
    }
    cli->command = take_command(cli);
    if (!cli->command) { /* an option, as in "fault --help", is not part of a command's name */
        const char *second = cli_operand(cli, 1);

        return cli_command_unknown(cli, cli_operand(cli, 0),
                                   second && second[0] == '-' ? NULL : second);
    }
    if (!cli_args_parse(&cli->args, cli_globals, cli->command->options, false, cli->args.n_operands,
                        cli->args.operand, error, sizeof error))
        return cli_fail(cli, CLI_USAGE, "%s: see dsctl help %s", error, cli->command->name);
    if (!cli_login_hide(cli))
        return CLI_FAILED;
    if (cli_has(cli, "help")) {
        cli_help_print_command(cli->command);
        return CLI_DONE;
    }
    n = cli->args.n_operands;
    if (n < cli->command->least || (cli->command->most >= 0 && n > cli->command->most))
        return cli_fail(cli, CLI_USAGE, "usage: dsctl %s%s%s; see dsctl help %s",
                        cli->command->name, cli->command->operands[0] ? " " : "",
                        cli->command->operands, cli->command->name);
    return load_settings(cli) ? run_command(cli) : CLI_USAGE;
}

static bool shows_colors(int descriptor)
{
    const char *terminal = getenv("TERM"), *no = getenv("NO_COLOR");

    return isatty(descriptor) && !(no && no[0]) && !(terminal && strcmp(terminal, "dumb") == 0);
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {.arena = arena_new(), .retry_ms = -1, .url = ""};
    enum cli_exit exit;

    descriptors_occupy(true);
    /* a write beyond a file size limit must fail, not kill this program */
    (void)signal(SIGXFSZ, SIG_IGN);
    if (!cli.arena)
        return (int)cli_no_memory(&cli);
    cli.color = shows_colors(STDOUT_FILENO);
    cli.error_color = shows_colors(STDERR_FILENO);
    exit = parse_and_run(&cli, argc, argv);
    if (!cli_flush(&cli) && exit == CLI_DONE)
        exit = CLI_FAILED;
    arena_free(cli.arena);
    return (int)exit;
}
