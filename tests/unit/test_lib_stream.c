/* Creating, forking, describing, appending to, reading, deleting and listing streams. */
#include <time.h>

#include "lib_unit.h"

#define TAIL_OF(n) ("0000000000000000_" n)

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(a_stream_is_described_as_it_was_created)
{
    struct ds_store *store = lib_begin();
    const struct ds_create_options options = {
        .content_type = "text/plain; charset=utf-8",
        .has_ttl = true,
        .ttl_seconds = 3600,
        .data = "hello",
        .len = 5,
    };
    struct ds_stream *made = NULL, *got = NULL;
    int64_t before = now_ms();
    bool created = false;

    ck_assert_int_eq(ds_create(store, "/v1/stream/a", &options, &created, &made), DS_OK);
    ck_assert(created);
    ck_assert_int_eq(ds_get(store, "/v1/stream/a", &got), DS_OK);
    for (int i = 0; i < 2; i++) {
        const struct ds_stream *stream = i ? got : made;

        ck_assert_str_eq(stream->path, "/v1/stream/a");
        ck_assert_str_eq(stream->content_type, "text/plain; charset=utf-8");
        ck_assert_str_eq(stream->tail, TAIL_OF("0000000000000005"));
        ck_assert_int_eq(stream->bytes, 5);
        ck_assert_int_eq(stream->messages, 1);
        ck_assert_int_ge(stream->created_at, before);
        ck_assert_int_le(stream->created_at, now_ms());
        ck_assert_int_eq(stream->ttl_seconds, 3600);
        ck_assert_int_eq(stream->expires_at, stream->created_at + 3600 * 1000);
        ck_assert(!stream->closed);
        ck_assert_ptr_null(stream->forked_from);
    }
    ds_stream_free(made);
    ds_stream_free(got);
    ds_stream_free(NULL);
    lib_end(store);
}
END_TEST

START_TEST(the_same_again_is_done_and_anything_else_a_conflict)
{
    struct ds_store *store = lib_begin();
    const struct ds_create_options text = {.content_type = "text/plain"};
    const struct ds_create_options others[] = {
        {.content_type = "application/json"},
        {.content_type = "text/plain", .closed = true},
        {.content_type = "text/plain", .has_ttl = true, .ttl_seconds = 5},
        {.content_type = "text/plain", .expires_at = INT64_C(4102444800000)},
        {.content_type = "text/plain", .fork_of = "/b"},
    };
    struct ds_stream *stream = NULL;
    bool created = true;

    lib_create(store, "/a", "text/plain");
    lib_create(store, "/b", "text/plain");
    ck_assert_int_eq(ds_create(store, "/a", &text, &created, NULL), DS_OK);
    ck_assert(!created);
    for (size_t i = 0; i < COUNT(others); i++)
        ck_assert_int_eq(ds_create(store, "/a", &others[i], NULL, &stream), DS_CONFLICT);
    ck_assert_ptr_null(stream);
    lib_end(store);
}
END_TEST

