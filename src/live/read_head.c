/* The heads of answers to reads: see read_head.h. The ETag is made here. */
#include "live/read_head.h"

#include <string.h>

#include "base/buf.h"
#include "base/digits.h"
#include "config/config.h"
#include "http/http_etag.h"
#include "http/http_response.h"

enum { ETAG_SIZE = 112, MAX_AGE_S = 60 };

/*
 * The ETag: "ID-CREATED:FROM:NEXT:APPENDED", with ":c" at the end if the range ends a closed
 * stream.
 *
 * Id and time of creation name the stream's incarnation: even a new database does not repeat both.
 * (dsctl reads the time of creation from here: cli_remote_created_at().) The time at which the last
 * message of the range was appended distinguishes two histories of one incarnation, which a
 * restored backup followed by appends of the same length would make.
 */
static void format_etag(char text[static ETAG_SIZE], const struct read_view *view)
{
    const struct stream *stream = view->stream;

    *text++ = '"';
    text += digits_write_hex(text, (uint64_t)stream->id);
    *text++ = '-';
    text += digits_write_hex(text, (uint64_t)stream->created_at);
    *text++ = ':';
    text += digits_write(text, view->from);
    *text++ = ':';
    text += digits_write(text, view->span.next);
    *text++ = ':';
    text += digits_write_hex(text, (uint64_t)view->span.appended_at);
    strcpy(text, stream->closed_at != 0 && view->span.next == stream->tail ? ":c\"" : "\"");
}

void read_head_add_tail_etag(struct buf *head, const struct stream *stream)
{
    const struct read_view view = {
        .stream = stream, .from = stream->tail, .span.next = stream->tail};
    char etag[ETAG_SIZE];

    format_etag(etag, &view);
    http_add(head, "ETag", etag);
}

void read_head_add_sandbox(struct buf *head)
{
    http_add(head, "Content-Security-Policy", "sandbox");
}

/* For how many seconds data may be cached (section 10.1): no longer than the stream lives. */
static int64_t age_limit(const struct read_view *view)
{
    int64_t left = (view->stream->expires_at - view->now) / 1000;

    if (view->stream->expires_at == 0 || left > MAX_AGE_S)
        return MAX_AGE_S;
    return left < 0 ? 0 : left;
}

/*
 * Data that is followed by more data never changes, so caches may keep it. An empty answer must be
 * revalidated each time.
 *
 * In between is an answer that ends at the tail of an open stream: it is out of date with the next
 * append. A browser must not keep it, since it would show it to the very page that has just
 * appended; it revalidates with the ETag each time. Shared caches may keep it.
 * stale-while-revalidate is left out, because browsers obey that too.
 */
static void add_cache_control(struct buf *head, const struct config *config,
                              const struct read_view *view)
{
    bool shared = config->cache == CACHE_PUBLIC;

    if (view->only_now || view->mangled || config->cache == CACHE_OFF) {
        http_add(head, "Cache-Control", "no-store");
        return;
    }
    buf_adds(head, shared ? "Cache-Control: public" : "Cache-Control: private");
    if (view->span.next == view->from) {
        buf_adds(head, ", no-cache");
    } else if (view->span.next == view->stream->tail && view->stream->closed_at == 0) {
        buf_adds(head, shared ? ", max-age=0, s-maxage=" : ", max-age=0");
        if (shared)
            buf_add_int(head, age_limit(view));
    } else {
        buf_adds(head, ", max-age=");
        buf_add_int(head, age_limit(view));
        if (view->stream->expires_at == 0)
            buf_adds(head, ", stale-while-revalidate=300");
    }
    buf_adds(head, "\r\n");
}

static void add_position(struct buf *head, const struct stream *stream, int64_t next)
{
    http_add_offset(head, next);
    if (next == stream->tail) {
        http_add(head, "Stream-Up-To-Date", "true");
        if (stream->closed_at != 0)
            http_add(head, "Stream-Closed", "true");
    }
}

static bool is_unchanged(const struct read_view *view, const char *etag)
{
    return !view->only_now && view->if_none_match && http_etag_matches(view->if_none_match, etag);
}

bool read_head_is_unchanged(const struct read_view *view)
{
    char etag[ETAG_SIZE];

    format_etag(etag, view);
    return is_unchanged(view, etag);
}

/*
 * A packed body has other bytes, so its tag is weak, as nginx makes it: the same text, but not for
 * comparisons of bytes. Caches keep the two forms apart (Vary); a 304 has the same lines as its 200
 * would have (RFC 9110 section 15.4.5).
 */
static void add_form(struct buf *head, const struct read_view *view, const char *etag,
                     bool unchanged)
{
    if (view->packed && !unchanged)
        http_add(head, "Content-Encoding", "gzip");
    if (view->may_be_packed)
        http_add(head, "Vary", "Accept-Encoding");
    if (view->only_now)
        return;
    buf_adds(head, view->packed ? "ETag: W/" : "ETag: ");
    buf_adds(head, etag);
    buf_adds(head, "\r\n");
}

bool read_head_write(struct buf *head, const struct config *config, const struct read_view *view)
{
    char etag[ETAG_SIZE];
    bool unchanged;

    format_etag(etag, view);
    unchanged = is_unchanged(view, etag);
    http_begin(head, config, view->origin, unchanged ? 304 : 200);
    http_add(head, "Content-Type", view->stream->content_type);
    read_head_add_sandbox(head);
    add_position(head, view->stream, view->span.next);
    if (view->cursor >= 0)
        http_add_int(head, "Stream-Cursor", view->cursor);
    add_form(head, view, etag, unchanged);
    add_cache_control(head, config, view);
    http_end(head, unchanged ? -1 : view->body_len);
    return !unchanged;
}

void read_head_write_nothing(struct buf *head, const struct config *config, const char *origin,
                             const struct stream *stream, int64_t position, int64_t cursor)
{
    http_begin(head, config, origin, 204);
    add_position(head, stream, position);
    if (stream->closed_at == 0) /* a closed stream has no next poll (5.7) */
        http_add_int(head, "Stream-Cursor", cursor);
    http_add(head, "Cache-Control", "no-store");
    http_end(head, -1);
}
