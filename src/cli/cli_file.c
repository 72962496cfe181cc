/* See cli_file.h. */
#include "cli/cli_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"

static void make_like(int fd, const struct stat *old)
{
    mode_t mode = old->st_mode & 0777;
    bool group = fchown(fd, (uid_t)-1, old->st_gid) == 0;

    (void)fchmod(fd, group ? mode : mode & ~(mode_t)S_IRWXG);
    if (fchown(fd, old->st_uid, (gid_t)-1) != 0) {
        /* only root can: otherwise the file belongs to the user who writes it */
    }
}

FILE *cli_file_new(const char *name, const char *over, mode_t mode)
{
    struct stat old;
    bool replaces = stat(over, &old) == 0;
    FILE *file;
    int fd;

    (void)unlink(name); /* an earlier run that was killed may have left it */
    fd = descriptor_high(open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                              replaces ? S_IRUSR | S_IWUSR : mode));
    if (fd < 0)
        return NULL;
    if (replaces)
        make_like(fd, &old);
    file = fdopen(fd, "w");
    if (!file) {
        int error = errno;

        (void)close(fd);
        errno = error;
    }
    return file;
}
