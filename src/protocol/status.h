/*
 * What can fail returns enum ds_status, which the public header defines. 0 is success; on failure
 * the caller owns nothing.
 *
 * The enum is small on purpose: it says what the caller can do about it, not what went wrong.
 * What went wrong is logged once, where it happened. exchange_refuse_status() in http_response.c
 * has the one table that turns these into HTTP.
 */
#ifndef STATUS_H
#define STATUS_H

#include "durable_streams.h"

#endif
