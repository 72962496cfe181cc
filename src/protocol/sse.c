/*
 * Server-Sent Events framing: see sse.h.
 *
 * Everything is written straight into the reader's buffer: no copy in between, since one event
 * may be as large as an append may be.
 *
 * Why both events have an id. A client of the protocol keeps streamNextOffset and asks from there.
 * A browser's EventSource does not know that field: it asks again for the URL that it was given,
 * with the id of the last event that it handed to the page as Last-Event-ID, which then counts
 * instead of the URL's offset (op_read.c). An id takes effect with the empty line that ends its
 * event, the line at which the page gets the data, and not before. So wherever the connection is
 * cut:
 *
 *     inside the data event                the page has not seen it, and it comes again
 *     between the data and control event   the page has seen it; its id leads on behind it
 *     after the control event              likewise
 *
 * and nothing is repeated or lost. Were the id in the control event only, the second case would
 * repeat the data. The control event has one besides because the first of a connection may have no
 * data event before it: with offset=now in the URL, what comes between two connections would be
 * lost otherwise. At the end of a closed stream EventSource comes back like after any other end,
 * and gets a 204, upon which it stops.
 *
 * Must hold: a payload's bytes never end a line except as a further "data:" line, so that what a
 * writer stores can neither end an event early nor look like a control event.
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
    if (len > 0 && line[0] == ' ') /* readers take one space away: give them one to take */
        buf_addc(buf, ' ');
    /* cutting into lines first is safe: CR and LF are never part of a longer character */
    if (encoding == SSE_TEXT)
        utf8_add_lossy(buf, line, len);
    else
        buf_add(buf, line, len);
    buf_addc(buf, '\n');
}

static void add_data_lines(struct buf *buf, enum sse_encoding encoding, const char *payload,
                           size_t len)
{
    const char *at = len > 0 ? payload : "", *end = at + len; /* an empty buf's data is NULL */
    const char *cr = find_byte(at, end, '\r'), *lf = find_byte(at, end, '\n');

    (void)buf_reserve(buf, len + len / 8 + 64); /* enough unless lines are short or text damaged */
    for (;;) {
        const char *stop = cr < lf ? cr : lf;

        add_data_line(buf, encoding, at, (size_t)(stop - at));
        if (stop == end)
            return;
        at = stop + 1;
        if (*stop == '\r' && at < end && *at == '\n') /* CRLF ends one line, not two */
            at++;
        /* each is sought again only once it is passed, else many LF would search for CR n times */
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
    buf->len--; /* in before the empty line */
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
    if (!control->closed) { /* nobody may come back to a closed stream: no cursor (section 5.8) */
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
    /* the empty line dispatches nothing, and keeps every frame ending alike */
    buf_adds(buf, ":\n\n");
}
