/*
 * Input cut into lines, however it comes. Pure, no I/O.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Begin with zeroes, end with cli_lines_close(). */
struct cli_lines {
    struct buf buf;
    size_t at;      /* where the next line begins */
    size_t scanned; /* up to there no line end was found */
    bool is_ended;
};

/* False when memory ran out. Lines that were handed out are invalid after it. */
bool cli_lines_feed(struct cli_lines *lines, const char *data, size_t len);

/* The input has ended: what is left is a line, also without a line feed. */
void cli_lines_end(struct cli_lines *lines);

/* The next whole line with its line feed; false when there is none yet. Valid until the next feed.
 */
bool cli_lines_next(struct cli_lines *lines, const char **line, size_t *len);

/* The input behind the last line that was taken; never NULL. Valid until the next feed. */
const char *cli_lines_rest(const struct cli_lines *lines, size_t *len);

void cli_lines_close(struct cli_lines *lines);

/* Without the white space of JSON around it. */
void cli_lines_trim(const char **line, size_t *len);

#endif
