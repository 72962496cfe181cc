/* The shared hints: changes, renewals, and a lock that outlives its holder. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "hints/wake.h"
#include "hints/wake_private.h"
#include "unit.h"

static char path[80];

static struct wake *open_wake(void)
{
    struct wake *wake;
    int fd;

    log_open(LOG_ERR_);
    (void)strcpy(path, "/tmp/ds-unit-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    ck_assert_int_eq(wake_open(&wake, path, NULL, NULL), DS_OK);
    return wake;
}

static void close_wake(struct wake *wake)
{
    wake_close(wake, NULL, NULL);
    (void)unlink(path);
}

START_TEST(tells_each_change_once_in_order)
{
    struct wake *wake = open_wake();
    const int64_t changed[] = {7, 8, 7};
    uint64_t seen = wake_head(wake);
    int64_t id;

    wake_publish(wake, changed, COUNT(changed));
    for (size_t i = 0; i < COUNT(changed); i++) {
        ck_assert_int_eq(wake_next(wake, &seen, &id), WAKE_STREAM);
        ck_assert_int_eq(id, changed[i]);
    }
    ck_assert_int_eq(wake_next(wake, &seen, &id), WAKE_NONE);
    close_wake(wake);
}
END_TEST

START_TEST(says_so_when_a_reader_has_missed_some)
{
    struct wake *wake = open_wake();
    uint64_t seen = wake_head(wake);
    int64_t id = 1;

    for (int i = 0; i < 100000; i++)
        wake_publish(wake, &id, 1);
    ck_assert_int_eq(wake_next(wake, &seen, &id), WAKE_LOST);
    ck_assert_int_eq(wake_next(wake, &seen, &id), WAKE_NONE);
    close_wake(wake);
}
END_TEST

START_TEST(rings_another_process_out_of_its_sleep)
{
    struct wake *wake = open_wake();
    int64_t id = 5;
    pid_t child;
    int status;

    wake_interest(wake, id, 1);
    child = fork();
    if (child == 0) {
        struct wake *mine;
        uint32_t bell;

        if (wake_open(&mine, path, NULL, NULL) != DS_OK)
            _exit(1);
        bell = wake_bell(mine);
        wake_interest(mine, 6, 1); /* tells the parent that the bell was noted */
        for (int i = 0; i < 200 && wake_bell(mine) == bell; i++)
            wake_wait(mine, bell, 100);
        _exit(wake_bell(mine) == bell ? 2 : 0);
    }
    (void)usleep(50 * 1000);
    wake_publish(wake, &id, 1);
    while (waitpid(child, &status, WNOHANG) == 0) { /* it may not have been asleep yet */
        wake_publish(wake, &id, 1);
        (void)usleep(10 * 1000);
    }
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    close_wake(wake);
}
END_TEST

START_TEST(takes_the_lock_over_from_the_dead)
{
    struct wake *wake = open_wake();
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct wake *mine;

        if (wake_open(&mine, path, NULL, NULL) != DS_OK || wake_lock(mine, 1000) != DS_OK)
            _exit(1);
        (void)raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(wake_lock(wake, 1000), DS_OK);
    wake_unlock(wake);
    ck_assert_int_eq(wake_lock(wake, 1000), DS_OK);
    wake_unlock(wake);
    close_wake(wake);
}
END_TEST

START_TEST(gives_up_on_a_lock_that_is_held)
{
    struct wake *wake = open_wake(), *other;

    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_OK);
    ck_assert_int_eq(wake_lock(wake, 1000), DS_OK);
    ck_assert_int_eq(wake_lock(other, 20), DS_BUSY);
    wake_unlock(wake);
    ck_assert_int_eq(wake_lock(other, 20), DS_OK);
    wake_unlock(other);
    wake_close(other, NULL, NULL);
    close_wake(wake);
}
END_TEST

struct tally {
    _Atomic int inside, most; /* holders of the lock at one moment */
    _Atomic int taken, opened;
    _Atomic bool over;
};

static struct tally *share_tally(void)
{
    struct tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert(tally != MAP_FAILED);
    return tally;
}

