/* Shared by the files of dsctl's HTTP backend that know subscriptions: see cli_backend.h. */
#ifndef CLI_REMOTE_SUB_H
#define CLI_REMOTE_SUB_H

#include "cli/cli_remote.h"
#include "protocol/json_value.h"

/* Sends a request for the subscription, to its URL with `more` at the end. A body is sent as JSON
 * and freed. */
enum cli_exit cli_remote_sub_call(struct cli *cli, struct cli_request *request, const char *name,
                                  const char *more, struct buf *body, struct cli_answer *answer);

/* The path of a stream as requests name it. NULL after reporting that it has none. */
const char *cli_remote_sub_stream(const struct cli *cli, const char *path);

/* The object in an answer; JSON_NONE if it is anything else. */
struct json_value cli_remote_sub_object(const struct cli_answer *answer);

/* A member that is a text, in the arena; NULL: there is none. */
const char *cli_remote_sub_text(const struct cli *cli, struct json_value object, const char *name);

/* Reads the array `streams` into the arena. False: it is damaged, or there is no memory. */
bool cli_remote_sub_links(const struct cli *cli, struct json_value object,
                          const struct ds_subscription_link **links, size_t *n);

/* Is the answer a refusal with this code? */
bool cli_remote_sub_has_code(const struct cli *cli, const struct cli_answer *answer,
                             const char *code);

/* Reports why the server refused. Returns the exit status that stands for it. */
enum cli_exit cli_remote_sub_refuse(const struct cli *cli, const char *name,
                                    const struct cli_answer *answer);

/* Reports that this is no answer to such a request. */
enum cli_exit cli_remote_sub_strange(const struct cli *cli, const struct cli_answer *answer);

/* Operations: see struct cli_sub_backend. */
enum cli_exit cli_remote_claim(struct cli *cli, const char *name, const char *worker,
                               bool patiently, struct cli_claimed *claimed);
enum cli_exit cli_remote_ack(struct cli *cli, const char *name, const struct ds_claim *claim,
                             const struct ds_ack *acks, size_t n, bool done,
                             struct cli_acked *acked);
enum cli_exit cli_remote_release(struct cli *cli, const char *name, const struct ds_claim *claim,
                                 struct cli_acked *acked);
bool cli_remote_tail(struct cli *cli, const char *path, char *offset, size_t size);
bool cli_remote_wait(struct cli *cli, const char *path, char *offset, size_t size, int64_t ms);

#endif
