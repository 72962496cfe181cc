/*
 * Stores in memory: ds_store_open(":memory:").
 *
 * The database is in its own folder on tmpfs, because SQLite's own ":memory:" belongs to one
 * connection. Once all connections have opened the files, the names are removed: the kernel frees
 * files without names when the process ends, however it ends. No connection can be opened after
 * that, so a store in memory opens all of them at its start (DURABILITY_MEMORY in store_connect()).
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config_environment.h"
#include "lib/lib.h"

static char *make_folder(const char *parent)
{
    char *folder;

    if (asprintf(&folder, "%s/durable-streams-XXXXXX", parent) < 0)
        return NULL;
    if (mkdtemp(folder))
        return folder;
    free(folder);
    return NULL;
}

enum ds_status lib_memory_folder(char **folder)
{
    *folder = make_folder("/dev/shm");
    if (!*folder)
        *folder = make_folder(config_temporary_folder());
    if (*folder)
        return DS_OK;
    log_error("cannot create a temporary folder in /dev/shm or %s", config_temporary_folder());
    return DS_FAILED;
}

void lib_memory_hide(const char *folder)
{
    static const char *const files[] = {"", "-wal", "-shm", "-wake"};
    char *name;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (asprintf(&name, "%s/streams.db%s", folder, files[i]) < 0)
            continue;
        (void)unlink(name);
        free(name);
    }
    (void)rmdir(folder);
}
