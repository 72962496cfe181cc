/*
 * Lines of an export. A line that is accepted is written again, with its names in the usual order
 * and base64 only where it is needed; that line must have the same values.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "base/buf.h"
#include "dump/dump_line.h"

/* Writes the values in the order of the fields. Only a text has a pointer. */
static void write_anew(struct buf *buf, const struct dump_line *line)
{
    for (int i = 0; i < DUMP_FIELDS; i++) {
        const struct dump_value *value = &line->value[i];

        if (!value->present)
            continue;
        if (value->text)
            dump_add_text(buf, (enum dump_field)i, value->text, value->len);
        else
            dump_add_number(buf, (enum dump_field)i, value->number);
    }
    dump_end_line(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);
    struct dump_line line, again;
    const char *reason = dump_line_parse(&line, text, size);
    struct buf buf = {0};

    if (reason) {
        fuzz_require(*reason && !strchr(reason, '\n'));
        free(text);
        return 0;
    }
    for (int i = 0; i < DUMP_FIELDS; i++)
        if (line.value[i].present && line.value[i].text) {
            const char *start = line.value[i].text;

            fuzz_require(start > text && start + line.value[i].len < text + size);
            fuzz_require(start[line.value[i].len] == '\0');
        }
    if (line.kind == DUMP_STREAM) {
        struct arena *arena = arena_new();
        const char *wrong = dump_stream_judge(&line, arena);

        fuzz_require(wrong ? *wrong != '\0' : *line.value[DUMP_F_STREAM].text == '/');
        arena_free(arena);
    }
    if (line.kind >= DUMP_SUBSCRIPTION && line.kind <= DUMP_WEBHOOK_KEY) {
        struct arena *arena = arena_new();
        const char *wrong = dump_subscription_judge(&line, arena);

        fuzz_require(!wrong || *wrong != '\0');
        arena_free(arena);
    }
    write_anew(&buf, &line);
    fuzz_require(!buf_failed(&buf) && buf.len > 1 && buf.data[buf.len - 1] == '\n');
    buf.data[buf.len - 1] = '\0';
    fuzz_require(!dump_line_parse(&again, buf.data, buf.len - 1) && again.kind == line.kind);
    for (int i = 0; i < DUMP_FIELDS; i++) {
        const struct dump_value *a = &line.value[i], *b = &again.value[i];

        fuzz_require(a->present == b->present && a->number == b->number && a->len == b->len);
        fuzz_require(!a->text == !b->text && (!a->text || memcmp(a->text, b->text, a->len) == 0));
    }
    buf_close(&buf);
    free(text);
    return 0;
}
