/* write_lock.c: one writer at a time, whatever other programs write into the file. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "hints_unit.h"

START_TEST(is_free_after_the_death_of_its_holder)
{
    struct hints *hints = unit_open_hints();
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct hints *mine;

        if (hints_open(&mine, path, NULL, NULL) != DS_OK || hints_lock_writers(mine, 1000) != DS_OK)
            _exit(1);
        (void)raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(hints_lock_writers(hints, 1000), DS_OK);
    hints_unlock_writers(hints);
    ck_assert_int_eq(hints_lock_writers(hints, 1000), DS_OK);
    hints_unlock_writers(hints);
    unit_close_hints(hints);
}
END_TEST

START_TEST(reports_busy_while_it_is_held)
{
    struct hints *hints = unit_open_hints(), *other;

    ck_assert_int_eq(hints_open(&other, path, NULL, NULL), DS_OK);
    ck_assert_int_eq(hints_lock_writers(hints, 1000), DS_OK);
    ck_assert_int_eq(hints_lock_writers(other, 20), DS_BUSY);
    hints_unlock_writers(hints);
    ck_assert_int_eq(hints_lock_writers(other, 20), DS_OK);
    hints_unlock_writers(other);
    hints_close(other, NULL, NULL);
    unit_close_hints(hints);
}
END_TEST

struct tally {
    _Atomic int inside, most; /* current number of holders, and its maximum */
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
    struct hints *mine;

    if (hints_open(&mine, path, NULL, NULL) != DS_OK)
        _exit(1);
    atomic_fetch_add(&tally->opened, 1);
    for (int i = 0; i < turns; i++) {
        int inside;

        if (hints_lock_writers(mine, 20000) != DS_OK)
            _exit(2);
        inside = atomic_fetch_add(&tally->inside, 1) + 1;
        if (inside > atomic_load(&tally->most))
            atomic_store(&tally->most, inside);
        atomic_fetch_add(&tally->taken, 1);
        if (i % 16 == 0)
            (void)usleep(100); /* lets the others queue */
        atomic_fetch_sub(&tally->inside, 1);
        hints_unlock_writers(mine);
    }
    _exit(0);
}

/* Writes random bytes into the mapped file until the test is over. */
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
    struct hints *hints = unit_open_hints();
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
    unit_close_hints(hints);
}

START_TEST(admits_one_writer_at_a_time)
{
    all_take_turns(false);
}
END_TEST

START_TEST(admits_one_writer_at_a_time_with_a_damaged_file)
{
    all_take_turns(true);
}
END_TEST

UNIT_MAIN(write_lock, is_free_after_the_death_of_its_holder, reports_busy_while_it_is_held,
          admits_one_writer_at_a_time, admits_one_writer_at_a_time_with_a_damaged_file)
