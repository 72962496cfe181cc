/* Spools: a request means the same wherever its bytes are cut. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/config.h"
#include "gateway/spool.h"
#include "unit.h"

enum { STRANGE = 77 }; /* a record type that FastCGI does not define */

static const struct config usual = {
    .max_body_bytes = 100000, .max_queued_bytes = 100000, .max_parked = 50000};

static void add_record_of(struct buf *buf, int id, int type, const void *data, size_t len,
                          int padding)
{
    unsigned char header[FCGI_HEADER_LEN];

    fcgi_record_write(header, type, (uint16_t)id, len, (size_t)padding);
    buf_add(buf, header, sizeof header);
    buf_add(buf, data, len);
    for (int i = 0; i < padding; i++)
        buf_addc(buf, '!');
}

static void add_record(struct buf *buf, int type, const void *data, size_t len, int padding)
{
    add_record_of(buf, 1, type, data, len, padding);
}

static void add_begin(struct buf *buf, int role, int flags)
{
    const char begin[FCGI_BEGIN_LEN] = {0, (char)role, (char)flags};

    add_record(buf, FCGI_BEGIN_REQUEST, begin, sizeof begin, 0);
}

static void add_pair(struct buf *buf, const char *name, const char *value)
{
    size_t len = strlen(value);

    buf_addc(buf, (char)strlen(name));
    if (len < 128) {
        buf_addc(buf, (char)len);
    } else {
        const unsigned char four[4] = {0x80 | (len >> 24 & 0x7f), len >> 16 & 255, len >> 8 & 255,
                                       len & 255};

        buf_add(buf, four, sizeof four);
    }
    buf_adds(buf, name);
    buf_adds(buf, value);
}

static char long_value[400];

/* Three parameters in two records, and a body of `records` records of `len` bytes each. */
static struct buf make_request(int records, size_t len, int padding)
{
    struct buf buf = {0}, params = {0};
    char *content = malloc(len + 1);

    memset(long_value, 'v', sizeof long_value - 1);
    add_pair(&params, "REQUEST_METHOD", "POST");
    add_pair(&params, "EMPTY", "");
    add_pair(&params, "LONG", long_value);
    add_begin(&buf, FCGI_RESPONDER, FCGI_KEEP_CONN);
    add_record(&buf, FCGI_PARAMS, params.data, 21, padding);
    add_record(&buf, FCGI_PARAMS, params.data + 21, params.len - 21, padding);
    add_record(&buf, FCGI_PARAMS, NULL, 0, padding);
    for (size_t i = 0; i < len; i++)
        content[i] = (char)(i * 7);
    for (int i = 0; i < records; i++)
        add_record(&buf, FCGI_STDIN, content, len, padding);
    add_record(&buf, FCGI_STDIN, NULL, 0, padding);
    free(content);
    buf_close(&params);
    return buf;
}

static void check_params(struct spool *spool)
{
    static const char *const pairs[][2] = {
        {"REQUEST_METHOD", "POST"}, {"EMPTY", ""}, {"LONG", long_value}};
    struct spool_param param;
    size_t at = 0;

    for (int i = 0; i < 3; i++) {
        unit_check(spool_next(spool, &at, &param) == SPOOL_PARAM, "no parameter %d", i);
        unit_check(param.name_len == strlen(pairs[i][0]) &&
                       memcmp(param.name, pairs[i][0], param.name_len) == 0,
                   "name %d", i);
        unit_check(strcmp(param.value, pairs[i][1]) == 0, "value %d: %s", i, param.value);
    }
    unit_check(spool_next(spool, &at, &param) == SPOOL_NO_PARAM, "one too many");
}

START_TEST(reads_the_same_request_wherever_it_is_cut)
{
    for (int padding = 0; padding < 9; padding += 4) {
        struct buf request = make_request(2, 77, padding);

        for (size_t first = 0; first < request.len; first++) {
            char *rest = unit_copy(request.data + first, request.len - first);
            struct spool spool;

            spool_open(&spool, &usual);
            unit_check(spool_take(&spool, request.data, first) == SPOOL_MORE, "after %zu", first);
            unit_check(spool_take(&spool, rest, request.len - first) == SPOOL_WHOLE,
                       "not whole: %zu + %zu", first, request.len - first);
            unit_check(spool.trouble == SPOOL_FINE && spool.id == 1 && spool.keep, "trouble");
            unit_check(spool.body.len == 154 && spool.body_len == 154, "body");
            unit_check(memcmp(spool.body.data, spool.body.data + 77, 77) == 0, "its bytes");
            check_params(&spool);
            spool_close(&spool);
            free(rest);
        }
        buf_close(&request);
    }
}
END_TEST

