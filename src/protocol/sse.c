/*
 * Server-Sent Events framing: see sse.h.
 *
 * Events are written straight into the reader's buffer, because an event may be as large as the
 * largest append, and a copy would cost as much again.
 *
 * Why do both kinds of event have an id? A client of the protocol remembers streamNextOffset and
 * requests that offset. A browser's EventSource does not know the field: it requests the same URL
 * again, and sends the id of the last event that it has given to the page as Last-Event-ID, which
 * takes precedence over the offset in the URL (op_read.c). EventSource accepts the id at the empty
 * line that ends the event, when it also gives the data to the page. So, if the connection breaks
 *
 *     inside the data event                 the page has not seen the data; they are sent again
 *     between data event and control event  the page has seen the data; the id is the offset after
 *     after the control event               the same
 *
 * and nothing is repeated or lost. With an id in the control event only, the second case would
 * repeat the data. The control event needs an id, too, because the first one of a connection may
 * have no data event before it: with offset=now in the URL, messages between two connections would
 * be lost. After the end of a closed stream EventSource connects again and gets a 204, on which it
 * stops.
 *
 * Must hold: a line break in a payload always begins another "data:" line, so a writer's bytes can
 * neither end an event early nor look like a control event.
 */
#include "protocol/sse.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "protocol/offset.h"

#include <assert.h>
#include <string.h>

static const char *find_byte(const char *at, const char *end, char c)
{
    const char *found = at < end ? memchr(at, c, (size_t)(end - at)) : NULL;

    return found ? found : end;
}

static void add_data_line(struct buf *buf, enum sse_encoding encoding, const char *line, size_t len)
{
    buf_adds(buf, "data:");
    if (len > 0 && line[0] == ' ') /* readers remove one space */
        buf_addc(buf, ' ');
    /* splitting into lines first is safe: CR and LF are not part of any longer character */
    if (encoding == SSE_TEXT)
        utf8_add_lossy(buf, line, len);
    else
        buf_add(buf, line, len);
    buf_addc(buf, '\n');
}

static void add_data_lines(struct buf *buf, enum sse_encoding encoding, const char *payload,
                           size_t len)
{
    const char *at = len > 0 ? payload : "", *end = at + len; /* the data of an empty buf is NULL */
    const char *cr = find_byte(at, end, '\r'), *lf = find_byte(at, end, '\n');

    (void)buf_reserve(buf, len + len / 8 +
                               64); /* enough, unless lines are short or the text is ill-formed */
    for (;;) {
        const char *stop = cr < lf ? cr : lf;

        add_data_line(buf, encoding, at, (size_t)(stop - at));
        if (stop == end)
            return;
        at = stop + 1;
        if (*stop == '\r' && at < end && *at == '\n') /* CRLF is one line break */
            at++;
        /* search again only after the last hit: otherwise each LF would search the rest for a CR */
        if (cr < at)
            cr = find_byte(at, end, '\r');
        if (lf < at)
            lf = find_byte(at, end, '\n');
    }
}

void sse_add_data(struct buf *buf, enum sse_encoding encoding, const char *payload, size_t len)
{
    buf_adds(buf, "event: data\n");
    if (encoding == SSE_BASE64) {
        buf_adds(buf, "data:");
        base64_add(buf, payload, len);
        buf_addc(buf, '\n');
    } else {
        add_data_lines(buf, encoding, payload, len);
    }
    buf_addc(buf, '\n');
}

void sse_add_event(struct buf *buf, const char *type, const char *data, size_t len)
{
    buf_adds(buf, "event: ");
    buf_adds(buf, type);
    buf_addc(buf, '\n');
    add_data_lines(buf, SSE_TEXT, data, len);
    buf_addc(buf, '\n');
}

void sse_add_id(struct buf *buf, int64_t next)
{
    char offset[OFFSET_TEXT_SIZE];

    if (buf_failed(buf))
        return;
    assert(buf->len >= 2 && memcmp(buf->data + buf->len - 2, "\n\n", 2) == 0);
    offset_format(next, offset);
    buf->len--; /* before the empty line */
    buf_adds(buf, "id: ");
    buf_add(buf, offset, OFFSET_TEXT_LEN);
    buf_adds(buf, "\n\n");
}

void sse_add_control(struct buf *buf, const struct sse_control *control)
{
    char next[OFFSET_TEXT_SIZE];

    offset_format(control->next, next);
    buf_adds(buf, "event: control\ndata:{\"streamNextOffset\":\"");
    buf_add(buf, next, OFFSET_TEXT_LEN);
    buf_addc(buf, '"');
    if (!control->closed) { /* section 5.8: no cursor, since the reader does not come back */
        buf_adds(buf, ",\"streamCursor\":\"");
        buf_add_int(buf, control->cursor);
        buf_addc(buf, '"');
    }
    if (control->up_to_date || control->closed)
        buf_adds(buf, ",\"upToDate\":true");
    if (control->closed)
        buf_adds(buf, ",\"streamClosed\":true");
    buf_adds(buf, "}\n\n");
    sse_add_id(buf, control->next);
}

void sse_add_keepalive(struct buf *buf)
{
    /* the empty line dispatches no event; with it, every frame ends in an empty line */
    buf_adds(buf, ":\n\n");
}
