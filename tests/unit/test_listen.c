/* Addresses of --listen, and the sockets that are opened for them or passed by a service manager.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/listen.h"
#include "unit.h"

/* NULL or "" for the parts that an address of this form does not have. */
static void expect_parts(const char *text, enum listen_form form, enum door_kind kind,
                         const char *path, const char *host, const char *port)
{
    struct listen_address address;
    const char *wrong = listen_parse(text, &address);

    ck_assert_msg(wrong == NULL, "%s: %s", text, wrong);
    ck_assert_msg(address.form == form && address.kind == kind, "%s: form %d, kind %d", text,
                  (int)address.form, (int)address.kind);
    ck_assert_pstr_eq(address.path, path);
    ck_assert_str_eq(address.host, host);
    ck_assert_str_eq(address.port, port);
}

START_TEST(an_address_has_a_form_and_a_protocol)
{
    expect_parts("unix:/run/x.sock", LISTEN_UNIX, DOOR_FCGI, "/run/x.sock", "", "");
    expect_parts("unix:x:1", LISTEN_UNIX, DOOR_FCGI, "x:1", "", "");
    expect_parts("http:unix:/run/x.sock", LISTEN_UNIX, DOOR_HTTP, "/run/x.sock", "", "");
    expect_parts("127.0.0.1:9000", LISTEN_INET, DOOR_FCGI, NULL, "127.0.0.1", "9000");
    expect_parts(":9000", LISTEN_INET, DOOR_FCGI, NULL, "", "9000");
    expect_parts("[::1]:9000", LISTEN_INET, DOOR_FCGI, NULL, "::1", "9000");
    expect_parts("http:localhost:4437", LISTEN_INET, DOOR_HTTP, NULL, "localhost", "4437");
    expect_parts("http:[::1]:65535", LISTEN_INET, DOOR_HTTP, NULL, "::1", "65535");
    expect_parts("http:[::]:0", LISTEN_INET, DOOR_HTTP, NULL, "::", "0");
    expect_parts("http::4437", LISTEN_INET, DOOR_HTTP, NULL, "", "4437");
    expect_parts("systemd", LISTEN_PASSED, DOOR_FCGI, NULL, "", "");
}
END_TEST

START_TEST(a_malformed_address_is_refused_with_a_reason)
{
    static const char *const malformed[] = {
        "",
        "nonsense",
        "http",
        "http:",
        "http:systemd",
        "unix",
        "unix:",
        "http:unix:",
        "127.0.0.1:",
        "127.0.0.1:http",
        "x:65536",
        "x:-1",
        "x:+1",
        "x: 1",
        "x:1 ",
        "http:x:1/",
        "http://x:4437",
        "::1:4437",
        "http:::1:4437",
        "[::1:4437",
        "::1]:4437",
        "[]:4437",
        "[::1]",
        "http:[::1]x:443",
        "http:127.0.0.1",
        "x:1:2",
        "systemd:",
        "x:0x10",
        "[[::1]:1",
        ":",
    };
    char text[LISTEN_HOST_SIZE + 200];
    struct listen_address address;

    for (size_t i = 0; i < COUNT(malformed); i++)
        ck_assert_msg(listen_parse(malformed[i], &address) != NULL, "'%s' is an address",
                      malformed[i]);
    (void)snprintf(text, sizeof text, "unix:/%0107d", 0);
    ck_assert_ptr_nonnull(listen_parse(text, &address));
    text[strlen(text) - 1] = '\0'; /* now it fits */
    ck_assert_ptr_null(listen_parse(text, &address));
    (void)snprintf(text, sizeof text, "%0256d:80", 0);
    ck_assert_ptr_nonnull(listen_parse(text, &address));
    ck_assert_ptr_null(listen_parse(text + 1, &address));
    ck_assert_uint_eq(strlen(address.host), LISTEN_HOST_SIZE - 1);
}
END_TEST

START_TEST(a_list_of_addresses_has_limits)
{
    static const char *const good[] = {"http:127.0.0.1:0", "http:127.0.0.1:0", "systemd"};
    static const char *const twice[] = {"systemd", "unix:x", "systemd"};
    static const char *const one_malformed[] = {"unix:x", "nonsense"};
    const char *many[LISTEN_MOST + 1];

    for (int i = 0; i <= LISTEN_MOST; i++)
        many[i] = "http:127.0.0.1:0";
    ck_assert(listen_check(good, COUNT(good)));
    ck_assert(!listen_check(twice, COUNT(twice)));
    ck_assert(!listen_check(one_malformed, COUNT(one_malformed)));
    ck_assert(listen_check(many, LISTEN_MOST));
    ck_assert(!listen_check(many, LISTEN_MOST + 1));
}
END_TEST

static bool is_closed_at_exec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

START_TEST(port_0_becomes_a_real_one_and_the_url_has_it)
{
    static const char *const addresses[] = {"127.0.0.1:0", "http:0.0.0.0:0", "http:127.0.0.1:0"};
    struct listening listening;
    struct listen_name name;
    char text[400], all[40], local[40];
    int port;

    ck_assert(listen_open(&listening, addresses, COUNT(addresses)));
    ck_assert_int_eq(listening.count, COUNT(addresses));
    for (int i = 0; i < listening.count; i++)
        ck_assert(is_closed_at_exec(listening.socket[i].fd));
    ck_assert(listen_find_url(&listening, &name));
    port = ntohs(name.address.v4.sin_port);
    ck_assert_int_gt(port, 0);
    (void)snprintf(local, sizeof local, "http://127.0.0.1:%d", port);
    ck_assert_str_eq(name.url, local);
    (void)snprintf(all, sizeof all, ", http://0.0.0.0:%d/, ", port);
    listen_describe(&listening, text, sizeof text);
    ck_assert_msg(strstr(text, all) != NULL, "%s", text);
    listen_close(&listening);
}
END_TEST

