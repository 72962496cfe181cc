/*
 * Reading over HTTP by catch-up, long-poll or SSE. Each request continues where the last answer
 * ended.
 *
 *     offset ──▶ answer ──▶ its bytes are passed on ──▶ its next offset becomes the offset
 *                  └─ broken: the request is repeated from the same offset
 *
 * The ETag of a catch-up or long-poll answer tells which stream it is from. SSE answers have none,
 * so dsctl sends a HEAD request before each further connection. It also does so after a long-poll
 * that brought no data.
 *
 * The incomplete part of a broken answer is dropped. SSE data is passed on only with the control
 * event that follows it and has the offset. So nothing is lost, and nothing is read twice.
 */
#include "cli/cli_remote.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/clock.h"
#include "cli/cli_sse.h"
#include "protocol/http_type.h"
#include "protocol/json.h"
#include "protocol/json_value.h"

enum { QUICK_MS = 500 };

struct reader {
    struct cli *cli;
    const char *path;
    bool is_json;
    int64_t created_at; /* see cli_reading */
    cli_read_fn *fn;
    void *arg;
    struct buf offset; /* NUL-terminated */
    struct buf cursor; /* NUL-terminated; empty: none yet */
    bool is_done;      /* the stream has ended, or all requested data is read */
    bool was_stopped;  /* by fn */
    bool had_data;     /* on the current connection */
    /* for SSE */
    struct buf held; /* data whose offset has not arrived yet */
    bool is_base64;
    struct cli_answer *answer;
    bool looked_at_head;
};

static void set_text(struct buf *buf, const char *text)
{
    buf_clear(buf);
    buf_adds(buf, text);
    buf_addc(buf, '\0');
}

static bool is_intact(const struct reader *reader, const char *data, size_t len)
{
    return !reader->is_json || len == 0 ||
           (data[0] == '[' && !json_precheck(data, len) && json_is_valid(data, len));
}

/* Is it still the same stream? Assumed to be, if there is no answer or a refusal. */
static enum cli_exit check_still_same(const struct reader *reader)
{
    struct cli *cli = reader->cli;
    struct cli_request request = {.method = "HEAD", .is_safe = true, .once = true};
    struct cli_answer answer = {0};
    enum cli_exit exit = CLI_DONE;

    if (reader->created_at == 0)
        return CLI_DONE;
    request.url = cli_remote_url(cli, reader->path, "");
    if (!request.url)
        return CLI_FAILED;
    exit = cli_http_send(cli->link, &request, &answer);
    if (exit == CLI_DONE && answer.status == 200)
        exit =
            cli_same_stream(cli, reader->path, reader->created_at, cli_remote_created_at(&answer));
    cli_http_drop(&answer);
    return exit;
}

/* A refusal may mean that another stream has the name now, in which the offset is invalid. */
static enum cli_exit refuse_read(const struct reader *reader, const struct cli_answer *answer)
{
    enum cli_exit exit = answer->status == 400 ? check_still_same(reader) : CLI_DONE;

    return exit == CLI_DONE ? cli_remote_refuse(reader->cli, reader->path, answer) : exit;
}

/* Passes data on and moves to the offset after it. Data that does not move the offset would be read
 * again and again. An offset must be one line, because it is written to files. */
static bool deliver(struct reader *reader, const char *data, size_t len, const char *next)
{
    if (strpbrk(next, "\r\n") || (len > 0 && strcmp(next, reader->offset.data) == 0))
        return false;
    if (!reader->fn(reader->arg, data, len, next)) {
        reader->was_stopped = true;
        return false;
    }
    reader->had_data = true;
    set_text(&reader->offset, next);
    return !buf_failed(&reader->offset);
}

/* Writes the URL of the next request to *url. */
static bool make_url(const struct reader *reader, const char *live, struct buf *url)
{
    buf_clear(url);
    buf_printf(url, "%s%s?offset=", reader->cli->url, reader->path);
    cli_remote_add_escaped(url, reader->offset.data);
    if (live)
        buf_printf(url, "&live=%s", live);
    if (live && reader->cursor.len > 0) {
        buf_adds(url, "&cursor=");
        cli_remote_add_escaped(url, reader->cursor.data);
    }
    buf_addc(url, '\0');
    return !buf_failed(url);
}

/* ------------------------------------------------------------------- catch-up, long-poll -- */

