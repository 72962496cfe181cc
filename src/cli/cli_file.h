/* Files that dsctl writes for its user. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stdio.h>
#include <sys/types.h>

/*
 * Creates the file `name`, which the caller will rename to `over`. It gets the owner, group and
 * mode of the old `over`, as far as this user may set them, or `mode` less the umask if there is
 * none. An existing file or link at `name` is removed first, never written to. NULL with errno.
 */
FILE *cli_file_new(const char *name, const char *over, mode_t mode);

#endif
