/* dsctl create, show, close, rm and fork, each of which is one operation. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli_backend.h"
#include "cli/cli_commands.h"
#include "cli/cli_input.h"
#include "cli/cli_member.h"
#include "protocol/producer.h"

#define LIFETIME                                                                                   \
    {"ttl", 0, "DURATION", "delete it after this long without a read or append, as in 5h"},        \
    {                                                                                              \
        "expires-at", 0, "TIME", "delete it at this time, as in 2026-12-31T23:59:59Z"              \
    }

const struct cli_option cli_create_options[] = {
    {"content-type", 't', "TYPE", "its content type (default application/octet-stream)"},
    LIFETIME,
    {"data", 'd', "TEXT", "its first content; -: from standard input"},
    {"closed", 0, NULL, "close it at once: nothing can be appended"},
    {0},
};

const struct cli_option cli_fork_options[] = {
    {"offset", 'o', "OFFSET", "begin with the content before this offset (default: all)"},
    {"sub-offset", 0, "N", "and with this many JSON messages or bytes after it"},
    LIFETIME,
    {"closed", 0, NULL, "close the fork at once: nothing can be appended"},
    {0},
};

const struct cli_option cli_show_options[] = {
    {"json", 'j', NULL, "print one JSON object on one line, without unknown values"},
    {0},
};

const struct cli_option cli_close_options[] = {
    {"data", 'd', "TEXT", "append this as the last message; -: from standard input"},
    {"content-type", 't', "TYPE", "content type of that message (default: the stream's)"},
    {0},
};

/* --ttl, --expires-at, --closed */
static bool read_lifetime(const struct cli *cli, struct ds_create_options *options)
{
    const char *expires = cli_value(cli, "expires-at");

    options->has_ttl = cli_has(cli, "ttl");
    if (!cli_duration(cli, "ttl", 0, PRODUCER_NUMBER_MAX, &options->ttl_seconds))
        return false;
    if (expires && !clock_parse_time(expires, &options->expires_at)) {
        (void)cli_fail(cli, CLI_USAGE, "--expires-at takes a time, as in 2026-12-31T23:59:59Z");
        return false;
    }
    options->closed = cli_has(cli, "closed");
    return true;
}

/* Reads --data, which may be standard input. False after reporting an error. */
static bool read_data(const struct cli *cli, struct buf *buf, bool *given)
{
    const char *data = cli_value(cli, "data");

    *given = data != NULL;
    if (!data)
        return true;
    if (strcmp(data, "-") == 0)
        return cli_input_all(cli, buf);
    buf_adds(buf, data);
    return !buf_failed(buf);
}

static enum cli_exit create_stream(struct cli *cli, const char *path,
                                   const struct ds_create_options *options)
{
    struct ds_stream state;
    bool created = false;
    enum cli_exit exit = cli->backend->create(cli, path, options, &created, &state);

    if (exit == CLI_DONE) {
        (void)printf("%s\n", path);
        if (!created)
            cli_note(cli, "%s: exists already", path);
    }
    return exit;
}

enum cli_exit cli_create(struct cli *cli)
{
    struct ds_create_options options = {.content_type = cli_value(cli, "content-type")};
    const char *path = cli_path(cli, cli_operand(cli, 0));
    struct buf data = {0};
    enum cli_exit exit = CLI_FAILED;
    bool given;

    if (!path || !read_lifetime(cli, &options))
        return CLI_USAGE;
    if (!options.content_type)
        options.content_type = "application/octet-stream";
    if (read_data(cli, &data, &given)) {
        options.data = data.data;
        options.len = data.len;
        exit = create_stream(cli, path, &options);
    }
    buf_close(&data);
    return exit;
}

enum cli_exit cli_fork(struct cli *cli)
{
    struct ds_create_options options = {.fork_offset = cli_value(cli, "offset")};
    const char *path = cli_path(cli, cli_operand(cli, 1));

    options.fork_of = cli_path(cli, cli_operand(cli, 0));
    if (!path || !options.fork_of || !read_lifetime(cli, &options) ||
        !cli_number(cli, "sub-offset", 0, PRODUCER_NUMBER_MAX, &options.fork_sub_offset))
        return CLI_USAGE;
    if (options.fork_offset && strcmp(options.fork_offset, DS_START) == 0)
        options.fork_offset = "0000000000000000_0000000000000000"; /* the offset of the start */
    else if (options.fork_offset && strcmp(options.fork_offset, DS_NOW) == 0)
        options.fork_offset = NULL;
    return create_stream(cli, path, &options);
}

