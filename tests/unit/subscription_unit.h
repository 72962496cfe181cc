/* Requests of subscriptions, submitted to a committer without a thread. */
#ifndef SUBSCRIPTION_UNIT_H
#define SUBSCRIPTION_UNIT_H

#include <sqlite3.h>

#include "engine/subscription_json.h"
#include "store/sqlite/store_private.h"
#include "store_request.h"
#include "store_unit.h"

#define WAKES "/v1/stream/wakes"

static struct fixture f;
static struct commit *committer;

/* Any request of a subscription; its function is in `apply`. */
struct any {
    struct commit_write write;
    enum ds_status (*run)(struct batch *batch, void *request);
    void *request;
    enum ds_status status;
};

static inline enum ds_status apply_any(struct batch *batch, struct commit_write *write)
{
    struct any *any = (struct any *)write;

    return any->run(batch, any->request);
}

static inline void finish_any(struct commit_write *write, enum ds_status status)
{
    ((struct any *)write)->status = status;
}

static inline void submit_any(enum ds_status (*run)(struct batch *batch, void *request),
                              void *request)
{
    struct any any = {
        .write = {.apply = apply_any, .finish = finish_any}, .run = run, .request = request};

    commit_submit(committer, &any.write);
    ck_assert_int_eq(any.status, DS_OK);
}

#define RUN(name)                                                                                  \
    static inline enum ds_status run_##name(struct batch *batch, void *request)                    \
    {                                                                                              \
        return subscription_##name(batch, request);                                                \
    }
RUN(put)
RUN(delete)
RUN(streams)
RUN(claim)
RUN(answer)
RUN(nudge)
RUN(begin)
RUN(end)
RUN(upkeep)

static inline void open_all(void)
{
    open_fixture(&f);
    ck_assert_int_eq(commit_start(&committer, f.store, &f.config, false), DS_OK);
}

static inline void close_all(void)
{
    commit_stop(committer);
    commit_free(committer);
    close_fixture(&f);
}

static inline void make(const char *path, const char *body)
{
    struct request request = {
        .create = {.path = path,
                   .content_type = "application/json",
                   .ttl_seconds = -1,
                   .expires_at = -1,
                   .fork_offset = -1,
                   .arena = f.arena,
                   .body = {.data = body, .len = strlen(body), .max_messages = 100}}};

    ck_assert_int_eq(submit_request(committer, &request, apply_create), DS_OK);
    ck_assert_int_eq(request.create.verdict, DS_OK);
}

static inline void append(const char *path, const char *body)
{
    struct request request = {
        .append = {.path = path, .body = {.data = body, .len = strlen(body), .max_messages = 100}}};

    ck_assert_int_eq(submit_request(committer, &request, apply_append), DS_OK);
    ck_assert_int_eq(request.append.verdict, DS_OK);
}

static inline void end_stream(const char *path)
{
    struct request request = {.deletion = {.path = path}};

    ck_assert_int_eq(submit_request(committer, &request, apply_delete), DS_OK);
    ck_assert_int_eq(request.deletion.verdict, DS_OK);
}

static inline int64_t ask(const char *sql)
{
    int64_t value;

    ck_assert_int_eq(stmt_ask_int(f.conn, sql, &value), DS_OK);
    return value;
}

static inline void type(const char *sql)
{
    ck_assert_int_eq(sqlite3_exec(f.conn->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static inline struct subscription_put put_pool(const char *name, const char *pattern)
{
    struct subscription_put put = {.name = name,
                                   .pattern = pattern,
                                   .wake_stream = WAKES,
                                   .lease_ttl_ms = 30000,
                                   .base_url = "http://h",
                                   .most = 10,
                                   .arena = f.arena};

    submit_any(run_put, &put);
    return put;
}

static inline struct subscription_put put_hook(const char *name, const char *pattern)
{
    struct subscription_put put = {.name = name,
                                   .is_webhook = true,
                                   .pattern = pattern,
                                   .url = "http://127.0.0.1:9/",
                                   .lease_ttl_ms = 30000,
                                   .base_url = "http://h",
                                   .most = 10,
                                   .arena = f.arena};

    submit_any(run_put, &put);
    ck_assert_int_eq(put.verdict, DS_OK);
    return put;
}

static inline struct subscription_claim claim_by(const char *name, const char *worker)
{
    struct subscription_claim claim = {.name = name, .worker = worker, .arena = f.arena};

    submit_any(run_claim, &claim);
    return claim;
}

static inline struct subscription_answer answer_to(const struct subscription_claim *claim,
                                                   enum subscription_reply reply, const char *path,
                                                   int64_t position, bool done)
{
    struct subscription_offset ack = {.path = path, .position = position};
    struct subscription_answer answer = {.name = claim->name,
                                         .reply = reply,
                                         .token = claim->token,
                                         .wake_id = claim->view.row.wake_id,
                                         .generation = claim->generation,
                                         .ack = &ack,
                                         .acks = path ? 1 : 0,
                                         .done = done};

    submit_any(run_answer, &answer);
    return answer;
}

#endif