START_TEST(creations_that_make_no_sense_are_refused)
{
    static const struct ds_create_options wrong[] = {
        {.content_type = ""},
        {.content_type = "text"},
        {.content_type = "text/plain\r\nX: y"},
        {.has_ttl = true, .ttl_seconds = -1},
        {.has_ttl = true, .ttl_seconds = INT64_MAX},
        {.has_ttl = true, .ttl_seconds = 1, .expires_at = 1},
        {.len = 5},
        {.content_type = "application/json", .data = "{", .len = 1},
        {.content_type = "application/json", .data = "\"\xFF\"", .len = 3},
        {.fork_offset = "-1"},
        {.fork_sub_offset = 1},
        {.fork_of = "/source", .fork_offset = "nonsense"},
        {.fork_of = "/source", .fork_offset = TAIL_OF("0000000000000004")},
        {.fork_of = "/source", .fork_sub_offset = -1},
        {.fork_of = "/source", .fork_sub_offset = 1},
        {.fork_of = "nonsense"},
    };
    static const struct ds_create_options orphan = {.fork_of = "/missing"};
    static const struct ds_create_options other_type = {.fork_of = "/source",
                                                        .content_type = "text/html"};
    struct ds_store *store = lib_begin();
    struct ds_stream *stream = NULL;

    lib_create(store, "/source", "text/plain");
    lib_append(store, "/source", "abc");
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(ds_create(store, "/a", &wrong[i], NULL, &stream) == DS_INVALID, "row %zu", i);
    ck_assert_int_eq(ds_create(store, "/a", &orphan, NULL, &stream), DS_NOT_FOUND);
    ck_assert_int_eq(ds_create(store, "/v1/stream/__ds/a", NULL, NULL, &stream), DS_FORBIDDEN);
    ck_assert_int_eq(ds_create(store, "/a", &other_type, NULL, &stream), DS_CONFLICT);
    ck_assert_int_eq(ds_fork(store, NULL, "/a", NULL, NULL), DS_INVALID);
    ck_assert_int_eq(ds_get(store, "/a", &stream), DS_NOT_FOUND);
    ck_assert_ptr_null(stream);
    lib_end(store);
}
END_TEST

START_TEST(forks_share_what_was_there_and_go_their_own_way)
{
    const struct ds_create_options inside = {
        .fork_of = "/source", .fork_offset = DS_START, .fork_sub_offset = 2};
    struct ds_store *store = lib_begin();
    struct ds_stream *fork = NULL, *at_tail = NULL;

    lib_create(store, "/source", "text/plain");
    lib_append(store, "/source", "abc");
    ck_assert_int_eq(ds_fork(store, "/source", "/tail", NULL, &at_tail), DS_OK);
    ck_assert_int_eq(ds_fork(store, "/source", "/now", DS_NOW, NULL), DS_OK);
    ck_assert_int_eq(ds_fork(store, "/source", "/start", DS_START, NULL), DS_OK);
    ck_assert_int_eq(ds_create(store, "/inside", &inside, NULL, &fork), DS_OK);
    lib_append(store, "/source", "def");
    lib_append(store, "/inside", "X");
    lib_expect(store, "/tail", NULL, "abc");
    lib_expect(store, "/now", NULL, "abc");
    lib_expect(store, "/start", NULL, "");
    lib_expect(store, "/inside", NULL, "abX");
    lib_expect(store, "/source", NULL, "abcdef");
    ck_assert_str_eq(at_tail->forked_from, "/source");
    ck_assert_str_eq(at_tail->content_type, "text/plain");
    ck_assert_int_eq(at_tail->bytes, 3);
    ck_assert_int_eq(at_tail->messages, 0);
    ck_assert_int_eq(fork->bytes, 2);

    ck_assert_int_eq(ds_delete(store, "/source"), DS_OK);
    ck_assert_int_eq(ds_delete(store, "/source"), DS_GONE);
    lib_expect(store, "/tail", NULL, "abc");
    ds_stream_free(fork);
    ck_assert_int_eq(ds_get(store, "/inside", &fork), DS_OK);
    ck_assert_str_eq(fork->forked_from, "/source"); /* although the source is deleted */
    ds_stream_free(fork);
    ds_stream_free(at_tail);
    lib_end(store);
}
END_TEST

