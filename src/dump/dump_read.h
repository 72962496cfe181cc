/*
 * Reading an export line by line: a block at a time from the file, one line in memory.
 *
 * An input that is no regular file is first copied, so that whoever writes never waits for a pipe;
 * and the last line is looked at before the first is given out, so that a file that was cut short
 * is told at once. No SQLite.
 */
#ifndef DUMP_READ_H
#define DUMP_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "dump/dump_line.h"
#include "protocol/status.h"

enum { DUMP_REASON_SIZE = 300 };

struct dump_reader {
    FILE *file; /* the caller's, or the copy */
    bool copied;
    char *block;
    size_t block_len, block_at;
    struct buf text;               /* the line as it was read, and its NUL */
    int64_t number;                /* of the line, from 1 */
    int64_t bytes, size;           /* read, and of the file */
    struct dump_line line;         /* the last one; points into text */
    char reason[DUMP_REASON_SIZE]; /* when the status is not DS_OK; may be empty */
};

/*
 * A copy has its place beside the file of that name. The file stays the caller's. DS_INVALID: the
 * last line is not there. Whatever the answer, dump_reader_close() ends it.
 */
enum ds_status dump_reader_open(struct dump_reader *reader, FILE *file, const char *beside);
void dump_reader_close(struct dump_reader *reader);

/* The next line into reader->line; *more is false, and there is none, at the end of the file. */
enum ds_status dump_reader_next(struct dump_reader *reader, bool *more);

/* Says in reader->reason, behind the number of the line, what is wrong, and answers status. */
enum ds_status dump_reader_refuse(struct dump_reader *reader, enum ds_status status,
                                  const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