/* Passes on an answer. False: it is damaged, or fn stopped the reading. */
static bool take_answer(struct reader *reader, const struct cli_answer *answer, bool follow)
{
    const char *next = cli_http_header(answer, "Stream-Next-Offset");
    const char *cursor = cli_http_header(answer, "Stream-Cursor");
    bool is_end = cli_http_is_true(answer, "Stream-Closed") ||
                  (!follow && cli_http_is_true(answer, "Stream-Up-To-Date"));
    bool ok = true;

    if (!next || !is_intact(reader, answer->body.data, answer->body.len) ||
        (!follow && !is_end &&
         strcmp(next, reader->offset.data) == 0)) /* this request would be repeated forever */
        return false;
    ok = deliver(reader, answer->body.data, answer->body.len, next);
    if (cursor)
        set_text(&reader->cursor, cursor);
    reader->is_done = is_end;
    return ok;
}

static enum cli_exit poll_stream(struct reader *reader, bool follow)
{
    struct cli *cli = reader->cli;
    struct cli_answer answer = {0};
    struct buf url = {0};
    enum cli_exit exit = CLI_DONE;
    int64_t pause_ms = 0, began;
    int broken = 0; /* damaged answers in a row */

    while (exit == CLI_DONE && !reader->is_done && !reader->was_stopped) {
        struct cli_request request = {.method = "GET", .is_safe = true, .is_live = follow};

        request.endless = follow && cli->retry_ms < 0;
        if (!make_url(reader, follow ? "long-poll" : NULL, &url)) {
            exit = cli_no_memory(cli);
            break;
        }
        request.url = url.data;
        began = clock_monotonic_ms();
        exit = cli_http_send(cli->link, &request, &answer);
        if (exit != CLI_DONE)
            break;
        if (answer.status != 200 && answer.status != 204) {
            exit = refuse_read(reader, &answer);
        } else if ((exit = cli_same_stream(cli, reader->path, reader->created_at,
                                           cli_remote_created_at(&answer))) != CLI_DONE) {
            break;
        } else if (take_answer(reader, &answer, follow)) {
            broken = 0;
            pause_ms = 0;
            /* a server that answers long-polls at once is asked only a few times a second */
            if (follow && answer.body.len == 0 && clock_monotonic_ms() - began < QUICK_MS)
                cli_http_pause(&pause_ms);
            if (follow && answer.body.len == 0 && !reader->is_done)
                exit = check_still_same(reader);
        } else if (!reader->was_stopped) {
            if (++broken > 5)
                exit = cli_fail(cli, CLI_FAILED, "%s: the answer is damaged", reader->path);
            cli_http_pause(&pause_ms);
        }
    }
    buf_close(&url);
    cli_http_drop(&answer);
    return exit;
}

/* ------------------------------------------------------------------------------------ SSE -- */

/* Decodes base64, which may be on several lines. */
static bool add_decoded(struct buf *buf, const char *text, size_t len)
{
    size_t begin = buf->len, decoded = 0;

    if (!buf_reserve(buf, len + 1))
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] != '\n' && text[i] != '\r')
            buf_addc(buf, text[i]);
    if (!base64_decode(buf->data + begin, buf->len - begin, buf->data + begin, &decoded))
        return false;
    buf->len = begin + decoded;
    return true;
}

static bool take_data(struct reader *reader, const char *data, size_t len)
{
    if (reader->is_base64)
        return add_decoded(&reader->held, data, len);
    buf_add(&reader->held, data, len);
    return !buf_failed(&reader->held);
}

static bool take_control(struct reader *reader, const char *data, size_t len)
{
    struct json_value control = {data, len};
    struct arena *arena = arena_new();
    const char *next, *cursor;
    bool ok = false;

    if (arena && json_is_valid(data, len)) {
        next = json_text(arena, json_get(control, "streamNextOffset"));
        cursor = json_text(arena, json_get(control, "streamCursor"));
        ok = next && is_intact(reader, reader->held.data, reader->held.len) &&
             deliver(reader, reader->held.data, reader->held.len, next);
        if (cursor)
            set_text(&reader->cursor, cursor);
        reader->is_done = ok && json_is_true(json_get(control, "streamClosed"));
    }
    arena_free(arena);
    buf_clear(&reader->held);
    return ok && !reader->is_done;
}

/* Events of other types are ignored. */
static bool take_event(void *arg, const char *type, const char *data, size_t len)
{
    struct reader *reader = arg;

    if (strcmp(type, "data") == 0)
        return take_data(reader, data, len);
    return strcmp(type, "control") != 0 || take_control(reader, data, len);
}