START_TEST(an_append_tells_the_tail_and_a_refused_one_why)
{
    struct ds_store *store = lib_begin();
    const struct ds_append_options json = {.content_type = "application/json"};
    const struct ds_append_options seq = {.seq = "b"}, older = {.seq = "a"};
    struct ds_append_result result;

    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_append(store, "/a", "abc", 3, NULL, &result), DS_OK);
    ck_assert_str_eq(result.next_offset, TAIL_OF("0000000000000003"));
    ck_assert(!result.closed && !result.duplicate);
    ck_assert_int_eq(result.producer_seq, -1);
    ck_assert_ptr_null(result.reason);

    ck_assert_int_eq(ds_append(store, "/a", "{}", 2, &json, &result), DS_CONFLICT);
    ck_assert_str_eq(result.next_offset, TAIL_OF("0000000000000003"));
    ck_assert_ptr_nonnull(result.reason);
    ck_assert_int_eq(ds_append(store, "/a", "", 0, NULL, &result), DS_INVALID);
    ck_assert_int_eq(ds_append(store, "/a", NULL, 5, NULL, &result), DS_INVALID);
    ck_assert_int_eq(ds_append(store, "/a", "x", 1, &seq, &result), DS_OK);
    ck_assert_int_eq(ds_append(store, "/a", "x", 1, &older, &result), DS_CONFLICT);
    ck_assert_int_eq(ds_append(store, "/missing", "x", 1, NULL, &result), DS_NOT_FOUND);
    ck_assert_str_eq(result.next_offset, "");
    lib_expect(store, "/a", NULL, "abcx");
    lib_end(store);
}
END_TEST