START_TEST(takes_single_bytes_and_is_used_again)
{
    struct buf request = make_request(1, 5, 3);
    struct spool spool, *kept;

    spool_open(&spool, &usual);
    for (int round = 0; round < 3; round++) {
        kept = NULL;
        for (size_t i = 0; i < request.len; i++) {
            if (i == request.len / 2) /* the other half goes to a kept spool */
                kept = spool_keep(&spool);
            ck_assert_int_eq(spool_take(kept ? kept : &spool, request.data + i, 1),
                             i + 1 < request.len ? SPOOL_MORE : SPOOL_WHOLE);
        }
        ck_assert(spool_is_empty(&spool));
        check_params(kept);
        ck_assert_uint_eq(kept->body.len, 5);
        spool_free(kept);
        ck_assert_int_eq(spool_take(&spool, request.data, request.len), SPOOL_WHOLE);
        check_params(&spool);
        spool_reset(&spool);
        ck_assert(spool_is_empty(&spool));
    }
    spool_close(&spool);
    buf_close(&request);
}
END_TEST

/* The state after a new spool has taken all bytes. */
static enum spool_state take(struct buf *buf)
{
    struct spool spool;
    enum spool_state state;

    spool_open(&spool, &usual);
    state = spool_take(&spool, buf->data, buf->len);
    spool_close(&spool);
    buf_close(buf);
    return state;
}

START_TEST(ends_the_connection_at_bytes_that_are_not_a_request)
{
    struct buf buf = {0};

    buf_adds(&buf, "GET / HTTP/1.1\r\n");
    ck_assert_int_eq(take(&buf), SPOOL_GONE);
    add_begin(&buf, FCGI_AUTHORIZER, FCGI_KEEP_CONN);
    ck_assert_int_eq(take(&buf), SPOOL_GONE);
    add_record(&buf, FCGI_BEGIN_REQUEST, "\0\1\1\0\0\0\0", 7, 0);
    ck_assert_int_eq(take(&buf), SPOOL_GONE);
    add_record_of(&buf, 0, FCGI_BEGIN_REQUEST, "\0\1\1\0\0\0\0", 8, 0);
    ck_assert_int_eq(take(&buf), SPOOL_GONE);
    for (int type = 0; type < 256; type++) { /* within the parameters */
        add_begin(&buf, FCGI_RESPONDER, FCGI_KEEP_CONN);
        add_record(&buf, type, "12345678", 8, 0);
        ck_assert_int_eq(take(&buf), type == FCGI_PARAMS ? SPOOL_MORE : SPOOL_GONE);
    }
    for (int type = 0; type < 256; type++) { /* within the body */
        add_begin(&buf, FCGI_RESPONDER, FCGI_KEEP_CONN);
        add_record(&buf, FCGI_PARAMS, NULL, 0, 0);
        add_record(&buf, type, "12345678", 8, 0);
        ck_assert_int_eq(take(&buf), type == FCGI_STDIN ? SPOOL_MORE : SPOOL_GONE);
    }
    buf = make_request(1, 5, 0);
    buf_adds(&buf, "the next one");
    ck_assert_int_eq(take(&buf), SPOOL_GONE);
}
END_TEST

START_TEST(skips_records_of_another_request)
{
    struct buf buf = {0};

    add_record_of(&buf, 9, FCGI_STDIN, "before", 6, 2);
    add_begin(&buf, FCGI_RESPONDER, 0);
    add_record(&buf, FCGI_PARAMS, NULL, 0, 0);
    add_record_of(&buf, 9, FCGI_ABORT_REQUEST, NULL, 0, 0);
    add_record(&buf, FCGI_STDIN, NULL, 0, 0);
    ck_assert_int_eq(take(&buf), SPOOL_WHOLE);
}
END_TEST

/* Reads the first and the second parameter of a request whose parameters are these bytes. */
static void expect_next(const void *params, size_t len, enum spool_next first,
                        enum spool_next second)
{
    struct buf buf = {0};
    struct spool_param param;
    struct spool spool;
    size_t at = 0;

