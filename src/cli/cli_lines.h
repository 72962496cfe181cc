/*
 * Cuts input into lines, in whatever pieces it arrives. Pure, no I/O.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Starts as zeroes, ends with cli_lines_close(). */
struct cli_lines {
    struct buf buf;
    size_t at;      /* where the next line begins */
    size_t scanned; /* there is no line end before this */
    bool is_ended;
};

/* Adds input. False: out of memory. Lines returned before are invalid afterwards. */
bool cli_lines_feed(struct cli_lines *lines, const char *data, size_t len);

/* Ends the input: the rest is a line even without a line feed. */
void cli_lines_end(struct cli_lines *lines);

/* The next whole line with its line feed, valid until the next feed. False: there is none yet. */
bool cli_lines_next(struct cli_lines *lines, const char **line, size_t *len);

/* The input after the last line that was returned; never NULL. Valid until the next feed. */
const char *cli_lines_rest(const struct cli_lines *lines, size_t *len);

void cli_lines_close(struct cli_lines *lines);

/* Removes the white space of JSON at both ends. */
void cli_lines_trim(const char **line, size_t *len);

#endif
