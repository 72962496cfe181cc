/*
 * Stores in memory: ds_store_open(":memory:").
 *
 * A database in a folder of its own on tmpfs, because SQLite's own ":memory:" is of one connection
 * only. As soon as every connection has opened its files, they lose their names: what has no name
 * goes with the process, however that ends. From then on no connection can be opened, so a store in
 * memory has all of them from the start (DURABILITY_MEMORY in store_connect()).
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
    log_error("neither /dev/shm nor %s takes a temporary folder", config_temporary_folder());
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
