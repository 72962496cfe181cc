/*
 * Reads an export line by line; one line is in memory at a time.
 *
 * An input that is not a regular file is copied first, so that no write transaction waits for a
 * pipe. The last line is read before the first, so that a truncated file is refused before anything
 * is imported. Does not know SQLite. Not thread-safe.
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
    char *block;                   /* the bytes read last */
    size_t block_len, block_at;    /* how many, and the index of the next one */
    struct buf text;               /* the current line, and a NUL */
    int64_t number;                /* of the current line, from 1 */
    int64_t bytes, size;           /* bytes read so far, and of the file */
    struct dump_line line;         /* the current line; points into text */
    char reason[DUMP_REASON_SIZE]; /* why a status is not DS_OK; may be empty */
};

/*
 * Begins to read file, which the caller closes after dump_reader_close(). A copy of it is made in
 * the folder of `beside`. DS_INVALID: the last line is missing. After any status,
 * dump_reader_close() must be called.
 */
enum ds_status dump_reader_open(struct dump_reader *reader, FILE *file, const char *beside);
void dump_reader_close(struct dump_reader *reader);

/* Reads the next line into reader->line. At the end of the file, *more is false. */
enum ds_status dump_reader_next(struct dump_reader *reader, bool *more);

/* Writes the number of the line and the message into reader->reason, and returns status. */
enum ds_status dump_reader_refuse(struct dump_reader *reader, enum ds_status status,
                                  const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
