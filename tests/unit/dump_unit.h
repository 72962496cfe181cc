/* Exports and imports of a database of a test. */
#ifndef DUMP_UNIT_H
#define DUMP_UNIT_H

#include "store/tools/store_dump.h"
#include "store_unit.h"

static enum ds_status export_to(struct fixture *f, FILE *file, const char *path,
                                struct store_dump *dump)
{
    *dump = (struct store_dump){.file = file, .path = path};
    return store_export(f->conn, dump);
}

/* Returns an export as a text that the caller frees. */
static char *export_text(struct fixture *f, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    struct store_dump dump;

    ck_assert_msg(export_to(f, file, path, &dump) == DS_OK, "%s", dump.reason);
    (void)fclose(file);
    return text;
}

static enum ds_status import_text(struct fixture *f, const char *text, bool skip,
                                  struct store_dump *dump)
{
    FILE *file = tmpfile();
    enum ds_status status;

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    rewind(file);
    *dump = (struct store_dump){.file = file, .skip_existing = skip};
    status = store_import(f->conn, dump);
    (void)fclose(file);
    return status;
}

static const char *behind_head(const char *text)
{
    return strchr(text, '\n');
}

#endif
