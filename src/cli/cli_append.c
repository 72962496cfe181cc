/*
 * dsctl append: standard input as one message, or in batches of lines.
 *
 * Idle means immediate, busy means large: a batch is sent when it is full, or when for IDLE_MS
 * nothing more has come. With --resume, batches are cut by count and size alone, so that the same
 * input makes the same batches again and those that the server has already are told by number.
 *
 * JSON is checked as it comes (cli_value.h): the input may go on for days, so a value that is
 * certainly wrong is an error at once, also in the middle of a line.
 *
 *     FIRST ── the first line that is not blank is a value ──▶ LINES   each line is a message
 *       └───── it is the beginning of one ──▶ ONE                      all of it is one message
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_backend.h"
#include "cli/cli_commands.h"
#include "cli/cli_input.h"
#include "cli/cli_lines.h"
#include "cli/cli_value.h"
#include "protocol/http_type.h"
#include "protocol/json.h"
#include "protocol/producer.h"

enum { IDLE_MS = 10, BATCH_LINES = 1000, BATCH_MOST = 65536, BATCH_BYTES = 1 << 20 };

const struct cli_option cli_append_options[] = {
    {"data", 'd', "TEXT", "append this instead of standard input"},
    {"json", 'j', NULL, "each line is a JSON message, or all of it one over several lines"},
    {"lines", 'l', NULL, "lines of text, sent as they come"},
    {"batch", 'b', "N", "at most so many lines in a request (default 1000, or 1 MiB)"},
    {"content-type", 't', "TYPE", "of the data (default: ask for the stream's)"},
    {"producer", 'p', "ID", "idempotent: nothing is stored twice when it is sent again"},
    {"epoch", 0, "N", "of the producer; a higher one locks out older ones (default 0)"},
    {"resume", 0, NULL, "with --producer: skip what an earlier run of the same input has stored"},
    {"seq", 0, "TEXT", "Stream-Seq: refused unless greater than the last one"},
    {"close", 0, NULL, "close the stream behind it"},
    {0},
};

enum shape { FIRST, LINES, ONE };

struct append {
    struct cli *cli;
    const char *path;
    struct ds_append_options options; /* producer_seq: of the next batch */
    bool is_json;                     /* --json: messages go into an array */
    bool resume;
    bool is_closed; /* with resume: the request that closes it tells whether by an earlier run */
    int64_t stored; /* with resume: batches that the server has */
    int64_t most;   /* lines of a batch */
    struct buf batch;
    int64_t count; /* lines in it */
    int64_t lines, skipped;
    struct cli_appended last;

    /* --json from standard input */
    enum shape shape;
    struct cli_value value; /* in LINES: of the line that is not whole yet */
    size_t looked;          /* so much of what no line was taken of is in value */
    int64_t first_line;     /* where the value begins; 0: not yet */
    int64_t line;           /* of value, in FIRST and ONE */
};

static enum cli_exit send_payload(struct append *append, const char *data, size_t len)
{
    enum cli_exit exit = CLI_DONE;

    if (append->resume && append->options.producer_seq < append->stored && !append->options.close)
        append->skipped++;
    else
        exit = append->cli->backend->append(append->cli, append->path, data, len, &append->options,
                                            &append->last);
    /* by a run of the same input that is all the same; else it was something else */
    if (exit == CLI_DONE && append->last.duplicate && !append->resume)
        exit = cli_fail(append->cli, CLI_CONFLICT,
                        "%s: another program writes as producer %s: this was not stored",
                        append->path, append->options.producer_id);
    append->options.producer_seq++;
    return exit;
}

static enum cli_exit send_batch(struct append *append)
{
    enum cli_exit exit;

    if (append->count == 0)
        return CLI_DONE;
    if (append->is_json)
        buf_addc(&append->batch, ']');
    if (buf_failed(&append->batch))
        return cli_no_memory(append->cli);
    exit = send_payload(append, append->batch.data, append->batch.len);
    buf_clear(&append->batch);
    append->count = 0;
    return exit;
}