enum cli_exit cli_close(struct cli *cli)
{
    struct ds_append_options options = {.close = true,
                                        .content_type = cli_value(cli, "content-type")};
    const char *path = cli_path(cli, cli_operand(cli, 0));
    struct cli_appended appended;
    struct ds_stream state;
    struct buf data = {0};
    enum cli_exit exit = CLI_FAILED;
    bool given;

    if (!path)
        return CLI_USAGE;
    if (read_data(cli, &data, &given))
        exit = CLI_DONE;
    if (exit == CLI_DONE && data.len > 0 && !options.content_type) {
        exit = cli->backend->get(cli, path, &state);
        if (exit == CLI_DONE)
            options.content_type = state.content_type;
    }
    if (exit == CLI_DONE)
        exit = cli->backend->append(cli, path, data.data, data.len, &options, &appended);
    if (exit == CLI_DONE)
        (void)printf("%s\n", cli_shown(cli, appended.tail));
    buf_close(&data);
    return exit;
}

enum cli_exit cli_rm(struct cli *cli)
{
    enum cli_exit worst = CLI_DONE;

    for (int i = 0; i < cli->args.n_operands; i++) {
        const char *path = cli_path(cli, cli_operand(cli, i));
        enum cli_exit exit = path ? cli->backend->remove(cli, path) : CLI_USAGE;

        if (exit != CLI_DONE)
            worst = exit;
    }
    return worst;
}

/* ----------------------------------------------------------------------------------- show -- */

bool cli_state_print_json(const struct cli *cli, const struct ds_stream *stream)
{
    struct buf buf = {0};
    bool ok;

    buf_addc(&buf, '{');
    cli_member_text(&buf, "path", stream->path);
    cli_member_text(&buf, "contentType", stream->content_type);
    if (stream->tail[0]) {
        cli_member_text(&buf, "nextOffset", stream->tail);
        cli_member_bool(&buf, "closed", stream->closed);
    }
    if (stream->messages >= 0)
        cli_member_number(&buf, "messages", stream->messages);
    if (stream->bytes >= 0)
        cli_member_number(&buf, "bytes", stream->bytes);
    if (stream->created_at)
        cli_member_time(&buf, "createdAt", stream->created_at);
    if (stream->ttl_seconds >= 0)
        cli_member_number(&buf, "ttlSeconds", stream->ttl_seconds);
    if (stream->expires_at)
        cli_member_time(&buf, "expiresAt", stream->expires_at);
    if (stream->forked_from)
        cli_member_text(&buf, "forkedFrom", stream->forked_from);
    buf_adds(&buf, "}\n");
    ok = !buf_failed(&buf) && cli_out(cli, buf.data, buf.len);
    buf_close(&buf);
    return ok;
}

/* The protocol does not tell counts; only the database has them. */
static void print_count(const struct cli *cli, const char *name, int64_t count)
{
    if (count >= 0)
        cli_row(cli, name, "%lld", (long long)count);
    else
        cli_row(cli, name, "unknown over HTTP: see --db");
}

static void print_state(const struct cli *cli, const struct ds_stream *stream)
{
    cli_row(cli, "path", "%s%s%s", cli_bold(cli), cli_shown(cli, stream->path), cli_plain(cli));
    cli_row(cli, "content type", "%s", cli_shown(cli, stream->content_type));
    cli_row(cli, "next offset", "%s", cli_shown(cli, stream->tail));
    cli_row(cli, "closed", "%s", stream->closed ? "yes" : "no");
    print_count(cli, "messages", stream->messages);
    print_count(cli, "bytes", stream->bytes);
    if (stream->created_at)
        cli_row_time(cli, "created", stream->created_at);
    else
        cli_row(cli, "created", "unknown: the server does not report it");
    if (stream->ttl_seconds >= 0)
        cli_row(cli, "ttl", "%lld s", (long long)stream->ttl_seconds);
    if (stream->expires_at)
        cli_row_time(cli, "expires", stream->expires_at);
    if (stream->forked_from)
        cli_row(cli, "forked from", "%s", cli_shown(cli, stream->forked_from));
}

enum cli_exit cli_show(struct cli *cli)
{
    const char *path = cli_path(cli, cli_operand(cli, 0));
    struct ds_stream state;
    enum cli_exit exit;

    if (!path)
        return CLI_USAGE;
    exit = cli->backend->get(cli, path, &state);
    if (exit != CLI_DONE)
        return exit;
    if (!cli_has(cli, "json"))
        print_state(cli, &state);
    else if (!cli_state_print_json(cli, &state))
        exit = CLI_FAILED;
    return exit;
}
