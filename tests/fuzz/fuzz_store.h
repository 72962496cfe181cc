/*
 * A database for fuzz targets, in shared memory, in a folder of its own that is removed at exit.
 * All waits are set short.
 */
#ifndef FUZZ_STORE_H
#define FUZZ_STORE_H

#include <ftw.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "config/config.h"
#include "fuzz.h"

static char fuzz_folder[40];
static struct config fuzz_config;

static inline int fuzz_remove(const char *path, const struct stat *info, int type,
                              struct FTW *place)
{
    (void)info;
    (void)type;
    return place->level == 0 ? 0 : remove(path);
}

/* Deletes the database and the files beside it. */
static inline void fuzz_clean(void)
{
    (void)nftw(fuzz_folder, fuzz_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void fuzz_end(void)
{
    fuzz_clean();
    (void)rmdir(fuzz_folder);
}

/* To be called once. */
static inline void fuzz_begin(void)
{
    static const char *const settings[][2] = {
        {"DS_DURABILITY", "normal"},       {"DS_LONG_POLL_TIMEOUT_MS", "100"},
        {"DS_SSE_LIFETIME_MS", "100"},     {"DS_MAX_BODY_BYTES", "60000"},
        {"DS_READ_CHUNK_BYTES", "4096"},   {"DS_BUSY_TIMEOUT_MS", "2000"},
        {"DS_STOP_TIMEOUT_MS", "5000"},    {"DS_WORKERS", "2"},
        {"DS_REGISTRY", "/v1/stream/all"}, {"DS_TEST_ENDPOINTS", "1"},
        {"DS_LOG_LEVEL", "error"},
    };
    char error[160], path[80];

    (void)signal(SIGPIPE, SIG_IGN);
    (void)strcpy(fuzz_folder, "/dev/shm/ds-fuzz-XXXXXX");
    fuzz_require(mkdtemp(fuzz_folder));
    (void)atexit(fuzz_end);
    (void)snprintf(path, sizeof path, "%s/streams.db", fuzz_folder);
    (void)setenv("DS_DATABASE", path, 1);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        (void)setenv(settings[i][0], settings[i][1], 1);
    log_open(LOG_ERR_);
    fuzz_require(config_load(&fuzz_config, error, sizeof error));
}

/* Reads the file of the database. */
static inline void fuzz_load(struct buf *bytes)
{
    FILE *file = fopen(fuzz_config.database, "rb");
    char piece[4096];
    size_t n;

    fuzz_require(file);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(bytes, piece, n);
    (void)fclose(file);
    fuzz_require(!buf_failed(bytes));
}

/* Replaces the database by these bytes, and deletes the files beside it. */
static inline void fuzz_save(const struct buf *bytes)
{
    FILE *file;

    fuzz_clean();
    file = fopen(fuzz_config.database, "wb");
    fuzz_require(file && fwrite(bytes->data, 1, bytes->len, file) == bytes->len);
    fuzz_require(fclose(file) == 0);
}

#endif
