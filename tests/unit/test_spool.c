/* Requests that come in bit by bit: their end is found wherever the pieces are cut. */
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "config.h"
#include "spool.h"
#include "unit.h"

/* FastCGI record types */
enum { BEGIN = 1, PARAMS = 4, STDIN = 5, GET_VALUES = 9 };

static void add_record(struct buf *buf, int type, size_t len, int padding)
{
    const char header[8] = {1, (char)type, 0, 1, (char)(len >> 8), (char)len, (char)padding, 0};

    buf_add(buf, header, sizeof header);
    for (size_t i = 0; i < len + (size_t)padding; i++)
        buf_addc(buf, (char)i);
}

/* One with a body of so many records of so many bytes. */
static struct buf make_request(int records, size_t len, int padding)
{
    struct buf buf = {0};

    add_record(&buf, BEGIN, 8, 0);
    add_record(&buf, PARAMS, 300, padding);
    add_record(&buf, PARAMS, 0, 0); /* no content, and yet not the end */
    for (int i = 0; i < records; i++)
        add_record(&buf, STDIN, len, padding);
    add_record(&buf, STDIN, 0, padding);
    return buf;
}

START_TEST(end_is_found_however_the_request_is_cut)
{
    for (int padding = 0; padding < 9; padding += 4) {
        struct buf request = make_request(2, 77, padding);

        for (size_t first = 0; first < request.len; first++) {
            struct spool_scan scan = {0};

            unit_check(spool_look(&scan, request.data, first) == first, "%zu", first);
            unit_check(!scan.whole, "whole after %zu of %zu", first, request.len);
            unit_check(spool_look(&scan, request.data + first, request.len - first) ==
                               request.len - first &&
                           scan.whole,
                       "not whole: %zu + %zu", first, request.len - first);
        }
        buf_close(&request);
    }
}
END_TEST

START_TEST(looks_no_further_than_the_end)
{
    struct buf request = make_request(1, 5, 0);
    struct spool_scan scan = {0};
    size_t len = request.len;

    buf_adds(&request, "the next one");
    ck_assert_uint_eq(spool_look(&scan, request.data, request.len), len);
    ck_assert(scan.whole);
    ck_assert_uint_eq(spool_look(&scan, request.data, request.len), 0);
    buf_close(&request);
}
END_TEST

START_TEST(question_about_us_is_whole_by_itself)
{
    struct buf request = {0};
    struct spool_scan scan = {0};

    add_record(&request, GET_VALUES, 20, 4);
    ck_assert_uint_eq(spool_look(&scan, request.data, request.len), request.len);
    ck_assert(scan.whole);
    buf_close(&request);
}
END_TEST

/* Sends the request in pieces of `piece` bytes, and collects it after each. */
static enum spool_state collect(struct spool *spool, const struct buf *request, size_t piece,
                                const int *fds)
{
    enum spool_state state = SPOOL_MORE;
    char room[512];

    for (size_t at = 0; at < request->len && state == SPOOL_MORE; at += piece) {
        size_t len = request->len - at < piece ? request->len - at : piece;

        ck_assert(!spool_is_whole(fds[0], room, sizeof room));
        ck_assert_int_eq(send(fds[1], request->data + at, len, 0), (ssize_t)len);
        state = spool_fill(spool, fds[0], room, sizeof room);
    }
    return state;
}

START_TEST(collects_every_byte_in_order)
{
    const struct config config = {.max_body_bytes = 100000, .max_queued_bytes = 100000};
    struct buf request = make_request(5, 1000, 3);
    struct spool *spool = spool_new(&config);
    char *back = malloc(request.len + 1);
    int fds[2], fd;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(collect(spool, &request, 701, fds), SPOOL_WHOLE);
    ck_assert(!spool_is_too_large(spool));
    fd = spool_take_fd(spool);
    spool_free(spool);
    ck_assert_int_eq(read(fd, back, request.len + 1), (ssize_t)request.len);
    ck_assert_mem_eq(back, request.data, request.len);
    free(back);
    buf_close(&request);
    (void)close(fd);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
END_TEST

START_TEST(too_large_a_body_is_read_to_its_end_but_not_kept)
{
    const struct config config = {.max_body_bytes = 1000, .max_queued_bytes = 100 << 20};
    struct buf request = make_request(40, 60000, 0);
    struct spool *spool = spool_new(&config);
    int fds[2], fd;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(collect(spool, &request, 4096, fds), SPOOL_WHOLE);
    ck_assert(spool_is_too_large(spool));
    fd = spool_take_fd(spool);
    ck_assert_int_lt(lseek(fd, 0, SEEK_END), 2 << 20);
    spool_free(spool);
    buf_close(&request);
    (void)close(fd);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
END_TEST

START_TEST(spools_of_a_process_have_one_limit_and_give_back_what_they_took)
{
    const struct config config = {.max_body_bytes = 10 << 20, .max_queued_bytes = 1};
    struct buf request = make_request(15, 60000, 0);
    struct spool *first, *second;
    int fds[2][2];

    for (int round = 0; round < 3; round++) {
        first = spool_new(&config);
        second = spool_new(&config);
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
        ck_assert_int_eq(collect(first, &request, 4096, fds[0]), SPOOL_WHOLE);
        ck_assert_int_eq(collect(second, &request, 4096, fds[1]), SPOOL_GONE);
        spool_free(first);
        spool_free(second);
        for (int i = 0; i < 2; i++) {
            (void)close(fds[i][0]);
            (void)close(fds[i][1]);
        }
    }
    buf_close(&request);
}
END_TEST

START_TEST(closed_connection_ends_the_spool)
{
    const struct config config = {.max_body_bytes = 1000, .max_queued_bytes = 1000};
    struct buf request = make_request(1, 10, 0);
    struct spool *spool = spool_new(&config);
    char room[64];
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(send(fds[1], request.data, request.len - 1, 0), (ssize_t)request.len - 1);
    ck_assert_int_eq(spool_fill(spool, fds[0], room, sizeof room), SPOOL_MORE);
    (void)close(fds[1]);
    ck_assert_int_eq(spool_fill(spool, fds[0], room, sizeof room), SPOOL_GONE);
    spool_free(spool);
    buf_close(&request);
    (void)close(fds[0]);
}
END_TEST

UNIT_MAIN(spool, end_is_found_however_the_request_is_cut, looks_no_further_than_the_end,
          question_about_us_is_whole_by_itself, collects_every_byte_in_order,
          too_large_a_body_is_read_to_its_end_but_not_kept,
          spools_of_a_process_have_one_limit_and_give_back_what_they_took,
          closed_connection_ends_the_spool)
