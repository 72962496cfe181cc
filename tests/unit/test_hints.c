/* hints.c: the first and the last process, damaged files, replaced files. */
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include "hints/duty.h"
#include "hints/hints_layout.h"
#include "hints/renewal.h"
#include "hints/wake.h"
#include "hints_unit.h"

static void count_call(void *arg)
{
    ++*(int *)arg;
}

START_TEST(calls_back_in_the_first_and_last_process)
{
    struct hints *hints = unit_open_hints(), *other;
    int alone = 0, last = 0;

    ck_assert_int_eq(hints_open(&other, path, count_call, &alone), DS_OK);
    ck_assert_int_eq(alone, 0);
    hints_close(other, count_call, &last);
    ck_assert_int_eq(last, 0);
    hints_close(hints, count_call, &last);
    ck_assert_int_eq(last, 1);
    ck_assert_int_eq(hints_open(&hints, path, count_call, &alone), DS_OK);
    ck_assert_int_eq(alone, 1);
    unit_close_hints(hints);
}
END_TEST

static bool count_one(void *arg, int64_t stream_id, int64_t until_ms)
{
    (void)stream_id;
    (void)until_ms;
    ++*(int *)arg;
    return true;
}

START_TEST(resets_a_truncated_or_overwritten_file_when_opened)
{
    struct hints *hints = unit_open_hints();
    char noise[4096];
    FILE *file;

    hints_close(hints, NULL, NULL);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(hints_open(&hints, path, NULL, NULL), DS_OK);
    ck_assert(renewal_note(hints, 3, 1000));
    hints_close(hints, NULL, NULL);
    memset(noise, 0x5a, sizeof noise);
    file = fopen(path, "r+");
    ck_assert_int_eq(fwrite(noise, 1, sizeof noise, file), sizeof noise);
    (void)fclose(file);
    ck_assert_int_eq(hints_open(&hints, path, NULL, NULL), DS_OK);
    ck_assert_int_eq(hints_lock_writers(hints, 100), DS_OK);
    hints_unlock_writers(hints);
    ck_assert_int_eq(renewal_find(hints, 3), 0);
    unit_close_hints(hints);
}
END_TEST

/* Overwrites the file with random bytes from an offset to its end. */
static void fill(size_t from, uint32_t seed)
{
    static uint32_t noise[sizeof(struct hints_shared) / sizeof(uint32_t)];
    int fd = open(path, O_RDWR);

    for (size_t i = 0; i < COUNT(noise); i++)
        noise[i] = unit_random(&seed);
    ck_assert_int_eq(pwrite(fd, noise, sizeof noise - from, (off_t)from), sizeof noise - from);
    (void)close(fd);
}

/* Everything works again after a repair and a round over the renewals. */
static void check_mended(struct hints *hints, int64_t stream_id)
{
    static int64_t now;
    uint64_t seen;
    uint32_t bell;
    int64_t id;
    int saved = 0;

    hints_mend(hints);
    renewal_collect(hints, count_one, &saved);
    /* a random renewal is in its own slot with a chance of 1 in 8192 */
    ck_assert_int_lt(saved, 100);
    ck_assert(renewal_note(hints, stream_id, 1000) || saved > 0);
    now += 1000000;
    ck_assert(duty_round_is_due(hints, now));
    duty_note_delivery(hints, now);
    ck_assert(duty_delivers(hints, now));
    ck_assert_int_eq(hints_lock_writers(hints, 1000), DS_OK);
    hints_unlock_writers(hints);
    seen = wake_head(hints);
    bell = wake_bell(hints);
    wake_publish(hints, &stream_id, 1);
    ck_assert_uint_ne(wake_bell(hints), bell);
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_STREAM);
    ck_assert_int_eq(id, stream_id);
    seen = 12345;
    for (int i = 0; i < 3; i++)
        if (wake_next(hints, &seen, &id) == WAKE_NONE)
            break;
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_NONE);
}

START_TEST(repairs_a_file_of_random_bytes)
{
    static const size_t from[] = {0,
                                  4,
                                  8,
                                  offsetof(struct hints_shared, interest),
                                  offsetof(struct hints_shared, ring),
                                  offsetof(struct hints_shared, renewal)};
    struct hints *hints = unit_open_hints(), *other;

    for (size_t i = 0; i < COUNT(from); i++)
        for (uint32_t seed = 1; seed <= 5; seed++) {
            wake_interest(hints, 5, 1);
            fill(from[i], seed);
            check_mended(hints, 5);
            wake_interest(hints, 5, -1);
        }
    fill(0, 77);
    hints_mend(hints);
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    hints_close(other, NULL, NULL);
    unit_close_hints(hints);
}
END_TEST

