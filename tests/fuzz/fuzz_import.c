/*
 * Files to import. An import that succeeds makes a database without damage, and exporting and
 * importing that database again gives the same streams.
 */
#include "fuzz_walk.h"
#include "protocol/fault.h"

static enum ds_status import(FILE *file)
{
    struct store_dump dump = {.file = file};
    struct store_conn *conn;
    struct store *store;
    enum ds_status status;

    fuzz_require(store_open(&store, &fuzz_config, false) == DS_OK);
    fuzz_require(store_connect(&conn, store) == DS_OK);
    status = store_import(conn, &dump);
    fuzz_require((status == DS_OK) == (dump.reason[0] == '\0'));
    store_disconnect(conn);
    store_close(store, false);
    return status;
}

static char *export(size_t *len)
{
    struct store_conn *conn;
    struct store *store;
    enum ds_status status;
    FILE *file;
    char *text = NULL;
    size_t room = 0;

    fuzz_require(store_open(&store, &fuzz_config, false) == DS_OK);
    fuzz_require(store_connect(&conn, store) == DS_OK);
    file = walk_export(conn, &status);
    fuzz_require(status == DS_OK);
    store_disconnect(conn);
    store_close(store, false);
    *len = (size_t)getdelim(&text, &room, '\0', file);
    (void)fclose(file);
    return text;
}

static FILE *make_file(const void *data, size_t size)
{
    FILE *file = fdopen(memfd_create("import", MFD_CLOEXEC), "w+");

    fuzz_require(file && fwrite(data, 1, size, file) == size);
    rewind(file);
    return file;
}

/* The text after the first line, which contains the time. */
static const char *skip_head(const char *text)
{
    return strchr(text, '\n') + 1;
}

static void check_again(void)
{
    size_t len, len_again;
    char *text = export(&len), *again;
    FILE *file = make_file(text, len);

    fuzz_clean();
    fuzz_require(import(file) == DS_OK);
    (void)fclose(file);
    again = export(&len_again);
    fuzz_require(strcmp(skip_head(text), skip_head(again)) == 0);
    free(text);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = make_file(data, size);

    if (!fuzz_config.database) {
        fuzz_begin();
        fuzz_config.registry[0] = '\0'; /* the only streams are those of the file */
    }
    fuzz_clean();
    if (import(file) == DS_OK)
        check_again();
    (void)fclose(file);
    fuzz_require(walk_check() == 0); /* a refused file may have left some streams */
    return 0;
}
