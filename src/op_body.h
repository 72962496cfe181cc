/*
 * The body of a PUT or POST as messages: one, or the elements of a JSON array (section 9.1).
 */
#ifndef OP_BODY_H
#define OP_BODY_H

#include <stddef.h>

#include "commit.h"
#include "http_type.h"
#include "status.h"

struct config;
struct http_request;

/*
 * Checks the body of a JSON request; NULL when fine, else a one-line reason for *status (400 or
 * 413). Costs time, so it is done before the transaction wherever the type is known before it.
 */
const char *op_body_check_json(const struct config *config, const struct http_request *request,
                               int *status);

/* Is it an array without elements? Of a body that passed the check. */
_Bool op_body_is_empty_json(const struct http_request *request);

/* Appends its messages to the stream, in the batch's transaction. */
enum ds_status op_body_append(struct batch *batch, struct stream *stream,
                              const struct http_request *request);

#endif
