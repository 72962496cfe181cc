/*
 * Imports while the machine fails: each stream is imported as a whole or not at all, a second
 * import adds the missing ones, and the result is the same as without a failure.
 */
#define FIXTURE_FOLDER "/dev/shm/ds-unit-XXXXXX" /* thousands of syncs, which are fast there */

#include "failing.h"

#include "store/tools/store_check.h"
#include "store/tools/store_dump.h"
#include "store_unit.h"

enum { STREAMS = 6, MOST = 100000 };

static const char head[] =
    "{\"format\":\"durable-streams-export\",\"version\":1,\"program\":\"0\",\"written_at\":1}\n";

/* Plain streams and forks of the previous stream, each with two messages and a producer. */
static char *make_export(void)
{
    struct buf out = {0};
    size_t len;

    buf_adds(&out, head);
    for (int i = 0; i < STREAMS; i++) {
        int at = i % 2 ? 10 : 0;

        buf_printf(&out,
                   "{\"stream\":\"/%d\",\"content_type\":\"text/plain\",\"tail\":%d,\"messages\":2,"
                   "\"created_at\":%d",
                   i, at + 10, i + 1);
        if (i % 2)
            buf_printf(&out,
                       ",\"source\":\"/%d\",\"source_created_at\":%d,\"fork_position\":10,"
                       "\"fork_offset\":10,\"fork_sub_offset\":0",
                       i - 1, i);
        buf_adds(&out, "}\n");
        for (int m = 0; m < 2; m++)
            buf_printf(&out, "{\"position\":%d,\"appended_at\":1,\"bytes\":5,\"data\":\"hello\"}\n",
                       at + 5 * m);
        buf_printf(&out,
                   "{\"producer\":\"p\",\"epoch\":0,\"seq\":%d,\"updated_at\":1}\n"
                   "{\"end_of\":\"/%d\",\"rows\":2,\"producers\":1}\n",
                   i, i);
    }
    buf_printf(&out,
               "{\"end\":\"durable-streams-export\",\"streams\":%d,\"rows\":%d,\"producers\":%d}\n",
               STREAMS, 2 * STREAMS, STREAMS);
    buf_addc(&out, '\0');
    return buf_take(&out, &len);
}

static FILE *make_file(const char *text)
{
    FILE *file = tmpfile();

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    rewind(file);
    return file;
}

/* Empties the database, in the same folder. */
static void empty(struct fixture *f)
{
    struct stream stream;
    char path[8];

    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    for (int i = STREAMS - 1; i >= 0; i--) { /* forks before their sources */
        (void)snprintf(path, sizeof path, "/%d", i);
        if (store_find(f->conn, f->arena, path, 1, &stream) == DS_OK)
            ck_assert_int_eq(store_delete(f->conn, &stream, 1), DS_OK);
    }
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

/* Returns the number of streams, and checks that each is whole. */
static int count_whole(struct fixture *f)
{
    struct stream stream;
    char path[8];
    int n = 0;

    for (int i = 0; i < STREAMS; i++) {
        int64_t next;
        char *text;

        (void)snprintf(path, sizeof path, "/%d", i);
        if (store_find(f->conn, f->arena, path, 1, &stream) != DS_OK)
            break;
        text = read_text(f, &stream, 0, SIZE_MAX, &next);
        ck_assert_str_eq(text, i % 2 ? "hellohellohellohello" : "hellohello");
        free(text);
        n++;
    }
    for (int i = n; i < STREAMS; i++) {
        (void)snprintf(path, sizeof path, "/%d", i);
        ck_assert_int_eq(store_find(f->conn, f->arena, path, 1, &stream), DS_NOT_FOUND);
    }
    return n;
}

static enum ds_status import(struct fixture *f, const char *text, struct store_dump *dump)
{
    enum ds_status status;

    *dump = (struct store_dump){.file = make_file(text), .skip_existing = true};
    failing_spared = false;
    status = store_import(f->conn, dump);
    failing_spared = true;
    return status;
}

/* Imports while the n-th call of this kind fails. Returns whether one failed. */
static bool run_import(struct fixture *f, const char *text, enum failing kind, int n)
{
    struct store_dump dump;
    enum ds_status status;
    bool failed;
    int there;

    empty(f);
    failing_arm(kind, n, false);
    status = import(f, text, &dump);
    failed = failing_disarm();
    (void)fclose(dump.file);
    there = count_whole(f);
    ck_assert_msg(status != DS_OK || there == STREAMS, "%s %d: %d streams", failing_names[kind], n,
                  there);
    ck_assert_msg(status == DS_OK || dump.reason[0], "%s %d: no reason", failing_names[kind], n);
    ck_assert_msg(dump.streams <= there, "%s %d: told of %d streams, there are %d",
                  failing_names[kind], n, (int)dump.streams, there);
    ck_assert_msg(import(f, text, &dump) == DS_OK, "after %s %d: %s", failing_names[kind], n,
                  dump.reason);
    (void)fclose(dump.file);
    ck_assert_int_eq(dump.skipped, there);
    ck_assert_int_eq(count_whole(f), STREAMS);
    return failed;
}

START_TEST(stream_is_imported_as_a_whole_or_not_at_all)
{
    char *text = make_export();
    struct fixture f;

    failing_begin();
    failing_spared = true;
    store_own_process();
    open_fixture(&f);
    /* the failures cause hundreds of log lines */
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    for (int kind = 0; kind < FAIL_KINDS; kind++)
        for (int n = 0; run_import(&f, text, (enum failing)kind, n); n++)
            ck_assert_int_lt(n, MOST);
    free(text);
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(failing_import, stream_is_imported_as_a_whole_or_not_at_all)
