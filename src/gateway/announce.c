/* The announcer: see announce.h. */
#include "gateway/announce.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "gateway/listen.h"

enum { PATIENCE_S = 60, PAUSE_MS = 20 };

int announce_open(void)
{
    int to = descriptor_high(dup(STDOUT_FILENO));

    if (to < 0 || fcntl(to, F_SETFD, FD_CLOEXEC) != 0 ||
        dup2(STDERR_FILENO, STDOUT_FILENO) != STDOUT_FILENO) {
        log_error("cannot print the URL: %s", strerror(errno));
        return -1;
    }
    return to;
}

enum answer { ANSWER_CAME, ANSWER_MISSING, ANSWER_NEVER };

/* The socket listens since before this process, so that nobody refuses while the server lives. */
static enum answer ask(const struct listen_name *name)
{
    static const char request[] = "GET /health HTTP/1.0\r\n\r\n";
    int fd = socket(name->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum answer answer = ANSWER_MISSING;
    char byte;

    if (fd < 0 || connect(fd, &name->address.any, name->len) != 0)
        answer = ANSWER_NEVER;
    else if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1 &&
             recv(fd, &byte, 1, 0) == 1)
        answer = ANSWER_CAME;
    if (fd >= 0)
        (void)close(fd);
    return answer;
}

/* Ends after the line, with the server, or by the alarm. */
static void announce(int to, struct listening *listening)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    struct listen_name name;
    enum answer answer;
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)alarm(PATIENCE_S);
    if (!listen_find_url(listening, &name)) {
        log_error("--print-url needs an HTTP address with a port");
        _exit(1);
    }
    listen_close(listening); /* only the server keeps it open */
    while ((answer = ask(&name)) == ANSWER_MISSING)
        (void)nanosleep(&pause, NULL);
    if (answer == ANSWER_CAME)
        (void)dprintf(to, "%s\n", name.url);
    _exit(0);
}

/* By a child that ends at once: the supervisor waits for all its children when it ends. */
void announce_start(int to, struct listening *listening)
{
    pid_t pid = fork();

    if (pid == 0) {
        pid = fork();
        if (pid == 0)
            announce(to, listening);
        _exit(pid < 0);
    }
    if (pid < 0)
        log_error("cannot print the URL: %s", strerror(errno));
    else
        (void)waitpid(pid, NULL, 0);
    (void)close(to);
}
