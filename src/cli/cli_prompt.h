/* Asks for a password on the terminal. */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

struct cli;

/* Asks for the password of a user, without echo. Reads /dev/tty, because standard input may be
 * data. False: there is no terminal, or nothing valid was typed. */
bool cli_prompt_password(const struct cli *cli, const char *user, char *to, size_t size);

#endif
