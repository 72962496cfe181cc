/* A store of the public library in a folder of its own. Includes only durable_streams.h. */
#ifndef LIB_UNIT_H
#define LIB_UNIT_H

#include <ftw.h>
#include <unistd.h>

#include "durable_streams.h"
#include "unit.h"

static char lib_folder[32];
static char lib_database[64];

static inline int lib_remove(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

/* Deletes the folder and everything in it. */
static inline void lib_clean(void)
{
    (void)nftw(lib_folder, lib_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Discards standard error from here on. */
static inline void lib_silence(void)
{
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
}

static inline void lib_make_folder(void)
{
    (void)strcpy(lib_folder, "/tmp/ds-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(lib_folder));
    (void)snprintf(lib_database, sizeof lib_database, "%s/streams.db", lib_folder);
}

/* Opens the test's database. No test cuts the power, so syncs are left out. */
static inline struct ds_store *lib_open(void)
{
    const struct ds_store_options options = {.durability = DS_DURABILITY_NORMAL};
    struct ds_store *store = NULL;

    ck_assert_int_eq(ds_store_open(lib_database, &options, &store), DS_OK);
    return store;
}

/* Opens a database in a new folder, for the common case of one handle. */
static inline struct ds_store *lib_begin(void)
{
    lib_make_folder();
    return lib_open();
}

static inline void lib_end(struct ds_store *store)
{
    ds_store_close(store);
    lib_clean();
}

static inline void lib_create(struct ds_store *store, const char *path, const char *type)
{
    const struct ds_create_options options = {.content_type = type};
    bool created = false;

    ck_assert_int_eq(ds_create(store, path, &options, &created, NULL), DS_OK);
    ck_assert(created);
}

static inline void lib_append(struct ds_store *store, const char *path, const char *text)
{
    ck_assert_int_eq(ds_append(store, path, text, strlen(text), NULL, NULL), DS_OK);
}

/* Expects this text from the offset to the tail, and nothing else. */
static inline void lib_expect(struct ds_store *store, const char *path, const char *offset,
                              const char *text)
{
    struct ds_read_result read;

    ck_assert_int_eq(ds_read(store, path, offset, &read), DS_OK);
    ck_assert_str_eq(read.data, text);
    ck_assert_uint_eq(read.len, strlen(text));
    ds_read_free(&read);
}

/* Lets the sqlite3 shell lock the database against writers until lib_unlock(). */
static inline FILE *lib_lock(void)
{
    char command[300], line[8];
    FILE *holder;

    (void)snprintf(command, sizeof command,
                   "mkfifo %s/end && (echo 'BEGIN IMMEDIATE;'; echo '.print held'; "
                   "read -r end <%s/end) | sqlite3 -batch -bail -cmd '.timeout 5000' %s",
                   lib_folder, lib_folder, lib_database);
    holder = popen(command, "r");
    ck_assert_ptr_nonnull(holder);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, holder));
    ck_assert_str_eq(line, "held\n");
    return holder;
}

static inline void lib_unlock(FILE *holder)
{
    char name[64];
    FILE *end;

    (void)snprintf(name, sizeof name, "%s/end", lib_folder);
    end = fopen(name, "w"); /* ends the shell's read */
    ck_assert_ptr_nonnull(end);
    (void)fclose(end);
    (void)pclose(holder);
}

#endif
