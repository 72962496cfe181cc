/* The standard descriptors: see descriptors.h. */
#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void descriptors_occupy(bool passed_on)
{
    int flags = passed_on ? 0 : O_CLOEXEC;

    for (int fd = 0; fd <= STDERR_FILENO; fd++) /* open() takes the lowest free descriptor */
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | flags) < 0)
            (void)open("/", O_PATH | flags); /* for a chroot without /dev */
}

bool descriptors_has_error(void)
{
    int flags = fcntl(STDERR_FILENO, F_GETFD);

    return flags >= 0 && !(flags & FD_CLOEXEC);
}

int descriptor_high(int fd)
{
    int high, error;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    error = errno;
    (void)close(fd);
    errno = error;
    return high;
}

bool descriptors_high(int *fds, int n)
{
    bool ok = true;

    for (int i = 0; i < n; i++) {
        fds[i] = descriptor_high(fds[i]);
        ok = ok && fds[i] >= 0;
    }
    return ok;
}
