/* http_chunked.c: bodies in chunks, cut anywhere, and those that are refused. */
#include "http/http_chunked.h"

#include "unit.h"

struct result {
    enum http_parse state;
    size_t rest; /* bytes behind the body */
    char *content;
    size_t len;
};

/* Takes the first `cut` bytes, and then the others; 0: each by itself. The caller frees the
   content. */
static struct result take(const char *text, size_t len, size_t cut)
{
    struct result result = {HTTP_PARSE_MORE, 0, malloc(len + 1), 0};
    struct http_chunked chunked;
    size_t piece;

    unit_check(result.content != NULL, "out of memory");
    http_chunked_begin(&chunked);
    for (size_t at = 0; at < len && result.state == HTTP_PARSE_MORE; at += piece) {
        piece = cut == 0 ? 1 : at < cut ? cut : len - at;
        char *exact = unit_copy(text + at, piece);
        const char *data = exact;
        size_t left = piece;

        while (left > 0 && result.state == HTTP_PARSE_MORE) {
            struct http_content content;

            result.state = http_chunked_take(&chunked, &data, &left, &content);
            unit_check(data + left == exact + piece, "lost its place");
            if (result.state != HTTP_PARSE_MORE)
                break;
            unit_check(content.len > 0 || left == 0, "nothing was taken");
            unit_check(content.len == 0 ||
                           (content.at >= exact && content.at + content.len == data),
                       "content is elsewhere");
            if (content.len > 0)
                memcpy(result.content + result.len, content.at, content.len);
            result.len += content.len;
        }
        result.rest = len - at - piece + left;
        free(exact);
    }
    unit_check(result.state != HTTP_PARSE_BAD || (chunked.reason && *chunked.reason),
               "refused without a reason");
    return result;
}

static void assert_cuts(const char *text, size_t len, enum http_parse state, const char *content,
                        size_t rest)
{
    for (size_t cut = 0; cut <= len; cut++) {
        struct result result = take(text, len, cut);

        unit_check(result.state == state, "%s cut at %zu: %d", unit_show(text, len), cut,
                   (int)result.state);
        if (state == HTTP_PARSE_WHOLE) {
            unit_check(result.rest == rest, "%s cut at %zu: %zu left", unit_show(text, len), cut,
                       result.rest);
            unit_check(result.len == strlen(content) &&
                           memcmp(result.content, content, result.len) == 0,
                       "%s cut at %zu: %s", unit_show(text, len), cut,
                       unit_show(result.content, result.len));
        }
        free(result.content);
    }
}

static const struct good {
    const char *text, *content;
} good[] = {
    {"0\r\n\r\n", ""},
    {"000\r\n\r\n", ""},
    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"5\r\nhello\r\n1\r\n \r\n6\r\nworld!\r\n0\r\n\r\n", "hello world!"},
    {"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello"},
    {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
    {"1F\r\n0123456789012345678901234567890\r\n0\r\n\r\n", "0123456789012345678901234567890"},
    {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
    {"5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"},
    {"1;a\r\nx\r\n0;b=c\r\n\r\n", "x"},
    {"1;a=\"b;c\\\"d\";e=f\r\nx\r\n0\r\n\r\n", "x"},
    {"1; a = \t\xFF\r\nx\r\n0\r\n\r\n", "x"},
    {"1;\r\nx\r\n0\r\n\r\n", "x"},
    {"0\r\nA: b\r\n\r\n", ""},
    {"1\r\nx\r\n0\r\nA: b\r\nContent-Length: 5\r\n\r\n", "x"},
};

START_TEST(finds_the_content_wherever_it_is_cut)
{
    for (size_t i = 0; i < COUNT(good); i++)
        assert_cuts(good[i].text, strlen(good[i].text), HTTP_PARSE_WHOLE, good[i].content, 0);
}
END_TEST

START_TEST(leaves_what_follows_the_body)
{
    static const char next[] = "GET / HTTP/1.1\r\n";
    char text[200];

    for (size_t i = 0; i < COUNT(good); i++) {
        int len = snprintf(text, sizeof text, "%s%s", good[i].text, next);

        assert_cuts(text, (size_t)len, HTTP_PARSE_WHOLE, good[i].content, strlen(next));
    }
}
END_TEST

START_TEST(wants_more_until_the_end)
{
    for (size_t i = 0; i < COUNT(good); i++)
        for (size_t len = strlen(good[i].text); len-- > 0;)
            assert_cuts(good[i].text, len, HTTP_PARSE_MORE, NULL, 0);
}
END_TEST

#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct bad {
    const char *text;
    size_t len;
} bad[] = {
    /* sizes */
    TEXT("\r\n"),
    TEXT(";a\r\n"),
    TEXT("+5\r\n"),
    TEXT("-5\r\n"),
    TEXT(" 5\r\n"),
    TEXT("5 \r\n"),
    TEXT("5 ;a\r\n"),
    TEXT("\t5\r\n"),
    TEXT("0x5\r\n"),
    TEXT("5h\r\n"),
    TEXT("g\r\n"),
    TEXT("G\r\n"),
    TEXT("@\r\n"),
    TEXT("`\r\n"),
    TEXT("/\r\n"),
    TEXT(":\r\n"),
    TEXT("5.0\r\n"),
    TEXT("5,5\r\n"),
    TEXT("5_0\r\n"),
    TEXT("\"5\"\r\n"),
    TEXT("5\0\r\n"),
    TEXT("\x10\r\n"),
    TEXT("\x85\r\n"),
    TEXT("00000000000000005\r\n"),
    TEXT("10000000000000000\r\n"),
    TEXT("fffffffffffffffff\r\n"),
    /* ends of lines */
    TEXT("5\nhello\r\n"),
    TEXT("5\rhello\r\n"),
    TEXT("5\r\r\nhello\r\n"),
    TEXT("5;a\nhello\r\n"),
    TEXT("5;a\rb\r\nhello\r\n"),
    TEXT("5\r\nhello0\r\n\r\n"),
    TEXT("5\r\nhello!\r\n0\r\n\r\n"),
    TEXT("5\r\nhello\n0\r\n\r\n"),
    TEXT("5\r\nhello\r0\r\n\r\n"),
    TEXT("5\r\nhello\r\r\n"),
    TEXT("5\r\nhello\r\n\r\n0\r\n\r\n"),
    TEXT("5\r\nhello\r\n\r\n\r\n"), /* no size is not 0 */
    TEXT("5\r\nhello\r\n;a\r\n\r\n"),
    TEXT("5\r\nhello\r\n 0\r\n\r\n"),
    TEXT("0\n\n"),
    TEXT("0\r\n\n"),
    TEXT("0\r\n\r\r"),
    /* control characters */
    TEXT("5;\0\r\n"),
    TEXT("5;a\x01\r\n"),
    TEXT("5;a=\"\x7F\"\r\n"),
    TEXT("5;a=\"\r\r\n"),
    TEXT("0\r\nA: \0\r\n\r\n"),
    TEXT("0\r\nA: \x1F\r\n\r\n"),
    TEXT("0\r\n\x01: b\r\n\r\n"),
    TEXT("0\r\nA: \x7F\r\n\r\n"),
    TEXT("0\r\nA: b\n\r\n"),
    TEXT("0\r\nA: b\rc\r\n\r\n"),
    /* trailers that are no header lines */
    TEXT("0\r\nA\r\n\r\n"),
    TEXT("0\r\n: b\r\n\r\n"),
    TEXT("0\r\nA : b\r\n\r\n"),
    TEXT("0\r\nA: b\r\n c\r\n\r\n"),
    TEXT("0\r\n A: b\r\n\r\n"),
    TEXT("0\r\nGET / HTTP/1.1\r\n\r\n"),
    TEXT("0\r\nA\x80: b\r\n\r\n"),
};

