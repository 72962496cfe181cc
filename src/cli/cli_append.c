/*
 * dsctl append: appends standard input as one message, or in batches of lines.
 *
 * A batch is sent when it is full, or when no more input has arrived for IDLE_MS: single lines
 * leave at once, fast input leaves in large batches. With --resume, only count and size end a
 * batch, so that the same input makes the same batches again. Their sequence numbers then tell
 * which of them the server has already.
 *
 * JSON is checked as it arrives (cli_value.h). The input may continue for days, so a value that can
 * no longer become valid is an error at once, even in the middle of a line.
 *
 *     FIRST ── the first line that is not blank is a whole value ──▶ LINES   each line is a message
 *       └── it is only the beginning of a value ──▶ ONE                 all input is one message
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
    {"json", 'j', NULL, "each line is a JSON message, or all lines are one"},
    {"lines", 'l', NULL, "send lines of text as they arrive"},
    {"batch", 'b', "N", "send at most this many lines at once (default 1000, or 1 MiB)"},
    {"content-type", 't', "TYPE", "content type of the data (default: the stream's)"},
    {"producer", 'p', "ID", "idempotent producer: data that is sent again is stored once"},
    {"epoch", 0, "N", "epoch of the producer; locks out lower ones (default 0)"},
    {"resume", 0, NULL, "with --producer: skip what a run of the same input stored"},
    {"seq", 0, "TEXT", "Stream-Seq: refuse the message unless this is greater than the last"},
    {"close", 0, NULL, "close the stream after it"},
    {0},
};

enum shape { FIRST, LINES, ONE };

struct append {
    struct cli *cli;
    const char *path;
    struct ds_append_options options; /* producer_seq is that of the next batch */
    bool is_json;                     /* --json: a batch is an array of messages */
    bool resume;
    bool is_closed; /* with --resume, an earlier run may have closed it */
    int64_t stored; /* with --resume: the number of batches that the server has */
    int64_t most;   /* lines in a batch */
    struct buf batch;
    int64_t count; /* lines in it */
    int64_t lines, skipped;
    struct cli_appended last;

    /* --json from standard input */
    enum shape shape;
    struct cli_value value; /* in LINES: of the last, incomplete line */
    size_t looked;          /* bytes after the last whole line that value has seen */
    int64_t first_line;     /* the line where the value begins; 0: it has not begun */
    int64_t line;           /* the line that value has reached, in FIRST and ONE */
};

static enum cli_exit send_payload(struct append *append, const char *data, size_t len)
{
    enum cli_exit exit = CLI_DONE;

    if (append->resume && append->options.producer_seq < append->stored && !append->options.close)
        append->skipped++;
    else
        exit = append->cli->backend->append(append->cli, append->path, data, len, &append->options,
                                            &append->last);
    /* with --resume, an earlier run may have stored the same data; without it, it was other data */
    if (exit == CLI_DONE && append->last.duplicate && !append->resume)
        exit = cli_fail(append->cli, CLI_CONFLICT,
                        "%s: another program writes as producer %s; this data was not stored",
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

/* Reports an error in a line, and what became of the lines before it. */
static enum cli_exit refuse_line(const struct append *append, int64_t number, const char *reason)
{
    return cli_fail(append->cli, CLI_FAILED, "line %lld: %s; %s", (long long)number, reason,
                    append->options.producer_seq > 0 ? "the lines up to the last batch are stored"
                                                     : "nothing is stored");
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

/* -------------------------------------------------------------------------- as it arrives -- */

/* The length of the first line with its line feed, or of all the data if it has none. */
static size_t line_length(const char *data, size_t len)
{
    const char *end = memchr(data, '\n', len);

    return end ? (size_t)(end + 1 - data) : len;
}

/* Reports that the input cannot become a value any more. */
static enum cli_exit refuse_value(const struct append *append)
{
    long long first = append->first_line, line = append->line;

    if (line <= first)
        return cli_fail(
            append->cli, CLI_FAILED,
            "line %lld is not JSON, nor does it begin a JSON value that continues on other lines",
            line);
    return cli_fail(append->cli, CLI_FAILED,
                    "line %lld is not JSON by itself, and line %lld does not continue it", first,
                    line);
}

/* FIRST and ONE: checks new input, up to the end of the first line that is a value. */
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

/* LINES: checks the new part of the last, incomplete line. */
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

/* Adds all whole lines to batches. */
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

/* ONE, at the end of the input. */
static enum cli_exit send_value(struct append *append, const char *value, size_t len)
{
    cli_lines_trim(&value, &len);
    if (json_precheck(value, len) || !json_is_valid(value, len)) {
        append->line = append->first_line; /* the error may be on an earlier line than the last */
        return refuse_value(append);
    }
    append->lines++;
    append->count = 1;
    buf_addc(&append->batch, '[');
    buf_add(&append->batch, value, len);
    return send_batch(append);
}

/* Takes the input that has arrived: whole lines, or everything once the input has ended. */
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
        exit = refuse_line(append, append->lines + 1, "longer than the largest message");
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
        (void)cli_fail(cli, CLI_USAGE, "--json and --lines cannot be used together");
    else if ((cli_has(cli, "epoch") || append->resume) && !options->producer_id)
        (void)cli_fail(cli, CLI_USAGE, "--epoch and --resume need --producer");
    else if (options->seq && batches && !cli_has(cli, "data"))
        (void)cli_fail(cli, CLI_USAGE, "--seq is for one message, not for --json or --lines");
    else
        return true;
    return false;
}

/* Finds the content type of the stream, and checks that the options fit it. */
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
        return cli_fail(cli, CLI_USAGE, "%s holds %s; --json is for application/json", append->path,
                        append->options.content_type);
    if (cli_has(cli, "lines") && is_json)
        return cli_fail(cli, CLI_USAGE, "%s holds JSON; use --json instead of --lines",
                        append->path);
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
        cli_note(cli, "%lld batch%s already stored", (long long)append.skipped,
                 append.skipped == 1 ? " was" : "es were");
    if (exit == CLI_DONE && append.last.tail[0])
        (void)printf("%s\n", cli_shown(cli, append.last.tail));
    return exit;
}
