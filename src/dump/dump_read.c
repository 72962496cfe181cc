/* Reading an export: see dump_read.h. */
#include "dump/dump_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"

enum {
    BLOCK = 64 * 1024, /* bytes read at a time */
    LAST_LINE = 400,   /* bytes; longer than any last line */
};

#define LINE_LIMIT                                                                                 \
    ((size_t)1 << 31) /* in bytes: a row has at most 10^9, each of which JSON writes as up to 6 */

enum ds_status dump_reader_refuse(struct dump_reader *reader, enum ds_status status,
                                  const char *format, ...)
{
    size_t size = sizeof reader->reason;
    int used = snprintf(reader->reason, size, "line %lld: ", (long long)reader->number);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(reader->reason + used, size - (size_t)used, format, args);
    va_end(args);
    return status;
}

static enum ds_status fail_to(struct dump_reader *reader, const char *what)
{
    int error = errno;

    (void)snprintf(reader->reason, sizeof reader->reason, "cannot %s: %s", what, strerror(error));
    return error == ENOSPC || error == EDQUOT ? DS_NO_SPACE : DS_FAILED;
}

static bool read_block(struct dump_reader *reader)
{
    reader->block_at = 0;
    reader->block_len = fread(reader->block, 1, BLOCK, reader->file);
    reader->bytes += (int64_t)reader->block_len;
    return reader->block_len > 0;
}

/* --- opening --- */

static FILE *make_nameless(const char *beside)
{
    FILE *file = NULL;
    char *name;
    int fd;

    if (asprintf(&name, "%s-import-XXXXXX", beside) < 0)
        return NULL;
    fd = descriptor_high(mkostemp(name, O_CLOEXEC));
    if (fd >= 0) {
        (void)unlink(name);
        file = fdopen(fd, "w+");
        if (!file)
            (void)close(fd);
    }
    free(name);
    return file;
}

static enum ds_status copy_input(struct dump_reader *reader, const char *beside)
{
    FILE *copy = make_nameless(beside);
    enum ds_status status = DS_OK;

    if (!copy)
        return fail_to(reader, "make a file beside the database");
    while (read_block(reader))
        if (fwrite(reader->block, 1, reader->block_len, copy) != reader->block_len)
            break;
    if (ferror(reader->file))
        status = fail_to(reader, "read");
    else if (ferror(copy) || fflush(copy) != 0)
        status = fail_to(reader, "copy the input beside the database");
    reader->file = copy;
    reader->copied = true;
    reader->bytes = 0;
    reader->block_len = 0;
    return status;
}

static enum ds_status look_at_end(struct dump_reader *reader)
{
    char last[LAST_LINE + 1], *start;
    size_t len;

    if (fseeko(reader->file, 0, SEEK_END) != 0 || (reader->size = ftello(reader->file)) < 0 ||
        fseeko(reader->file, reader->size > LAST_LINE ? reader->size - LAST_LINE : 0, SEEK_SET) !=
            0)
        return fail_to(reader, "read");
    len = fread(last, 1, LAST_LINE, reader->file);
    if (ferror(reader->file) || fseeko(reader->file, 0, SEEK_SET) != 0)
        return fail_to(reader, "read");
    while (len > 0 && last[len - 1] == '\n')
        len--;
    last[len] = '\0';
    start = memrchr(last, '\n', len);
    start = start ? start + 1 : last;
    if (!dump_line_parse(&reader->line, start, len - (size_t)(start - last)) &&
        reader->line.kind == DUMP_END)
        return DS_OK;
    (void)snprintf(
        reader->reason, sizeof reader->reason,
        "this is not an export of streams, or it was cut short: the last line is missing");
    return DS_INVALID;
}

enum ds_status dump_reader_open(struct dump_reader *reader, FILE *file, const char *beside)
{
    struct stat info;
    enum ds_status status = DS_OK;

    *reader = (struct dump_reader){.file = file, .block = malloc(BLOCK)};
    if (!reader->block)
        return DS_NO_MEMORY;
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode))
        status = copy_input(reader, beside);
    return status == DS_OK ? look_at_end(reader) : status;
}

void dump_reader_close(struct dump_reader *reader)
{
    if (reader->copied)
        (void)fclose(reader->file);
    buf_close(&reader->text);
    free(reader->block);
    reader->block = NULL;
}

/* --- lines --- */

static enum ds_status read_text(struct dump_reader *reader, bool *more)
{
    struct buf *text = &reader->text;
    const char *at, *feed = NULL;
    size_t len;

    buf_clear(text);
    while (!feed) {
        if (reader->block_at == reader->block_len && !read_block(reader))
            break;
        at = reader->block + reader->block_at;
        len = reader->block_len - reader->block_at;
        feed = memchr(at, '\n', len);
        if (feed)
            len = (size_t)(feed - at);
        if (text->len + len > LINE_LIMIT)
            return dump_reader_refuse(reader, DS_INVALID,
                                      "the line is longer than any line of an export");
        buf_add(text, at, len);
        reader->block_at += len + (feed != NULL);
    }
    if (ferror(reader->file))
        return fail_to(reader, "read");
    *more = feed || text->len > 0;
    buf_addc(text, '\0');
    return buf_failed(text) ? DS_NO_MEMORY : DS_OK;
}

enum ds_status dump_reader_next(struct dump_reader *reader, bool *more)
{
    enum ds_status status;
    const char *reason;

    *more = false;
    reader->number++;
    status = read_text(reader, more);
    if (status != DS_OK || !*more)
        return status;
    reason = dump_line_parse(&reader->line, reader->text.data, reader->text.len - 1);
    return reason ? dump_reader_refuse(reader, DS_INVALID, "%s", reason) : DS_OK;
}