static void take_turns(struct tally *tally, int turns)
{
    struct wake *mine;

    if (wake_open(&mine, path, NULL, NULL) != DS_OK)
        _exit(1);
    atomic_fetch_add(&tally->opened, 1);
    for (int i = 0; i < turns; i++) {
        int inside;

        if (wake_lock(mine, 20000) != DS_OK)
            _exit(2);
        inside = atomic_fetch_add(&tally->inside, 1) + 1;
        if (inside > atomic_load(&tally->most))
            atomic_store(&tally->most, inside);
        atomic_fetch_add(&tally->taken, 1);
        if (i % 16 == 0)
            (void)usleep(100); /* the others come and wait */
        atomic_fetch_sub(&tally->inside, 1);
        wake_unlock(mine);
    }
    _exit(0);
}

/* Random bytes into the open file, until it is over. */
static void scribble(const struct tally *tally, uint32_t seed)
{
    int fd = open(path, O_RDWR);
    struct stat info;
    uint32_t *word;

    if (fd < 0 || fstat(fd, &info) != 0)
        _exit(1);
    word = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (word == MAP_FAILED)
        _exit(2);
    while (!atomic_load(&tally->over))
        for (size_t i = 0; i < (size_t)info.st_size / sizeof *word; i++)
            word[i] = unit_random(&seed);
    _exit(0);
}

static void await_child(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child ended with %x",
                  (unsigned)status);
}

static void all_take_turns(bool noise)
{
    enum { TAKERS = 4, TURNS = 300 };
    struct wake *wake = open_wake();
    struct tally *tally = share_tally();
    pid_t child[TAKERS], scribbler = 0;

    for (int i = 0; i < TAKERS; i++) {
        child[i] = fork();
        if (child[i] == 0)
            take_turns(tally, TURNS);
    }
    while (atomic_load(&tally->opened) < TAKERS && atomic_load(&tally->taken) < TURNS)
        (void)usleep(1000);
    if (noise) {
        scribbler = fork();
        if (scribbler == 0)
            scribble(tally, 7);
    }
    for (int i = 0; i < TAKERS; i++)
        await_child(child[i]);
    atomic_store(&tally->over, true);
    if (noise)
        await_child(scribbler);
    ck_assert_int_eq(atomic_load(&tally->most), 1);
    ck_assert_int_eq(atomic_load(&tally->taken), TAKERS * TURNS);
    close_wake(wake);
}

START_TEST(lets_writers_in_one_at_a_time)
{
    all_take_turns(false);
}
END_TEST

START_TEST(lets_writers_in_one_at_a_time_whatever_the_file_says)
{
    all_take_turns(true);
}
END_TEST

static bool count_one(void *arg, int64_t stream_id, int64_t until_ms)
{
    (void)stream_id;
    (void)until_ms;
    ++*(int *)arg;
    return true;
}

static bool take_two(void *arg, int64_t stream_id, int64_t until_ms)
{
    int64_t *taken = arg;

    (void)until_ms;
    if (taken[1] != 0)
        return false;
    taken[taken[0] != 0] = stream_id;
    return true;
}

START_TEST(remembers_renewals_until_they_have_been_saved_for_a_while)
{
    struct wake *wake = open_wake();
    int saved = 0;

    ck_assert(wake_touch(wake, 3, 1000));
    ck_assert(wake_touch(wake, 3, 900)); /* never back */
    ck_assert_int_eq(wake_touched(wake, 3), 1000);
    ck_assert_int_eq(wake_touched(wake, 4), 0);
    ck_assert(!wake_touch(wake, 3 + 8192, 1000)); /* the same slot */
    wake_touch_sweep(wake, count_one, &saved);
    wake_touch_sweep(wake, count_one, &saved);
    ck_assert_int_eq(saved, 2); /* again, for nobody said that it was committed */
    wake_touch_saved(wake, 3, 1000);
    ck_assert_int_eq(wake_touched(wake, 3), 1000);
    wake_touch_sweep(wake, count_one, &saved);
    ck_assert_int_eq(saved, 2);
    ck_assert_int_eq(wake_touched(wake, 3), 0);
    ck_assert(wake_touch(wake, 3 + 8192, 1000));
    close_wake(wake);
}
END_TEST

