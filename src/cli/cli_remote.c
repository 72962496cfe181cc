/* dsctl's operations over HTTP: create, append, get and remove. See cli_backend.h. */
#include "cli/cli_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digits.h"
#include "base/utf8.h"
#include "protocol/expiry.h"
#include "protocol/producer.h"

static enum cli_exit open_link(struct cli *cli)
{
    cli->link = cli_http_new(cli);
    return cli->link ? CLI_DONE : CLI_USAGE;
}

static void close_link(struct cli *cli)
{
    cli_http_free(cli->link);
}

const char *cli_remote_url(const struct cli *cli, const char *path, const char *query)
{
    const char *url = arena_printf(cli->arena, "%s%s%s", cli->url, path, query);

    if (!url)
        (void)cli_no_memory(cli);
    return url;
}

void cli_remote_add_escaped(struct buf *buf, const char *text)
{
    for (; *text; text++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", *text))
            buf_addc(buf, *text);
        else
            buf_printf(buf, "%%%02X", (unsigned char)*text);
}

/* The first line of an answer that is plain text. */
static void first_line(const struct cli_answer *answer, char *line, size_t size)
{
    const char *type = cli_http_header(answer, "Content-Type");
    size_t len = 0;

    if (type && strncasecmp(type, "text/plain", 10) == 0)
        for (size_t i = 0; i < answer->body.len && len + 1 < size; i++) {
            char c = answer->body.data[i];

            if (c == '\n' || c == '\r' || c == '\0')
                break;
            line[len++] = c;
        }
    line[len - utf8_incomplete_tail(line, len)] = '\0';
}

enum cli_exit cli_remote_refuse(const struct cli *cli, const char *path,
                                const struct cli_answer *answer)
{
    const char *epoch = cli_http_header(answer, "Producer-Epoch");
    char line[200];

    first_line(answer, line, sizeof line);
    switch (answer->status) {
    case 403:
        if (!epoch)
            break;
        return cli_fail(cli, CLI_CONFLICT, "%s: the producer now writes in epoch %s (403)", path,
                        epoch);
    case 404:
    case 410:
        return cli_fail(cli, CLI_NOT_FOUND, "%s: %s (%ld)", path,
                        answer->status == 404 && !line[0] ? "not found" : line, answer->status);
    case 409:
        return cli_fail(cli, CLI_CONFLICT, "%s: %s (409)", path,
                        line[0]                                     ? line
                        : cli_http_is_true(answer, "Stream-Closed") ? "the stream is closed"
                                                                    : "conflict");
    case 502:
    case 504:
        return cli_fail(cli, CLI_UNREACHABLE,
                        "%s: the web server cannot reach the streams server (%ld)", cli->url,
                        answer->status);
    default:
        break;
    }
    return cli_fail(cli, CLI_FAILED, "%s: %s (%ld)", path, line[0] ? line : "refused",
                    answer->status);
}

/* Any web server may answer 200 to anything. A server of Durable Streams names the next offset, or
 * for a duplicate append at least the producer. */
static enum cli_exit check_answer(const struct cli *cli, const char *path,
                                  const struct cli_answer *answer)
{
    if (cli_http_header(answer, "Stream-Next-Offset") || cli_http_header(answer, "Producer-Seq"))
        return CLI_DONE;
    return cli_fail(cli, CLI_FAILED, "%s%s: this is not a server of Durable Streams (%ld)",
                    cli->url, path, answer->status);
}

/* ------------------------------------------------------------------------------- requests -- */

/* Adds "name: value" to the headers of a request, unless value is NULL. */
static bool add_header(const struct cli *cli, struct cli_request *request, const char *name,
                       const char *value)
{
    size_t n = 0;

    if (!value)
        return true;
    while (request->headers[n])
        n++;
    request->headers[n] = arena_printf(cli->arena, value[0] ? "%s: %s" : "%s;", name, value);
    return request->headers[n] != NULL;
}

static bool add_number_header(const struct cli *cli, struct cli_request *request, const char *name,
                              int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return add_header(cli, request, name, text);
}

/* Without a type, keeps libcurl from sending one of its own. */
static bool add_type_header(const struct cli *cli, struct cli_request *request, const char *type)
{
    size_t n = 0;

    if (type)
        return add_header(cli, request, "Content-Type", type);
    while (request->headers[n])
        n++;
    request->headers[n] = "Content-Type:";
    return true;
}

static bool add_time_header(const struct cli *cli, struct cli_request *request, const char *name,
                            int64_t ms)
{
    char text[CLOCK_TIME_SIZE];

    clock_format_time(ms, text);
    return add_header(cli, request, name, text);
}

static const char *keep_text(const struct cli *cli, const char *text)
{
    return text ? arena_strndup(cli->arena, text, strlen(text)) : NULL;
}

/*
 * The ETag of our servers begins with the number of the stream and the time when it was created, in
 * hex: "1f-19ac91e2b4a:0:35". Tags of other servers may mean anything, so the number must look like
 * a time between 2001 and 2286.
 */
int64_t cli_remote_created_at(const struct cli_answer *answer)
{
    static const char hex[] = "0123456789abcdef";
    const char *tag = cli_http_header(answer, "ETag");
    size_t len;
    int64_t ms;

    if (!tag)
        return 0;
    if (strncmp(tag, "W/", 2) == 0) /* a web server that compresses adds this */
        tag += 2;
    if (*tag++ != '"')
        return 0;
    len = strspn(tag, hex);
    if (len == 0 || tag[len] != '-')
        return 0;
    tag += len + 1;
    len = strspn(tag, hex);
    if (len == 0 || len > 12 || (tag[len] != ':' && tag[len] != '-'))
        return 0;
    ms = strtoll(tag, NULL, 16);
    return ms >= INT64_C(1000000000000) && ms < INT64_C(10000000000000) ? ms : 0;
}

/* Fills *stream from the headers of an answer. */
static void read_state(const struct cli *cli, const char *path, const struct cli_answer *answer,
                       struct ds_stream *stream)
{
    const char *tail = cli_http_header(answer, "Stream-Next-Offset");
    const char *ttl = cli_http_header(answer, "Stream-TTL");
    const char *expires = cli_http_header(answer, "Stream-Expires-At");

    *stream = (struct ds_stream){.path = path, .bytes = -1, .messages = -1};
    stream->content_type = keep_text(cli, cli_http_header(answer, "Content-Type"));
    if (!stream->content_type)
        stream->content_type = "";
    (void)snprintf(stream->tail, sizeof stream->tail, "%s", tail ? tail : "");
    stream->closed = cli_http_is_true(answer, "Stream-Closed");
    stream->created_at = cli_remote_created_at(answer);
    stream->ttl_seconds = -1;
    if (ttl)
        (void)expiry_parse_ttl(ttl, &stream->ttl_seconds);
    if (expires)
        (void)clock_parse_time(expires, &stream->expires_at);
}

static enum cli_exit remote_create(struct cli *cli, const char *path,
                                   const struct ds_create_options *options, bool *created,
                                   struct ds_stream *state)
{
    struct cli_request request = {.method = "PUT",
                                  .url = cli_remote_url(cli, path, ""),
                                  .body = options->data,
                                  .len = options->len,
                                  .has_body = true,
                                  .is_safe = true};
    struct cli_answer answer = {0};
    enum cli_exit exit = CLI_FAILED;
    bool ok = request.url != NULL && add_type_header(cli, &request, options->content_type);

    if (options->has_ttl)
        ok = ok && add_number_header(cli, &request, "Stream-TTL", options->ttl_seconds);
    if (options->expires_at)
        ok = ok && add_time_header(cli, &request, "Stream-Expires-At", options->expires_at);
    ok = ok && add_header(cli, &request, "Stream-Closed", options->closed ? "true" : NULL) &&
         add_header(cli, &request, "Stream-Forked-From", options->fork_of) &&
         add_header(cli, &request, "Stream-Fork-Offset", options->fork_offset);
    if (options->fork_sub_offset)
        ok = ok &&
             add_number_header(cli, &request, "Stream-Fork-Sub-Offset", options->fork_sub_offset);
    if (!ok)
        return cli_no_memory(cli);
    exit = cli_http_send(cli->link, &request, &answer);
    if (exit == CLI_DONE && answer.status != 200 && answer.status != 201)
        exit = cli_remote_refuse(cli, path, &answer);
    else if (exit == CLI_DONE)
        exit = check_answer(cli, path, &answer);
    if (exit == CLI_DONE) {
        *created = answer.status == 201 || answer.repeated;
        read_state(cli, path, &answer, state);
    }
    cli_http_drop(&answer);
    return exit;
}

static enum cli_exit remote_get(struct cli *cli, const char *path, struct ds_stream *state)
{
    struct cli_request request = {
        .method = "HEAD", .url = cli_remote_url(cli, path, ""), .is_safe = true};
    struct cli_answer answer = {0};
    enum cli_exit exit;

    if (!request.url)
        return CLI_FAILED;
    exit = cli_http_send(cli->link, &request, &answer);
    if (exit == CLI_DONE && answer.status == 410)
        exit = cli_fail(cli, CLI_NOT_FOUND, "%s: deleted, but forks still read it (410)", path);
    else if (exit == CLI_DONE && answer.status == 404)
        exit = cli_fail(cli, CLI_NOT_FOUND, "%s: no such stream (404)", path);
    else if (exit == CLI_DONE && answer.status != 200)
        exit = cli_remote_refuse(cli, path, &answer);
    else if (exit == CLI_DONE)
        exit = check_answer(cli, path, &answer);
    if (exit == CLI_DONE)
        read_state(cli, path, &answer, state);
    cli_http_drop(&answer);
    return exit;
}

static enum cli_exit remote_remove(struct cli *cli, const char *path)
{
    struct cli_request request = {
        .method = "DELETE", .url = cli_remote_url(cli, path, ""), .is_safe = true};
    struct cli_answer answer = {0};
    enum cli_exit exit;

    if (!request.url)
        return CLI_FAILED;
    exit = cli_http_send(cli->link, &request, &answer);
    /* after a lost answer, 404 means that an earlier attempt deleted it */
    if (exit == CLI_DONE && answer.status / 100 != 2 && !(answer.status == 404 && answer.repeated))
        exit = cli_remote_refuse(cli, path, &answer);
    cli_http_drop(&answer);
    return exit;
}

/* -------------------------------------------------------------------------------- appends -- */

static bool fill_append(const struct cli *cli, struct cli_request *request,
                        const struct ds_append_options *options)
{
    bool ok = request->url &&
              add_type_header(cli, request, request->len ? options->content_type : NULL) &&
              add_header(cli, request, "Stream-Seq", options->seq) &&
              add_header(cli, request, "Stream-Closed", options->close ? "true" : NULL);

    if (options->producer_id) {
        request->is_safe = true;
        ok = ok && add_header(cli, request, "Producer-Id", options->producer_id) &&
             add_number_header(cli, request, "Producer-Epoch", options->producer_epoch) &&
             add_number_header(cli, request, "Producer-Seq", options->producer_seq);
    }
    return ok;
}

static enum cli_exit remote_append(struct cli *cli, const char *path, const void *data, size_t len,
                                   const struct ds_append_options *options,
                                   struct cli_appended *appended)
{
    struct cli_request request = {.method = "POST",
                                  .url = cli_remote_url(cli, path, ""),
                                  .body = data,
                                  .len = len,
                                  .has_body = true,
                                  .is_safe = len == 0}; /* closing may be repeated */
    struct cli_answer answer = {0};
    const char *tail;
    enum cli_exit exit;

    if (!fill_append(cli, &request, options))
        return cli_no_memory(cli);
    exit = cli_http_send(cli->link, &request, &answer);
    if (exit == CLI_DONE && answer.status / 100 != 2)
        exit = cli_remote_refuse(cli, path, &answer);
    else if (exit == CLI_DONE)
        exit = check_answer(cli, path, &answer);
    if (exit == CLI_DONE) {
        tail = cli_http_header(&answer, "Stream-Next-Offset");
        (void)snprintf(appended->tail, sizeof appended->tail, "%s", tail ? tail : "");
        appended->closed = cli_http_is_true(&answer, "Stream-Closed");
        appended->duplicate = options->producer_id && answer.status == 204 && len > 0 &&
                              !answer.repeated; /* an earlier attempt of this program stored it */
    }
    cli_http_drop(&answer);
    return exit;
}

/*
 * The protocol has no request for the state of a producer. An append with the highest sequence
 * number is refused, and the refusal tells which number is expected: 409 in this epoch, 400 if a
 * new epoch has to begin at 0.
 */
static enum cli_exit remote_expected(struct cli *cli, const char *path, const char *type,
                                     const struct ds_append_options *options, int64_t *seq)
{
    struct ds_append_options probe = {.content_type = type,
                                      .producer_id = options->producer_id,
                                      .producer_epoch = options->producer_epoch,
                                      .producer_seq = PRODUCER_NUMBER_MAX};
    struct cli_request request = {.method = "POST",
                                  .url = cli_remote_url(cli, path, ""),
                                  .body = "0", /* which is also JSON */
                                  .len = 1,
                                  .has_body = true};
    struct cli_answer answer = {0};
    const char *text;
    enum cli_exit exit;

    if (!fill_append(cli, &request, &probe))
        return cli_no_memory(cli);
    exit = cli_http_send(cli->link, &request, &answer);
    text = cli_http_header(&answer, "Producer-Expected-Seq");
    if (exit != CLI_DONE)
        ;
    else if (answer.status == 400)
        *seq = 0; /* any other error will be reported when the append itself is sent */
    else if (answer.status != 409 || !text ||
             !digits_parse(text, strlen(text), PRODUCER_NUMBER_MAX, seq))
        exit = cli_remote_refuse(cli, path, &answer);
    cli_http_drop(&answer);
    return exit;
}

const struct cli_backend cli_remote = {
    .open = open_link,
    .close = close_link,
    .create = remote_create,
    .append = remote_append,
    .expected = remote_expected,
    .get = remote_get,
    .remove = remote_remove,
    .read = cli_remote_read,
    .list = cli_remote_list,
    .fault_set = cli_remote_fault_set,
    .fault_clear = cli_remote_fault_clear,
    .fault_list = cli_remote_fault_list,
    .sub = &cli_remote_sub,
};
