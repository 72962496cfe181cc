/*
 * The work on subscriptions over HTTP: claim, ack, release, and waiting for the wake stream. See
 * cli_backend.h.
 */
#include "cli/cli_remote_sub.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli_member.h"

static bool read_claim(const struct cli *cli, struct json_value object, struct ds_claim *claim)
{
    *claim = (struct ds_claim){.wake_id = cli_remote_sub_text(cli, object, "wake_id"),
                               .token = cli_remote_sub_text(cli, object, "token"),
                               .lease_ttl_ms = 30000};
    (void)json_integer(json_get(object, "lease_ttl_ms"), &claim->lease_ttl_ms);
    return json_integer(json_get(object, "generation"), &claim->generation) && claim->wake_id &&
           claim->token && cli_remote_sub_links(cli, object, &claim->link, &claim->links);
}

enum cli_exit cli_remote_claim(struct cli *cli, const char *name, const char *worker,
                               bool patiently, struct cli_claimed *claimed)
{
    struct cli_request request = {.method = "POST", .endless = patiently && cli->retry_ms < 0};
    struct cli_answer answer = {0};
    struct buf body = {0};
    enum cli_exit exit;

    buf_addc(&body, '{');
    cli_member_text(&body, "worker", worker);
    buf_addc(&body, '}');
    *claimed = (struct cli_claimed){0};
    exit = cli_remote_sub_call(cli, &request, name, "/claim", &body, &answer);
    if (exit != CLI_DONE) {
        ;
    } else if (cli_remote_sub_has_code(cli, &answer, "ALREADY_CLAIMED")) {
        claimed->status = DS_CLAIMED;
        claimed->holder = cli_remote_sub_text(
            cli, json_get(cli_remote_sub_object(&answer), "error"), "current_holder");
    } else if (answer.status == 204 || cli_remote_sub_has_code(cli, &answer, "NO_PENDING_WORK")) {
        claimed->status = DS_IDLE;
    } else if (answer.status != 200) {
        exit = cli_remote_sub_refuse(cli, name, &answer);
    } else if (!read_claim(cli, cli_remote_sub_object(&answer), &claimed->claim)) {
        exit = cli_remote_sub_strange(cli, &answer);
    }
    cli_http_drop(&answer);
    return exit;
}

/* ,"wake_id":…,"generation":… and the token, which all answers of a worker have. */
static bool begin_answer(const struct cli *cli, const struct ds_claim *claim,
                         struct cli_request *request, struct buf *body)
{
    request->method = "POST";
    request->headers[0] = arena_printf(cli->arena, "Authorization: Bearer %s", claim->token);
    buf_addc(body, '{');
    cli_member_text(body, "wake_id", claim->wake_id);
    cli_member_number(body, "generation", claim->generation);
    return request->headers[0] != NULL;
}

/* Notes that the wake is over; reports any other refusal. */
static enum cli_exit take_refusal(const struct cli *cli, const char *name,
                                  const struct cli_answer *answer, struct cli_acked *acked)
{
    if (!cli_remote_sub_has_code(cli, answer, "FENCED"))
        return cli_remote_sub_refuse(cli, name, answer);
    acked->fenced = true;
    acked->refusal =
        cli_remote_sub_text(cli, json_get(cli_remote_sub_object(answer), "error"), "message");
    return CLI_DONE;
}

enum cli_exit cli_remote_ack(struct cli *cli, const char *name, const struct ds_claim *claim,
                             const struct ds_ack *acks, size_t n, bool done,
                             struct cli_acked *acked)
{
    struct cli_request request = {0};
    struct cli_answer answer = {0};
    struct buf body = {0};
    enum cli_exit exit;
    bool ok = begin_answer(cli, claim, &request, &body);

    *acked = (struct cli_acked){0};
    cli_member_name(&body, "acks");
    buf_addc(&body, '[');
    for (size_t i = 0; ok && i < n; i++) {
        const char *stream = cli_remote_sub_stream(cli, acks[i].path);

        buf_adds(&body, i > 0 ? ",{" : "{");
        ok = stream != NULL;
        cli_member_text(&body, "stream", stream);
        cli_member_text(&body, "offset", acks[i].offset);
        buf_addc(&body, '}');
    }
    buf_addc(&body, ']');
    if (done)
        cli_member_bool(&body, "done", true);
    buf_addc(&body, '}');
    if (!ok) {
        buf_close(&body);
        return CLI_USAGE;
    }
    exit = cli_remote_sub_call(cli, &request, name, "/ack", &body, &answer);
    if (exit == CLI_DONE && answer.status != 200)
        exit = take_refusal(cli, name, &answer, acked);
    else if (exit == CLI_DONE)
        acked->next_wake = json_is_true(json_get(cli_remote_sub_object(&answer), "next_wake"));
    cli_http_drop(&answer);
    return exit;
}

enum cli_exit cli_remote_release(struct cli *cli, const char *name, const struct ds_claim *claim,
                                 struct cli_acked *acked)
{
    struct cli_request request = {0};
    struct cli_answer answer = {0};
    struct buf body = {0};
    enum cli_exit exit;

    *acked = (struct cli_acked){0};
    if (!begin_answer(cli, claim, &request, &body)) {
        buf_close(&body);
        return cli_no_memory(cli);
    }
    buf_addc(&body, '}');
    exit = cli_remote_sub_call(cli, &request, name, "/release", &body, &answer);
    if (exit == CLI_DONE && answer.status / 100 != 2)
        exit = take_refusal(cli, name, &answer, acked);
    cli_http_drop(&answer);
    return exit;
}

/* Takes the tail from an answer. False: nothing more will come, or there is no such stream. */
static bool take_tail(const struct cli_answer *answer, char *offset, size_t size)
{
    const char *next = cli_http_header(answer, "Stream-Next-Offset");

    if ((answer->status != 200 && answer->status != 204) || !next || strlen(next) >= size ||
        cli_http_is_true(answer, "Stream-Closed"))
        return false;
    (void)snprintf(offset, size, "%s", next);
    return true;
}

bool cli_remote_tail(struct cli *cli, const char *path, char *offset, size_t size)
{
    struct cli_request request = {
        .method = "HEAD", .url = cli_remote_url(cli, path, ""), .is_safe = true, .once = true};
    struct cli_answer answer = {0};
    bool ok = request.url && cli_http_send(cli->link, &request, &answer) == CLI_DONE &&
              take_tail(&answer, offset, size);

    cli_http_drop(&answer);
    return ok;
}

/* The server itself ends a long-poll after some time. */
bool cli_remote_wait(struct cli *cli, const char *path, char *offset, size_t size, int64_t ms)
{
    struct cli_request request = {.method = "GET", .is_safe = true, .is_live = true, .once = true};
    struct cli_answer answer = {0};
    struct buf url = {0};
    bool ok;

    (void)ms;
    buf_printf(&url, "%s%s?offset=", cli->url, path);
    cli_remote_add_escaped(&url, offset);
    buf_adds(&url, "&live=long-poll");
    buf_addc(&url, '\0');
    request.url = url.data;
    ok = !buf_failed(&url) && cli_http_send(cli->link, &request, &answer) == CLI_DONE &&
         take_tail(&answer, offset, size);
    buf_close(&url);
    cli_http_drop(&answer);
    return ok;
}
