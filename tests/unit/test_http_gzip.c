/* http_gzip.c: obeys Accept-Encoding, and packs bytes so that any gunzip gives them back. */
#include "failing.h"

#include <zlib.h>

#include "base/buf.h"
#include "http/http_gzip.h"
#include "unit.h"

static void assert_all(const char *const *values, size_t count, bool wanted)
{
    for (size_t i = 0; i < count; i++) {
        char *value = unit_copy(values[i], strlen(values[i]) + 1);

        ck_assert_msg(http_gzip_is_wanted(value) == wanted, "%s", values[i]);
        free(value);
    }
}

START_TEST(packs_for_clients_that_name_gzip)
{
    static const char *const values[] = {
        "gzip",
        "GZip",
        "x-gzip",
        " \tgzip\t ",
        "gzip, deflate, br",
        "deflate,br ,gzip",
        ",, gzip ,",
        "gzip;q=1",
        "gzip;q=1.000",
        "gzip ; q=0.001",
        "gzip;Q=0.5\t, br",
        "gzip;q=1.",          /* the grammar has it */
        "br;q=1, gzip;q=0.2", /* no br here */
        "gzip;q=0.5, identity;q=0.5",
        "gzip;q=0.5, identity;q=0.4",
        "identity;q=0, gzip;q=0.1",
        "*",
        "br, *;q=0.1",
        "gzip, *;q=0",
        "gzip, gzip;q=0", /* the first one counts */
        "gzip;q=x, gzip",
    };

    assert_all(values, COUNT(values), true);
}
END_TEST

START_TEST(packs_for_no_others)
{
    static const char *const values[] = {
        "",
        " ",
        ",",
        ";q=1",
        "identity",
        "deflate, br, zstd",
        "gzipped",
        "gzi",
        "not-gzip",
        "gzip/1",
        "gzip;q=0",
        "gzip;q=0.",
        "gzip;q=0.0",
        "GZIP ; Q=0.000 , *",
        "gzip;q=0, gzip",
        "*;q=0",
        "*;q=0.0, identity",
        "identity, gzip;q=0.9", /* rather as it is */
        "identity;q=1, *;q=0.5",
        "gzip;q=0.5, *", /* the star means identity, too */
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=0.0001",
        "gzip;q=0.5x",
        "gzip;q=.5",
        "gzip;q=-1",
        "gzip;q=",
        "gzip;q",
        "gzip;",
        "gzip;q=1;q=1",
        "gzip;level=1",
        "gzip q=1",
        "gzip br",
        "\"gzip\"",
    };

    assert_all(values, COUNT(values), false);
    ck_assert(!http_gzip_is_wanted(NULL));
}
END_TEST

START_TEST(suits_json_that_is_neither_short_nor_huge)
{
    ck_assert(!http_gzip_suits(HTTP_TYPE_JSON, 0));
    ck_assert(!http_gzip_suits(HTTP_TYPE_JSON, HTTP_GZIP_LEAST - 1));
    ck_assert(http_gzip_suits(HTTP_TYPE_JSON, HTTP_GZIP_LEAST));
    ck_assert(http_gzip_suits(HTTP_TYPE_JSON, HTTP_GZIP_MOST));
    ck_assert(!http_gzip_suits(HTTP_TYPE_JSON, HTTP_GZIP_MOST + 1));
    ck_assert(!http_gzip_suits(HTTP_TYPE_TEXT, 5000));
    ck_assert(!http_gzip_suits(HTTP_TYPE_BINARY, 5000));
}
END_TEST

/* Some JSON of this many bytes. */
static struct buf make_json(size_t len, uint32_t *state)
{
    struct buf text = {0};

    while (text.len < len)
        buf_printf(&text, "{\"n\":%u,\"text\":\"again and again\"},", unit_random(state));
    text.len = len;
    return text;
}