START_TEST(bytes_are_kept_whatever_they_are)
{
    struct ds_store *store = lib_begin();
    struct ds_read_result read;
    char bytes[256 * 3];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    lib_create(store, "/a", NULL);
    ck_assert_int_eq(ds_append(store, "/a", bytes, sizeof bytes, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_read(store, "/a", NULL, &read), DS_OK);
    ck_assert_uint_eq(read.len, sizeof bytes);
    ck_assert_mem_eq(read.data, bytes, sizeof bytes);
    ck_assert_int_eq(read.data[read.len], '\0');
    ds_read_free(&read);
    ds_read_free(&read); /* a second time is harmless */
    lib_end(store);
}
END_TEST

START_TEST(a_json_stream_has_messages)
{
    struct ds_store *store = lib_begin();
    struct ds_append_result result;
    struct ds_stream *stream = NULL;
    char *large = malloc(200000);

    lib_create(store, "/j", "application/json");
    lib_expect(store, "/j", NULL, "[]");
    lib_append(store, "/j", " {\"a\": 1} ");
    lib_append(store, "/j", "[1,\"two\",[3]]");
    lib_expect(store, "/j", NULL, "[{\"a\": 1},1,\"two\",[3]]");
    lib_expect(store, "/j", DS_NOW, "[]");
    ck_assert_int_eq(ds_get(store, "/j", &stream), DS_OK);
    ck_assert_int_eq(stream->messages, 4);
    ds_stream_free(stream);
    ck_assert_int_eq(ds_append(store, "/j", "[]", 2, NULL, &result), DS_INVALID);
    ck_assert_int_eq(ds_append(store, "/j", "nonsense", 8, NULL, &result), DS_INVALID);
    lib_expect(store, "/j", TAIL_OF("0000000000000002"), "[{\"a\": 1},1,\"two\",[3]]");

    /* large bodies without a content type: one message, one array, not JSON, too many elements */
    memset(large, ' ', 200000);
    large[0] = '[';
    large[199998] = '7';
    large[199999] = ']';
    ck_assert_int_eq(ds_append(store, "/j", large, 200000, NULL, &result), DS_OK);
    large[100] = ',';
    ck_assert_int_eq(ds_append(store, "/j", large, 200000, NULL, &result), DS_INVALID);
    for (int i = 1; i < 199998; i += 2) {
        large[i] = '1';
        large[i + 1] = ',';
    }
    large[199998] = ' ';
    large[199997] = '1';
    ck_assert_int_eq(ds_append(store, "/j", large, 200000, NULL, &result), DS_TOO_LARGE);
    lib_expect(store, "/j", NULL, "[{\"a\": 1},1,\"two\",[3],7]");
    free(large);
    lib_end(store);
}
END_TEST

START_TEST(a_closed_stream_takes_nothing_and_says_where_it_ends)
{
    const struct ds_append_options last = {.close = true};
    const struct ds_create_options whole = {.data = "all", .len = 3, .closed = true};
    struct ds_store *store = lib_begin();
    struct ds_append_result result;
    struct ds_read_result read;

    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_append(store, "/a", "end", 3, &last, &result), DS_OK);
    ck_assert(result.closed);
    ck_assert_int_eq(ds_append(store, "/a", "x", 1, NULL, &result), DS_CLOSED);
    ck_assert(result.closed);
    ck_assert_str_eq(result.next_offset, TAIL_OF("0000000000000003"));
    ck_assert_int_eq(ds_close_stream(store, "/a", &result), DS_OK); /* closed already */
    ck_assert_int_eq(ds_close_stream(store, "/missing", &result), DS_NOT_FOUND);
    ck_assert_int_eq(ds_read(store, "/a", NULL, &read), DS_OK);
    ck_assert(read.closed && read.up_to_date);
    ds_read_free(&read);
    ck_assert_int_eq(ds_create(store, "/b", &whole, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_read(store, "/b", NULL, &read), DS_OK);
    ck_assert(read.closed);
    ck_assert_str_eq(read.data, "all");
    ds_read_free(&read);
    lib_end(store);
}
END_TEST

static enum ds_status produce(struct ds_store *store, const char *id, int64_t epoch, int64_t seq,
                              struct ds_append_result *result)
{
    const struct ds_append_options options = {
        .producer_id = id, .producer_epoch = epoch, .producer_seq = seq};

    return ds_append(store, "/a", "x", 1, &options, result);
}

START_TEST(a_producer_is_carried_out_once_fenced_and_told_of_gaps)
{
    struct ds_store *store = lib_begin();
    struct ds_append_result result;
    char id[300];

    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(produce(store, "p", 0, 0, &result), DS_OK);
    ck_assert(!result.duplicate);
    ck_assert_int_eq(result.producer_seq, 0);
    ck_assert_int_eq(produce(store, "p", 0, 1, &result), DS_OK);
    ck_assert_int_eq(produce(store, "p", 0, 0, &result), DS_OK);
    ck_assert(result.duplicate);
    ck_assert_int_eq(result.producer_seq, 1);
    ck_assert_int_eq(produce(store, "p", 0, 5, &result), DS_GAP);
    ck_assert_int_eq(result.producer_seq, 1);
    ck_assert_int_eq(produce(store, "p", 3, 0, &result), DS_OK);
    ck_assert_int_eq(produce(store, "p", 0, 2, &result), DS_FENCED);
    ck_assert_int_eq(result.producer_epoch, 3);
    ck_assert_int_eq(produce(store, "p", 4, 1, &result), DS_INVALID);
    lib_expect(store, "/a", NULL, "xxx");

    ck_assert_int_eq(produce(store, "", 0, 0, &result), DS_INVALID);
    ck_assert_int_eq(produce(store, "a\nb", 0, 0, &result), DS_INVALID);
    ck_assert_int_eq(produce(store, "q", -1, 0, &result), DS_INVALID);
    ck_assert_int_eq(produce(store, "q", 0, -1, &result), DS_INVALID);
    ck_assert_int_eq(produce(store, "q", 0, INT64_MAX, &result), DS_INVALID);
    ck_assert_ptr_nonnull(result.reason);
    memset(id, 'p', sizeof id);
    id[299] = '\0';
    ck_assert_int_eq(produce(store, id, 0, 0, &result), DS_INVALID);
    lib_end(store);
}
END_TEST

START_TEST(reads_go_on_from_where_they_ended)
{
    const char *offset = DS_START;
    struct ds_store *store = lib_begin();
    struct ds_read_result read = {.data = NULL};
    char *data = malloc(3 << 20);
    size_t at = 0;

    for (size_t i = 0; i < 3 << 20; i++)
        data[i] = (char)(i * 7 >> 3);
    lib_create(store, "/a", NULL);
    ck_assert_int_eq(ds_append(store, "/a", data, 3 << 20, NULL, NULL), DS_OK);
    do {
        char from[DS_OFFSET_SIZE];

        (void)strcpy(from, offset);
        ds_read_free(&read);
        ck_assert_int_eq(ds_read(store, "/a", from, &read), DS_OK);
        ck_assert_uint_le(read.len, 1 << 20); /* the default of read_chunk_bytes */
        ck_assert_mem_eq(read.data, data + at, read.len);
        at += read.len;
        offset = read.next_offset;
    } while (!read.up_to_date);
    ck_assert_uint_eq(at, 3 << 20);
    lib_expect(store, "/a", offset, "");
    ds_read_free(&read);
    ck_assert_int_eq(ds_read(store, "/a", TAIL_OF("0000000003145729"), &read), DS_INVALID);
    ck_assert_int_eq(ds_read(store, "/a", "nonsense", &read), DS_INVALID);
    ck_assert_int_eq(ds_read(store, "/a", "", &read), DS_INVALID);
    ck_assert_int_eq(ds_read(store, "/missing", NULL, &read), DS_NOT_FOUND);
    ck_assert_ptr_null(read.data);
    free(data);
    lib_end(store);
}
END_TEST

START_TEST(deleted_and_expired_streams_are_not_found)
{
    const struct ds_create_options brief = {.has_ttl = true, .ttl_seconds = 1};
    const struct ds_create_options past = {.expires_at = 1};
    struct ds_store *store = lib_begin();
    struct ds_stream *stream = NULL;

    lib_create(store, "/a", NULL);
    ck_assert_int_eq(ds_delete(store, "/a"), DS_OK);
    ck_assert_int_eq(ds_delete(store, "/a"), DS_NOT_FOUND);
    ck_assert_int_eq(ds_get(store, "/a", &stream), DS_NOT_FOUND);
    ck_assert_int_eq(ds_create(store, "/past", &past, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_get(store, "/past", &stream), DS_NOT_FOUND);
    ck_assert_int_eq(ds_create(store, "/a", &brief, NULL, NULL), DS_OK);
    while (ds_get(store, "/a", &stream) == DS_OK) /* ds_get() does not renew */
        ds_stream_free(stream);
    lib_end(store);
}
END_TEST

START_TEST(reading_renews_a_ttl)
{
    const struct ds_create_options options = {.has_ttl = true, .ttl_seconds = 100};
    struct ds_store *store = lib_begin();
    struct ds_stream *stream = NULL;
    int64_t first = 0, last = 0;

    ck_assert_int_eq(ds_create(store, "/a", &options, NULL, &stream), DS_OK);
    first = stream->expires_at;
    ds_stream_free(stream);
    (void)usleep(20 * 1000);
    lib_expect(store, "/a", NULL, "");
    /* upkeep saves renewals once a second; Check's time-out bounds the loop */
    while (last <= first) {
        ck_assert_int_eq(ds_get(store, "/a", &stream), DS_OK);
        last = stream->expires_at;
        ds_stream_free(stream);
        (void)usleep(20 * 1000);
    }
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_stream, a_stream_is_described_as_it_was_created,
          the_same_again_is_done_and_anything_else_a_conflict,
          creations_that_make_no_sense_are_refused, forks_share_what_was_there_and_go_their_own_way,
          an_append_tells_the_tail_and_a_refused_one_why, bytes_are_kept_whatever_they_are,
          a_json_stream_has_messages, a_closed_stream_takes_nothing_and_says_where_it_ends,
          a_producer_is_carried_out_once_fenced_and_told_of_gaps, reads_go_on_from_where_they_ended,
          deleted_and_expired_streams_are_not_found, reading_renews_a_ttl)
