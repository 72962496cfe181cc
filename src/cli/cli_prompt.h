/* A question on the terminal. */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

struct cli;

/* Asks for the password of a user, without echo, and not on standard input, which may be data.
   False when there is no terminal, or nothing was typed that fits. */
bool cli_prompt_password(const struct cli *cli, const char *user, char *to, size_t size);

#endif