START_TEST(refuses_what_others_could_read_differently)
{
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_cuts(bad[i].text, bad[i].len, HTTP_PARSE_BAD, NULL, 0);
}
END_TEST

/* The first text, `count` times the second one, and the third. */
static struct result repeat(const char *first, const char *again, size_t count, const char *last)
{
    size_t size = strlen(first) + count * strlen(again) + strlen(last) + 1;
    char *text = malloc(size), *at = text;
    struct result result;

    unit_check(text != NULL, "out of memory");
    at = stpcpy(at, first);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, again);
    (void)stpcpy(at, last);
    result = take(text, size - 1, size - 1);
    free(result.content);
    free(text);
    return result;
}

START_TEST(lines_and_trailers_have_limits)
{
    /* what is added to the x: "0;" and CR LF */
    ck_assert_int_eq(repeat("0;", "x", HTTP_CHUNKED_LINE - 4, "\r\n\r\n").state, HTTP_PARSE_WHOLE);
    ck_assert_int_eq(repeat("0;", "x", HTTP_CHUNKED_LINE - 3, "\r\n\r\n").state, HTTP_PARSE_BAD);
    /* "A:", CR LF, and CR LF again */
    ck_assert_int_eq(repeat("0\r\nA:", "x", HTTP_CHUNKED_TRAILER - 6, "\r\n\r\n").state,
                     HTTP_PARSE_WHOLE);
    ck_assert_int_eq(repeat("0\r\nA:", "x", HTTP_CHUNKED_TRAILER - 5, "\r\n\r\n").state,
                     HTTP_PARSE_BAD);
    /* all lines of the trailer count together */
    ck_assert_int_eq(repeat("0\r\n", "A: b\r\n", HTTP_CHUNKED_TRAILER / 6, "\r\n").state,
                     HTTP_PARSE_WHOLE);
    ck_assert_int_eq(repeat("0\r\n", "A: b\r\n", HTTP_CHUNKED_TRAILER / 6 + 1, "\r\n").state,
                     HTTP_PARSE_BAD);
    /* but each size line for itself, and no data */
    ck_assert_int_eq(repeat("", "1;abc\r\nx\r\n", 5000, "0\r\n\r\n").state, HTTP_PARSE_WHOLE);
    ck_assert_int_eq(repeat("10000\r\n", "x", 0x10000, "\r\n0\r\n\r\n").state, HTTP_PARSE_WHOLE);
}
END_TEST

START_TEST(the_largest_size_has_sixteen_digits)
{
    static const char text[] = "ffffffffffffffff\r\nhello";
    struct result result = take(text, sizeof text - 1, 0);

    ck_assert_int_eq(result.state, HTTP_PARSE_MORE);
    ck_assert_uint_eq(result.len, 5);
    ck_assert_mem_eq(result.content, "hello", 5);
    free(result.content);
}
END_TEST

UNIT_MAIN(http_chunked, finds_the_content_wherever_it_is_cut, leaves_what_follows_the_body,
          wants_more_until_the_end, refuses_what_others_could_read_differently,
          lines_and_trailers_have_limits, the_largest_size_has_sixteen_digits)
