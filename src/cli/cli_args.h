/*
 * The command line of dsctl: options of tables, wherever they stand among the operands.
 *
 *     --name VALUE   --name=VALUE   -n VALUE   -nVALUE   flags: --name   -n   -ab
 *     --             everything behind it is an operand
 *     -              alone, an operand
 *
 * Pure: no I/O, no memory of its own.
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

enum { CLI_ARGS_MAX = 64 }; /* options that are given in one command line */

struct cli_given {
    const struct cli_option *option;
    const char *value; /* NULL for a flag; points into argv */
};

struct cli_args {
    struct cli_given given[CLI_ARGS_MAX];
    size_t n_given;
    char **operand; /* the front of argv, which is rearranged; argv's NULL stays behind it */
    int n_operands;
};

/*
 * Adds the options of argv[0..argc-1] to args and leaves the operands in front of argv. Two tables
 * are looked at; either may be NULL. With stop_at_operand, options behind the first operand are
 * left alone: everything from there on counts as operands. False with one line in error.
 */
bool cli_args_parse(struct cli_args *args, const struct cli_option *first,
                    const struct cli_option *second, bool stop_at_operand, int argc, char **argv,
                    char *error, size_t size);

/* The value that was given last; NULL when there was none, "" for a flag. */
const char *cli_args_value(const struct cli_args *args, const char *name);

/* The next value of an option that may be repeated; *at begins with 0. NULL behind the last. */
const char *cli_args_next(const struct cli_args *args, const char *name, size_t *at);

bool cli_args_has(const struct cli_args *args, const char *name);

#endif