START_TEST(saves_every_renewal_in_turn_however_many_there_are)
{
    struct wake *wake = open_wake();
    int64_t taken[2];
    bool seen[11] = {false};

    for (int64_t id = 1; id <= 10; id++)
        ck_assert(wake_touch(wake, id, 1000));
    for (int round = 0; round < 5; round++) {
        memset(taken, 0, sizeof taken);
        wake_touch_sweep(wake, take_two, taken);
        for (int i = 0; i < 2; i++) {
            seen[taken[i]] = true;
            wake_touch_saved(wake, taken[i], 1000);
            (void)wake_touch(wake, taken[i], 2000 + round); /* read all the time */
        }
    }
    for (int id = 1; id <= 10; id++)
        ck_assert_msg(seen[id], "stream %d was never saved", id);
    close_wake(wake);
}
END_TEST

START_TEST(gives_the_duty_to_one)
{
    struct wake *wake = open_wake(), *other;

    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_OK);
    ck_assert(wake_try_duty(wake));
    ck_assert(wake_try_duty(wake));
    ck_assert(!wake_try_duty(other));
    wake_close(wake, NULL, NULL);
    ck_assert(wake_try_duty(other));
    close_wake(other);
}
END_TEST

static void count_call(void *arg)
{
    ++*(int *)arg;
}

START_TEST(gives_each_door_so_many_places)
{
    struct wake *wake[4] = {open_wake()};

    for (size_t i = 1; i < COUNT(wake); i++)
        ck_assert_int_eq(wake_open(&wake[i], path, NULL, NULL), DS_OK);
    ck_assert(wake_try_duty(wake[0]));
    ck_assert(wake_try_door(wake[1], 77, 2));
    ck_assert(wake_try_door(wake[1], 77, 2)); /* asked again it has the one that it has */
    ck_assert(wake_try_door(wake[2], 77, 2));
    ck_assert(!wake_try_door(wake[3], 77, 2));
    ck_assert(wake_try_door(wake[3], 78, 1)); /* another one */
    wake_leave_door(wake[3]);
    wake_leave_door(wake[1]);
    ck_assert(wake_try_door(wake[3], 77, 2));
    ck_assert(!wake_try_duty(wake[1])); /* which is something else */
    for (size_t i = COUNT(wake) - 1; i > 0; i--)
        wake_close(wake[i], NULL, NULL);
    close_wake(wake[0]);
}
END_TEST

START_TEST(knows_the_first_and_the_last)
{
    struct wake *wake = open_wake(), *other;
    int alone = 0, last = 0;

    ck_assert_int_eq(wake_open(&other, path, count_call, &alone), DS_OK);
    ck_assert_int_eq(alone, 0);
    wake_close(other, count_call, &last);
    ck_assert_int_eq(last, 0);
    wake_close(wake, count_call, &last);
    ck_assert_int_eq(last, 1);
    ck_assert_int_eq(wake_open(&wake, path, count_call, &alone), DS_OK);
    ck_assert_int_eq(alone, 1);
    close_wake(wake);
}
END_TEST

START_TEST(keeps_renewals_from_one_lone_process_to_the_next)
{
    struct wake *wake = open_wake();

    ck_assert(wake_touch(wake, 3, 1000));
    wake_interest(wake, 3, 1);
    wake_close(wake, NULL, NULL);
    ck_assert_int_eq(wake_open(&wake, path, NULL, NULL), DS_OK);
    ck_assert_int_eq(wake_touched(wake, 3), 1000);
    close_wake(wake);
}
END_TEST

START_TEST(recovers_from_a_file_that_was_emptied_or_scribbled_on)
{
    struct wake *wake = open_wake();
    char noise[4096];
    FILE *file;

    wake_close(wake, NULL, NULL);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(wake_open(&wake, path, NULL, NULL), DS_OK);
    ck_assert(wake_touch(wake, 3, 1000));
    wake_close(wake, NULL, NULL);
    memset(noise, 0x5a, sizeof noise);
    file = fopen(path, "r+");
    ck_assert_int_eq(fwrite(noise, 1, sizeof noise, file), sizeof noise);
    (void)fclose(file);
    ck_assert_int_eq(wake_open(&wake, path, NULL, NULL), DS_OK);
    ck_assert_int_eq(wake_lock(wake, 100), DS_OK);
    wake_unlock(wake);
    ck_assert_int_eq(wake_touched(wake, 3), 0);
    close_wake(wake);
}
END_TEST

