/* The help of dsctl, printed from the tables in cli_table.h. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/cli.h"

/* Print the help of dsctl, and of one command. */
void cli_help_print(void);
void cli_help_print_command(const struct cli_command *command);

#endif
