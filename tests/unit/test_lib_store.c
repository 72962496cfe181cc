/* The store of the library: opening and closing, limits, refused arguments. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib_unit.h"

START_TEST(a_store_is_made_where_there_is_none_and_found_again)
{
    struct ds_store *store = lib_begin();

    lib_create(store, "/v1/stream/a", "text/plain");
    lib_append(store, "/v1/stream/a", "kept");
    ds_store_close(store);
    store = lib_open();
    lib_expect(store, "/v1/stream/a", NULL, "kept");
    lib_end(store);
    ds_store_close(NULL);
}
END_TEST

START_TEST(what_cannot_be_opened_says_so_and_leaves_the_handle_alone)
{
    struct ds_store *store = NULL;
    char path[80];
    FILE *file;

    lib_make_folder();
    lib_silence(); /* the cause goes to standard error */
    ck_assert_int_eq(ds_store_open("", NULL, &store), DS_INVALID);
    ck_assert_int_eq(ds_store_open(NULL, NULL, &store), DS_INVALID);
    (void)snprintf(path, sizeof path, "%s/no/such/folder.db", lib_folder);
    ck_assert_int_eq(ds_store_open(path, NULL, &store), DS_FAILED);
    (void)snprintf(path, sizeof path, "%s/other", lib_folder);
    file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is no database\n", file);
    (void)fclose(file);
    ck_assert_int_eq(ds_store_open(path, NULL, &store), DS_FAILED);
    ck_assert_ptr_null(store);
    lib_clean();
}
END_TEST

START_TEST(options_out_of_range_are_refused)
{
    const struct ds_store_options wrong[] = {
        {.durability = (enum ds_durability)7}, {.busy_timeout_ms = -1},
        {.busy_timeout_ms = INT64_MAX},        {.read_chunk_bytes = -1},
        {.read_chunk_bytes = INT64_MAX},       {.max_body_bytes = -5},
        {.max_body_bytes = INT64_MAX},
    };
    struct ds_store *store = NULL;

    lib_make_folder();
    for (size_t i = 0; i < COUNT(wrong); i++) {
        ck_assert_int_eq(ds_store_open(lib_database, &wrong[i], &store), DS_INVALID);
        ck_assert_int_eq(ds_store_open(":memory:", &wrong[i], &store), DS_INVALID);
    }
    ck_assert_ptr_null(store);
    lib_clean();
}
END_TEST

START_TEST(a_relative_path_stays_the_same_file_when_the_program_goes_elsewhere)
{
    struct ds_store *store = NULL;

    lib_make_folder();
    ck_assert_int_eq(chdir(lib_folder), 0);
    ck_assert_int_eq(ds_store_open("streams.db", NULL, &store), DS_OK);
    ck_assert_int_eq(chdir("/"), 0);
    lib_create(store, "/a", "text/plain");
    lib_append(store, "/a", "here");
    lib_expect(store, "/a", NULL, "here"); /* through a connection that was opened afterwards */
    ck_assert_int_eq(access(lib_database, F_OK), 0);
    lib_end(store);
}
END_TEST

START_TEST(a_file_that_is_reached_through_links_is_one_store)
{
    struct ds_store *store = lib_begin(), *other = NULL;
    char link[80], wake[90];

    (void)snprintf(link, sizeof link, "%s/link.db", lib_folder);
    (void)snprintf(wake, sizeof wake, "%s-wake", link);
    ck_assert_int_eq(symlink("streams.db", link), 0);
    ck_assert_int_eq(ds_store_open(link, NULL, &other), DS_OK);
    ck_assert_int_ne(access(wake, F_OK), 0);
    lib_create(store, "/a", "text/plain");
    lib_append(other, "/a", "one");
    lib_expect(store, "/a", NULL, "one");
    ds_store_close(other);
    lib_end(store);
}
END_TEST

/* Counts the files on descriptors 0 to 2 after a program that has closed them opens these
   stores. */
