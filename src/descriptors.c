/* The standard descriptors: see descriptors.h. */
#include "descriptors.h"

#include <fcntl.h>
#include <unistd.h>

void descriptors_occupy(bool passed_on)
{
    int flags = passed_on ? 0 : O_CLOEXEC;

    for (int fd = 0; fd <= STDERR_FILENO; fd++) /* the lowest that is free is what open() takes */
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | flags) < 0)
            (void)open("/", O_PATH | flags); /* where there is no /dev */
}

bool descriptors_has_error(void)
{
    int flags = fcntl(STDERR_FILENO, F_GETFD);

    return flags >= 0 && !(flags & FD_CLOEXEC);
}
