/* Files that dsctl writes for its user. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stdio.h>
#include <sys/types.h>

/*
 * Opens a file that is to be renamed over another one, which keeps its owner, group and mode, as
 * far as this user may give them. Where there is no other one yet: with this mode, less the umask.
 * Nothing that somebody else has put there is written to. NULL with errno.
 */
FILE *cli_file_new(const char *name, const char *over, mode_t mode);

#endif
