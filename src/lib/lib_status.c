/* Words for each status, and the version: see include/durable_streams.h. */
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
        return "an argument breaks a rule";
    case DS_NOT_FOUND:
        return "there is no such stream or subscription";
    case DS_GONE:
        return "this stream was deleted; forks still read it";
    case DS_PRUNED:
        return "the data at this offset has been removed";
    case DS_TOO_LARGE:
        return "a size is over its limit";
    case DS_BUSY:
        return "the database is busy, try again later";
    case DS_NO_MEMORY:
        return "out of memory";
    case DS_NO_SPACE:
        return "the disk is full";
    case DS_FAILED:
        return "the store failed";
    case DS_CONFLICT:
        return "the stream has another configuration, content type or sequence";
    case DS_CLOSED:
        return "the stream is closed";
    case DS_FENCED:
        return "a newer epoch of this producer, or a newer wake, has taken over";
    case DS_GAP:
        return "an earlier sequence number of this producer is missing";
    case DS_FORBIDDEN:
        return "only the store writes the registry";
    case DS_TIMEOUT:
        return "nothing happened in time";
    case DS_CANCELLED:
        return "the wait was cancelled";
    case DS_CLAIMED:
        return "another worker holds the lease of this subscription";
    case DS_IDLE:
        return "nothing is pending in this subscription";
    case DS_DENIED:
        return "the token is not one of this subscription";
    }
    return "unknown status";
}
