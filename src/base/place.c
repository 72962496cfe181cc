/* Where a database is, and who owns its files: see place.h. */
#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"

enum { MOST_LINKS = 40, LINK_SIZE = 4096 };

/* --- names --- */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static const char *name_in_folder(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static char *join_names(const char *folder, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) < 0 ? NULL : path;
}

static char *absolute_name(const char *path)
{
    char *here, *result;

    if (path[0] == '/')
        return strdup(path);
    here = getcwd(NULL, 0);
    result = here ? join_names(here, path) : NULL;
    free(here);
    return result;
}

/* The target of a symbolic link, which need not exist. NULL: not a link, or out of memory. */
static char *follow_link(const char *path)
{
    char target[LINK_SIZE], *folder, *result;
    ssize_t n = readlink(path, target, sizeof target - 1);

    if (n <= 0)
        return NULL;
    target[n] = '\0';
    if (target[0] == '/')
        return strdup(target);
    folder = folder_of(path);
    result = folder ? join_names(folder, target) : NULL;
    free(folder);
    return result;
}

/* The real name of a file that does not exist, from that of its folder. */
static char *real_in_folder(const char *path)
{
    char *folder = folder_of(path), *real = folder ? realpath(folder, NULL) : NULL, *result;

    result = real && name_in_folder(path)[0] ? join_names(real, name_in_folder(path))
                                             : absolute_name(path);
    free(folder);
    free(real);
    return result;
}

char *place_real(const char *path)
{
    char *at = strdup(path), *next;

    for (int links = 0; at; links++) {
        char *real = realpath(at, NULL);

        next = real || links == MOST_LINKS ? NULL : follow_link(at);
        if (!next) {
            next = real ? real : real_in_folder(at);
            free(at);
            return next;
        }
        free(at);
        at = next;
    }
    return NULL;
}

/* --- owners --- */

static bool look_at_folder(const char *database, struct stat *info)
{
    char *folder = folder_of(database);
    bool there = folder && stat(folder, info) == 0;

    free(folder);
    return there;
}

/* The owner, group and mode that the database has, or will have when it is created. */
static bool look_at_database(const char *database, struct stat *info)
{
    if (stat(database, info) == 0)
        return true;
    if (!look_at_folder(database, info))
        return false;
    if (geteuid() != 0)
        info->st_uid = geteuid();
    info->st_mode = S_IRUSR | S_IWUSR;
    return true;
}

void place_create(const char *database, bool private)
{
    /*
     * close() releases all POSIX locks that this process has on the file, also those of SQLite. So
     * no other thread may create or open the file before this thread has closed it.
     */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    struct stat folder;
    int fd;

    (void)pthread_mutex_lock(&lock);
    fd = descriptor_high(open(database, flags, private ? 0600 : 0644));
    if (fd >= 0 && geteuid() == 0 && look_at_folder(database, &folder) &&
        (folder.st_uid != 0 || folder.st_gid != 0) && fchown(fd, folder.st_uid, folder.st_gid) != 0)
        log_warn("%s belongs to root, not to the owner of its folder: %s", database,
                 strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    (void)pthread_mutex_unlock(&lock);
}

/* Creates the folder. One that another user has created before is refused, not used. */
static bool make_private_folder(const char *database)
{
    char *folder = folder_of(database);
    struct stat info;
    bool ok;
    int fd;

    if (!folder)
        return false;
    (void)mkdir(folder, 0700);
    fd = descriptor_high(open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    ok = fd >= 0 && fstat(fd, &info) == 0;
    if (!ok)
        log_error("cannot use the folder %s: %s", folder, strerror(errno));
    else if (info.st_uid != geteuid() || (info.st_mode & 0077) != 0)
        log_error(
            "%s must belong to user %u and have mode 0700, so that no other user can enter it",
            folder, (unsigned)geteuid());
    ok = ok && info.st_uid == geteuid() && (info.st_mode & 0077) == 0;
    if (fd >= 0)
        (void)close(fd);
    free(folder);
    return ok;
}

bool place_prepare(const char *database, bool private)
{
    struct stat info;

    if (private && !make_private_folder(database))
        return false;
    place_create(database, private);
    if (lstat(database, &info) == 0 && info.st_nlink > 1)
        log_warn("%s has a second name (a hard link): use by both names at once will damage it",
                 database);
    return true;
}

void place_give(int fd, const char *database)
{
    struct stat like, file;
    uid_t user;
    mode_t mode;

    if (!look_at_database(database, &like) || fstat(fd, &file) != 0)
        return;
    user = geteuid() == 0 ? like.st_uid : file.st_uid; /* only root can change it */
    mode = like.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH);
    /* those who may write may also read, because mapping the file needs both rights; nobody else
       needs to read it */
    mode |= mode << 1 | S_IRUSR | S_IWUSR;
    (void)fchmod(fd, mode);
    /* no needless call: a system call filter may forbid fchown() */
    if ((user == file.st_uid && like.st_gid == file.st_gid) || fchown(fd, user, like.st_gid) == 0)
        return;
    if (geteuid() == 0)
        log_warn("a file beside %s belongs to root, not to the owner of the database: %s", database,
                 strerror(errno));
    (void)fchmod(fd, mode & ~(mode_t)S_IRWXG); /* its group is not the database's */
}

bool place_trusts(int fd, const char *name, const char *database)
{
    struct stat file, like, folder;

    if (fstat(fd, &file) != 0 || !look_at_folder(database, &folder) ||
        !look_at_database(database, &like))
        return false;
    if (!S_ISREG(file.st_mode) || file.st_nlink > 1) {
        log_error("cannot use %s: it is not a regular file with a single name", name);
        errno = EINVAL;
        return false;
    }
    if (file.st_uid == geteuid() || file.st_uid == 0 || file.st_uid == like.st_uid ||
        file.st_uid == folder.st_uid ||
        (file.st_gid == like.st_gid && (like.st_mode & S_IWGRP) != 0))
        return true;
    log_error("cannot use %s: it belongs to user %u, who may not write %s", name,
              (unsigned)file.st_uid, database);
    errno = EACCES;
    return false;
}

bool place_beside(char name[static PLACE_NAME_SIZE], const char *database, const char *suffix)
{
    if (snprintf(name, PLACE_NAME_SIZE, "%s%s", database, suffix) < PLACE_NAME_SIZE)
        return true;
    errno = ENAMETOOLONG;
    return false;
}
