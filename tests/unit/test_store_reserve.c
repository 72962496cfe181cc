/* A full disk: appends are refused, and deletions free space, whatever has filled the disk. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "store_fill.h"
#include "store_request.h"

enum { KIB = 1024, RESERVE = 512 * KIB, LOG = 512 * KIB, DISK = 4 * 1024 * KIB };

/* A simulated disk: the files of one folder, and the space that other programs take. */
static const char *folder;
static int64_t disk = INT64_MAX, others;
static int error_when_full;

static int64_t used(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    struct stat info;
    int64_t bytes = others;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && !strstr(entry->d_name, "-wake") &&
            fstatat(dirfd(dir), entry->d_name, &info, 0) == 0)
            bytes += (info.st_size + 4095) / 4096 * 4096;
    (void)closedir(dir);
    return bytes;
}

static bool fits(int fd, off_t end)
{
    struct stat info;

    return disk == INT64_MAX || fstat(fd, &info) != 0 || end <= info.st_size ||
           used() + end - info.st_size <= disk;
}

static ssize_t limited_write(int fd, const void *data, size_t bytes, off_t start)
{
    if (fits(fd, start + (off_t)bytes))
        return pwrite(fd, data, bytes, start);
    errno = error_when_full;
    return -1;
}

/* What the replacements below call after the reserve has grown, and before a file is cut. */
static void (*after_growth)(void), (*before_cut)(void);

/* Replacements for functions of the C library. */
int ftruncate(int fd, off_t length)
{
    if (before_cut)
        before_cut();
    return (int)syscall(SYS_ftruncate, fd, length);
}

int posix_fallocate(int fd, off_t start, off_t bytes)
{
    struct stat info;

    if (!fits(fd, start + bytes))
        return error_when_full;
    if (fstat(fd, &info) != 0 ||
        (info.st_size < start + bytes && syscall(SYS_ftruncate, fd, start + bytes) != 0))
        return errno;
    if (after_growth)
        after_growth();
    return 0;
}

static struct commit *committer;

static void open_disk(struct fixture *f, int64_t reserve)
{
    sqlite3_vfs *vfs;
    char text[20];

    (void)snprintf(text, sizeof text, "%lld", (long long)reserve);
    (void)setenv("DS_RESERVE_BYTES", text, 1);
    (void)snprintf(text, sizeof text, "%d", LOG);
    (void)setenv("DS_WAL_BYTES", text, 1);
    store_own_process();
    vfs = sqlite3_vfs_find(NULL);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)limited_write);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)limited_write);
    open_fixture(f);
    folder = f->folder;
    ck_assert_int_eq(commit_start(&committer, f->store, &f->config, false), DS_OK);
}

static void close_disk(struct fixture *f)
{
    disk = INT64_MAX;
    commit_free(committer);
    close_fixture(f);
}

/* --- requests --- */

static enum ds_status append(const char *path, size_t bytes)
{
    static char payload[512 * KIB];
    struct request request = {
        .append = {.path = path, .body = {.data = payload, .len = bytes, .max_messages = 1}}};

    memset(payload, 'x', bytes);
    return submit_request(committer, &request, apply_append) == DS_OK ? request.append.verdict
                                                                      : request.status;
}

static enum ds_status remove_stream(const char *path)
{
    struct request request = {.deletion = {.path = path}};

    return submit_request(committer, &request, apply_delete) == DS_OK ? request.deletion.verdict
                                                                      : request.status;
}

/* Does what upkeep does until nothing is left. */
static void do_upkeep(struct fixture *f)
{
    bool needed = true;

    while (needed) {
        struct request request = {0};

        ck_assert_int_eq(submit_request(committer, &request, apply_sweep), DS_OK);
        if (commit_wal_bytes(committer) >= LOG)
            (void)store_checkpoint_anyway(f->conn, false);
        ck_assert_int_eq(store_sweep_needed(f->conn, clock_wall_ms(), &needed), DS_OK);
    }
    store_mend_reserve(f->conn);
}

/* Appends until the disk is full. Returns the number of acknowledged bytes. */
static int64_t fill_up(struct fixture *f, const char *path, size_t bytes)
{
    enum ds_status status;
    int64_t acknowledged = 0;

    for (int refused = 0; refused < 3;) {
        status = append(path, bytes);
        ck_assert_msg(status == DS_OK || status == DS_NO_SPACE, "append: %d", status);
        if (status == DS_OK)
            acknowledged += (int64_t)bytes;
        else
            refused++;
        if (commit_wal_bytes(committer) >= LOG)
            (void)store_checkpoint_anyway(f->conn, false);
        ck_assert_int_lt(acknowledged, 2 * (int64_t)DISK);
    }
    return acknowledged;
}

static int64_t length_of(struct fixture *f, const char *path)
{
    struct stream stream;

    ck_assert_int_eq(store_find(f->conn, f->arena, path, clock_wall_ms(), &stream), DS_OK);
    return stream.tail;
}

static void empty_the_log(struct fixture *f)
{
    ck_assert_int_eq(store_checkpoint_anyway(f->conn, true), DS_OK);
}

