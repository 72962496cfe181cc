/* Faults over HTTP: /_test/inject-error of a server with DS_TEST_ENDPOINTS=1. */
#include "cli/cli_remote.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli_commands.h"
#include "protocol/json.h"
#include "protocol/json_value.h"

#define ENDPOINT "/_test/inject-error"

/* Sends one request to the endpoint. CLI_DONE: the answer is a 200. */
static enum cli_exit call_endpoint(struct cli *cli, const char *method, const struct buf *body,
                                   struct cli_answer *answer)
{
    struct cli_request request = {.method = method,
                                  .url = cli_remote_url(cli, ENDPOINT, ""),
                                  .body = body ? body->data : NULL,
                                  .len = body ? body->len : 0,
                                  .has_body = body != NULL,
                                  .is_safe = true};
    enum cli_exit exit;

    if (!request.url)
        return CLI_FAILED;
    if (body)
        request.headers[0] = "Content-Type: application/json";
    exit = cli_http_send(cli->link, &request, answer);
    if (exit != CLI_DONE || answer->status == 200)
        return exit;
    if (answer->status == 404)
        return cli_fail(cli, CLI_NOT_FOUND,
                        "%s does not inject faults: start it with DS_TEST_ENDPOINTS=1 (dsctl serve "
                        "--test-endpoints)",
                        cli->url);
    return cli_remote_refuse(cli, ENDPOINT, answer);
}

enum cli_exit cli_remote_fault_set(struct cli *cli, const char *path, const struct ds_fault *fault)
{
    struct cli_answer answer = {0};
    struct buf body = {0};
    enum cli_exit exit;

    cli_fault_add_json(&body, path, fault);
    exit = buf_failed(&body) ? cli_no_memory(cli) : call_endpoint(cli, "POST", &body, &answer);
    buf_close(&body);
    cli_http_drop(&answer);
    return exit;
}

enum cli_exit cli_remote_fault_clear(struct cli *cli, const char *path)
{
    struct cli_answer answer = {0};
    enum cli_exit exit;

    if (path)
        return cli_fail(cli, CLI_USAGE, "over HTTP, only all faults can be cleared at once");
    exit = call_endpoint(cli, "DELETE", NULL, &answer);
    cli_http_drop(&answer);
    return exit;
}

/* Reads a member that is a number. False: there is none. */
static bool read_number(struct json_value object, const char *name, int64_t *value)
{
    return json_integer(json_get(object, name), value);
}

static void read_fault(struct arena *arena, struct json_value object, struct ds_fault *fault)
{
    struct json_value event = json_get(object, "injectSseEvent");
    struct json_value probability = json_get(object, "probability");
    int64_t status = 0;

    *fault = (struct ds_fault){0};
    (void)read_number(object, "status", &status);
    fault->status = (int)status;
    (void)read_number(object, "count", &fault->count);
    fault->has_retry_after = read_number(object, "retryAfter", &fault->retry_after);
    (void)read_number(object, "delayMs", &fault->delay_ms);
    (void)read_number(object, "jitterMs", &fault->jitter_ms);
    fault->drop_connection = json_is_true(json_get(object, "dropConnection"));
    fault->has_truncate = read_number(object, "truncateBodyBytes", &fault->truncate_body_bytes);
    fault->has_probability = json_number(probability, &fault->probability);
    fault->method = json_text(arena, json_get(object, "method"));
    fault->corrupt_body = json_is_true(json_get(object, "corruptBody"));
    fault->sse_event_type = json_text(arena, json_get(event, "eventType"));
    fault->sse_event_data = json_text(arena, json_get(event, "data"));
}

enum cli_exit cli_remote_fault_list(struct cli *cli, cli_fault_fn *fn, void *arg)
{
    struct cli_answer answer = {0};
    struct json_split split;
    struct json_value fault;
    enum cli_exit exit = call_endpoint(cli, "GET", NULL, &answer);
    const char *text = answer.body.data;
    bool go_on = true;

    if (exit == CLI_DONE && (answer.body.len == 0 || json_precheck(text, answer.body.len) ||
                             !json_is_valid(text, answer.body.len)))
        exit = cli_fail(cli, CLI_FAILED, "%s does not list its faults", cli->url);
    if (exit == CLI_DONE) {
        json_split_init(&split, text, answer.body.len);
        while (go_on && json_split_next(&split, &fault.at, &fault.len)) {
            const char *path = json_text(cli->arena, json_get(fault, "path"));
            struct ds_fault read;

            read_fault(cli->arena, fault, &read);
            go_on = !path || fn(arg, path, &read);
        }
        exit = go_on ? CLI_DONE : CLI_FAILED;
    }
    cli_http_drop(&answer);
    return exit;
}
