/*
 * Subscriptions over HTTP (protocol sections 6 and 7): requests below /v1/stream/__ds/.
 *
 * The server names streams without /v1/stream/; dsctl names them by their whole paths.
 */
#include "cli/cli_remote_sub.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli_member.h"
#include "protocol/json_string.h"

#define ROOT "/v1/stream/"
#define SUBS ROOT "__ds/subscriptions/"

/* -------------------------------------------------------------------------------- requests -- */

/* The path of a subscription with what follows its name, in the arena. */
static const char *sub_path(const struct cli *cli, const char *name, const char *more)
{
    struct buf path = {0};
    const char *copy = NULL;

    buf_adds(&path, SUBS);
    cli_remote_add_escaped(&path, name);
    buf_adds(&path, more);
    if (!buf_failed(&path))
        copy = arena_strndup(cli->arena, path.data, path.len);
    buf_close(&path);
    if (!copy)
        (void)cli_no_memory(cli);
    return copy;
}

/* The path of a stream as requests name it. NULL after reporting that it has none. */
const char *cli_remote_sub_stream(const struct cli *cli, const char *path)
{
    if (strncmp(path, ROOT, strlen(ROOT)) == 0 && path[strlen(ROOT)])
        return path + strlen(ROOT);
    (void)cli_fail(cli, CLI_USAGE, "%s: subscriptions have only streams below " ROOT, path);
    return NULL;
}

/* The object in an answer; JSON_NONE if it is anything else. */
struct json_value cli_remote_sub_object(const struct cli_answer *answer)
{
    const char *text = answer->body.data;
    size_t len = answer->body.len;
    struct json_value value = {0};

    if (len > 0 && !json_precheck(text, len) && json_is_valid(text, len))
        value = json_value_of(text, len);
    return json_kind(value) == JSON_OBJECT ? value : (struct json_value){0};
}

const char *cli_remote_sub_text(const struct cli *cli, struct json_value object, const char *name)
{
    return json_text(cli->arena, json_get(object, name));
}

/* The code of a refusal; "" if it has none. */
static const char *error_code(const struct cli *cli, const struct cli_answer *answer)
{
    const char *code =
        cli_remote_sub_text(cli, json_get(cli_remote_sub_object(answer), "error"), "code");

    return code ? code : "";
}

bool cli_remote_sub_has_code(const struct cli *cli, const struct cli_answer *answer,
                             const char *code)
{
    return answer->status / 100 == 4 && strcmp(error_code(cli, answer), code) == 0;
}

/* Reports why the server refused. */
enum cli_exit cli_remote_sub_refuse(const struct cli *cli, const char *name,
                                    const struct cli_answer *answer)
{
    struct json_value error = json_get(cli_remote_sub_object(answer), "error");
    const char *message = cli_remote_sub_text(cli, error, "message");
    enum cli_exit exit = answer->status == 404   ? CLI_NOT_FOUND
                         : answer->status == 409 ? CLI_CONFLICT
                                                 : CLI_FAILED;

    if (json_kind(error) != JSON_OBJECT)
        return answer->status == 404
                   ? cli_fail(cli, CLI_FAILED, "%s has no subscriptions (404)", cli->url)
                   : cli_remote_refuse(cli, name, answer);
    if (answer->status == 404)
        message = "no such subscription";
    return cli_fail(cli, exit, "%s: %s (%ld)", name, message ? message : error_code(cli, answer),
                    answer->status);
}

/* A request for a subscription. With body, it is sent and freed. */
enum cli_exit cli_remote_sub_call(struct cli *cli, struct cli_request *request, const char *name,
                                  const char *more, struct buf *body, struct cli_answer *answer)
{
    const char *path = sub_path(cli, name, more);
    enum cli_exit exit = CLI_FAILED;
    size_t n = 0;

    request->url = path ? cli_remote_url(cli, path, "") : NULL;
    request->is_safe = true;
    while (request->headers[n])
        n++;
    if (body) {
        request->has_body = true;
        request->body = body->data;
        request->len = body->len;
        request->headers[n] = "Content-Type: application/json";
    }
    if (body && buf_failed(body))
        exit = cli_no_memory(cli);
    else if (request->url)
        exit = cli_http_send(cli->link, request, answer);
    if (body)
        buf_close(body);
    return exit;
}

