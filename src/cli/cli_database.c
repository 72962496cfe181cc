/* Database files for dsctl: see cli_database.h. */
#include "cli/cli_database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/place.h"
#include "store/store.h"

enum cli_exit cli_database_settings(const struct cli *cli, struct config *config)
{
    char error[160];

    log_open(LOG_ERR_); /* messages of the store go to standard error */
    if (!config_load(config, error, sizeof error))
        return cli_fail(cli, CLI_FAILED, "%s", error);
    free(config->database);
    free(config->registry);
    config->database = place_real(cli->db);
    config->registry = strdup(""); /* the database has its own */
    if (config->durability == DURABILITY_MEMORY)
        config->durability = DURABILITY_NORMAL; /* memory would ignore the file that was named */
    if (config->database && config->registry)
        return CLI_DONE;
    config_close(config);
    return cli_no_memory(cli);
}

/* Checked before any file is created beside it. An empty file may become a database. */
static enum cli_exit look_at_file(const struct cli *cli, bool may_create)
{
    static const char magic[16] = "SQLite format 3"; /* and its NUL */
    char begin[sizeof magic];
    FILE *file = fopen(cli->db, "r");
    size_t len;

    if (!file && errno == ENOENT && may_create)
        return CLI_DONE;
    if (!file)
        return cli_fail(cli, CLI_FAILED, "%s: %s", cli->db, strerror(errno));
    len = fread(begin, 1, sizeof begin, file);
    (void)fclose(file);
    if (len == 0 || (len == sizeof begin && memcmp(begin, magic, len) == 0))
        return CLI_DONE;
    return cli_fail(cli, CLI_FAILED, "%s: not a database", cli->db);
}

enum cli_exit cli_database_open(const struct cli *cli, bool may_create,
                                struct cli_database *database)
{
    enum cli_exit exit;
    enum ds_status status;

    memset(database, 0, sizeof *database);
    exit = look_at_file(cli, may_create);
    if (exit == CLI_DONE)
        exit = cli_database_settings(cli, &database->config);
    if (exit != CLI_DONE)
        return exit;
    status = store_open(&database->store, &database->config, false);
    if (status == DS_OK)
        status = store_connect(&database->conn, database->store);
    if (status == DS_OK)
        return CLI_DONE;
    cli_database_close(database);
    return cli_fail(cli, CLI_FAILED, "%s: %s", cli->db,
                    status == DS_FAILED ? "cannot be opened" : ds_status_text(status));
}

void cli_database_close(struct cli_database *database)
{
    store_disconnect(database->conn);
    store_close(database->store, false);
    config_close(&database->config);
}
