/*
 * The index of the write-ahead log, from one CGI process to the next.
 *
 * The index lies in the -shm file and needs no more than memory: whoever connects first to a
 * database makes it anew, by reading the log once through. Where CGI processes are alone that is
 * each of them. But nothing is wrong with what the process before has left there, as long as
 *
 *   - the machine was not restarted since: the file is written without any sync;
 *   - the files are those that it has left, to the nanosecond: nobody has put others in their
 *     place, a backup say, which SQLite would not know.
 *
 * So a process notes the files when it leaves, in the mapped hints, which a restart clears. The
 * next one that finds them so takes the two read locks by which SQLite's connections say that they
 * are there: on a byte of the -shm file, so that SQLite sees that it is not the first, and on the
 * database, so that nobody gets it for himself, who could then take the log away or write it with
 * an index of his own. Whatever else happens to the files is as if a process of ours had stayed
 * connected, and one that was killed had been beside it.
 *
 * What such a process need not do again either: ask whether the schema is ours and of this version,
 * and registry and faults as they are wanted, for all of that is part of what is noted; and make
 * the log's entry in its folder durable, which SQLite does at the first commit of every process, if
 * one before it has done so with the same log. The lowest bit of the note says that.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema.h"
#include "store_private.h"
#include "wake.h"

#define SYNCED UINT64_C(1)

enum {
    CONNECTED_BYTE = 128,     /* UNIX_SHM_DMS of SQLite's os_unix.c */
    SHARED_BYTE = 0x40000002, /* SHARED_FIRST and SHARED_SIZE of its os.h */
    SHARED_BYTES = 510,
    NAME_BYTES = 4096,
};

static bool name_file(char name[static NAME_BYTES], const struct store *store, const char *suffix)
{
    return snprintf(name, NAME_BYTES, "%s%s", store->config->database, suffix) < NAME_BYTES;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        hash = (hash ^ (value >> (8 * i) & 0xff)) * UINT64_C(1099511628211); /* FNV-1a */
    return hash;
}

/* What tells whether the files are the same and unchanged; 0 when one of them is missing. */
static uint64_t look_at_files(const struct store *store)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    uint64_t hash = mix(UINT64_C(14695981039346656037), (uint64_t)schema_version);

    hash = mix(hash, (uint64_t)store->config->test_endpoints);
    for (const char *c = store->config->registry; c && *c; c++)
        hash = mix(hash, (unsigned char)*c);

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[NAME_BYTES];
        struct stat info;

        if (!name_file(name, store, suffixes[i]) || stat(name, &info) != 0)
            return 0;
        hash = mix(mix(hash, (uint64_t)info.st_dev), (uint64_t)info.st_ino);
        hash = mix(hash, (uint64_t)info.st_size);
        if (i == 2)
            break; /* it is written as memory is: its times tell nothing */
        hash = mix(mix(hash, (uint64_t)info.st_ctim.tv_sec), (uint64_t)info.st_ctim.tv_nsec);
    }
    return hash & ~SYNCED;
}

static bool is_as_noted(const struct store *store)
{
    uint64_t noted = wake_files(store->wake);

    return noted != 0 && look_at_files(store) == (noted & ~SYNCED);
}

/* SQLite takes this for a folder that cannot be opened for a sync, and goes on. */
static int no_directory(const char *name, int *fd)
{
    (void)name;
    *fd = -1;
    return SQLITE_CANTOPEN;
}

/* As root, SQLite gives log and index to the owner of the database whenever it opens them. */
static int keep_owner(int fd, uid_t user, gid_t group)
{
    (void)fd;
    (void)user;
    (void)group;
    return 0;
}

static void replace_call(const char *name, sqlite3_syscall_ptr call)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    if (vfs && vfs->iVersion >= 3)
        (void)vfs->xSetSystemCall(vfs, name, call);
}

/* Opens a file with such a read lock; -1 where it is not to be had. */
static int open_locked(const struct store *store, const char *suffix, off_t start, off_t bytes)
{
    /* a lock of the open file: SQLite asks which locks others have than the process itself */
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};
    char name[NAME_BYTES];
    int fd = name_file(name, store, suffix) ? open(name, O_RDWR | O_CLOEXEC) : -1;

    if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void index_close(struct store *store)
{
    if (store->index_fd >= 0)
        (void)close(store->index_fd);
    if (store->database_fd >= 0)
        (void)close(store->database_fd);
    store->index_fd = store->database_fd = -1;
}

bool index_keep(struct store *store)
{
    if (wake_files(store->wake) == 0)
        return false;
    store->database_fd = open_locked(store, "", SHARED_BYTE, SHARED_BYTES);
    store->index_fd = open_locked(store, "-shm", CONNECTED_BYTE, 1);
    if (store->database_fd < 0 || store->index_fd < 0 || !is_as_noted(store)) {
        index_close(store);
        return false;
    }
    store->synced = (wake_files(store->wake) & SYNCED) != 0;
    if (store->synced)
        replace_call("openDirectory", (sqlite3_syscall_ptr)no_directory);
    replace_call("fchown", (sqlite3_syscall_ptr)keep_owner);
    store->kept = true;
    return true;
}

void store_leave(struct store *store)
{
    uint64_t files;

    /* who only reads leaves the files as they were; and who has written meanwhile notes that */
    if (!store->settled || (store->kept && !atomic_load(&store->committed)))
        return;
    files = look_at_files(store);
    if (files != 0 && (store->synced || (atomic_load(&store->committed) &&
                                         store->config->durability == DURABILITY_FULL)))
        files |= SYNCED;
    if (files != 0 && files != wake_files(store->wake))
        wake_note_files(store->wake, files);
}
