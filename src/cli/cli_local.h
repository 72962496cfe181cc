/* Shared by the files of dsctl's backend on a database file: see cli_backend.h. */
#ifndef CLI_LOCAL_H
#define CLI_LOCAL_H

#include "cli/cli_backend.h"

/* Reports an error. Returns the exit status that stands for it. reason may be NULL. */
enum cli_exit cli_local_refuse(const struct cli *cli, const char *path, enum ds_status status,
                               const char *reason);

extern const struct cli_sub_backend cli_local_sub;

#endif