/* --- tests --- */

static const struct {
    int error;
    size_t bytes;   /* of a message */
    bool others;    /* another program takes the rest of the disk */
    bool reader;    /* a reader prevents a restart of the log */
    bool short_log; /* the log is empty when the disk is full */
} ways[] = {
    {ENOSPC, 300, false, false, false},       {ENOSPC, 20000, false, false, false},
    {ENOSPC, 500 * KIB, false, false, false}, {EDQUOT, 20000, false, false, false},
    {ENOSPC, 20000, true, false, false},      {ENOSPC, 20000, true, false, true},
    {EDQUOT, 3000, true, false, true},        {ENOSPC, 20000, false, true, false},
    {ENOSPC, 20000, true, true, true},
};

static void hold(struct fixture *f, struct store_conn **reader)
{
    ck_assert_int_eq(store_connect(reader, f->store), DS_OK);
    ck_assert_int_eq(store_begin_read(*reader), DS_OK);
    (void)store_load_id(*reader, f->arena, 1, &(struct stream){0});
}

START_TEST(a_deletion_makes_room)
{
    struct store_conn *reader = NULL;
    struct fixture f;
    int64_t a, b;

    open_disk(&f, RESERVE);
    error_when_full = ways[_i].error;
    (void)make_stream(&f, "/a", "a/b");
    (void)make_stream(&f, "/b", "a/b");
    if (ways[_i].reader)
        hold(&f, &reader);
    disk = DISK;
    a = append("/a", ways[_i].bytes) == DS_OK ? (int64_t)ways[_i].bytes : 0;
    while (a < DISK / 3 && append("/a", ways[_i].bytes) == DS_OK)
        a += (int64_t)ways[_i].bytes;
    b = ways[_i].short_log ? 0 : fill_up(&f, "/b", ways[_i].bytes);
    if (ways[_i].short_log && !reader)
        empty_the_log(&f);
    if (ways[_i].others && used() < disk)
        others = disk - used();
    b += fill_up(&f, "/b", ways[_i].bytes);
    ck_assert(store_is_low(f.store));
    ck_assert_int_eq(append("/b", 500 * KIB), DS_NO_SPACE);
    ck_assert_int_eq(length_of(&f, "/a"), a);

    ck_assert_int_eq(remove_stream("/a"), DS_OK);
    store_end_read(reader ? reader : f.conn);
    do_upkeep(&f);
    ck_assert_int_eq(append("/b", ways[_i].bytes < 50000 ? ways[_i].bytes : 50000), DS_OK);
    ck_assert_int_ge(length_of(&f, "/b"), b);
    ck_assert_int_eq(count(&f, "SELECT sum(length(payload)) FROM message"), length_of(&f, "/b"));
    ck_assert_int_eq(remove_stream("/b"), DS_OK);
    do_upkeep(&f);
    ck_assert_int_eq(count(&f, "SELECT count(*) FROM message"), 0);

    others = 0; /* the other programs' files are deleted */
    disk = 4 * (int64_t)DISK;
    do_upkeep(&f);
    ck_assert(!store_is_low(f.store));
    store_disconnect(reader);
    close_disk(&f);
}
END_TEST

/* The control: without a reserve, the same deletion fails. */
START_TEST(a_deletion_is_refused_without_a_reserve)
{
    struct fixture f;

    open_disk(&f, 0);
    error_when_full = ENOSPC;
    (void)make_stream(&f, "/a", "a/b");
    empty_the_log(&f);
    disk = DISK;
    (void)fill_up(&f, "/a", 500 * KIB);
    others = disk - used();
    ck_assert_int_eq(fill_up(&f, "/a", 3000), 0);
    ck_assert_int_eq(remove_stream("/a"), DS_NO_SPACE);
    ck_assert_int_eq(access(f.config.database, F_OK), 0);
    close_disk(&f);
}
END_TEST

START_TEST(a_database_can_be_opened_on_a_full_disk)
{
    struct fixture f;
    struct store *store;
    char name[80];

    open_disk(&f, RESERVE);
    error_when_full = ENOSPC;
    (void)make_stream(&f, "/a", "a/b");
    ck_assert_int_eq(append("/a", 1), DS_OK);
    commit_free(committer);
    committer = NULL;
    store_disconnect(f.conn);
    store_close(f.store, true);
    (void)snprintf(name, sizeof name, "%s-shm", f.config.database);
    (void)unlink(name);
    others = 0;
    disk = used(); /* full to the last byte */
    ck_assert_int_eq(store_open(&store, &f.config, true), DS_OK);
    ck_assert(store_is_low(store));
    f.store = store;
    ck_assert_int_eq(store_connect(&f.conn, f.store), DS_OK);
    ck_assert_int_eq(commit_start(&committer, f.store, &f.config, false), DS_OK);
    ck_assert_int_eq(remove_stream("/a"), DS_OK);
    close_disk(&f);
}
END_TEST

