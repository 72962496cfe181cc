/* The library's words for its errors, and its version: see include/durable_streams.h. */
#include "durable_streams.h"

const char *ds_version(void)
{
    return DS_VERSION;
}

const char *ds_status_text(enum ds_status status)
{
    switch (status) {
    case DS_OK:
        return "done";
    case DS_INVALID:
        return "the input breaks a rule";
    case DS_NOT_FOUND:
        return "there is no such stream";
    case DS_GONE:
        return "this stream was deleted; forks still read it";
    case DS_PRUNED:
        return "the data at this offset was taken away";
    case DS_TOO_LARGE:
        return "this is over a limit";
    case DS_BUSY:
        return "the database is busy, try again later";
    case DS_NO_MEMORY:
        return "out of memory";
    case DS_NO_SPACE:
        return "the disk is full";
    case DS_FAILED:
        return "the store failed";
    case DS_CONFLICT:
        return "this contradicts what there is";
    case DS_CLOSED:
        return "the stream is closed";
    case DS_FENCED:
        return "a newer epoch of this producer is writing";
    case DS_GAP:
        return "an earlier sequence of this producer is missing";
    case DS_FORBIDDEN:
        return "the registry is written by the store alone";
    case DS_TIMEOUT:
        return "nothing happened in time";
    case DS_CANCELLED:
        return "the wait was cancelled";
    }
    return "unknown status";
}
