/* dsctl fault add, ls and clear: make a server fail on purpose, to test clients. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli_backend.h"
#include "cli/cli_commands.h"
#include "protocol/json_string.h"

#define NUMBER_MAX INT64_C(1000000000000)

const struct cli_option cli_fault_add_options[] = {
    {"status", 's', "CODE", "answer with this status, and do nothing else"},
    {"retry-after", 0, "DURATION", "add a Retry-After header"},
    {"count", 'n', "N", "apply to this many requests (default 1)"},
    {"delay-ms", 0, "N", "wait this many milliseconds first"},
    {"jitter-ms", 0, "N", "wait up to this many milliseconds more, at random"},
    {"drop", 0, NULL, "close the connection without an answer, and do nothing else"},
    {"truncate", 0, "BYTES", "cut the body of the answer after this many bytes"},
    {"corrupt", 0, NULL, "change about 3 % of the bytes of the answer's body"},
    {"sse-event", 0, "TYPE", "send an event of this type before the stream's own"},
    {"sse-data", 0, "TEXT", "the data of that event"},
    {"probability", 0, "P", "apply to each request with this probability, 0 to 1 (default 1)"},
    {"method", 'm', "METHOD", "apply only to requests with this method"},
    {0},
};

const struct cli_option cli_fault_ls_options[] = {
    {"json", 'j', NULL, "print one JSON object per line"},
    {0},
};

void cli_fault_add_json(struct buf *buf, const char *path, const struct ds_fault *fault)
{
    buf_adds(buf, "{\"path\":");
    json_add_text(buf, path);
    if (fault->status)
        buf_printf(buf, ",\"status\":%d", fault->status);
    buf_printf(buf, ",\"count\":%lld", (long long)(fault->count ? fault->count : 1));
    if (fault->has_retry_after)
        buf_printf(buf, ",\"retryAfter\":%lld", (long long)fault->retry_after);
    if (fault->delay_ms || fault->jitter_ms)
        buf_printf(buf, ",\"delayMs\":%lld", (long long)fault->delay_ms);
    if (fault->jitter_ms)
        buf_printf(buf, ",\"jitterMs\":%lld", (long long)fault->jitter_ms);
    if (fault->drop_connection)
        buf_adds(buf, ",\"dropConnection\":true");
    if (fault->has_truncate)
        buf_printf(buf, ",\"truncateBodyBytes\":%lld", (long long)fault->truncate_body_bytes);
    if (fault->corrupt_body)
        buf_adds(buf, ",\"corruptBody\":true");
    if (fault->sse_event_type) {
        buf_adds(buf, ",\"injectSseEvent\":{\"eventType\":");
        json_add_text(buf, fault->sse_event_type);
        buf_adds(buf, ",\"data\":");
        json_add_text(buf, fault->sse_event_data ? fault->sse_event_data : "");
        buf_addc(buf, '}');
    }
    if (fault->has_probability)
        buf_printf(buf, ",\"probability\":%.17g", fault->probability);
    if (fault->method) {
        buf_adds(buf, ",\"method\":");
        json_add_text(buf, fault->method);
    }
    buf_addc(buf, '}');
}

static bool read_probability(const struct cli *cli, struct ds_fault *fault)
{
    const char *text = cli_value(cli, "probability");
    char *end;

    if (!text)
        return true;
    fault->has_probability = true;
    fault->probability = strtod(text, &end);
    if (*text && !*end && fault->probability >= 0 && fault->probability <= 1)
        return true;
    (void)cli_fail(cli, CLI_USAGE, "--probability takes a number from 0 to 1");
    return false;
}

static bool read_fault_options(const struct cli *cli, struct ds_fault *fault)
{
    int64_t status = 0;

    if (!cli_number(cli, "status", 200, 599, &status) ||
        !cli_number(cli, "count", 1, NUMBER_MAX, &fault->count) ||
        !cli_duration(cli, "retry-after", 0, NUMBER_MAX, &fault->retry_after) ||
        !cli_number(cli, "delay-ms", 0, NUMBER_MAX, &fault->delay_ms) ||
        !cli_number(cli, "jitter-ms", 0, NUMBER_MAX, &fault->jitter_ms) ||
        !cli_number(cli, "truncate", 0, NUMBER_MAX, &fault->truncate_body_bytes) ||
        !read_probability(cli, fault))
        return false;
    fault->status = (int)status;
    fault->has_retry_after = cli_has(cli, "retry-after");
    fault->has_truncate = cli_has(cli, "truncate");
    fault->drop_connection = cli_has(cli, "drop");
    fault->corrupt_body = cli_has(cli, "corrupt");
    fault->sse_event_type = cli_value(cli, "sse-event");
    fault->sse_event_data = cli_value(cli, "sse-data");
    fault->method = cli_value(cli, "method");
    if (fault->sse_event_data && !fault->sse_event_type)
        fault->sse_event_type = "message";
    if (fault->status || fault->delay_ms || fault->jitter_ms || fault->drop_connection ||
        fault->has_truncate || fault->corrupt_body || fault->sse_event_type)
        return true;
    (void)cli_fail(
        cli, CLI_USAGE,
        "name a fault: --status, --delay-ms, --drop, --truncate, --corrupt or --sse-event");
    return false;
}

enum cli_exit cli_fault_add(struct cli *cli)
{
    const char *path = cli_path(cli, cli_operand(cli, 0));
    struct ds_fault fault = {0};

    if (!path || !read_fault_options(cli, &fault))
        return CLI_USAGE;
    return cli->backend->fault_set(cli, path, &fault);
}

static void print_words(const struct cli *cli, const struct ds_fault *fault)
{
    if (fault->delay_ms || fault->jitter_ms)
        (void)printf("  delay %lld ms", (long long)fault->delay_ms);
    if (fault->jitter_ms)
        (void)printf(" + 0..%lld ms", (long long)fault->jitter_ms);
    if (fault->drop_connection)
        (void)printf("  drop");
    if (fault->status)
        (void)printf("  status %d", fault->status);
    if (fault->has_retry_after)
        (void)printf("  retry-after %lld s", (long long)fault->retry_after);
    if (fault->has_truncate)
        (void)printf("  truncate to %lld bytes", (long long)fault->truncate_body_bytes);
    if (fault->corrupt_body)
        (void)printf("  corrupt");
    if (fault->sse_event_type)
        (void)printf("  SSE event %s", cli_shown(cli, fault->sse_event_type));
    if (fault->has_probability)
        (void)printf("  probability %g", fault->probability);
    if (fault->method)
        (void)printf("  only %s", cli_shown(cli, fault->method));
}

static bool print_fault(void *arg, const char *path, const struct ds_fault *fault)
{
    struct cli *cli = arg;
    struct buf buf = {0};
    bool ok = true;

    if (cli_has(cli, "json")) {
        cli_fault_add_json(&buf, path, fault);
        buf_addc(&buf, '\n');
        ok = !buf_failed(&buf) && cli_out(cli, buf.data, buf.len);
        buf_close(&buf);
        return ok;
    }
    (void)printf("%s%s%s  %lld left", cli_bold(cli), cli_shown(cli, path), cli_plain(cli),
                 (long long)(fault->count ? fault->count : 1));
    print_words(cli, fault);
    (void)putchar('\n');
    return true;
}

enum cli_exit cli_fault_ls(struct cli *cli)
{
    return cli->backend->fault_list(cli, print_fault, cli);
}

enum cli_exit cli_fault_clear(struct cli *cli)
{
    return cli->backend->fault_clear(cli, NULL);
}
