/* Group commit: many writes in one transaction have the same results as one after another. */
#include "engine/commit.h"
#include "store_unit.h"

#include <pthread.h>

enum { T = 1000, WRITES = 200 };

enum kind { CREATE, APPEND, CLOSE, DELETE, FAIL };

/* A write of the test, and its results. */
struct step {
    struct commit_write write;
    enum kind kind;
    const char *path;
    enum ds_status found; /* by apply() */
    int64_t tail;
    enum ds_status result; /* by finish() */
    bool finished;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;

static enum ds_status apply_create(struct batch *batch, struct step *step)
{
    struct stream stream = {
        .path = step->path,
        .content_type = "text/plain",
        .created_at = batch->now,
        .ttl_seconds = -1,
    };

    return step->found == DS_NOT_FOUND ? store_insert(batch->conn, &stream) : DS_OK;
}

static enum ds_status apply_delete(struct batch *batch, struct step *step, struct stream *stream)
{
    enum ds_status status = batch_flush(batch);

    if (status == DS_OK)
        status = store_delete(batch->conn, stream, batch->now);
    batch_ended(batch, stream->id);
    batch_forget(batch, step->path);
    return status;
}

static enum ds_status apply(struct batch *batch, struct commit_write *write)
{
    struct step *step = (struct step *)write;
    struct stream *stream;
    enum ds_status status;

    step->tail = -1;
    if (step->kind == FAIL)
        return DS_NO_SPACE;
    step->found = batch_find(batch, step->path, &stream);
    if (step->kind == CREATE)
        return apply_create(batch, step);
    if (step->found != DS_OK)
        return DS_OK;
    if (step->kind == DELETE)
        return apply_delete(batch, step, stream);
    if (step->kind == CLOSE) {
        stream->closed_at = batch->now;
        batch_changed(batch, stream, STREAM_CHANGED);
        return DS_OK;
    }
    status = store_append(batch->conn, stream, "12345", 5, batch->now);
    batch_changed(batch, stream, STREAM_GREW);
    step->tail = stream->tail;
    return status;
}

static void finish(struct commit_write *write, enum ds_status status)
{
    struct step *step = (struct step *)write;

    (void)pthread_mutex_lock(&lock);
    step->result = status;
    step->finished = true;
    (void)pthread_cond_broadcast(&moved);
    (void)pthread_mutex_unlock(&lock);
}

static void await(struct step *step)
{
    (void)pthread_mutex_lock(&lock);
    while (!step->finished)
        (void)pthread_cond_wait(&moved, &lock);
    (void)pthread_mutex_unlock(&lock);
}

/* Submits all steps while another connection holds the database, so that they become one batch. */
static void run_together(struct fixture *f, struct commit *commit, struct step *steps, int n)
{
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    for (int i = 0; i < n; i++) {
        steps[i].write = (struct commit_write){.apply = apply, .finish = finish};
        steps[i].finished = false;
        commit_submit(commit, &steps[i].write);
    }
    store_rollback(f->conn);
    for (int i = 0; i < n; i++)
        await(&steps[i]);
}

static struct commit *start(struct fixture *f)
{
    struct commit *commit;

