/* What describing a stream to the library's user takes: for ds_get() and ds_list(). */
#ifndef LIB_STREAM_H
#define LIB_STREAM_H

#include "durable_streams.h"
#include "store.h"

/* One block, for ds_stream_free(). source: path of what it was forked from, or NULL. */
enum ds_status lib_describe(const struct stream *stream, const char *source,
                            struct ds_stream **out);

#endif
