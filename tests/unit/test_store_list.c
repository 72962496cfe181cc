/* The list of streams: its contents and its order. */
#include "store/store_list.h"

#include "store_unit.h"

enum { NOW = 1000000 };

/* The paths that a list returned, with a space after each; a fork with its source, a dead stream
   with '!'. */
struct heard {
    char text[400];
    int most; /* the list ends after this many */
};

static bool hear(void *arg, const struct stream *stream, const char *source, enum ds_status life)
{
    struct heard *heard = arg;
    size_t len = strlen(heard->text);

    (void)snprintf(heard->text + len, sizeof heard->text - len, "%s%s%s%s ", stream->path,
                   source ? "<" : "", source ? source : "", life == DS_OK ? "" : "!");
    return --heard->most != 0;
}

static void expect_list(struct fixture *f, struct store_list list, const char *expected)
{
    struct heard heard = {"", 0};

    ck_assert_int_eq(store_list(f->conn, &list, NOW, hear, &heard), DS_OK);
    ck_assert_str_eq(heard.text, expected);
}

/* Makes four plain streams, an expired one, and a deleted one with its fork. */
static void fill(struct fixture *f)
{
    static const struct {
        const char *path;
        int64_t tail, messages, created_at, expires_at, deleted_at;
    } rows[] = {
        {"/b", 30, 1, 500, NOW + 5, 0},   {"/a/x", 20, 3, 400, 0, 0},
        {"/a/y", 10, 2, 300, NOW + 1, 0}, {"/c%", 0, 0, 200, 0, 0},
        {"/a/old", 5, 1, 100, NOW, 0},    {"/gone", 7, 1, 600, 0, NOW},
    };
    struct stream stream = {.content_type = "text/plain", .ttl_seconds = -1};

    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        stream.path = rows[i].path;
        stream.tail = rows[i].tail;
        stream.messages = rows[i].messages;
        stream.created_at = rows[i].created_at;
        stream.expires_at = rows[i].expires_at;
        ck_assert_int_eq(store_insert(f->conn, &stream), DS_OK);
        ck_assert_int_eq(store_update(f->conn, &stream), DS_OK);
    }
    stream.source_id = stream.id;
    stream.path = "/fork";
    stream.created_at = 700;
    stream.expires_at = 0;
    ck_assert_int_eq(store_insert(f->conn, &stream), DS_OK);
    stream.id = stream.source_id;
    ck_assert_int_eq(store_delete(f->conn, &stream, NOW), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

START_TEST(lists_live_streams_in_every_order)
{
    struct fixture f;

    open_fixture(&f);
    fill(&f);
    expect_list(&f, (struct store_list){0}, "/a/x /a/y /b /c% /fork</gone ");
    expect_list(&f, (struct store_list){.reverse = true}, "/fork</gone /c% /b /a/y /a/x ");
    expect_list(&f, (struct store_list){.order = STORE_LIST_BY_MESSAGES},
                "/c% /fork</gone /b /a/y /a/x ");
    expect_list(&f, (struct store_list){.order = STORE_LIST_BY_BYTES, .reverse = true},
                "/b /a/x /a/y /fork</gone /c% ");
    expect_list(&f, (struct store_list){.order = STORE_LIST_BY_CREATED},
                "/c% /a/y /a/x /b /fork</gone ");
    expect_list(&f, (struct store_list){.order = STORE_LIST_BY_EXPIRES},
                "/a/y /b /a/x /c% /fork</gone ");
    close_fixture(&f);
}
END_TEST

START_TEST(keeps_to_a_prefix)
{
    struct fixture f;

    open_fixture(&f);
    fill(&f);
    expect_list(&f, (struct store_list){.prefix = "/a/"}, "/a/x /a/y ");
    expect_list(&f, (struct store_list){.prefix = "/a/", .reverse = true}, "/a/y /a/x ");
    expect_list(&f, (struct store_list){.prefix = "/a/", .order = STORE_LIST_BY_BYTES},
                "/a/y /a/x ");
    expect_list(&f, (struct store_list){.prefix = "/c%"}, "/c% ");
    expect_list(&f, (struct store_list){.prefix = "/a/z"}, "");
    close_fixture(&f);
}
END_TEST

START_TEST(lists_dead_streams_only_if_asked)
{
    struct fixture f;

    open_fixture(&f);
    fill(&f);
    expect_list(&f, (struct store_list){.dead = true},
                "/a/old! /a/x /a/y /b /c% /fork</gone /gone! ");
    close_fixture(&f);
}
END_TEST

START_TEST(ends_when_the_callback_says_so)
{
    struct fixture f;
    struct heard heard = {"", 2};

    open_fixture(&f);
    fill(&f);
    ck_assert_int_eq(store_list(f.conn, &(struct store_list){0}, NOW, hear, &heard), DS_OK);
    ck_assert_str_eq(heard.text, "/a/x /a/y ");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK); /* no transaction is left open */
    store_rollback(f.conn);
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(store_list, lists_live_streams_in_every_order, keeps_to_a_prefix,
          lists_dead_streams_only_if_asked, ends_when_the_callback_says_so)