/* The error in a line, and what that means for the lines before it. */
static enum cli_exit refuse_line(const struct append *append, int64_t number, const char *reason)
{
    return cli_fail(append->cli, CLI_FAILED, "line %lld: %s; what stands before it is %s",
                    (long long)number, reason,
                    append->options.producer_seq > 0 ? "stored up to the last batch"
                                                     : "not stored either");
}

static enum cli_exit add_line(struct append *append, const char *line, size_t len)
{
    const char *reason = NULL;
    enum cli_exit exit = CLI_DONE;

    append->lines++;
    if (append->is_json) {
        cli_lines_trim(&line, &len);
        if (len == 0)
            return CLI_DONE;
        reason = json_precheck(line, len);
        if (!reason && !json_is_valid(line, len))
            reason = "not JSON";
        if (reason)
            return refuse_line(append, append->lines, reason);
    }
    if (append->count > 0 && append->batch.len + len + 2 > BATCH_BYTES)
        exit = send_batch(append);
    if (append->is_json)
        buf_addc(&append->batch, append->count ? ',' : '[');
    buf_add(&append->batch, line, len);
    append->count++;
    if (exit == CLI_DONE && append->count >= append->most)
        exit = send_batch(append);
    return exit;
}

/* ---------------------------------------------------------------------------- as it comes -- */

/* Up to the end of the next line, if there is one. */
static size_t line_length(const char *data, size_t len)
{
    const char *end = memchr(data, '\n', len);

    return end ? (size_t)(end + 1 - data) : len;
}

/* The input is certainly not a value. */
static enum cli_exit refuse_value(const struct append *append)
{
    long long first = append->first_line, line = append->line;

    if (line <= first)
        return cli_fail(append->cli, CLI_FAILED,
                        "line %lld is not JSON, and standard input as a whole is not either", line);
    return cli_fail(append->cli, CLI_FAILED,
                    "line %lld is not JSON by itself, and line %lld does not continue it", first,
                    line);
}

/* FIRST and ONE: looks at what is new, up to the end of the first line that is a value. */
static enum cli_exit look_at_value(struct append *append, const char *data, size_t len)
{
    struct cli_value *value = &append->value;

    while (append->looked < len && append->shape != LINES) {
        size_t size = line_length(data + append->looked, len - append->looked);
        bool is_ended = data[append->looked + size - 1] == '\n';
        enum cli_value_state state;

        (void)cli_value_feed(value, data + append->looked, size);
        append->looked += size;
        state = cli_value_state(value);
        if (append->first_line == 0 && state != CLI_VALUE_BLANK)
            append->first_line = append->line;
        if (state == CLI_VALUE_WRONG)
            return refuse_value(append);
        if (!is_ended)
            break;
        append->line++;
        if (append->shape == FIRST && state != CLI_VALUE_BLANK)
            append->shape = state == CLI_VALUE_WHOLE ? LINES : ONE;
    }
    return CLI_DONE;
}

/* LINES: looks at what is new of the line that is not whole yet. */
static enum cli_exit look_at_rest(struct append *append, const char *data, size_t len)
{
    (void)cli_value_feed(&append->value, data + append->looked, len - append->looked);
    append->looked = len;
    if (cli_value_state(&append->value) != CLI_VALUE_WRONG)
        return CLI_DONE;
    return refuse_line(append, append->lines + 1, "not JSON");
}

static void look_anew(struct append *append)
{
    memset(&append->value, 0, sizeof append->value);
    append->looked = 0;
}

/* All lines that are whole. */
static enum cli_exit add_lines(struct append *append, struct cli_lines *lines)
{
    enum cli_exit exit = CLI_DONE;
    const char *line;
    size_t len;

    while (exit == CLI_DONE && cli_lines_next(lines, &line, &len)) {
        exit = add_line(append, line, len);
        look_anew(append);
    }
    return exit;
}