/* Random bytes from the start of the file on, or behind what says whose it is. */
static void fill(size_t from, uint32_t seed)
{
    static uint32_t noise[sizeof(struct shared) / sizeof(uint32_t)];
    int fd = open(path, O_RDWR);

    for (size_t i = 0; i < COUNT(noise); i++)
        noise[i] = unit_random(&seed);
    ck_assert_int_eq(pwrite(fd, noise, sizeof noise - from, (off_t)from), sizeof noise - from);
    (void)close(fd);
}

/* Everything works again after a look and two rounds over the renewals. */
static void check_mended(struct wake *wake, int64_t stream_id)
{
    static int64_t now;
    uint64_t seen;
    uint32_t bell;
    int64_t id;
    int saved = 0;

    wake_look(wake);
    wake_touch_sweep(wake, count_one, &saved);
    ck_assert_int_lt(saved, 100); /* those of a slot where they can be, which is one of 8192 */
    ck_assert(wake_touch(wake, stream_id, 1000) || saved > 0);
    now += 1000000;
    ck_assert(wake_round_is_due(wake, now));
    ck_assert_int_eq(wake_lock(wake, 1000), DS_OK);
    wake_unlock(wake);
    seen = wake_head(wake);
    bell = wake_bell(wake);
    wake_publish(wake, &stream_id, 1);
    ck_assert_uint_ne(wake_bell(wake), bell);
    ck_assert_int_eq(wake_next(wake, &seen, &id), WAKE_STREAM);
    ck_assert_int_eq(id, stream_id);
    seen = 12345;
    for (int i = 0; i < 3; i++)
        if (wake_next(wake, &seen, &id) == WAKE_NONE)
            break;
    ck_assert_int_eq(wake_next(wake, &seen, &id), WAKE_NONE);
}

START_TEST(mends_a_file_of_random_bytes)
{
    static const size_t from[] = {0,
                                  4,
                                  8,
                                  offsetof(struct shared, interest),
                                  offsetof(struct shared, ring),
                                  offsetof(struct shared, touch)};
    struct wake *wake = open_wake(), *other;

    for (size_t i = 0; i < COUNT(from); i++)
        for (uint32_t seed = 1; seed <= 5; seed++) {
            wake_interest(wake, 5, 1);
            fill(from[i], seed);
            check_mended(wake, 5);
            wake_interest(wake, 5, -1);
        }
    fill(0, 77);
    wake_look(wake);
    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_OK);
    wake_close(other, NULL, NULL);
    close_wake(wake);
}
END_TEST

START_TEST(opens_a_file_of_random_bytes_that_others_have)
{
    struct wake *wake = open_wake(), *other;

    fill(0, 3);
    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_OK); /* nobody has looked after it */
    wake_interest(other, 5, 1);
    check_mended(other, 5);
    ck_assert_uint_eq(wake_head(wake), wake_head(other));
    wake_close(other, NULL, NULL);
    close_wake(wake);
}
END_TEST

START_TEST(leaves_alone_what_another_version_uses)
{
    struct wake *wake = open_wake(), *other = NULL;
    const uint32_t version = 2;
    int fd = open(path, O_RDWR);

    ck_assert_int_eq(pwrite(fd, &version, sizeof version, offsetof(struct shared, version)),
                     sizeof version);
    (void)close(fd);
    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_FAILED);
    wake_look(wake); /* of this version after all */
    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_OK);
    wake_close(other, NULL, NULL);
    close_wake(wake);
}
END_TEST

START_TEST(replaces_a_renewal_that_reaches_too_far)
{
    struct wake *wake = open_wake();
    const int64_t far = INT64_MAX;
    int fd = open(path, O_RDWR);

    ck_assert(wake_touch(wake, 3, 1000));
    ck_assert_int_eq(pwrite(fd, &far, sizeof far, offsetof(struct shared, touch[3].until_ms)),
                     sizeof far);
    ck_assert(wake_touch(wake, 3, 2000));
    ck_assert_int_eq(wake_touched(wake, 3), 2000);
    ck_assert(wake_touch(wake, 3, 2000 - WAKE_SLACK_MS)); /* of a clock that goes behind */
    ck_assert_int_eq(wake_touched(wake, 3), 2000);
    (void)close(fd);
    close_wake(wake);
}
END_TEST

