/* Writes that a test submits to a committer without a thread, which carries them out at once. */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include "engine/commit.h"
#include "engine/stream_write.h"
#include "store/store.h"

/* The test fills in the member that its apply function reads. */
struct request {
    struct commit_write write;
    struct stream_append append;
    struct stream_create create;
    struct stream_delete deletion;
    enum ds_status status; /* of the transaction */
    bool more;             /* after apply_sweep(): there is more to do */
};

typedef enum ds_status apply_fn(struct batch *batch, struct commit_write *write);

static inline enum ds_status apply_append(struct batch *batch, struct commit_write *write)
{
    return stream_append(batch, &((struct request *)write)->append);
}

static inline enum ds_status apply_create(struct batch *batch, struct commit_write *write)
{
    return stream_create(batch, &((struct request *)write)->create);
}

static inline enum ds_status apply_delete(struct batch *batch, struct commit_write *write)
{
    return stream_delete(batch, &((struct request *)write)->deletion);
}

/* One slice of upkeep's sweep. */
static inline enum ds_status apply_sweep(struct batch *batch, struct commit_write *write)
{
    int64_t ended[SWEEP_STREAMS];
    enum ds_status status = store_sweep_orphaned(batch->conn, batch->arena, batch->now);
    size_t n;

    return status == DS_OK ? store_sweep(batch->conn, batch->arena, batch->now, ended, &n,
                                         &((struct request *)write)->more)
                           : status;
}

static inline void finish_request(struct commit_write *write, enum ds_status status)
{
    ((struct request *)write)->status = status;
}

static inline enum ds_status submit_request(struct commit *committer, struct request *request,
                                            apply_fn *apply)
{
    request->write.apply = apply;
    request->write.finish = finish_request;
    request->write.makes_room = apply == apply_delete || apply == apply_sweep;
    commit_submit(committer, &request->write);
    return request->status;
}

#endif