/* ONE, and the input has ended. */
static enum cli_exit send_value(struct append *append, const char *value, size_t len)
{
    cli_lines_trim(&value, &len);
    if (json_precheck(value, len) || !json_is_valid(value, len)) {
        append->line = append->first_line; /* the last line need not be the wrong one */
        return refuse_value(append);
    }
    append->lines++;
    append->count = 1;
    buf_addc(&append->batch, '[');
    buf_add(&append->batch, value, len);
    return send_batch(append);
}

/* Takes what has come: whole lines, or when the input has ended, all of it. */
static enum cli_exit take_input(struct append *append, struct cli_lines *lines)
{
    enum cli_exit exit = CLI_DONE;
    const char *rest;
    size_t len;

    if (append->is_json && append->shape != LINES) {
        rest = cli_lines_rest(lines, &len);
        exit = look_at_value(append, rest, len);
        if (exit == CLI_DONE && append->shape == ONE && lines->is_ended)
            return send_value(append, rest, len);
    }
    if (exit == CLI_DONE && (!append->is_json || append->shape == LINES || lines->is_ended))
        exit = add_lines(append, lines);
    rest = cli_lines_rest(lines, &len);
    if (exit == CLI_DONE && append->is_json && append->shape == LINES)
        exit = look_at_rest(append, rest, len);
    if (exit == CLI_DONE && len > CLI_INPUT_MOST)
        exit = refuse_line(append, append->lines + 1, "longer than any message may be");
    return exit;
}

static enum cli_exit append_lines(struct append *append)
{
    struct cli_lines lines = {0};
    struct buf input = {0};
    enum cli_exit exit = CLI_DONE;

    append->line = 1;
    while (exit == CLI_DONE && !lines.is_ended) {
        enum cli_input state = cli_input_some(append->cli, &input,
                                              append->count > 0 && !append->resume ? IDLE_MS : -1);

        if (state == CLI_INPUT_IDLE) {
            exit = send_batch(append);
        } else if (state == CLI_INPUT_FAILED) {
            exit = CLI_FAILED;
        } else if (!cli_lines_feed(&lines, input.data, input.len)) {
            exit = cli_no_memory(append->cli);
        } else {
            if (state == CLI_INPUT_END)
                cli_lines_end(&lines);
            exit = take_input(append, &lines);
        }
        buf_clear(&input);
    }
    if (exit == CLI_DONE)
        exit = send_batch(append);
    cli_lines_close(&lines);
    buf_close(&input);
    return exit;
}

/* ----------------------------------------------------------------------------------- whole -- */

static enum cli_exit append_whole(struct append *append)
{
    const char *data = cli_value(append->cli, "data");
    struct buf input = {0};
    enum cli_exit exit = CLI_FAILED;

    if (data) {
        buf_adds(&input, data);
        exit = buf_failed(&input) ? cli_no_memory(append->cli) : CLI_DONE;
    } else if (cli_input_all(append->cli, &input)) {
        exit = CLI_DONE;
    }
    if (exit == CLI_DONE && input.len == 0 && !append->options.close)
        exit = cli_fail(append->cli, CLI_USAGE, "there is nothing to append");
    if (exit == CLI_DONE && append->is_json) {
        exit = add_line(append, input.data, input.len);
        if (exit == CLI_DONE)
            exit = send_batch(append);
    } else if (exit == CLI_DONE) {
        exit = send_payload(append, input.data, input.len);
    }
    buf_close(&input);
    return exit;
}

