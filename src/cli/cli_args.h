/*
 * The command line of dsctl: finds the options of two tables among the operands.
 *
 *     --name VALUE   --name=VALUE   -n VALUE   -nVALUE   flags: --name   -n   -ab
 *     --             every word after it is an operand
 *     -              a dash by itself is an operand
 *
 * Pure: no I/O, no allocation.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

struct cli_option {
    const char *name;  /* without the dashes; NULL ends a table */
    char letter;       /* its short form; 0: none */
    const char *value; /* what the help calls its value; NULL: a flag */
    const char *help;  /* one line */
};

enum { CLI_ARGS_MAX = 64 }; /* options in one command line */

struct cli_given {
    const struct cli_option *option;
    const char *value; /* NULL for a flag; points into argv */
};

struct cli_args {
    struct cli_given given[CLI_ARGS_MAX];
    size_t n_given;
    char **operand; /* the front of argv, which is rearranged; followed by the NULL of argv */
    int n_operands;
};

/*
 * Adds the options in argv[0..argc-1] to args and moves the operands to the front of argv. Options
 * are looked up in two tables, either of which may be NULL. With stop_at_operand, the first operand
 * and all words after it are operands. False with one line in error.
 */
bool cli_args_parse(struct cli_args *args, const struct cli_option *first,
                    const struct cli_option *second, bool stop_at_operand, int argc, char **argv,
                    char *error, size_t size);

/* The last value of an option: NULL if it was not given, "" for a flag. */
const char *cli_args_value(const struct cli_args *args, const char *name);

/* The next value of an option that may be repeated; *at starts at 0. NULL after the last. */
const char *cli_args_next(const struct cli_args *args, const char *name, size_t *at);

bool cli_args_has(const struct cli_args *args, const char *name);

#endif
