/*
 * A database file for the commands that need one. Settings (DS_BUSY_TIMEOUT_MS, DS_DURABILITY, ...)
 * are those of the server, except the file itself and the registry, which the database names.
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

/* Loads the settings for cli->db. */
enum cli_exit cli_database_settings(const struct cli *cli, struct config *config);

/* Opens cli->db, and with may_create creates it if it is missing. Reports errors. */
enum cli_exit cli_database_open(const struct cli *cli, bool may_create,
                                struct cli_database *database);
void cli_database_close(struct cli_database *database);

#endif
