/* Shared by the files of dsctl's HTTP backend: see cli_backend.h. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "cli/cli_backend.h"
#include "cli/cli_http.h"

/* The URL of a stream with a query ("" or "?..."), in the arena; NULL after reporting an error. */
const char *cli_remote_url(const struct cli *cli, const char *path, const char *query);

/* Adds text to a URL: the server or a person chose it, so characters with a meaning there become
 * %XX. */
void cli_remote_add_escaped(struct buf *buf, const char *text);

/* When the stream of an answer was created, in milliseconds; 0: the answer does not tell. */
int64_t cli_remote_created_at(const struct cli_answer *answer);

/* Reports why the server refused, in its own words. Returns the exit status that stands for it. */
enum cli_exit cli_remote_refuse(const struct cli *cli, const char *path,
                                const struct cli_answer *answer);

enum cli_exit cli_remote_read(struct cli *cli, const struct ds_stream *state,
                              const struct cli_reading *reading, cli_read_fn *fn, void *arg);
enum cli_exit cli_remote_list(struct cli *cli, cli_list_fn *fn, void *arg);
enum cli_exit cli_remote_fault_set(struct cli *cli, const char *path, const struct ds_fault *fault);
enum cli_exit cli_remote_fault_clear(struct cli *cli, const char *path);
enum cli_exit cli_remote_fault_list(struct cli *cli, cli_fault_fn *fn, void *arg);
extern const struct cli_sub_backend cli_remote_sub;

#endif
