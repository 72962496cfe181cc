/*
 * The body of a write as messages: one message, or the elements of a JSON array (protocol
 * section 9.1).
 */
#ifndef STREAM_BODY_H
#define STREAM_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/commit.h"
#include "protocol/status.h"

/* A body and what has been found out about it. */
struct stream_body {
    const char *data; /* borrowed */
    size_t len;
    int64_t max_messages;   /* most messages in a JSON array */
    bool checked;           /* stream_body_check_json() has set the two fields below */
    enum ds_status verdict; /* DS_OK, DS_INVALID or DS_TOO_LARGE */
    const char *reason;     /* one line, static; NULL with DS_OK */
};

/*
 * Checks once whether the body is JSON. This takes time, so callers do it before the transaction if
 * they already know the type.
 */
void stream_body_check_json(struct stream_body *body);

/* Is the body, which has passed the check, an empty array? */
bool stream_body_is_empty_json(const struct stream_body *body);

/* Appends the messages to the stream, in the batch's transaction. */
enum ds_status stream_body_append(struct batch *batch, struct stream *stream,
                                  const struct stream_body *body);

#endif
