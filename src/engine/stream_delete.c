/* Deleting a stream: see stream_write.h. */
#include "engine/stream_write.h"

enum ds_status stream_delete(struct batch *batch, struct stream_delete *deletion)
{
    struct stream *stream;
    enum ds_status status = batch_find(batch, deletion->path, &stream);

    deletion->verdict = status;
    if (status == DS_NOT_FOUND || status == DS_GONE)
        return DS_OK;
    if (status == DS_OK && stream->is_registry) {
        deletion->verdict = DS_FORBIDDEN;
        return DS_OK;
    }
    if (status == DS_OK)
        status = batch_flush(batch);
    if (status == DS_OK)
        status = store_delete(batch->conn, stream, batch->now);
    if (status == DS_OK) {
        batch_ended(batch, stream->id);
        batch_forget(batch, deletion->path);
    }
    return status;
}