enum cli_exit cli_remote_sub_strange(const struct cli *cli, const struct cli_answer *answer)
{
    return cli_fail(cli, CLI_FAILED, "%s: this is not a server of Durable Streams (%ld)", cli->url,
                    answer->status);
}

/* ------------------------------------------------------------------------------------ links -- */

/* "a/b" is /v1/stream/a/b. NULL: no memory. */
static const char *whole_path(const struct cli *cli, const char *name)
{
    const char *path = arena_printf(cli->arena, "%s%s", name[0] == '/' ? "" : ROOT, name);

    return path ? cli_path_word(cli, path) : NULL;
}

/* An offset that is one line and fits; else "". */
static void read_offset(const struct cli *cli, struct json_value link, const char *name,
                        char offset[static DS_OFFSET_SIZE])
{
    const char *text = cli_remote_sub_text(cli, link, name);
    bool fits = text && strlen(text) < DS_OFFSET_SIZE && !strpbrk(text, "\r\n");

    (void)snprintf(offset, DS_OFFSET_SIZE, "%s", fits ? text : "");
}

static bool read_link(const struct cli *cli, struct json_value value,
                      struct ds_subscription_link *link)
{
    const char *path = cli_remote_sub_text(cli, value, "path");
    const char *type = cli_remote_sub_text(cli, value, "link_type");

    *link = (struct ds_subscription_link){0};
    if (!path || !path[0])
        return false;
    link->path = whole_path(cli, path);
    link->is_explicit = type && strcmp(type, "explicit") == 0;
    link->is_glob = !link->is_explicit;
    link->pending = json_is_true(json_get(value, "has_pending"));
    read_offset(cli, value, "acked_offset", link->acked_offset);
    read_offset(cli, value, "tail_offset", link->tail_offset);
    return link->path && link->acked_offset[0];
}

/* Reads the array `streams` into the arena. False: it is damaged, or there is no memory. */
bool cli_remote_sub_links(const struct cli *cli, struct json_value object,
                          const struct ds_subscription_link **links, size_t *n)
{
    struct json_value array = json_get(object, "streams"), value;
    struct ds_subscription_link *link;
    struct json_each each;
    size_t count = 0;

    *n = 0;
    if (json_kind(array) != JSON_ARRAY)
        return false;
    json_each_init(&each, array);
    while (json_each_next(&each, &value))
        count++;
    link = arena_alloc(cli->arena, (count + 1) * sizeof *link);
    *links = link;
    if (!link)
        return false;
    json_each_init(&each, array);
    while (json_each_next(&each, &value))
        if (!read_link(cli, value, &link[(*n)++]))
            return false;
    return true;
}

/* --------------------------------------------------------------------- create, read, delete -- */

static bool add_stream_list(const struct cli *cli, struct buf *body, const char *const *streams)
{
    if (!streams || !streams[0])
        return true;
    cli_member_name(body, "streams");
    for (size_t i = 0; streams[i]; i++) {
        const char *name = cli_remote_sub_stream(cli, streams[i]);

        if (!name)
            return false;
        buf_addc(body, i == 0 ? '[' : ',');
        json_add_text(body, name);
    }
    buf_addc(body, ']');
    return true;
}

static bool add_configuration(const struct cli *cli, struct buf *body,
                              const struct ds_subscription_options *options)
{
    const char *wake_stream =
        options->wake_stream ? cli_remote_sub_stream(cli, options->wake_stream) : NULL;

    if (options->wake_stream && !wake_stream)
        return false;
    buf_addc(body, '{');
    cli_member_text(body, "type", options->type == DS_WEBHOOK ? "webhook" : "pull-wake");
    if (options->pattern)
        cli_member_text(body, "pattern", options->pattern);
    if (!add_stream_list(cli, body, options->streams))
        return false;
    if (wake_stream)
        cli_member_text(body, "wake_stream", wake_stream);
    if (options->url) {
        cli_member_name(body, "webhook");
        buf_addc(body, '{');
        cli_member_text(body, "url", options->url);
        buf_addc(body, '}');
    }
    if (options->lease_ttl_ms)
        cli_member_number(body, "lease_ttl_ms", options->lease_ttl_ms);
    if (options->description)
        cli_member_text(body, "description", options->description);
    buf_addc(body, '}');
    return true;
}

