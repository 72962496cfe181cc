/*
 * The parsers of dsctl: events, lines, command lines. However the input is cut into pieces, they
 * must read the same.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "cli/cli_args.h"
#include "cli/cli_lines.h"
#include "cli/cli_sse.h"
#include "protocol/json.h"
#include "protocol/json_string.h"

/* Adds each event with its lengths, so that two such texts are equal only if all events are. */
static bool note(void *arg, const char *type, const char *data, size_t len)
{
    buf_printf(arg, "%zu %s %zu ", strlen(type), type, len);
    buf_add(arg, data, len);
    fuzz_require(!memchr(data, '\r', len) && !strpbrk(type, "\r\n"));
    return true;
}

/* Feeds pieces of the given size. */
static void read_events(struct buf *out, const char *data, size_t size, size_t piece)
{
    struct cli_sse sse = {.fn = note, .arg = out};

    for (size_t at = 0; at < size; at += piece)
        fuzz_require(cli_sse_feed(&sse, data + at, size - at < piece ? size - at : piece));
    cli_sse_close(&sse);
}

static void read_lines(struct buf *out, const char *data, size_t size, size_t piece)
{
    struct cli_lines lines = {0};
    const char *line;
    size_t len;

    for (size_t at = 0; at <= size; at += piece) {
        bool last = size - at < piece;

        fuzz_require(cli_lines_feed(&lines, data + at, last ? size - at : piece));
        if (last)
            cli_lines_end(&lines);
        while (cli_lines_next(&lines, &line, &len)) {
            fuzz_require(len > 0);
            buf_printf(out, "%zu ", len);
            buf_add(out, line, len);
        }
    }
    cli_lines_close(&lines);
}

typedef void reader(struct buf *out, const char *data, size_t size, size_t piece);

static void check_cuts(reader *read, const char *data, size_t size)
{
    struct buf whole = {0}, cut = {0};

    read(&whole, data, size, size + 1);
    for (size_t piece = 1; piece <= 8; piece += piece) {
        buf_clear(&cut);
        read(&cut, data, size, piece);
        fuzz_require(cut.len == whole.len &&
                     (whole.len == 0 || memcmp(cut.data, whole.data, whole.len) == 0));
    }
    buf_close(&whole);
    buf_close(&cut);
}

/* Any text that is written as a JSON string is a valid one. */
static void check_string(const char *text)
{
    struct buf out = {0};

    json_add_text(&out, text);
    fuzz_require(!buf_failed(&out) && json_is_valid(out.data, out.len));
    buf_close(&out);
}

static void check_args(char *text, size_t size)
{
    static const struct cli_option options[] = {{"all", 'a', NULL, "-"},
                                                {"from", 'f', "OFFSET", "-"},
                                                {"header", 0, "LINE", "-"},
                                                {NULL, 0, NULL, NULL}};
    char *argv[20] = {NULL}, error[160] = "";
    struct cli_args args = {.n_given = 0};
    int argc = 0;
    size_t at = 0;

    for (char *word = text; word < text + size && argc < 19; word += strlen(word) + 1)
        argv[argc++] = word;
    if (!cli_args_parse(&args, options, NULL, size % 2 == 1, argc, argv, error, sizeof error)) {
        fuzz_require(error[0]);
        return;
    }
    fuzz_require(args.n_operands + (int)args.n_given <= argc + (int)size);
    fuzz_require(argv[argc] == NULL && args.n_operands <= argc);
    while (cli_args_next(&args, "header", &at))
        ;
    fuzz_require(cli_args_has(&args, "from") == (cli_args_value(&args, "from") != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);

    check_cuts(read_events, (const char *)data, size);
    check_cuts(read_lines, (const char *)data, size);
    check_string(text);
    check_args(text, size);
    free(text);
    return 0;
}
