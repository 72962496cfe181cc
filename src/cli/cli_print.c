/* Prints streams: see cli_print.h. */
#include "cli/cli_print.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "cli/cli_terminal.h"
#include "protocol/http_type.h"
#include "protocol/json.h"

enum cli_exit cli_print_begin(struct cli_print *print, const char *path, const char *type)
{
    enum http_type_kind kind = http_type_kind(type);

    print->is_json = kind == HTTP_TYPE_JSON && !print->raw;
    print->is_text = kind == HTTP_TYPE_TEXT;
    print->cut_len = 0;
    if (kind == HTTP_TYPE_BINARY && print->to_terminal && !print->raw)
        return cli_fail(print->cli, CLI_USAGE, "%s holds %s; --raw prints it to a terminal anyway",
                        path, type);
    return CLI_DONE;
}

/* Writes the gathered text, and empties the buffer. */
static bool write_gathered(const struct cli_print *print, struct buf *gathered)
{
    bool ok = !buf_failed(gathered);

    if (ok)
        ok = print->write(print->arg, gathered->data, gathered->len);
    else
        (void)cli_no_memory(print->cli);
    buf_close(gathered);
    return ok;
}

static bool print_messages(const struct cli_print *print, const char *data, size_t len)
{
    struct json_split split;
    const char *message;
    size_t message_len;
    bool ok = true;

    json_split_init(&split, data, len);
    while (ok && json_split_next(&split, &message, &message_len)) {
        struct buf line = {0};

        if (print->to_terminal)
            cli_terminal_add_json(&line, message, message_len);
        else
            buf_add(&line, message, message_len);
        if (!buf_failed(&line))
            cli_terminal_unbreak_json(line.data, line.len);
        buf_addc(&line, '\n');
        ok = write_gathered(print, &line);
    }
    return ok;
}

/* Makes control characters visible on a terminal. A character that is cut by the end of a piece is
 * kept until the next piece. */
static bool print_text(struct cli_print *print, const char *data, size_t len)
{
    struct buf whole = {0}, shown = {0};
    size_t cut;

    buf_add(&whole, print->cut, print->cut_len);
    buf_add(&whole, data, len);
    if (buf_failed(&whole))
        return write_gathered(print, &whole);
    cut = utf8_incomplete_tail(whole.data, whole.len);
    cli_terminal_add(&shown, whole.data, whole.len - cut, CLI_TERMINAL_TEXT);
    memcpy(print->cut, whole.data + whole.len - cut, cut);
    print->cut_len = cut;
    buf_close(&whole);
    return write_gathered(print, &shown);
}

bool cli_print_piece(struct cli_print *print, const char *data, size_t len)
{
    if (len == 0)
        return true;
    if (print->is_json) /* which ends each line */
        return print_messages(print, data, len);
    print->is_at_line_start = data[len - 1] == '\n';
    if (print->to_terminal && print->is_text && !print->raw)
        return print_text(print, data, len);
    return print->write(print->arg, data, len);
}

bool cli_print_end(struct cli_print *print)
{
    struct buf shown = {0};

    cli_terminal_add(&shown, print->cut, print->cut_len, CLI_TERMINAL_TEXT);
    print->cut_len = 0;
    return write_gathered(print, &shown);
}