static enum cli_exit remote_put(struct cli *cli, const char *name,
                                const struct ds_subscription_options *options, bool *created)
{
    struct cli_request request = {.method = "PUT"};
    struct cli_answer answer = {0};
    struct buf body = {0};
    enum cli_exit exit;

    if (!add_configuration(cli, &body, options)) {
        buf_close(&body);
        return CLI_USAGE;
    }
    exit = cli_remote_sub_call(cli, &request, name, "", &body, &answer);
    if (exit == CLI_DONE && answer.status != 200 && answer.status != 201)
        exit = cli_remote_sub_refuse(cli, name, &answer);
    else if (exit == CLI_DONE && !cli_remote_sub_text(cli, cli_remote_sub_object(&answer), "id"))
        exit = cli_remote_sub_strange(cli, &answer);
    if (exit == CLI_DONE)
        *created = answer.status == 201 || answer.repeated;
    cli_http_drop(&answer);
    return exit;
}

static bool read_subscription(const struct cli *cli, struct json_value object,
                              struct ds_subscription *subscription)
{
    const char *type = cli_remote_sub_text(cli, object, "type");
    const char *created = cli_remote_sub_text(cli, object, "created_at");
    const char *status = cli_remote_sub_text(cli, object, "status");
    const char *wake_stream = cli_remote_sub_text(cli, object, "wake_stream");

    *subscription = (struct ds_subscription){
        .name = cli_remote_sub_text(cli, object, "id"),
        .type = type && strcmp(type, "webhook") == 0 ? DS_WEBHOOK : DS_PULL_WAKE,
        .pattern = cli_remote_sub_text(cli, object, "pattern"),
        .url = cli_remote_sub_text(cli, json_get(object, "webhook"), "url"),
        .wake_stream = wake_stream ? whole_path(cli, wake_stream) : NULL,
        .description = cli_remote_sub_text(cli, object, "description"),
        .generation = -1,
        .failed_at = status && strcmp(status, "failed") == 0 ? 1 : 0,
    };
    (void)json_integer(json_get(object, "lease_ttl_ms"), &subscription->lease_ttl_ms);
    if (created)
        (void)clock_parse_time(created, &subscription->created_at);
    if (!cli_remote_sub_links(cli, object, &subscription->link, &subscription->links))
        return false;
    subscription->link_count = (int64_t)subscription->links;
    return subscription->name && type;
}

static enum cli_exit remote_get(struct cli *cli, const char *name,
                                struct ds_subscription *subscription)
{
    struct cli_request request = {.method = "GET"};
    struct cli_answer answer = {0};
    enum cli_exit exit = cli_remote_sub_call(cli, &request, name, "", NULL, &answer);

    if (exit == CLI_DONE && answer.status != 200)
        exit = cli_remote_sub_refuse(cli, name, &answer);
    else if (exit == CLI_DONE &&
             !read_subscription(cli, cli_remote_sub_object(&answer), subscription))
        exit = cli_remote_sub_strange(cli, &answer);
    cli_http_drop(&answer);
    return exit;
}

static enum cli_exit remote_remove(struct cli *cli, const char *name)
{
    struct cli_request request = {.method = "DELETE"};
    struct cli_answer answer = {0};
    enum cli_exit exit = cli_remote_sub_call(cli, &request, name, "", NULL, &answer);

    if (exit == CLI_DONE && answer.status != 204 && !(answer.status == 404 && answer.repeated))
        exit = cli_remote_sub_refuse(cli, name, &answer);
    cli_http_drop(&answer);
    return exit;
}

static enum cli_exit remote_list(struct cli *cli, ds_subscription_fn *fn, void *arg)
{
    (void)fn;
    (void)arg;
    return cli_fail(cli, CLI_USAGE,
                    "the protocol cannot list subscriptions: use --db FILE, or dsctl sub show NAME "
                    "for one of them");
}

static enum cli_exit remote_nudge(struct cli *cli, const char *name)
{
    return cli_fail(cli, CLI_USAGE, "%s: the protocol has no request for this: use --db FILE",
                    name);
}

const struct cli_sub_backend cli_remote_sub = {
    .put = remote_put,
    .get = remote_get,
    .list = remote_list,
    .remove = remote_remove,
    .nudge = remote_nudge,
    .claim = cli_remote_claim,
    .ack = cli_remote_ack,
    .release = cli_remote_release,
    .tail = cli_remote_tail,
    .wait = cli_remote_wait,
};