/* Does any gunzip understand the bytes, and is the result this text? */
static void assert_unpacks(const struct buf *packed, const struct buf *text)
{
    unsigned char *out = malloc(text->len + 1);
    z_stream zlib = {.next_in = (unsigned char *)packed->data,
                     .avail_in = (unsigned)packed->len,
                     .next_out = out,
                     .avail_out = (unsigned)text->len + 1};

    ck_assert_int_eq(inflateInit2(&zlib, MAX_WBITS + 16), Z_OK); /* gzip only */
    ck_assert_int_eq(inflate(&zlib, Z_FINISH), Z_STREAM_END);
    ck_assert_uint_eq(zlib.total_out, text->len);
    ck_assert_uint_eq(zlib.avail_in, 0);
    ck_assert_int_eq(memcmp(out, text->data, text->len), 0);
    ck_assert_int_eq(inflateEnd(&zlib), Z_OK);
    free(out);
}

START_TEST(packs_bytes_of_any_length)
{
    uint32_t state = 1;

    for (size_t len = 100; len < 3000000; len += len / 3) {
        struct buf text = make_json(len, &state), packed = {0};

        buf_add(&packed, text.data, text.len);
        ck_assert(http_gzip_pack(&packed));
        ck_assert_uint_lt(packed.len, text.len);
        assert_unpacks(&packed, &text);
        buf_close(&packed);
        buf_close(&text);
    }
}
END_TEST

START_TEST(packs_the_same_bytes_into_the_same)
{
    struct buf first = {0}, second = {0};

    for (int i = 0; i < 1000; i++) {
        buf_adds(&first, "[\"x\"],");
        buf_adds(&second, "[\"x\"],");
    }
    ck_assert(http_gzip_pack(&first));
    ck_assert(http_gzip_pack(&second));
    ck_assert_uint_eq(first.len, second.len);
    ck_assert_int_eq(memcmp(first.data, second.data, first.len), 0);
    buf_close(&first);
    buf_close(&second);
}
END_TEST

START_TEST(leaves_what_becomes_no_shorter)
{
    uint32_t state = 7;
    struct buf noise = {0}, copy = {0}, empty = {0}, failed = {.failed = true};

    for (int i = 0; i < 5000; i++)
        buf_addc(&noise, (char)unit_random(&state));
    buf_add(&copy, noise.data, noise.len);
    ck_assert(!http_gzip_pack(&noise));
    ck_assert_uint_eq(noise.len, copy.len);
    ck_assert_int_eq(memcmp(noise.data, copy.data, copy.len), 0);
    buf_close(&noise);
    buf_close(&copy);
    ck_assert(!http_gzip_pack(&empty));
    ck_assert(!http_gzip_pack(&failed));
    ck_assert(buf_failed(&failed));
}
END_TEST

/* Fails the first, second, third … allocation until all succeed. */
START_TEST(leaves_the_bytes_when_out_of_memory)
{
    uint32_t state = 3;
    struct buf text = make_json(20000, &state), body = {0};
    bool packed = false;
    int failures = 0;

    buf_add(&body, text.data, text.len);
    for (; !packed; failures++) {
        ck_assert_int_lt(failures, 100);
        failing_arm(FAIL_MEMORY, failures, false);
        packed = http_gzip_pack(&body);
        if (failing_disarm()) {
            ck_assert(!packed);
            ck_assert(!buf_failed(&body));
            ck_assert_uint_eq(body.len, text.len);
            ck_assert_int_eq(memcmp(body.data, text.data, text.len), 0);
        }
    }
    ck_assert_int_ge(failures, 6); /* the result, and what zlib needs */
    assert_unpacks(&body, &text);
    buf_close(&body);
    buf_close(&text);
}
END_TEST

UNIT_MAIN(http_gzip, packs_for_clients_that_name_gzip, packs_for_no_others,
          suits_json_that_is_neither_short_nor_huge, packs_bytes_of_any_length,
          packs_the_same_bytes_into_the_same, leaves_what_becomes_no_shorter,
          leaves_the_bytes_when_out_of_memory)
