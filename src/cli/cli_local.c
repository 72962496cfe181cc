/*
 * dsctl's operations on a database file, with the public library: see cli_backend.h. Servers may
 * use the file at the same time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/cli_local.h"
#include "protocol/producer.h"

enum { WAIT_MS = 60000 };

static enum cli_exit open_store(struct cli *cli)
{
    struct ds_store *store = NULL;
    enum ds_status status;

    /* a mistyped name must not create a database */
    if (strcmp(cli->command->name, "create") != 0 && access(cli->db, F_OK) != 0)
        return cli_fail(cli, CLI_FAILED, "%s: %s", cli->db, strerror(errno));
    status = ds_store_open(cli->db, NULL, &store);
    if (status != DS_OK)
        return cli_fail(cli, CLI_FAILED, "%s: %s", cli->db, ds_status_text(status));
    cli->link = store;
    return CLI_DONE;
}

static void close_store(struct cli *cli)
{
    ds_store_close(cli->link);
}

enum cli_exit cli_local_refuse(const struct cli *cli, const char *path, enum ds_status status,
                               const char *reason)
{
    enum cli_exit exit = CLI_FAILED;

    if (status == DS_NOT_FOUND || status == DS_GONE || status == DS_PRUNED)
        exit = CLI_NOT_FOUND;
    else if (status == DS_CONFLICT || status == DS_CLOSED || status == DS_FENCED ||
             status == DS_GAP || status == DS_CLAIMED)
        exit = CLI_CONFLICT;
    else if (status == DS_IDLE)
        exit = CLI_IDLE;
    return cli_fail(cli, exit, "%s: %s", path, reason ? reason : ds_status_text(status));
}

/* Copies a stream into the arena, and frees it. */
static enum cli_exit keep_stream(const struct cli *cli, struct ds_stream *stream,
                                 struct ds_stream *to)
{
    *to = *stream;
    to->path = arena_strndup(cli->arena, stream->path, strlen(stream->path));
    to->content_type =
        arena_strndup(cli->arena, stream->content_type, strlen(stream->content_type));
    if (stream->forked_from)
        to->forked_from =
            arena_strndup(cli->arena, stream->forked_from, strlen(stream->forked_from));
    ds_stream_free(stream);
    return to->path && to->content_type ? CLI_DONE : cli_no_memory(cli);
}

static enum cli_exit local_create(struct cli *cli, const char *path,
                                  const struct ds_create_options *options, bool *created,
                                  struct ds_stream *state)
{
    struct ds_stream *stream = NULL;
    enum ds_status status = ds_create(cli->link, path, options, created, &stream);

    if (status == DS_NOT_FOUND)
        return cli_local_refuse(cli, options->fork_of, status, NULL);
    return status == DS_OK ? keep_stream(cli, stream, state)
                           : cli_local_refuse(cli, path, status, NULL);
}

static enum cli_exit local_get(struct cli *cli, const char *path, struct ds_stream *state)
{
    struct ds_stream *stream = NULL;
    enum ds_status status = ds_get(cli->link, path, &stream);

    return status == DS_OK ? keep_stream(cli, stream, state)
                           : cli_local_refuse(cli, path, status, NULL);
}

static enum cli_exit local_remove(struct cli *cli, const char *path)
{
    enum ds_status status = ds_delete(cli->link, path);

    return status == DS_OK ? CLI_DONE : cli_local_refuse(cli, path, status, NULL);
}

static enum cli_exit local_append(struct cli *cli, const char *path, const void *data, size_t len,
                                  const struct ds_append_options *options,
                                  struct cli_appended *appended)
{
    struct ds_append_result result = {0};
    enum ds_status status = ds_append(cli->link, path, data, len, options, &result);

    if (status == DS_FENCED)
        return cli_fail(cli, CLI_CONFLICT, "%s: the producer now writes in epoch %lld", path,
                        (long long)result.producer_epoch);
    if (status != DS_OK)
        return cli_local_refuse(cli, path, status, result.reason);
    (void)snprintf(appended->tail, sizeof appended->tail, "%s", result.next_offset);
    appended->closed = result.closed;
    appended->duplicate = result.duplicate;
    return CLI_DONE;
}

/* As over HTTP, an append with the highest sequence number is refused, and the refusal tells which
 * number is expected. */
static enum cli_exit local_expected(struct cli *cli, const char *path, const char *type,
                                    const struct ds_append_options *options, int64_t *seq)
{
    struct ds_append_options probe = {.content_type = type,
                                      .producer_id = options->producer_id,
                                      .producer_epoch = options->producer_epoch,
                                      .producer_seq = PRODUCER_NUMBER_MAX};
    struct ds_append_result result = {0};
    enum ds_status status = ds_append(cli->link, path, "0", 1, &probe, &result);

    switch (status) {
    case DS_GAP:
        *seq = result.producer_seq + 1;
        return CLI_DONE;
    case DS_INVALID: /* a new epoch begins at 0 */
        *seq = 0;
        return CLI_DONE;
    case DS_FENCED:
        return cli_fail(cli, CLI_CONFLICT, "%s: the producer now writes in epoch %lld", path,
                        (long long)result.producer_epoch);
    default:
        return cli_local_refuse(cli, path, status, result.reason);
    }
}