    open_fixture(f);
    ck_assert_int_eq(commit_start(&commit, f->store, &f->config, true), DS_OK);
    return commit;
}

static void stop(struct fixture *f, struct commit *commit)
{
    commit_stop(commit);
    commit_free(commit);
    close_fixture(f);
}

START_TEST(sees_its_own_writes_within_a_batch)
{
    struct fixture f;
    struct commit *commit = start(&f);
    struct step steps[] = {
        {.kind = APPEND, .path = "/a"}, {.kind = CREATE, .path = "/a"},
        {.kind = APPEND, .path = "/a"}, {.kind = APPEND, .path = "/a"},
        {.kind = DELETE, .path = "/a"}, {.kind = APPEND, .path = "/a"},
        {.kind = CREATE, .path = "/a"}, {.kind = APPEND, .path = "/a"},
        {.kind = CREATE, .path = "/b"}, {.kind = APPEND, .path = "/b"},
    };
    static const int64_t tails[] = {-1, -1, 5, 10, -1, -1, -1, 5, -1, 5};
    static const enum ds_status found[] = {
        DS_NOT_FOUND, DS_NOT_FOUND, DS_OK, DS_OK,        DS_OK,
        DS_NOT_FOUND, DS_NOT_FOUND, DS_OK, DS_NOT_FOUND, DS_OK,
    };
    struct stream stream;
    int64_t next;
    char *text;

    run_together(&f, commit, steps, COUNT(steps));
    for (size_t i = 0; i < COUNT(steps); i++) {
        ck_assert_int_eq(steps[i].result, DS_OK);
        ck_assert_msg(steps[i].found == found[i] && steps[i].tail == tails[i],
                      "step %zu: found %d, tail %d", i, steps[i].found, (int)steps[i].tail);
    }
    ck_assert_int_eq(store_find(f.conn, f.arena, "/a", T, &stream), DS_OK);
    ck_assert_int_eq(stream.tail, 5);
    text = read_text(&f, &stream, 0, 100, &next);
    ck_assert_str_eq(text, "12345");
    free(text);
    stop(&f, commit);
}
END_TEST

START_TEST(saves_other_changes_of_a_stream_that_also_grew)
{
    struct fixture f;
    struct commit *commit = start(&f);
    struct step steps[] = {
        {.kind = CREATE, .path = "/a"}, {.kind = CREATE, .path = "/b"},
        {.kind = APPEND, .path = "/a"}, {.kind = CLOSE, .path = "/a"},
        {.kind = APPEND, .path = "/a"}, {.kind = APPEND, .path = "/b"},
        {.kind = DELETE, .path = "/b"}, /* makes the batch write the rows changed so far */
        {.kind = APPEND, .path = "/a"},
    };
    struct stream stream;

    run_together(&f, commit, steps, COUNT(steps));
    ck_assert_int_eq(store_find(f.conn, f.arena, "/a", T, &stream), DS_OK);
    ck_assert_int_ne(stream.closed_at, 0);
    ck_assert_int_eq(stream.tail, 15);
    ck_assert_int_eq(stream.messages, 3);
    stop(&f, commit);
}
END_TEST

START_TEST(refuses_only_the_write_that_fails)
{
    struct fixture f;
    struct commit *commit = start(&f);
    struct step steps[] = {
        {.kind = CREATE, .path = "/a"},
        {.kind = APPEND, .path = "/a"},
        {.kind = FAIL, .path = "/a"},
        {.kind = APPEND, .path = "/a"},
    };
    struct stream stream;

    run_together(&f, commit, steps, COUNT(steps));
    ck_assert_int_eq(steps[0].result, DS_OK);
    ck_assert_int_eq(steps[1].result, DS_OK);
    ck_assert_int_eq(steps[2].result, DS_NO_SPACE);
    ck_assert_int_eq(steps[3].result, DS_OK);
    ck_assert_int_eq(steps[3].tail, 10);
    ck_assert_int_eq(store_find(f.conn, f.arena, "/a", T, &stream), DS_OK);
    ck_assert_int_eq(stream.tail, 10);
    ck_assert_int_eq(stream.messages, 2);
    stop(&f, commit);
}
END_TEST

static void hear(void *arg, const struct ds_event *event)
{
    char *heard = arg;

    (void)strcat(heard, event->kind == DS_EVENT_CREATED ? "+" : "-");
    (void)strcat(heard, event->path);
}

START_TEST(sends_one_event_for_a_write_that_was_tried_twice)
{
    struct fixture f;
    struct commit *commit;
    char heard[200] = "";
    struct step steps[] = {
        {.kind = CREATE, .path = "/a"}, {.kind = CREATE, .path = "/b"},
        {.kind = DELETE, .path = "/a"}, {.kind = FAIL, .path = "/a"},
        {.kind = CREATE, .path = "/a"}, {.kind = DELETE, .path = "/b"},
    };

    open_fixture(&f);
    store_on_event(f.store, hear, heard);
    ck_assert_int_eq(commit_start(&commit, f.store, &f.config, true), DS_OK);
    run_together(&f, commit, steps, COUNT(steps));
    stop(&f, commit);
    ck_assert_str_eq(heard, "+/a+/b-/a+/a-/b");
}
END_TEST

START_TEST(finishes_more_writes_than_fit_into_a_batch)
{
    static struct step steps[10 * WRITES];
    static char paths[10 * WRITES][16];
    struct fixture f;
    struct commit *commit = start(&f);
    struct stream stream;

    for (int i = 0; i < 10 * WRITES; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "/%d", i);
        steps[i].kind = CREATE;
        steps[i].path = paths[i];
    }
    run_together(&f, commit, steps, 10 * WRITES);
    for (int i = 0; i < 10 * WRITES; i++) {
        unit_check(steps[i].result == DS_OK, "write %d", i);
        unit_check(store_find(f.conn, f.arena, paths[i], T, &stream) == DS_OK, "stream %d", i);
    }
    stop(&f, commit);
}
END_TEST

