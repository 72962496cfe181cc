/* See descriptor.h. */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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
