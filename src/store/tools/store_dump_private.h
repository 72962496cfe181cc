/* What the files of the export share: see store_dump.h. */
#ifndef STORE_DUMP_PRIVATE_H
#define STORE_DUMP_PRIVATE_H

#include "base/buf.h"
#include "dump/dump_line.h"
#include "store/tools/store_dump.h"

struct export
{
    struct store_conn *conn;
    struct store_dump *dump;
    int64_t now;
    int64_t total; /* an estimate of the number of rows */
    struct buf line;
};

/* Writes the reason, and returns status. */
enum ds_status export_fail(struct export *export, enum ds_status status, const char *reason);

/* Add to the line; the last one ends the line and writes it to the file. */
void export_add_text(struct export *export, enum dump_field field, const char *text);
void export_add_number(struct export *export, enum dump_field field, int64_t value);
enum ds_status export_put_line(struct export *export);

/* All subscriptions with their links, deleted ones, and if wanted the keys of webhooks. */
enum ds_status export_subscriptions(struct export *export);

#endif
