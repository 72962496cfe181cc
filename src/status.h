/*
 * What can fail returns one of these. 0 is success; on failure the caller owns nothing.
 *
 * The enum is small on purpose: it says what the caller can do about it, not what went wrong.
 * What went wrong is logged once, where it happened. http_refuse_status() in http_response.c
 * has the one table that turns these into HTTP.
 */
#ifndef STATUS_H
#define STATUS_H

enum ds_status {
    DS_OK = 0,
    DS_INVALID,   /* the input breaks a rule: 400 */
    DS_NOT_FOUND, /* no such stream: 404 */
    DS_GONE,      /* deleted, but forks still read it: 410 */
    DS_PRUNED,    /* the data at this place was taken away: 410 */
    DS_TOO_LARGE, /* over a configured limit: 413 */
    DS_BUSY,      /* the database or a queue is full: 503 with Retry-After */
    DS_NO_MEMORY, /* 503 with Retry-After */
    DS_NO_SPACE,  /* the disk is full: 507 */
    DS_FAILED,    /* anything else, already logged: 500 */
};

#endif
