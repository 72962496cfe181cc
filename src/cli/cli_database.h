/*
 * A database file for the commands that work on files alone. Settings (DS_BUSY_TIMEOUT_MS,
 * DS_DURABILITY, ...) are the server's, but for the file itself and the registry, which stays as it
 * is.
 */
#ifndef CLI_DATABASE_H
#define CLI_DATABASE_H

#include "cli/cli.h"
#include "config/config.h"

struct store;
struct store_conn;

struct cli_database {
    struct config config;
    struct store *store;
    struct store_conn *conn;
};

/* The settings alone, for cli->db. */
enum cli_exit cli_database_settings(const struct cli *cli, struct config *config);

/* With may_create, a file that is missing is made. What went wrong was said. */
enum cli_exit cli_database_open(const struct cli *cli, bool may_create,
                                struct cli_database *database);
void cli_database_close(struct cli_database *database);

#endif
