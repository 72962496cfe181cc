/* A parser of Server-Sent Events: see cli_sse.h. */
#include "cli/cli_sse.h"

#include <string.h>

static bool hand_over_event(struct cli_sse *sse)
{
    const char *type = "message";
    bool go_on = true;

    if (sse->data.len > 0) { /* an event without data does not count */
        if (sse->type.len > 0) {
            buf_addc(&sse->type, '\0');
            type = sse->type.data;
        }
        if (buf_failed(&sse->type) || buf_failed(&sse->data))
            return false;
        go_on = sse->fn(sse->arg, type, sse->data.data, sse->data.len - 1);
    }
    buf_clear(&sse->type);
    buf_clear(&sse->data);
    return go_on;
}

static bool is_field(const char *line, size_t len, const char *name)
{
    size_t size = strlen(name);

    return len >= size && memcmp(line, name, size) == 0 && (len == size || line[size] == ':');
}

/* Takes one line, without its end. */
static bool take_line(struct cli_sse *sse)
{
    const char *line = sse->line.data, *value, *end;
    size_t len = sse->line.len;

    if (!sse->not_at_start && len >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3;
        len -= 3;
    }
    sse->not_at_start = true;
    if (len == 0)
        return hand_over_event(sse);
    end = line + len;
    value = memchr(line, ':', len);
    value = value ? value + 1 : end;
    if (value < end && *value == ' ')
        value++;
    if (is_field(line, len, "event")) {
        buf_clear(&sse->type);
        buf_add(&sse->type, value, (size_t)(end - value));
    } else if (is_field(line, len, "data")) {
        buf_add(&sse->data, value, (size_t)(end - value));
        buf_addc(&sse->data, '\n');
    } /* id, retry and comments are ignored */
    return !buf_failed(&sse->type) && !buf_failed(&sse->data);
}

bool cli_sse_feed(struct cli_sse *sse, const char *data, size_t len)
{
    const char *at = data, *end = data + len;

    while (at < end) {
        const char *stop = at;

        if (sse->after_cr && *at == '\n') {
            sse->after_cr = false;
            at++;
            continue;
        }
        sse->after_cr = false;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        buf_add(&sse->line, at, (size_t)(stop - at));
        if (buf_failed(&sse->line))
            return false;
        if (stop == end)
            return true;
        sse->after_cr = *stop == '\r';
        at = stop + 1;
        if (!take_line(sse))
            return false;
        buf_clear(&sse->line);
    }
    return true;
}

void cli_sse_close(struct cli_sse *sse)
{
    buf_close(&sse->line);
    buf_close(&sse->type);
    buf_close(&sse->data);
}