static int count_standard_descriptors(const char *const *paths, size_t n)
{
    struct ds_store *store[2];
    char name[32], target[300];
    int count = 0;

    for (int fd = 0; fd <= 2; fd++)
        (void)close(fd);
    for (size_t i = 0; i < n; i++)
        if (ds_store_open(paths[i], NULL, &store[i]) != DS_OK ||
            ds_create(store[i], "/a", NULL, NULL, NULL) != DS_OK ||
            ds_append(store[i], "/a", "x", 1, NULL, NULL) != DS_OK)
            return 100;
    for (int fd = 0; fd <= 2; fd++) {
        ssize_t len;

        (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        len = readlink(name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        count += len > 0 && strcmp(target, "/dev/null") != 0; /* SQLite opens that itself */
    }
    for (size_t i = 0; i < n; i++)
        ds_store_close(store[i]);
    return count;
}

START_TEST(no_file_of_a_store_takes_a_standard_descriptor)
{
    const char *const paths[] = {lib_database, ":memory:"};
    pid_t child;
    int status;

    lib_make_folder();
    child = fork();
    if (child == 0)
        _exit(count_standard_descriptors(paths, COUNT(paths)));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    lib_clean();
}
END_TEST

START_TEST(the_environment_of_a_server_means_nothing_to_the_library)
{
    struct ds_store *store;

    (void)setenv("DS_MAX_BODY_BYTES", "1", 1);
    (void)setenv("DS_DATABASE", "/no/such/folder/x.db", 1);
    (void)setenv("DS_BUSY_TIMEOUT_MS", "nonsense", 1);
    store = lib_begin();
    lib_create(store, "/a", "text/plain");
    lib_append(store, "/a", "more than a byte");
    lib_end(store);
}
END_TEST

/* Counts the open files of stores in memory, which have no names. */
static int count_hidden(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    char target[300], *end;
    int count = 0;

    while ((entry = readdir(folder))) {
        ssize_t len = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);

        target[len > 0 ? len : 0] = '\0';
        if (!strstr(target, "/durable-streams-"))
            continue;
        count++;
        end = strstr(target, " (deleted)");
        ck_assert_msg(end != NULL, "%s has a name", target);
        *strrchr(target, '/') = '\0';
        ck_assert_int_ne(access(target, F_OK), 0);
    }
    (void)closedir(folder);
    return count;
}

/* The size of the largest of them whose name ended like this. */
static int64_t size_of_hidden(const char *end)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    char target[300];
    struct stat info;
    int64_t most = 0;

    while ((entry = readdir(folder))) {
        ssize_t len = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);

        target[len > 0 ? len : 0] = '\0';
        if (strstr(target, "/durable-streams-") && strstr(target, end) &&
            fstatat(dirfd(folder), entry->d_name, &info, 0) == 0 && info.st_size > most)
            most = info.st_size;
    }
    (void)closedir(folder);
    return most;
}

START_TEST(a_store_in_memory_is_of_one_handle_and_leaves_nothing)
{
    struct ds_store *one = NULL, *other = NULL;
    struct ds_stream *stream;
    char *data = calloc(1, 1 << 20);

    ck_assert_int_eq(ds_store_open(":memory:", NULL, &one), DS_OK);
    ck_assert_int_eq(ds_store_open(":memory:", NULL, &other), DS_OK);
    lib_create(one, "/a", "text/plain");
    lib_append(one, "/a", "mine");
    ck_assert_int_eq(ds_get(other, "/a", &stream), DS_NOT_FOUND);
    ck_assert_int_gt(count_hidden(), 2 * 4); /* the kernel frees them with the process */

    /* after a checkpoint, reads still find everything */
    lib_create(one, "/b", NULL);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(ds_append(one, "/b", data, 1 << 20, NULL, NULL), DS_OK);
    for (int i = 0; i < 1000 && size_of_hidden("/streams.db ") < 16 << 20; i++)
        (void)usleep(10 * 1000);
    ck_assert_int_ge(size_of_hidden("/streams.db "), 16 << 20); /* the rest may be in the log */
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(ds_append(one, "/b", data, 1 << 20, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_get(one, "/b", &stream), DS_OK);
    ck_assert_int_eq(stream->bytes, 48 << 20);
    ds_stream_free(stream);
    lib_expect(one, "/a", NULL, "mine");
    ds_store_close(one);
    ds_store_close(other);
    ck_assert_int_eq(count_hidden(), 0);
    free(data);
}
END_TEST

START_TEST(paths_are_normalised_and_what_is_none_is_refused)
{
    static const char *const wrong[] = {
        "",          "a",  "v1/stream/a", "/a b", "/a?b", "/a#b",      "/a/../b", "/.",
        "/%2e%2E/x", "/%", "/%zz",        "/%00", "/a\n", "/\xC3\xA4", "/a\\b",
    };
    struct ds_store *store = lib_begin();
    struct ds_stream *stream = NULL;
    struct ds_read_result read;
    char *path = calloc(1, 4096);

    lib_create(store, "/%41%2fb", "text/plain");
    ck_assert_int_eq(ds_get(store, "/A%2Fb", &stream), DS_OK);
    ck_assert_str_eq(stream->path, "/A%2Fb");
    ds_stream_free(stream);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct ds_append_result result;

        ck_assert_int_eq(ds_create(store, wrong[i], NULL, NULL, NULL), DS_INVALID);
        ck_assert_int_eq(ds_get(store, wrong[i], &stream), DS_INVALID);
        ck_assert_int_eq(ds_delete(store, wrong[i]), DS_INVALID);
        ck_assert_int_eq(ds_append(store, wrong[i], "x", 1, NULL, &result), DS_INVALID);
        ck_assert_ptr_nonnull(result.reason);
        ck_assert_str_eq(result.next_offset, "");
        ck_assert_int_eq(ds_read(store, wrong[i], NULL, &read), DS_INVALID);
        ck_assert_int_eq(ds_wait(store, wrong[i], DS_START, 0), DS_INVALID);
        ck_assert_int_eq(ds_fork(store, "/A%2Fb", wrong[i], NULL, NULL), DS_INVALID);
        ck_assert_int_eq(ds_fork(store, wrong[i], "/f", NULL, NULL), DS_INVALID);
    }
    ck_assert_int_eq(ds_create(store, NULL, NULL, NULL, NULL), DS_INVALID);
    memset(path, 'a', 2049);
    path[0] = '/';
    ck_assert_int_eq(ds_create(store, path, NULL, NULL, NULL), DS_TOO_LARGE);
    path[2048] = '\0';
    ck_assert_int_eq(ds_create(store, path, NULL, NULL, NULL), DS_OK);
    free(path);
    lib_end(store);
}
END_TEST