START_TEST(makes_a_file_long_again_that_was_cut_off)
{
    struct wake *wake = open_wake(), *other;
    struct stat info;

    ck_assert_int_eq(truncate(path, 100), 0);
    wake_look(wake);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_size, sizeof(struct shared));
    ck_assert_int_eq(truncate(path, 100), 0);
    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_OK);
    wake_interest(wake, 5, 1);
    check_mended(other, 5);
    wake_close(other, NULL, NULL);
    close_wake(wake);
}
END_TEST

START_TEST(goes_over_to_the_file_that_has_the_name_now)
{
    char folder[] = "/tmp/ds-unit-XXXXXX", database[64];
    struct wake *wake, *other;
    uint32_t bell;
    int64_t id = 5;

    log_open(LOG_ERR_);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(database, sizeof database, "%s/s.db", folder);
    (void)snprintf(path, sizeof path, "%s-wake", database);
    (void)close(open(database, O_RDWR | O_CREAT, 0600));
    ck_assert_int_eq(wake_open(&wake, path, NULL, NULL), DS_OK);
    wake_interest(wake, id, 1);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(wake_open(&other, path, NULL, NULL), DS_OK);
    ck_assert(wake_try_checkpoint(wake)); /* by another thread: not in the middle of it */
    wake_look(wake);
    ck_assert(!wake_is_current(wake));
    wake_end_checkpoint(wake);
    wake_look(wake);
    ck_assert(wake_is_current(wake));
    ck_assert(wake_try_checkpoint(wake));
    ck_assert(!wake_try_checkpoint(other));
    wake_end_checkpoint(wake);
    bell = wake_bell(wake);
    wake_publish(other, &id, 1);
    ck_assert_uint_ne(wake_bell(wake), bell);
    ck_assert_int_eq(wake_lock(other, 100), DS_OK);
    ck_assert_int_eq(wake_lock(wake, 20), DS_BUSY);
    wake_unlock(other);
    ck_assert_int_eq(wake_lock(wake, 100), DS_OK);
    wake_unlock(wake);
    /* the database is gone, too, as that of a store in memory: there is nobody to meet */
    (void)unlink(database);
    (void)unlink(path);
    wake_look(wake);
    ck_assert_int_ne(access(path, F_OK), 0);
    wake_close(other, NULL, NULL);
    wake_close(wake, NULL, NULL);
    (void)rmdir(folder);
}
END_TEST

static void check_refused(const char *what)
{
    struct wake *wake;

    ck_assert_msg(wake_open(&wake, path, NULL, NULL) == DS_FAILED, "%s was taken", what);
    (void)unlink(path);
}

START_TEST(writes_into_no_file_that_is_not_its_own)
{
    char victim[] = "/tmp/ds-unit-XXXXXX";
    struct stat info;
    int fd;

    close_wake(open_wake()); /* for a free name */
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
    if (geteuid() == 0) { /* nobody else can make one */
        (void)close(open(path, O_RDWR | O_CREAT, 0666));
        ck_assert_int_eq(chown(path, 12345, 12345), 0);
        check_refused("a file of a stranger");
    }
}
END_TEST

UNIT_MAIN(wake, tells_each_change_once_in_order, says_so_when_a_reader_has_missed_some,
          rings_another_process_out_of_its_sleep, takes_the_lock_over_from_the_dead,
          gives_up_on_a_lock_that_is_held, lets_writers_in_one_at_a_time,
          lets_writers_in_one_at_a_time_whatever_the_file_says,
          remembers_renewals_until_they_have_been_saved_for_a_while,
          saves_every_renewal_in_turn_however_many_there_are, gives_the_duty_to_one,
          gives_each_door_so_many_places, knows_the_first_and_the_last,
          keeps_renewals_from_one_lone_process_to_the_next,
          recovers_from_a_file_that_was_emptied_or_scribbled_on, mends_a_file_of_random_bytes,
          opens_a_file_of_random_bytes_that_others_have, leaves_alone_what_another_version_uses,
          replaces_a_renewal_that_reaches_too_far, makes_a_file_long_again_that_was_cut_off,
          goes_over_to_the_file_that_has_the_name_now, writes_into_no_file_that_is_not_its_own)