/* Called after a read: if the name still means the same stream, it also did during the read. */
static enum cli_exit check_still_same(struct cli *cli, const char *path, int64_t created_at)
{
    struct ds_stream *stream = NULL;
    enum cli_exit exit = CLI_DONE;

    if (ds_get(cli->link, path, &stream) != DS_OK)
        return CLI_DONE; /* deleted, which the next read reports */
    exit = cli_same_stream(cli, path, created_at, stream->created_at);
    ds_stream_free(stream);
    return exit;
}

/* Reads once, and moves offset. *is_done: the stream has ended, or all is read and it is not
 * followed. */
static enum cli_exit read_once(struct cli *cli, const char *path, const struct cli_reading *reading,
                               char *offset, size_t size, cli_read_fn *fn, void *arg, bool *is_done)
{
    struct ds_read_result result = {0};
    enum ds_status status = ds_read(cli->link, path, offset, &result);
    enum cli_exit exit = check_still_same(cli, path, reading->created_at);
    bool go_on;

    if (exit != CLI_DONE) {
        if (status == DS_OK)
            ds_read_free(&result);
        return exit;
    }
    if (status != DS_OK)
        return cli_local_refuse(cli, path, status,
                                status == DS_INVALID ? "this is not an offset of this stream"
                                                     : NULL);
    go_on = fn(arg, result.data, result.len, result.next_offset);
    (void)snprintf(offset, size, "%s", result.next_offset);
    *is_done = result.closed || (!reading->follow && result.up_to_date);
    ds_read_free(&result);
    return go_on ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit local_read(struct cli *cli, const struct ds_stream *state,
                                const struct cli_reading *reading, cli_read_fn *fn, void *arg)
{
    const char *path = state->path;
    char offset[DS_OFFSET_SIZE * 4];
    enum cli_exit exit = CLI_DONE;
    bool is_done = false;

    (void)snprintf(offset, sizeof offset, "%s", reading->offset);
    while (exit == CLI_DONE && !is_done) {
        exit = read_once(cli, path, reading, offset, sizeof offset, fn, arg, &is_done);
        if (exit == CLI_DONE && !is_done && reading->follow) {
            enum ds_status status = ds_wait(cli->link, path, offset, WAIT_MS);

            if (status != DS_OK && status != DS_TIMEOUT)
                exit = check_still_same(cli, path, reading->created_at);
            if (exit == CLI_DONE && status != DS_OK && status != DS_TIMEOUT)
                exit = cli_local_refuse(cli, path, status, NULL);
        }
    }
    return exit;
}

struct listing {
    cli_list_fn *fn;
    void *arg;
    bool go_on;
};

static bool take_listed(void *arg, const struct ds_stream *stream)
{
    struct listing *listing = arg;

    listing->go_on = listing->fn(listing->arg, stream);
    return listing->go_on;
}

static enum cli_exit local_list(struct cli *cli, cli_list_fn *fn, void *arg)
{
    struct listing listing = {fn, arg, true};
    enum ds_status status = ds_list(cli->link, NULL, take_listed, &listing);

    if (status != DS_OK)
        return cli_local_refuse(cli, cli->db, status, NULL);
    return listing.go_on ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit local_fault_set(struct cli *cli, const char *path,
                                     const struct ds_fault *fault)
{
    enum ds_status status = ds_fault_set(cli->link, path, fault);

    return status == DS_OK ? CLI_DONE : cli_local_refuse(cli, path, status, NULL);
}

static enum cli_exit local_fault_clear(struct cli *cli, const char *path)
{
    enum ds_status status = ds_fault_clear(cli->link, path);

    return status == DS_OK ? CLI_DONE : cli_local_refuse(cli, path ? path : cli->db, status, NULL);
}

static enum cli_exit local_fault_list(struct cli *cli, cli_fault_fn *fn, void *arg)
{
    enum ds_status status = ds_fault_list(cli->link, fn, arg);

    return status == DS_OK ? CLI_DONE : cli_local_refuse(cli, cli->db, status, NULL);
}

const struct cli_backend cli_local = {
    .open = open_store,
    .close = close_store,
    .create = local_create,
    .append = local_append,
    .expected = local_expected,
    .get = local_get,
    .remove = local_remove,
    .read = local_read,
    .list = local_list,
    .fault_set = local_fault_set,
    .fault_clear = local_fault_clear,
    .fault_list = local_fault_list,
    .sub = &cli_local_sub,
};