START_TEST(opens_a_damaged_file_that_another_process_has_open)
{
    struct hints *hints = unit_open_hints(), *other;

    fill(0, 3);
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK); /* no process has repaired it */
    wake_interest(other, 5, 1);
    check_mended(other, 5);
    ck_assert_uint_eq(wake_head(hints), wake_head(other));
    hints_close(other, NULL, NULL);
    unit_close_hints(hints);
}
END_TEST

START_TEST(refuses_a_file_that_another_version_uses)
{
    struct hints *hints = unit_open_hints(), *other = NULL;
    const uint32_t version = 2;
    int fd = open(path, O_RDWR);

    ck_assert_int_eq(pwrite(fd, &version, sizeof version, offsetof(struct hints_shared, version)),
                     sizeof version);
    (void)close(fd);
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_FAILED);
    hints_mend(hints); /* the first process resets the header */
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    hints_close(other, NULL, NULL);
    unit_close_hints(hints);
}
END_TEST

START_TEST(extends_a_truncated_file)
{
    struct hints *hints = unit_open_hints(), *other;
    struct stat info;

    ck_assert_int_eq(truncate(path, 100), 0);
    hints_mend(hints);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_size, sizeof(struct hints_shared));
    ck_assert_int_eq(truncate(path, 100), 0);
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    wake_interest(hints, 5, 1);
    check_mended(other, 5);
    hints_close(other, NULL, NULL);
    unit_close_hints(hints);
}
END_TEST

START_TEST(changes_to_the_file_that_has_the_name_now)
{
    char folder[] = "/tmp/ds-unit-XXXXXX", database[64];
    struct hints *hints, *other;
    uint32_t bell;
    int64_t id = 5;

    log_open(LOG_ERR_);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(database, sizeof database, "%s/s.db", folder);
    (void)snprintf(path, sizeof path, "%s-wake", database);
    (void)close(open(database, O_RDWR | O_CREAT, 0600));
    ck_assert_int_eq(hints_open(&hints, path, NULL, NULL), DS_OK);
    wake_interest(hints, id, 1);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    /* as if by another thread: the file must not change meanwhile */
    ck_assert(duty_try_checkpoint(hints));
    hints_mend(hints);
    ck_assert(!hints_is_current(hints));
    duty_end_checkpoint(hints);
    hints_mend(hints);
    ck_assert(hints_is_current(hints));
    ck_assert(duty_try_checkpoint(hints));
    ck_assert(!duty_try_checkpoint(other));
    duty_end_checkpoint(hints);
    bell = wake_bell(hints);
    wake_publish(other, &id, 1);
    ck_assert_uint_ne(wake_bell(hints), bell);
    ck_assert_int_eq(hints_lock_writers(other, 100), DS_OK);
    ck_assert_int_eq(hints_lock_writers(hints, 20), DS_BUSY);
    hints_unlock_writers(other);
    ck_assert_int_eq(hints_lock_writers(hints, 100), DS_OK);
    hints_unlock_writers(hints);
    /* the database is removed too, as with a store in memory: no new file is created */
    (void)unlink(database);
    (void)unlink(path);
    hints_mend(hints);
    ck_assert_int_ne(access(path, F_OK), 0);
    hints_close(other, NULL, NULL);
    hints_close(hints, NULL, NULL);
    (void)rmdir(folder);
}
END_TEST

static void check_refused(const char *what)
{
    struct hints *hints;

    ck_assert_msg(hints_open(&hints, path, NULL, NULL) == DS_FAILED, "%s was taken", what);
    (void)unlink(path);
}

START_TEST(refuses_links_fifos_and_files_of_strangers)
{
    char victim[] = "/tmp/ds-unit-XXXXXX";
    struct stat info;
    int fd;

    unit_close_hints(unit_open_hints()); /* to get a free name */
    (void)strcat(path, "-wake");
    fd = mkstemp(victim);
    ck_assert_int_eq(write(fd, "precious", 8), 8);
    ck_assert_int_eq(symlink(victim, path), 0);
    check_refused("a symbolic link");
    ck_assert_int_eq(link(victim, path), 0);
    check_refused("a second name");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    check_refused("a pipe");
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_int_eq(info.st_size, 8);
    (void)close(fd);
    (void)unlink(victim);
    if (geteuid() == 0) { /* only root can create one */
        (void)close(open(path, O_RDWR | O_CREAT, 0666));
        ck_assert_int_eq(chown(path, 12345, 12345), 0);
        check_refused("a file of a stranger");
    }
}
END_TEST

UNIT_MAIN(hints, calls_back_in_the_first_and_last_process,
          resets_a_truncated_or_overwritten_file_when_opened, repairs_a_file_of_random_bytes,
          opens_a_damaged_file_that_another_process_has_open,
          refuses_a_file_that_another_version_uses, extends_a_truncated_file,
          changes_to_the_file_that_has_the_name_now, refuses_links_fifos_and_files_of_strangers)
