/* Files that dsctl writes for its user. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stdio.h>
#include <sys/types.h>

/*
 * Opens a new file `name`, to be renamed over the file `over`. It gets the owner, group and mode of
 * that one, as far as this user may set them, or `mode` less the umask where there is none yet. A
 * link or file that somebody has put at `name` is not written to. NULL with errno.
 */
FILE *cli_file_new(const char *name, const char *over, mode_t mode);

#endif
