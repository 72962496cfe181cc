/*
 * What the operations below /v1/stream/__ds share (protocol sections 6, 7): the ID in the path,
 * bodies in JSON, and answers in JSON, errors included:
 *
 *     {"error":{"code":"FENCED","message":"a newer wake was made"}}
 *
 * An operation begins with control_begin(), which makes its struct, in whose first member it keeps
 * what these functions need. It reads the request, fills in one of the requests of
 * engine/subscription.h, and calls control_submit(); or it answers at once.
 */
#ifndef OP_CONTROL_H
#define OP_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/commit.h"
#include "protocol/json_value.h"
#include "protocol/status.h"

struct batch;
struct ds_exchange;

enum { CONTROL_BODY_MOST = 1024 * 1024 }; /* bytes of a request */

struct control {
    struct commit_write write; /* first: apply() and finish() cast it back */
    struct ds_exchange *exchange;
    const char *name;       /* the ID of the subscription, decoded */
    struct json_value body; /* an object, after control_read_body() */
    const char *reason;     /* why the body is refused; NULL: it is not (yet) */
    bool no_memory;         /* it ran out while the body was read */
};

/* --- the request --- */

/*
 * Zeroed memory for the struct of an operation, which begins with a struct control, with its
 * exchange and name; room for a short answer is reserved. NULL: the exchange has been answered.
 */
void *control_begin(struct ds_exchange *exchange, size_t size);

/* Reads the body, which must be a JSON object, or empty. False: the exchange has been answered. */
bool control_read_body(struct control *control);

/*
 * Members of the body. All note what is wrong in reason and no_memory; the first reason counts. At
 * the end, control_refuse_body() answers the exchange if there is one, and returns true.
 */
bool control_refuse_body(struct control *control);

/* Notes a reason, or with path_no_memory that memory ran out. */
void control_object(struct control *control, const char *reason);

/* The text of a string; NULL if it is none. */
const char *control_text(struct control *control, struct json_value value);

/* The path of the stream that a text names (control_path_stream()); NULL: it is refused. */
const char *control_stream(struct control *control, const char *text);

/* The paths that an array of texts names, SUBSCRIPTION_STREAMS_MOST at most. */
const char *const *control_streams(struct control *control, struct json_value array, size_t *n);

/* Hands the exchange over to the committer. */
void control_submit(struct control *control,
                    enum ds_status (*apply)(struct batch *batch, struct commit_write *write),
                    void (*finish)(struct commit_write *write, enum ds_status status));

/* --- the answer, which ends the exchange --- */

/* 204. */
void control_answer_empty(struct ds_exchange *exchange);

/* The exchange's body, as JSON. */
void control_answer(struct ds_exchange *exchange, int status);

/* An error. message NULL: the words for the status. */
void control_refuse(struct ds_exchange *exchange, int status, const char *code,
                    const char *message);
void control_refuse_status(struct ds_exchange *exchange, enum ds_status status,
                           const char *message);

/* The same with room for further header lines, and members of the error, between the two calls. */
void control_refuse_begin(struct ds_exchange *exchange, int status, const char *code,
                          const char *message);
void control_refuse_end(struct ds_exchange *exchange);

#endif
