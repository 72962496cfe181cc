/*
 * A function that can fail returns enum ds_status, which the public header defines. 0 (DS_OK) is
 * success; on failure the caller owns nothing.
 *
 * The enum is small on purpose: it says what the caller can do, not what went wrong, which is
 * logged once, at the place where it happened. exchange_refuse_status() in exchange/answer.c has
 * the only table that turns these values into HTTP.
 */
#ifndef STATUS_H
#define STATUS_H

#include "durable_streams.h"

#endif