    add_begin(&buf, FCGI_RESPONDER, FCGI_KEEP_CONN);
    add_record(&buf, FCGI_PARAMS, params, len, 0);
    add_record(&buf, FCGI_PARAMS, NULL, 0, 0);
    add_record(&buf, FCGI_STDIN, NULL, 0, 0);
    spool_open(&spool, &usual);
    ck_assert_int_eq(spool_take(&spool, buf.data, buf.len), SPOOL_WHOLE);
    ck_assert_int_eq(spool_next(&spool, &at, &param), first);
    if (first == SPOOL_PARAM)
        ck_assert_int_eq(spool_next(&spool, &at, &param), second);
    spool_close(&spool);
    buf_close(&buf);
}

START_TEST(refuses_parameters_with_wrong_lengths)
{
    static const char huge[] = "\xff\xff\xff\xff\xff\xff\xff\xff"
                               "AAAA";

    expect_next(huge, sizeof huge - 1, SPOOL_MALFORMED, SPOOL_MALFORMED);
    expect_next("\xC0\0\0\0\xC0\0\0\0AAAA", 12, SPOOL_MALFORMED, SPOOL_MALFORMED);
    expect_next("\1\1ab\5\6abcdefghij", 16, SPOOL_PARAM, SPOOL_MALFORMED);
    expect_next("\1\1ab\5\6abcdefghijk", 17, SPOOL_PARAM, SPOOL_PARAM);
    expect_next("\1\1ab\0\0", 6, SPOOL_PARAM, SPOOL_PARAM);
    expect_next("\1\1ab\1", 5, SPOOL_PARAM, SPOOL_MALFORMED);
    expect_next("\1\1ab\x80\0\0", 7, SPOOL_PARAM, SPOOL_MALFORMED);
    expect_next("\1\1ab\1\x80\0\0", 8, SPOOL_PARAM, SPOOL_MALFORMED);
    expect_next("\x80\0\0\1\x80\0\0\1ab", 10, SPOOL_PARAM, SPOOL_NO_PARAM);
    expect_next("\1\1a\0", 4, SPOOL_MALFORMED, SPOOL_MALFORMED);
    expect_next("\1\1\0b", 4, SPOOL_MALFORMED, SPOOL_MALFORMED);
}
END_TEST

START_TEST(discards_too_many_parameters)
{
    static char filler[60000];
    struct buf buf = {0};
    struct spool spool;

    add_begin(&buf, FCGI_RESPONDER, FCGI_KEEP_CONN);
    for (int i = 0; i < 100; i++)
        add_record(&buf, FCGI_PARAMS, filler, sizeof filler, 0);
    add_record(&buf, FCGI_PARAMS, NULL, 0, 0);
    add_record(&buf, FCGI_STDIN, NULL, 0, 0);
    spool_open(&spool, &usual);
    ck_assert_int_eq(spool_take(&spool, buf.data, buf.len), SPOOL_WHOLE);
    ck_assert_int_eq(spool.trouble, SPOOL_TOO_MANY);
    ck_assert_uint_eq(spool.params.len, 0);
    spool_close(&spool);
    buf_close(&buf);
}
END_TEST

/* Sends the bytes in pieces of `piece` bytes, and fills the spool after each. */
static enum spool_state feed(struct spool *spool, const struct buf *buf, size_t piece,
                             const int *fds)
{
    enum spool_state state = SPOOL_MORE;
    char room[512];

    for (size_t at = 0; at < buf->len && state == SPOOL_MORE; at += piece) {
        size_t len = buf->len - at < piece ? buf->len - at : piece;

        ck_assert_int_eq(send(fds[1], buf->data + at, len, 0), (ssize_t)len);
        state = spool_fill(spool, fds[0], room, sizeof room);
    }
    return state;
}

static void open_pair(int *fds)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void close_pair(const int *fds)
{
    (void)close(fds[0]);
    (void)close(fds[1]);
}