START_TEST(refuses_writes_when_the_queue_is_full)
{
    static struct step steps[WRITES];
    struct fixture f;
    struct commit *commit;
    int busy = 0;

    (void)setenv("DS_MAX_QUEUED", "50", 1);
    commit = start(&f);
    for (int i = 0; i < WRITES; i++)
        steps[i] = (struct step){.kind = APPEND, .path = "/none"};
    run_together(&f, commit, steps, WRITES);
    for (int i = 0; i < WRITES; i++)
        busy += steps[i].result == DS_BUSY;
    ck_assert_int_ge(busy, WRITES - 50 - 50); /* a first batch may have left the queue already */
    ck_assert_int_lt(busy, WRITES);
    stop(&f, commit);
    (void)unsetenv("DS_MAX_QUEUED");
}
END_TEST

static void run_one(struct commit *commit, struct step *step)
{
    step->write = (struct commit_write){.apply = apply, .finish = finish};
    step->finished = false;
    commit_submit(commit, &step->write);
    await(step);
}

/* A thread that appends one message after another. */
static void *append_many(void *arg)
{
    struct step step = {.kind = APPEND, .path = "/a"};
    struct commit *commit = arg;
    intptr_t failed = 0;

    for (int i = 0; i < WRITES; i++) {
        run_one(commit, &step);
        failed += step.result != DS_OK || step.found != DS_OK;
    }
    return (void *)failed; // NOLINT(performance-no-int-to-ptr)
}

START_TEST(loses_no_write_between_many_threads)
{
    struct fixture f;
    struct commit *commit = start(&f);
    struct step create = {.kind = CREATE, .path = "/a"};
    struct stream stream;
    pthread_t thread[4];

    run_one(commit, &create);
    for (size_t i = 0; i < COUNT(thread); i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, append_many, commit), 0);
    for (size_t i = 0; i < COUNT(thread); i++) {
        void *failed;

        ck_assert_int_eq(pthread_join(thread[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    ck_assert_int_eq(store_find(f.conn, f.arena, "/a", T, &stream), DS_OK);
    ck_assert_int_eq(stream.messages, (int64_t)COUNT(thread) * WRITES);
    ck_assert_int_eq(stream.tail, 5 * stream.messages);
    stop(&f, commit);
}
END_TEST

UNIT_MAIN(commit, sees_its_own_writes_within_a_batch,
          saves_other_changes_of_a_stream_that_also_grew, refuses_only_the_write_that_fails,
          sends_one_event_for_a_write_that_was_tried_twice,
          finishes_more_writes_than_fit_into_a_batch, refuses_writes_when_the_queue_is_full,
          loses_no_write_between_many_threads)
