/*
 * The operations behind dsctl's commands. There are two sets of them: cli_remote works over HTTP,
 * cli_local on a database file. Commands read options and input and print results; operations do
 * the work and report errors on standard error.
 *
 * Texts in results live in the arena of cli.
 */
#ifndef CLI_BACKEND_H
#define CLI_BACKEND_H

#include "cli/cli.h"
#include "durable_streams.h"

/*
 * Streams are described by struct ds_stream. Over HTTP, bytes and messages are unknown (-1), and so
 * is forked_from; created_at is 0 where the server does not tell it. A stream that was deleted and
 * created again is another one, whose offsets mean something else: created_at tells them apart.
 */

struct cli_appended {
    char tail[DS_OFFSET_SIZE * 2];
    bool closed;
    bool duplicate; /* it was stored before this program sent it */
};

struct cli_reading {
    const char *offset; /* where to begin */
    bool follow;
    bool long_poll; /* instead of SSE */
    bool sse;       /* even for text, of which SSE may change bytes */
    /* of the stream that is read: data of another one ends the reading with CLI_REPLACED */
    int64_t created_at;
};

/*
 * Takes a piece that was read: bytes of the stream, or an array of messages of a JSON stream. next
 * is the offset after it. len may be 0. Return false to stop reading.
 */
typedef bool cli_read_fn(void *arg, const char *data, size_t len, const char *next);

/*
 * Subscriptions are described by struct ds_subscription, with whole paths. Over HTTP it has what
 * the protocol reports: generation is -1, which says that nothing is known of the wake, its lease
 * and the attempts, except that the last attempt failed if failed_at is not 0.
 */

struct cli_claimed {
    enum ds_status status; /* DS_OK; DS_IDLE: nothing is pending; DS_CLAIMED: another worker was
                              faster */
    struct ds_claim claim; /* with DS_OK */
    const char *holder;    /* with DS_CLAIMED: the worker that has the lease; NULL: unknown */
};

struct cli_acked {
    bool fenced;         /* the wake was over before: nothing was changed */
    const char *refusal; /* with fenced: why, one line */
    bool next_wake;
};

typedef bool cli_list_fn(void *arg, const struct ds_stream *state);
typedef bool cli_fault_fn(void *arg, const char *path, const struct ds_fault *fault);

/* Operations on subscriptions, which are named by their IDs. */
struct cli_sub_backend {
    enum cli_exit (*put)(struct cli *cli, const char *name,
                         const struct ds_subscription_options *options, bool *created);
    enum cli_exit (*get)(struct cli *cli, const char *name, struct ds_subscription *subscription);
    enum cli_exit (*list)(struct cli *cli, ds_subscription_fn *fn, void *arg);
    enum cli_exit (*remove)(struct cli *cli, const char *name);
    enum cli_exit (*nudge)(struct cli *cli, const char *name);
    /* patiently: even if the server cannot be reached for long */
    enum cli_exit (*claim)(struct cli *cli, const char *name, const char *worker, bool patiently,
                           struct cli_claimed *claimed);
    enum cli_exit (*ack)(struct cli *cli, const char *name, const struct ds_claim *claim,
                         const struct ds_ack *acks, size_t n, bool done, struct cli_acked *acked);
    enum cli_exit (*release)(struct cli *cli, const char *name, const struct ds_claim *claim,
                             struct cli_acked *acked);
    /* finds the tail of a stream, or quietly fails to */
    bool (*tail)(struct cli *cli, const char *path, char *offset, size_t size);
    /* waits until the stream has data after the offset, then moves the offset to the tail; or until
       about ms milliseconds have passed. False: this stream cannot be waited for. */
    bool (*wait)(struct cli *cli, const char *path, char *offset, size_t size, int64_t ms);
};

struct cli_backend {
    enum cli_exit (*open)(struct cli *cli);
    void (*close)(struct cli *cli);
    enum cli_exit (*create)(struct cli *cli, const char *path,
                            const struct ds_create_options *options, bool *created,
                            struct ds_stream *state);
    enum cli_exit (*append)(struct cli *cli, const char *path, const void *data, size_t len,
                            const struct ds_append_options *options, struct cli_appended *appended);
    /* finds the sequence number that is expected next from this producer in this epoch */
    enum cli_exit (*expected)(struct cli *cli, const char *path, const char *type,
                              const struct ds_append_options *options, int64_t *seq);
    enum cli_exit (*get)(struct cli *cli, const char *path, struct ds_stream *state);
    enum cli_exit (*remove)(struct cli *cli, const char *path);
    enum cli_exit (*read)(struct cli *cli, const struct ds_stream *state,
                          const struct cli_reading *reading, cli_read_fn *fn, void *arg);
    enum cli_exit (*list)(struct cli *cli, cli_list_fn *fn, void *arg);
    enum cli_exit (*fault_set)(struct cli *cli, const char *path, const struct ds_fault *fault);
    enum cli_exit (*fault_clear)(struct cli *cli, const char *path); /* NULL: all */
    enum cli_exit (*fault_list)(struct cli *cli, cli_fault_fn *fn, void *arg);
    const struct cli_sub_backend *sub;
};

/* Reports CLI_REPLACED if both times of creation are known and differ; else returns CLI_DONE. */
enum cli_exit cli_same_stream(const struct cli *cli, const char *path, int64_t created_at,
                              int64_t now_created_at);

extern const struct cli_backend cli_remote;
extern const struct cli_backend cli_local;

#endif