START_TEST(answers_each_question_about_the_server_once_before_a_request)
{
    static const char answer[] = "\1\x0a\0\0\0\x27\0\0"
                                 "\x0e\5FCGI_MAX_CONNS50000\x0f\1FCGI_MPXS_CONNS0";
    static const char unknown[] = "\1\x0b\0\0\0\x08\0\0M\0\0\0\0\0\0";
    struct buf buf = make_request(1, 5, 0), question = {0};
    struct spool spool;
    char back[300];
    int fds[2];

    open_pair(fds);
    spool_open(&spool, &usual);
    for (int i = 0; i < 5; i++) /* more answers than fit into the buffer of libfcgi */
        add_pair(&question, "FCGI_MPXS_CONNS", "");
    add_pair(&question, "FCGI_MAX_CONNS", "");
    add_pair(&question, "FCGI_WHATEVER", "");
    {
        struct buf record = {0};

        add_record_of(&record, 0, FCGI_GET_VALUES, question.data, question.len, 5);
        ck_assert_int_eq(feed(&spool, &record, 1000, fds), SPOOL_MORE);
        ck_assert(spool_is_empty(&spool));
        ck_assert_int_eq(recv(fds[1], back, sizeof back, MSG_DONTWAIT), sizeof answer - 1);
        ck_assert_mem_eq(back, answer, sizeof answer - 1);
        buf_clear(&record);
        add_record_of(&record, 0, STRANGE, "?", 1, 0);
        ck_assert_int_eq(feed(&spool, &record, 1, fds), SPOOL_MORE);
        ck_assert_int_eq(recv(fds[1], back, sizeof back, MSG_DONTWAIT), sizeof unknown);
        ck_assert_mem_eq(back, unknown, sizeof unknown);
        buf_close(&record);
    }
    ck_assert_int_eq(feed(&spool, &buf, 50, fds), SPOOL_WHOLE);
    check_params(&spool);
    spool_close(&spool);
    buf_close(&buf);
    buf_close(&question);
    close_pair(fds);
}
END_TEST

START_TEST(reads_too_large_a_body_to_its_end_but_discards_it)
{
    const struct config config = {.max_body_bytes = 1000, .max_queued_bytes = 100 << 20};
    struct buf request = make_request(40, 60000, 0);
    struct spool spool;
    int fds[2];

    open_pair(fds);
    spool_open(&spool, &config);
    ck_assert_int_eq(feed(&spool, &request, 4096, fds), SPOOL_WHOLE);
    ck_assert_int_eq(spool.trouble, SPOOL_TOO_LARGE);
    ck_assert_uint_eq(spool.body.len, 0);
    ck_assert_int_eq(spool.body_len, 40 * 60000);
    check_params(&spool);
    spool_close(&spool);
    buf_close(&request);
    close_pair(fds);
}
END_TEST

START_TEST(shares_one_limit_with_all_spools_of_the_process)
{
    const struct config config = {.max_body_bytes = 10 << 20, .max_queued_bytes = 1};
    struct buf request = make_request(30, 60000, 0);
    struct buf most = request;
    struct spool first, second;
    int fds[2][2];

    most.len -= FCGI_HEADER_LEN; /* without its last record */
    for (int round = 0; round < 3; round++) {
        spool_open(&first, &config);
        spool_open(&second, &config);
        open_pair(fds[0]);
        open_pair(fds[1]);
        /* while the first request is the only one, it is accepted whatever the limit is */
        ck_assert_int_eq(feed(&first, &most, 4096, fds[0]), SPOOL_MORE);
        ck_assert_int_eq(first.trouble, SPOOL_FINE);
        /* the second finds no room, but is read to its end, so that it can be answered */
        ck_assert_int_eq(feed(&second, &request, 4096, fds[1]), SPOOL_WHOLE);
        ck_assert_int_eq(second.trouble, SPOOL_NO_ROOM);
        ck_assert_uint_eq(second.body.len, 0);
        ck_assert_int_eq(second.body_len, 30 * 60000);
        spool_close(&first);
        spool_close(&second);
        close_pair(fds[0]);
        close_pair(fds[1]);
    }
    buf_close(&request);
}
END_TEST

START_TEST(notices_a_closed_connection)
{
    struct buf request = make_request(1, 10, 0);
    struct spool spool;
    char room[64];
    int fds[2];

    open_pair(fds);
    spool_open(&spool, &usual);
    ck_assert_int_eq(send(fds[1], request.data, request.len - 1, 0), (ssize_t)request.len - 1);
    ck_assert_int_eq(spool_fill(&spool, fds[0], room, sizeof room), SPOOL_MORE);
    (void)close(fds[1]);
    ck_assert_int_eq(spool_fill(&spool, fds[0], room, sizeof room), SPOOL_GONE);
    spool_close(&spool);
    buf_close(&request);
    (void)close(fds[0]);
}
END_TEST

UNIT_MAIN(spool, reads_the_same_request_wherever_it_is_cut, takes_single_bytes_and_is_used_again,
          ends_the_connection_at_bytes_that_are_not_a_request, skips_records_of_another_request,
          refuses_parameters_with_wrong_lengths, discards_too_many_parameters,
          answers_each_question_about_the_server_once_before_a_request,
          reads_too_large_a_body_to_its_end_but_discards_it,
          shares_one_limit_with_all_spools_of_the_process, notices_a_closed_connection)