static bool read_options(struct append *append)
{
    struct cli *cli = append->cli;
    struct ds_append_options *options = &append->options;
    bool batches = cli_has(cli, "json") || cli_has(cli, "lines");

    options->producer_id = cli_value(cli, "producer");
    options->seq = cli_value(cli, "seq");
    options->content_type = cli_value(cli, "content-type");
    append->is_json = cli_has(cli, "json");
    append->resume = cli_has(cli, "resume");
    if (!cli_number(cli, "epoch", 0, PRODUCER_NUMBER_MAX, &options->producer_epoch) ||
        !cli_number(cli, "batch", 1, BATCH_MOST, &append->most))
        return false;
    if (cli_has(cli, "json") && cli_has(cli, "lines"))
        (void)cli_fail(cli, CLI_USAGE, "--json and --lines exclude each other");
    else if ((cli_has(cli, "epoch") || append->resume) && !options->producer_id)
        (void)cli_fail(cli, CLI_USAGE, "--epoch and --resume belong to a --producer");
    else if (options->seq && batches && !cli_has(cli, "data"))
        (void)cli_fail(cli, CLI_USAGE, "--seq is for one message, not for --json or --lines");
    else
        return true;
    return false;
}

/* The stream's content type, and whether the options fit it. */
static enum cli_exit look_at_stream(struct append *append)
{
    struct cli *cli = append->cli;
    struct ds_stream state;
    enum cli_exit exit;
    bool is_json;

    if (!append->options.content_type) {
        exit = cli->backend->get(cli, append->path, &state);
        if (exit != CLI_DONE)
            return exit;
        if (state.closed && !(append->resume && cli_has(cli, "close")))
            return cli_fail(cli, CLI_CONFLICT, "%s: the stream is closed", append->path);
        append->is_closed = state.closed;
        append->options.content_type = state.content_type;
    }
    is_json = http_type_kind(append->options.content_type) == HTTP_TYPE_JSON;
    if (append->is_json && !is_json)
        return cli_fail(cli, CLI_USAGE, "%s holds %s: --json is for application/json", append->path,
                        append->options.content_type);
    if (cli_has(cli, "lines") && is_json)
        return cli_fail(cli, CLI_USAGE, "%s holds JSON: --json instead of --lines", append->path);
    return CLI_DONE;
}

static enum cli_exit find_sequence(struct append *append)
{
    int64_t seq = 0;
    enum cli_exit exit = CLI_DONE;

    if (!append->options.producer_id)
        return CLI_DONE;
    if (append->is_closed) {
        append->stored = PRODUCER_NUMBER_MAX;
        return CLI_DONE;
    }
    exit = append->cli->backend->expected(append->cli, append->path, append->options.content_type,
                                          &append->options, &seq);
    if (append->resume)
        append->stored = seq;
    else
        append->options.producer_seq = seq;
    return exit;
}

enum cli_exit cli_append(struct cli *cli)
{
    struct append append = {.cli = cli, .most = BATCH_LINES};
    enum cli_exit exit;
    bool batches;

    append.path = cli_path(cli, cli_operand(cli, 0));
    if (!append.path || !read_options(&append))
        return CLI_USAGE;
    if (!cli_has(cli, "data") && isatty(STDIN_FILENO))
        cli_note(cli, "reading from the terminal, until Ctrl-D");
    exit = look_at_stream(&append);
    if (exit == CLI_DONE)
        exit = find_sequence(&append);
    if (exit != CLI_DONE)
        return exit;
    batches = (cli_has(cli, "json") || cli_has(cli, "lines")) && !cli_has(cli, "data");
    append.options.close = cli_has(cli, "close") && !batches;
    exit = batches ? append_lines(&append) : append_whole(&append);
    if (exit == CLI_DONE && batches && cli_has(cli, "close")) {
        append.options.close = true;
        exit = send_payload(&append, NULL, 0);
    }
    buf_close(&append.batch);
    if (append.skipped > 0)
        cli_note(cli, "%lld batch%s stored before", (long long)append.skipped,
                 append.skipped == 1 ? " was" : "es were");
    if (exit == CLI_DONE && append.last.tail[0])
        (void)printf("%s\n", cli_shown(cli, append.last.tail));
    return exit;
}
