/* The help of dsctl, made from the tables of cli_table.h. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/cli.h"

/* Of dsctl as a whole, and of one command. */
void cli_help_print(void);
void cli_help_print_command(const struct cli_command *command);

#endif
