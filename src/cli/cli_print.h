/*
 * Prints what was read of a stream: JSON messages one a line, everything else byte for byte. On a
 * terminal, control characters are made visible.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

/* Takes bytes that are to be written. False: an error, which has been reported. */
typedef bool cli_print_fn(void *arg, const char *data, size_t len);

struct cli_print {
    const struct cli *cli;
    cli_print_fn *write;
    void *arg;
    bool raw;              /* print answers unchanged */
    bool to_terminal;      /* the bytes go there */
    bool is_at_line_start; /* nothing was written yet, or it ended with a line feed */
    /* private */
    bool is_json; /* and printed one message to a line */
    bool is_text;
    char cut[4]; /* the first bytes of a character of text on a terminal */
    size_t cut_len;
};

/* Begins a stream of this content type. Reports binary data that would go to a terminal. */
enum cli_exit cli_print_begin(struct cli_print *print, const char *path, const char *type);

/* Prints one piece: bytes of the stream, or an array of messages. False after an error. */
bool cli_print_piece(struct cli_print *print, const char *data, size_t len);

/* Ends the stream: prints the first half of a character whose other half never came. */
bool cli_print_end(struct cli_print *print);

#endif
