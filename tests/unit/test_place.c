/* Where a database is, and who owns its files. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/place.h"
#include "hints/hints.h"
#include "unit.h"

enum { STRANGER = 12345, GROUP = 54321 };

static char folder[64];

/* The path of a name in the folder. Valid for four calls. */
static const char *in(const char *name)
{
    static char text[4][128];
    static int turn;

    turn = (turn + 1) % 4;
    (void)snprintf(text[turn], sizeof text[turn], "%s/%s", folder, name);
    return text[turn];
}

static void setup(void)
{
    char *real;

    log_open(LOG_ERR_);
    (void)strcpy(folder, "/tmp/ds-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    real = realpath(folder, NULL);
    (void)snprintf(folder, sizeof folder, "%s", real);
    free(real);
}

static void teardown(void)
{
    char command[100];

    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c)
}

static void check_real(const char *path, const char *expected)
{
    char *real = place_real(path);

    ck_assert_str_eq(real, expected);
    free(real);
}

START_TEST(gives_one_name_to_one_file)
{
    setup();
    ck_assert_int_eq(mkdir(in("data"), 0700), 0);
    ck_assert_int_eq(symlink("data", in("folder")), 0);
    ck_assert_int_eq(symlink("folder/s.db", in("link.db")), 0);
    ck_assert_int_eq(symlink("link.db", in("second.db")), 0);
    for (int there = 0; there < 2; there++) { /* before the file is created, and afterwards */
        check_real(in("data/s.db"), in("data/s.db"));
        check_real(in("folder/../data/./s.db"), in("data/s.db"));
        check_real(in("folder/s.db"), in("data/s.db"));
        check_real(in("link.db"), in("data/s.db"));
        check_real(in("second.db"), in("data/s.db"));
        ck_assert_int_eq(chdir(in("folder")), 0);
        check_real("s.db", in("data/s.db"));
        check_real("../second.db", in("data/s.db"));
        (void)close(open(in("data/s.db"), O_RDWR | O_CREAT, 0600));
    }
    ck_assert_int_eq(symlink("loop.db", in("loop.db")), 0);
    check_real(in("loop.db"), in("loop.db"));
    check_real(in("missing/s.db"), in("missing/s.db"));
    check_real("missing/s.db", in("data/missing/s.db"));
    teardown();
}
END_TEST

static void check_file(const char *name, uid_t user, gid_t group, mode_t mode)
{
    struct stat info;

    ck_assert_int_eq(stat(name, &info), 0);
    ck_assert_int_eq(info.st_uid, user);
    ck_assert_int_eq(info.st_gid, group);
    ck_assert_int_eq(info.st_mode & 0777, mode);
}

static void use_wake(const char *path)
{
    struct hints *hints;

    ck_assert_int_eq(hints_open(&hints, path, NULL, NULL), DS_OK);
    hints_close(hints, NULL, NULL);
}

START_TEST(gives_files_the_owner_of_the_database)
{
    bool root = geteuid() == 0; /* only root can change owners */
    uid_t user = root ? STRANGER : geteuid();
    gid_t group = root ? GROUP : getegid();

    setup();
    (void)umask(022);
    ck_assert_int_eq(chown(folder, user, group), 0);
    ck_assert(place_prepare(in("s.db"), false));
    check_file(in("s.db"), user, group, 0644);
    use_wake(in("s.db-wake"));
    check_file(in("s.db-wake"), user, group, 0600);
    ck_assert_int_eq(unlink(in("s.db-wake")), 0);
    ck_assert_int_eq(chmod(in("s.db"), 0660), 0);
    use_wake(in("s.db-wake"));
    check_file(in("s.db-wake"), user, group, 0660);
    ck_assert_int_eq(chown(in("s.db-wake"), geteuid(), getegid()), 0); /* as root once left it */
    use_wake(in("s.db-wake"));
    check_file(in("s.db-wake"), user, group, 0660);
    ck_assert(place_prepare(in("s.db"), false)); /* it exists already */
    check_file(in("s.db"), user, group, 0660);
    teardown();
}
END_TEST

START_TEST(keeps_a_private_database_to_its_user)
{
    setup();
    (void)umask(0);
    ck_assert(place_prepare(in("mine/s.db"), true));
    check_file(in("mine"), geteuid(), getegid(), 0700);
    check_file(in("mine/s.db"), geteuid(), getegid(), 0600);
    use_wake(in("mine/s.db-wake"));
    check_file(in("mine/s.db-wake"), geteuid(), getegid(), 0600);
    ck_assert(place_prepare(in("mine/s.db"), true));
    ck_assert_int_eq(symlink("mine", in("link")), 0);
    ck_assert(!place_prepare(in("link/s.db"), true));
    ck_assert_int_eq(mkdir(in("open"), 0711), 0);
    ck_assert(!place_prepare(in("open/s.db"), true));
    ck_assert_int_ne(access(in("open/s.db"), F_OK), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(mkdir(in("theirs"), 0700), 0);
        ck_assert_int_eq(chown(in("theirs"), STRANGER, STRANGER), 0);
        ck_assert(!place_prepare(in("theirs/s.db"), true));
    }
    teardown();
}
END_TEST

START_TEST(leaves_the_standard_descriptors_alone)
{
    int high;

    (void)close(STDIN_FILENO);
    high = descriptor_high(open("/dev/null", O_RDONLY | O_CLOEXEC));
    ck_assert_int_gt(high, STDERR_FILENO);
    ck_assert_int_eq(fcntl(high, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
    ck_assert_int_eq(descriptor_high(high), high);
    ck_assert_int_eq(descriptor_high(open("/nowhere", O_RDONLY)), -1);
    ck_assert_int_eq(errno, ENOENT);
    (void)close(high);
}
END_TEST

UNIT_MAIN(place, gives_one_name_to_one_file, gives_files_the_owner_of_the_database,
          keeps_a_private_database_to_its_user, leaves_the_standard_descriptors_alone)