START_TEST(limits_are_the_options)
{
    const struct ds_store_options options = {.max_body_bytes = 10, .read_chunk_bytes = 11};
    const struct ds_create_options full = {.data = "0123456789a", .len = 11};
    struct ds_append_result result;
    struct ds_read_result read;
    struct ds_store *store = NULL;

    lib_make_folder();
    ck_assert_int_eq(ds_store_open(lib_database, &options, &store), DS_OK);
    ck_assert_int_eq(ds_create(store, "/a", &full, NULL, NULL), DS_TOO_LARGE);
    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_append(store, "/a", "0123456789a", 11, NULL, &result), DS_TOO_LARGE);
    lib_append(store, "/a", "01234");
    lib_append(store, "/a", "56789");
    lib_append(store, "/a", "abcde");
    ck_assert_int_eq(ds_read(store, "/a", NULL, &read), DS_OK);
    ck_assert_str_eq(read.data, "0123456789");
    ck_assert(!read.up_to_date);
    lib_expect(store, "/a", read.next_offset, "abcde");
    lib_expect(store, "/a", "0000000000000000_0000000000000011", "abcde"); /* inside a message */
    ds_read_free(&read);
    lib_end(store);
}
END_TEST

START_TEST(a_database_that_another_program_has_locked_is_busy_for_so_long)
{
    const struct ds_store_options options = {.busy_timeout_ms = 100};
    struct ds_store *store = NULL;
    FILE *holder;

    lib_make_folder();
    ck_assert_int_eq(ds_store_open(lib_database, &options, &store), DS_OK);
    lib_create(store, "/a", "text/plain");
    holder = lib_lock();
    ck_assert_int_eq(ds_append(store, "/a", "x", 1, NULL, NULL), DS_BUSY);
    lib_expect(store, "/a", NULL, ""); /* reading goes on */
    lib_unlock(holder);
    lib_append(store, "/a", "x");
    lib_end(store);
}
END_TEST

START_TEST(every_status_has_its_words)
{
    for (int i = DS_OK; i <= DS_DENIED; i++) {
        ck_assert_str_ne(ds_status_text((enum ds_status)i), "unknown status");
        for (int other = DS_OK; other < i; other++)
            ck_assert_str_ne(ds_status_text((enum ds_status)i),
                             ds_status_text((enum ds_status)other));
    }
    ck_assert_str_eq(ds_status_text((enum ds_status)1000), "unknown status");
    ck_assert_str_ne(ds_version(), "");
}
END_TEST

UNIT_MAIN(lib_store, a_store_is_made_where_there_is_none_and_found_again,
          what_cannot_be_opened_says_so_and_leaves_the_handle_alone,
          options_out_of_range_are_refused,
          a_relative_path_stays_the_same_file_when_the_program_goes_elsewhere,
          a_file_that_is_reached_through_links_is_one_store,
          no_file_of_a_store_takes_a_standard_descriptor,
          the_environment_of_a_server_means_nothing_to_the_library,
          a_store_in_memory_is_of_one_handle_and_leaves_nothing,
          paths_are_normalised_and_what_is_none_is_refused, limits_are_the_options,
          a_database_that_another_program_has_locked_is_busy_for_so_long,
          every_status_has_its_words)