struct sse_answer {
    struct cli_sse sse;
    struct reader *reader;
};

static bool take_bytes(void *arg, const char *data, size_t len)
{
    struct sse_answer *sse = arg;
    struct reader *reader = sse->reader;

    if (!reader->looked_at_head) {
        const char *encoding = cli_http_header(reader->answer, "Stream-SSE-Data-Encoding");

        reader->is_base64 = encoding && strcasecmp(encoding, "base64") == 0;
        reader->looked_at_head = true;
    }
    return cli_sse_feed(&sse->sse, data, len);
}

/* Reads from one connection until it ends. CLI_DONE: reader and answer tell how. */
static enum cli_exit stream_once(struct reader *reader, const char *url, struct cli_answer *answer)
{
    struct sse_answer sse = {.sse = {.fn = take_event, .arg = reader}, .reader = reader};
    struct cli_request request = {.method = "GET",
                                  .url = url,
                                  .headers = {"Accept: text/event-stream"},
                                  .is_live = true,
                                  .once = true,
                                  .sink = take_bytes,
                                  .arg = &sse};
    enum cli_exit exit;

    reader->answer = answer;
    reader->looked_at_head = reader->had_data = false;
    buf_clear(&reader->held);
    exit = cli_http_send(reader->cli->link, &request, answer);
    cli_sse_close(&sse.sse);
    return exit;
}

/* May the same request succeed later? */
static bool may_pass(long status)
{
    return status == 0 || status == 200 || status == 429 || status >= 500;
}

static enum cli_exit follow_events(struct reader *reader)
{
    struct cli *cli = reader->cli;
    struct cli_answer answer = {0};
    struct buf url = {0};
    enum cli_exit exit = CLI_DONE;
    int64_t pause_ms = 0, last_good = clock_monotonic_ms(), began;
    bool said = false, is_first = true;

    while (exit == CLI_DONE) {
        if (!is_first && (exit = check_still_same(reader)) != CLI_DONE)
            break;
        is_first = false;
        if (!make_url(reader, "sse", &url)) {
            exit = cli_no_memory(cli);
            break;
        }
        began = clock_monotonic_ms();
        exit = stream_once(reader, url.data, &answer);
        if (exit != CLI_DONE || reader->is_done || reader->was_stopped)
            break;
        if (!may_pass(answer.status)) {
            exit = refuse_read(reader, &answer);
            break;
        }
        if (reader->had_data) { /* the connection worked for a while */
            last_good = clock_monotonic_ms();
            pause_ms = 0;
            said = false;
            if (answer.is_complete) { /* servers end an SSE answer after a minute on purpose */
                if (last_good - began < QUICK_MS)
                    cli_http_pause(&pause_ms); /* but do not reconnect too often */
                continue;
            }
        }
        if (!said)
            cli_note(cli, "connection lost (%s); continuing at %s",
                     answer.error[0] ? answer.error : "ended by the server", reader->offset.data);
        said = true;
        if (cli->retry_ms >= 0 && clock_monotonic_ms() - last_good > cli->retry_ms)
            exit = cli_fail(cli, CLI_UNREACHABLE, "%s: %s", cli->url,
                            answer.error[0] ? answer.error : "the server ends every answer");
        else
            cli_http_pause(&pause_ms);
    }
    buf_close(&url);
    cli_http_drop(&answer);
    return exit;
}

enum cli_exit cli_remote_read(struct cli *cli, const struct ds_stream *state,
                              const struct cli_reading *reading, cli_read_fn *fn, void *arg)
{
    const char *type = state->content_type;
    struct reader reader = {.cli = cli,
                            .path = state->path,
                            .is_json = http_type_kind(type) == HTTP_TYPE_JSON,
                            .created_at = reading->created_at,
                            .fn = fn,
                            .arg = arg};
    bool is_text = http_type_kind(type) == HTTP_TYPE_TEXT;
    enum cli_exit exit;

    set_text(&reader.offset, reading->offset);
    if (buf_failed(&reader.offset))
        exit = cli_no_memory(cli);
    else if (reading->follow && !reading->long_poll && (reading->sse || !is_text))
        exit = follow_events(&reader);
    else
        exit = poll_stream(&reader, reading->follow);
    if (exit == CLI_DONE && reader.was_stopped)
        exit = CLI_FAILED;
    buf_close(&reader.offset);
    buf_close(&reader.cursor);
    buf_close(&reader.held);
    return exit;
}