START_TEST(a_limit_on_file_sizes_acts_like_a_full_disk)
{
    struct rlimit limit, before;
    struct fixture f;

    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = DISK;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    open_disk(&f, RESERVE);
    (void)make_stream(&f, "/a", "a/b");
    (void)make_stream(&f, "/b", "a/b");
    ck_assert_int_eq(append("/b", 20000), DS_OK);
    ck_assert_int_gt(fill_up(&f, "/a", 20000), DISK / 2);
    ck_assert_int_eq(remove_stream("/a"), DS_OK);
    do_upkeep(&f);
    ck_assert_int_eq(append("/b", 20000), DS_OK);
    ck_assert_int_eq(length_of(&f, "/b"), 40000);
    close_disk(&f);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
}
END_TEST

/* Each process is new, and cannot remember that an earlier one has tried. */
START_TEST(refused_processes_do_not_all_checkpoint)
{
    struct fixture f;
    int64_t before;

    open_disk(&f, RESERVE);
    error_when_full = ENOSPC;
    (void)make_stream(&f, "/a", "a/b");
    disk = DISK;
    (void)fill_up(&f, "/a", 20000);
    before = count(&f, "SELECT checkpoints FROM upkeep");
    for (int i = 0; i < 20; i++) {
        commit_free(committer);
        ck_assert_int_eq(commit_start(&committer, f.store, &f.config, false), DS_OK);
        ck_assert_int_eq(append("/a", 500 * KIB), DS_NO_SPACE);
    }
    /* one a second, and the machine may be busy */
    ck_assert_int_lt(count(&f, "SELECT checkpoints FROM upkeep") - before, 10);
    close_disk(&f);
}
END_TEST

/* A user who may write to the folder could make root truncate or extend any other file. */
START_TEST(a_file_with_another_name_is_not_a_reserve)
{
    char name[80], precious[80];
    struct fixture f;
    struct stat info;
    FILE *file;

    open_disk(&f, RESERVE);
    (void)snprintf(name, sizeof name, "%s-reserve", f.config.database);
    (void)snprintf(precious, sizeof precious, "%s/precious", f.folder);
    (void)unlink(name);
    file = fopen(precious, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs("precious", file);
    (void)fclose(file);
    ck_assert_int_eq(link(precious, name), 0);
    store_mend_reserve(f.conn);
    (void)make_stream(&f, "/a", "a/b");
    ck_assert_int_eq(append("/a", 20000), DS_OK);
    store_note_full(f.conn);
    store_mend_reserve(f.conn);
    ck_assert(!store_is_low(f.store));
    ck_assert_int_eq(stat(precious, &info), 0);
    ck_assert_int_eq(info.st_size, 8);
    close_disk(&f);
}
END_TEST

static struct store_conn *noting;
static pthread_t noting_thread;
static _Thread_local bool is_noting;
static atomic_bool is_cutting, was_mended;

static void *note_full(void *arg)
{
    is_noting = true;
    store_note_full(noting);
    return arg;
}

/* Upkeep has grown the reserve for a moment: now another thread meets the full disk. */
static void note_during_mend(void)
{
    after_growth = NULL;
    ck_assert_int_eq(pthread_create(&noting_thread, NULL, note_full, NULL), 0);
    for (int i = 0; i < 100 && !atomic_load(&is_cutting); i++)
        (void)usleep(3000);
}

/* The other thread cuts the file by what it has read, after upkeep has cut it. */
static void cut_after_mend(void)
{
    if (!is_noting)
        return;
    atomic_store(&is_cutting, true);
    while (!atomic_load(&was_mended))
        (void)usleep(1000);
}

START_TEST(the_reserve_never_becomes_a_hole)
{
    struct fixture f;
    struct stat mended, noted;
    char name[64];

    open_disk(&f, RESERVE);
    (void)snprintf(name, sizeof name, "%s-reserve", f.config.database);
    ck_assert_int_eq(store_connect(&noting, f.store), DS_OK);
    store_note_full(f.conn);
    after_growth = note_during_mend;
    before_cut = cut_after_mend;
    store_mend_reserve(f.conn);
    ck_assert_int_eq(stat(name, &mended), 0);
    atomic_store(&was_mended, true);
    ck_assert_int_eq(pthread_join(noting_thread, NULL), 0);
    before_cut = NULL;
    ck_assert_int_eq(stat(name, &noted), 0);
    ck_assert_int_eq(noted.st_size, mended.st_size - 1); /* marked as full, and nothing else */
    store_disconnect(noting);
    close_disk(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_reserve");
    TCase *tcase = tcase_create("store_reserve");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_deletion_makes_room, 0, (int)COUNT(ways));
    tcase_add_test(tcase, a_deletion_is_refused_without_a_reserve);
    tcase_add_test(tcase, a_database_can_be_opened_on_a_full_disk);
    tcase_add_test(tcase, a_limit_on_file_sizes_acts_like_a_full_disk);
    tcase_add_test(tcase, refused_processes_do_not_all_checkpoint);
    tcase_add_test(tcase, the_reserve_never_becomes_a_hole);
    tcase_add_test(tcase, a_file_with_another_name_is_not_a_reserve);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
