/* The environment of this process and of its children: see config_environment.h. */
#include "config/config_environment.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

extern char **environ;

const char *config_temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder && folder[0] ? folder : "/tmp";
}

const char *config_libexec_folder(void)
{
    const char *folder = getenv("DS_LIBEXECDIR");

    return folder && folder[0] ? folder : NULL;
}

/* Is it a setting of a server, or of the script that starts one (deploy/run.sh)? */
static bool is_setting(const char *entry)
{
    static const char *const names[] = {"DS_", "HOST=", "PORT=", "DATA="};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool is_in(const char *entry, const char *const *settings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(settings[i], entry, strcspn(entry, "=") + 1) == 0)
            return true;
    return false;
}

char **config_child_environment(struct arena *arena, const char *const *settings, size_t n)
{
    size_t count = 0;
    char **result, **at;

    while (environ[count])
        count++;
    result = at = arena_alloc(arena, (count + n + 1) * sizeof *result);
    if (!result)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!is_setting(environ[i]))
            *at++ = environ[i];
    for (size_t i = 0; i < n; i++)
        if (!is_in(settings[i], settings + i + 1, n - i - 1))
            *at++ = (char *)(uintptr_t)settings[i];
    *at = NULL;
    return result;
}

int config_passed_sockets(void)
{
    const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
    long passed;

    if (!count || !pid || strtol(pid, NULL, 10) != getpid())
        return 0;
    passed = strtol(count, NULL, 10);
    return passed > 0 && passed < 1000 ? (int)passed : 0;
}

const char *config_passed_names(void)
{
    const char *names = getenv("LISTEN_FDNAMES");

    return names ? names : "";
}

const char *config_notify_socket(void)
{
    return getenv("NOTIFY_SOCKET");
}

int64_t config_test_kill_steps(void)
{
    const char *steps = getenv("DS_TEST_KILL_STEPS");

    return steps ? strtoll(steps, NULL, 10) : 0;
}

const char *config_journal_stream(void)
{
    return getenv("JOURNAL_STREAM");
}

void config_forget_service_manager(void)
{
    static const char *const names[] = {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
}

static bool is_for_hook(const char *entry)
{
    static const char *const names[] = {
        "PATH=", "HOME=", "USER=", "LANG=", "TZ=", "TMPDIR=", "DS_"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

char **config_environment_for_hook(void)
{
    size_t n = 0, used = 0;
    char **environment;

    for (char **entry = environ; *entry; entry++)
        n++;
    environment = calloc(n + 1, sizeof *environment);
    for (size_t i = 0; environment && i < n; i++)
        if (is_for_hook(environ[i]))
            environment[used++] = environ[i];
    return environment;
}

void config_free_environment(char **environment)
{
    free(environment);
}
