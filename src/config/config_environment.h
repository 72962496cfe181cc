/*
 * The environment of the process, apart from the settings (config.h): the variables of the
 * operating system and the service manager, and the environments that child processes get.
 */
#ifndef CONFIG_ENVIRONMENT_H
#define CONFIG_ENVIRONMENT_H

#include <stddef.h>
#include <stdint.h>

struct arena;

/* TMPDIR, or /tmp. */
const char *config_temporary_folder(void);

/* DS_LIBEXECDIR: the folder of the programs that the library's test server starts, if they are not
   where they were installed. NULL when it is not set. */
const char *config_libexec_folder(void);

/*
 * The environment for a server that is started as a child process: that of this process without
 * DS_*, HOST, PORT and DATA, which would be settings of that server, and with the n settings that
 * are given ("NAME=value"; the last one of a name counts). In the arena; NULL when out of memory.
 */
char **config_child_environment(struct arena *arena, const char *const *settings, size_t n);

/* How many listening sockets the service manager has passed to this process (sd_listen_fds(3)), and
   their names, separated by ":"; "" if it gives none. */
int config_passed_sockets(void);
const char *config_passed_names(void);

/* NOTIFY_SOCKET: the address to which sd_notify(3) writes; NULL when it is not set. */
const char *config_notify_socket(void);

/* Removes these variables, so that a child process does not take them for its own. */
void config_forget_service_manager(void);

/* DS_TEST_KILL_STEPS, which only builds with test hooks obey (store_stmt.c); 0 if it is not set. */
int64_t config_test_kill_steps(void);

/* JOURNAL_STREAM, for log_detect_journal(); NULL when it is not set. */
const char *config_journal_stream(void);

/*
 * The environment of the hook: PATH, HOME, USER, LANG, TZ, TMPDIR and DS_*. A CGI process has the
 * whole request in its environment, which the hook must not see. NULL when out of memory. The
 * entries belong to the process, so config_free_environment() frees only the list of them.
 */
char **config_environment_for_hook(void);
void config_free_environment(char **environment);

#endif
