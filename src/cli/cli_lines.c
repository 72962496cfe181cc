/* Lines of input: see cli_lines.h. */
#include "cli/cli_lines.h"

#include <string.h>

bool cli_lines_feed(struct cli_lines *lines, const char *data, size_t len)
{
    if (lines->at > 0) { /* drop the lines that were returned */
        memmove(lines->buf.data, lines->buf.data + lines->at, lines->buf.len - lines->at);
        lines->buf.len -= lines->at;
        lines->scanned -= lines->at;
        lines->at = 0;
    }
    buf_add(&lines->buf, data, len);
    return !buf_failed(&lines->buf);
}

void cli_lines_end(struct cli_lines *lines)
{
    lines->is_ended = true;
}

bool cli_lines_next(struct cli_lines *lines, const char **line, size_t *len)
{
    const char *data = lines->buf.data, *end;

    if (lines->at == lines->buf.len)
        return false;
    end = memchr(data + lines->scanned, '\n', lines->buf.len - lines->scanned);
    if (!end && !lines->is_ended) {
        lines->scanned = lines->buf.len;
        return false;
    }
    *line = data + lines->at;
    *len = (end ? (size_t)(end + 1 - data) : lines->buf.len) - lines->at;
    lines->at += *len;
    lines->scanned = lines->at;
    return true;
}

const char *cli_lines_rest(const struct cli_lines *lines, size_t *len)
{
    *len = lines->buf.len - lines->at;
    return lines->buf.data ? lines->buf.data + lines->at : "";
}

void cli_lines_close(struct cli_lines *lines)
{
    buf_close(&lines->buf);
}

void cli_lines_trim(const char **line, size_t *len)
{
    while (*len > 0 && strchr(" \t\r\n", **line) && **line) {
        (*line)++;
        (*len)--;
    }
    while (*len > 0 && strchr(" \t\r\n", (*line)[*len - 1]) && (*line)[*len - 1])
        (*len)--;
}