START_TEST(a_failure_closes_and_removes_what_was_opened)
{
    char folder[] = "/tmp/test_listen.XXXXXX", path[80], bad[80];
    const char *addresses[2];
    struct listening listening;
    struct stat info;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "http:unix:%s/x.sock", folder);
    (void)snprintf(bad, sizeof bad, "unix:%s/none/x.sock", folder);
    addresses[0] = path;
    addresses[1] = bad;
    ck_assert(!listen_open(&listening, addresses, 2));
    ck_assert_int_eq(listening.count, 0);
    ck_assert_int_ne(stat(path + strlen("http:unix:"), &info), 0);
    ck_assert(listen_open(&listening, addresses, 1));
    ck_assert_int_eq(stat(path + strlen("http:unix:"), &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0660);
    listen_end(&listening);
    listen_close(&listening);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* As a service manager passes them: descriptors from 3 on, of this process. */
static bool pass(const int *fds, int count, const char *names)
{
    char pid[20], number[20];

    for (int i = 0; i < count; i++)
        if (dup2(fds[i], 3 + i) < 0)
            return false;
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)snprintf(number, sizeof number, "%d", count);
    return setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", number, 1) == 0 &&
           (names ? setenv("LISTEN_FDNAMES", names, 1) : unsetenv("LISTEN_FDNAMES")) == 0;
}

static int socket_on_loopback(bool listens)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 20); /* above those that pass() makes */

    ck_assert_int_ge(high, 0);
    (void)close(fd);
    ck_assert_int_eq(bind(high, (struct sockaddr *)&any, sizeof any), 0);
    if (listens)
        ck_assert_int_eq(listen(high, 8), 0);
    return high;
}

/* The child may replace descriptors that Check uses; returns what it says. */
static int in_child(int (*body)(const int *fds), const int *fds)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(body(fds));
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_named(const int *fds)
{
    static const char *const addresses[] = {"http:127.0.0.1:0", "systemd"};
    static const enum door_kind kinds[] = {DOOR_FCGI, DOOR_HTTP, DOOR_HTTP, DOOR_FCGI, DOOR_HTTP};
    struct listening listening;

    if (!pass(fds, 4, "durable-streams.socket:http:http-local:nohttp") ||
        !listen_open(&listening, addresses, COUNT(addresses)) || listening.count != COUNT(kinds))
        return 1;
    for (int i = 0; i < listening.count; i++)
        if (listening.socket[i].kind != kinds[i] || (i < 4 && listening.socket[i].fd != 3 + i) ||
            !is_closed_at_exec(listening.socket[i].fd))
            return 2 + i;
    return 0;
}

static int open_unnamed(const int *fds)
{
    static const char *const passed[] = {"systemd"};
    struct listening listening;

    return !pass(fds, 2, NULL) || !listen_open(&listening, passed, 1) || listening.count != 2 ||
           listening.socket[0].kind != DOOR_FCGI || listening.socket[1].kind != DOOR_FCGI;
}

START_TEST(passed_sockets_have_the_protocol_of_their_name)
{
    int fds[4];

    for (int i = 0; i < 4; i++)
        fds[i] = socket_on_loopback(true);
    ck_assert_int_eq(in_child(open_named, fds), 0);
    ck_assert_int_eq(in_child(open_unnamed, fds), 0);
}
END_TEST

static int open_silent(const int *fds)
{
    static const char *const passed[] = {"systemd"};
    struct listening listening;

    return !pass(fds, 2, "http:http") || listen_open(&listening, passed, 1);
}

static int open_none(const int *fds)
{
    static const char *const passed[] = {"systemd"};
    struct listening listening;

    return !pass(fds, 0, "") || listen_open(&listening, passed, 1);
}

START_TEST(only_listening_sockets_are_taken_from_a_service_manager)
{
    int fds[2] = {socket_on_loopback(true), socket_on_loopback(false)};

    ck_assert_int_eq(in_child(open_silent, fds), 0);
    ck_assert_int_eq(in_child(open_none, fds), 0);
}
END_TEST

/* The service manager keeps its socket open: clients must not wait there for a service that failed.
 */
static int open_beside_a_failure(const int *fds)
{
    static const char *const addresses[] = {"unix:/no/such/folder/x.sock", "systemd"};
    struct listening listening;

    return !pass(fds, 1, "http") || listen_open(&listening, addresses, 2);
}

START_TEST(a_failure_refuses_those_who_wait_at_passed_sockets)
{
    int fd = socket_on_loopback(true), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pollfd closed = {.fd = client, .events = POLLIN};
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    char byte;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(in_child(open_beside_a_failure, &fd), 0);
    ck_assert_int_eq(poll(&closed, 1, 30000), 1);
    ck_assert_int_le(recv(client, &byte, 1, 0), 0);
}
END_TEST

UNIT_MAIN(listen, an_address_has_a_form_and_a_protocol,
          a_malformed_address_is_refused_with_a_reason, a_list_of_addresses_has_limits,
          port_0_becomes_a_real_one_and_the_url_has_it,
          a_failure_closes_and_removes_what_was_opened,
          passed_sockets_have_the_protocol_of_their_name,
          only_listening_sockets_are_taken_from_a_service_manager,
          a_failure_refuses_those_who_wait_at_passed_sockets)
