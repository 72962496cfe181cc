/*
 * The environment of the process, apart from the settings (config.h): the variables of the
 * operating system and the service manager, and the environments that child processes get.
 */
#ifndef CONFIG_ENVIRONMENT_H
#define CONFIG_ENVIRONMENT_H

#include <stddef.h>

struct arena;

/* TMPDIR, or the system's. */
const char *config_temporary_folder(void);

/* DS_LIBEXECDIR: where the library's test server finds what it starts, if not where it was
   installed. NULL when it is not set. */
const char *config_libexec_folder(void);

/*
 * The environment for a server that is a child process: this one's, but for DS_*, HOST, PORT and
 * DATA, with the settings ("NAME=value"; of one name the last one counts). In the arena; NULL when
 * out of memory.
 */
char **config_child_environment(struct arena *arena, const char *const *settings, size_t n);

/*
 * What a service manager has put into the environment: how many sockets are meant for this very
 * process (LISTEN_FDS, LISTEN_PID; 2 stands for more than one, or nonsense), where it wants to be
 * told things (NOTIFY_SOCKET, or NULL), and how to keep all that from a child process.
 */
int config_passed_sockets(void);
const char *config_notify_socket(void);
void config_forget_service_manager(void);

/* JOURNAL_STREAM, for log_detect_journal(); NULL when it is not set. */
const char *config_journal_stream(void);

/*
 * The environment of the hook: where programs and homes are, and our settings; nothing of the
 * request that a CGI process has there. NULL when out of memory.
 */
char **config_environment_for_hook(void);
void config_free_environment(char **environment);

#endif
