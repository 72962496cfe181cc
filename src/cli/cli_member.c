/* Members of JSON objects: see cli_member.h. */
#include "cli/cli_member.h"

#include "base/clock.h"
#include "protocol/json_string.h"

void cli_member_name(struct buf *buf, const char *name)
{
    char last = buf->len > 0 ? buf->data[buf->len - 1] : '\0';

    if (last != '{')
        buf_addc(buf, ',');
    json_add_text(buf, name);
    buf_addc(buf, ':');
}

void cli_member_text(struct buf *buf, const char *name, const char *text)
{
    cli_member_name(buf, name);
    if (text)
        json_add_text(buf, text);
    else
        buf_adds(buf, "null");
}

void cli_member_number(struct buf *buf, const char *name, int64_t value)
{
    cli_member_name(buf, name);
    buf_add_int(buf, value);
}

void cli_member_time(struct buf *buf, const char *name, int64_t ms)
{
    char text[CLOCK_TIME_SIZE];

    clock_format_time(ms, text);
    cli_member_text(buf, name, text);
}

void cli_member_bool(struct buf *buf, const char *name, bool value)
{
    cli_member_name(buf, name);
    buf_adds(buf, value ? "true" : "false");
}
