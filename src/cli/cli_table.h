/* The tables from which dsctl parses its command line and prints its help. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

#include "cli/cli.h"

#define CLI_DEFAULT_URL "http://127.0.0.1:4437"

extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

/* The command with that name, which is first, or first and second; NULL: there is none. */
const struct cli_command *cli_command_find(const char *first, const char *second);

/* Reports that there is no such command, and which one was probably meant. Returns CLI_USAGE. */
enum cli_exit cli_command_unknown(const struct cli *cli, const char *first, const char *second);

/* Options that every command takes. */
extern const struct cli_option cli_globals[];

#endif
