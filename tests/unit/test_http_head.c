/*
 * http_head.c: which heads are understood, and how; and which are refused. A head must be taken in
 * the same way wherever the network cuts it.
 */
#include "http/http_head.h"

#include "unit.h"

#define HOST "Host: h\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST

/* Everything that the parser says, as one text. */
struct outcome {
    size_t used;
    char text[4000];
};

static void add(struct outcome *outcome, const char *before, const char *text)
{
    size_t room = sizeof outcome->text - outcome->used;
    int len = snprintf(outcome->text + outcome->used, room, "%s%s", before, text);

    unit_check(len >= 0 && (size_t)len < room, "the outcome is too long");
    outcome->used += (size_t)len;
}

static bool take(void *to, const struct http_field *field)
{
    unit_check(strlen(field->name) == field->name_len, "%s", field->name);
    unit_check(strlen(field->value) == field->value_len, "%s", field->name);
    add(to, "|", field->name);
    add(to, "=", field->value);
    return true;
}

static void describe(struct outcome *outcome, const struct http_head *head)
{
    struct outcome fields = *outcome;

    outcome->used = 0;
    add(outcome, "", head->method);
    add(outcome, " ", head->target);
    if (head->authority)
        add(outcome, " at ", head->authority);
    add(outcome, " 1.", head->minor ? "1" : "0");
    add(outcome, "", head->keeps ? " keeps" : "");
    add(outcome, "", head->chunked ? " chunked" : "");
    add(outcome, "", head->expects ? " expects" : "");
    if (head->length >= 0) {
        char number[30];

        (void)snprintf(number, sizeof number, "%lld bytes", (long long)head->length);
        add(outcome, " ", number);
    }
    add(outcome, "", fields.used > 0 ? fields.text : "");
}

/* Finds and parses a head of which first `cut` bytes arrive, and then the others, each by itself
   where `cut` is 0. The blocks are of the exact size. */
static enum http_parse parse(const char *text, size_t len, size_t cut, struct http_head *head,
                             struct outcome *outcome)
{
    enum http_parse found = HTTP_PARSE_MORE;
    size_t seen = 0;
    char *data;

    memset(head, 0, sizeof *head);
    outcome->used = 0;
    outcome->text[0] = '\0';
    for (size_t have = cut > 0 ? cut : 1; found == HTTP_PARSE_MORE && have <= len;
         have = cut > 0 && have < len ? len : have + 1) {
        data = unit_copy(text, have);
        found = http_head_find(head, data, have, &seen);
        unit_check(seen <= have, "looked beyond the end");
        free(data);
    }
    if (found != HTTP_PARSE_WHOLE)
        return found;
    data = unit_copy(text, head->len);
    found = http_head_parse(head, data, take, outcome);
    if (found == HTTP_PARSE_WHOLE)
        describe(outcome, head);
    free(data);
    return found;
}

struct good {
    const char *text, *outcome;
};

static const struct good good[] = {
    {GET "\r\n", "GET / 1.1 keeps|Host=h"},
    {"\r\n" GET "\r\n", "GET / 1.1 keeps|Host=h"},
    {"\r\n\r\n" GET "\r\n", "GET / 1.1 keeps|Host=h"},
    {"GET / HTTP/1.0\r\n\r\n", "GET / 1.0"},
    {"GET / HTTP/1.2\r\n" HOST "\r\n", "GET / 1.1 keeps|Host=h"},
    {"GET / HTTP/1.9\r\n" HOST "\r\n", "GET / 1.1 keeps|Host=h"},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 keeps"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / 1.0"},
    {GET "Connection: close\r\n\r\n", "GET / 1.1|Host=h"},
    {GET "Connection: x, ,CLOSE ,y\r\n\r\n", "GET / 1.1|Host=h"},
    {GET "Connection: x\r\nConnection: close\r\n\r\n", "GET / 1.1|Host=h"},
    {GET "Connection: closed, not-close\r\n\r\n", "GET / 1.1 keeps|Host=h"},
    {GET "Connection: close close, x close\r\n\r\n", "GET / 1.1 keeps|Host=h"},
    {GET "Connection:\r\n\r\n", "GET / 1.1 keeps|Host=h"},
    {GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", "GET / 1.1 keeps|Host=h"},
    {GET "TE: trailers\r\nTrailer: x\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n\r\n",
     "GET / 1.1 keeps|Host=h"},
    {GET "Content-Length: 0\r\n\r\n", "GET / 1.1 keeps 0 bytes|Host=h"},
    {GET "CONTENT-length:\t 0042\t \r\n\r\n", "GET / 1.1 keeps 42 bytes|Host=h"},
    {GET "Content-Length: 900000000000000000\r\n\r\n",
     "GET / 1.1 keeps 900000000000000000 bytes|Host=h"},
    {GET "transfer-encoding: Chunked \r\n\r\n", "GET / 1.1 keeps chunked|Host=h"},
    {GET "Expect: 100-Continue\r\n\r\n", "GET / 1.1 keeps expects|Host=h"},
    {"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "GET / 1.0"},
    {"GET /a?b=c&d=%20;[1]:@!$'()*+,-._~ HTTP/1.1\r\n" HOST "\r\n",
     "GET /a?b=c&d=%20;[1]:@!$'()*+,-._~ 1.1 keeps|Host=h"},
    {"GET /\xC3\xBC HTTP/1.1\r\n" HOST "\r\n", "GET /\xC3\xBC 1.1 keeps|Host=h"},
    {"GET // HTTP/1.1\r\n" HOST "\r\n", "GET // 1.1 keeps|Host=h"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * 1.1 keeps|Host=h"},
    {"CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n", "CONNECT h:443 1.1 keeps|Host=h"},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\n" HOST "\r\n",
     "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / 1.1 keeps|Host=h"},
    {"M-SEARCH!#$%&'*+-.^_`|~09 / HTTP/1.1\r\n" HOST "\r\n",
     "M-SEARCH!#$%&'*+-.^_`|~09 / 1.1 keeps|Host=h"},
    {"get / HTTP/1.1\r\n" HOST "\r\n", "get / 1.1 keeps|Host=h"},
    {"GET http://a.example:80/x?y HTTP/1.1\r\n" HOST "\r\n",
     "GET /x?y at a.example:80 1.1 keeps|Host=h"},
    {"GET HTTPS://[::1]:4437 HTTP/1.1\r\n" HOST "\r\n", "GET / at [::1]:4437 1.1 keeps|Host=h"},
    {"GET http://a?b HTTP/1.1\r\n" HOST "\r\n", "GET /?b at a 1.1 keeps|Host=h"},
    {"GET http://a?b/c?d HTTP/1.1\r\n" HOST "\r\n", "GET /?b/c?d at a 1.1 keeps|Host=h"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / 1.1 keeps|Host="},
    {"GET / HTTP/1.1\r\nhOST:[::1]:4437\r\n\r\n", "GET / 1.1 keeps|hOST=[::1]:4437"},
    {GET "A:b\r\nC: \t d e\tf \t\r\nG:\r\nI: \r\n\r\n",
     "GET / 1.1 keeps|Host=h|A=b|C=d e\tf|G=|I="},
    {GET "X: \x80\xFF:\"#;{}\r\nX: 2\r\n\r\n", "GET / 1.1 keeps|Host=h|X=\x80\xFF:\"#;{}|X=2"},
    {GET "Content_Length: 5\r\n\r\n", "GET / 1.1 keeps|Host=h|Content_Length=5"},
    {GET "Content-Length2: 5\r\n\r\n", "GET / 1.1 keeps|Host=h|Content-Length2=5"},
};

START_TEST(understands_what_the_rfc_allows)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        const char *text = good[i].text;
        size_t len = strlen(text);
        struct outcome outcome;
        struct http_head head;

        ck_assert_msg(parse(text, len, len, &head, &outcome) == HTTP_PARSE_WHOLE, "%s: %d %s",
                      unit_show(text, len), head.status, head.reason);
        ck_assert_str_eq(outcome.text, good[i].outcome);
        ck_assert_uint_eq(head.len, len);
    }
}
END_TEST

struct bad {
    int status;
    size_t len;
    const char *text;
};

#define BAD(status, text)                                                                          \
    {                                                                                              \
        status, sizeof(text) - 1, text                                                             \
    }
#define FIELD(status, line) BAD(status, GET line "\r\n\r\n")
#define LINE(status, line)  BAD(status, line "\r\n" HOST "\r\n")

static const struct bad bad[] = {
    /* the length of a body that two servers could count differently */
    FIELD(400, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    FIELD(400, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    FIELD(400, "Transfer-Encoding: chunked\r\nContent-Length: 0"),
    FIELD(400, "Content-Length: 5\r\nContent-Length: 6"),
    FIELD(400, "Content-Length: 5\r\nContent-Length: 5"),
    FIELD(400, "Content-Length: 5\r\ncontent-length: 5"),
    FIELD(400, "Content-Length: 5, 5"),
    FIELD(400, "Content-Length: 5,6"),
    FIELD(400, "Content-Length: +5"),
    FIELD(400, "Content-Length: -5"),
    FIELD(400, "Content-Length: 0x5"),
    FIELD(400, "Content-Length: 5.0"),
    FIELD(400, "Content-Length: 5e1"),
    FIELD(400, "Content-Length: 5 5"),
    FIELD(400, "Content-Length: 5a"),
    FIELD(400, "Content-Length: \"5\""),
    FIELD(400, "Content-Length: 5;"),
    FIELD(400, "Content-Length:"),
    FIELD(400, "Content-Length:  \t"),
    FIELD(400, "Content-Length: 9223372036854775808"),
    FIELD(400, "Content-Length: 18446744073709551621"),
    FIELD(400, "Content-Length: 99999999999999999999999999"),
    FIELD(400, "Content-Length: \xD9\xA5"),
    FIELD(400, "Content-Length : 5"),
    FIELD(400, "Content-Length\t: 5"),
    FIELD(400, " Content-Length: 5"),
    FIELD(501, "Transfer-Encoding: chunked, chunked"),
    FIELD(400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    FIELD(400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    FIELD(501, "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
    FIELD(501, "Transfer-Encoding: identity"),
    FIELD(501, "Transfer-Encoding: xchunked"),
    FIELD(501, "Transfer-Encoding: chunkedx"),
    FIELD(501, "Transfer-Encoding: chunked;a=b"),
    FIELD(501, "Transfer-Encoding: \"chunked\""),
    FIELD(501, "Transfer-Encoding: gzip, chunked"),
    FIELD(501, "Transfer-Encoding: chunked,"),
    FIELD(501, "Transfer-Encoding: , chunked"),
    FIELD(501, "Transfer-Encoding:"),
    FIELD(400, "Transfer-Encoding: \vchunked"),
    FIELD(400, "Transfer-Encoding : chunked"),
    FIELD(501, "Transfer-Encoding:\r\n chunked"),
    BAD(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    /* lines */
    FIELD(400, "A: b\r\n c"),
    FIELD(400, "A: b\r\n\tc"),
    BAD(400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" HOST " \r\n\r\n"),
    FIELD(400, "A : b"),
    FIELD(400, "A b: c"),
    FIELD(400, "A"),
    FIELD(400, ": b"),
    FIELD(400, "A\0: b"),
    FIELD(400, "A\x01: b"),
    FIELD(400, "A\x7F: b"),
    FIELD(400, "A\x80: b"),
    FIELD(400, "A(: b"),
    FIELD(400, "A/: b"),
    FIELD(400, "A: b\0c"),
    FIELD(400, "A: b\x01"
               "c"),
    FIELD(400, "A: \x1F"),
    FIELD(400, "A: \x7F"),
    FIELD(400, "A: b\rc"),
    FIELD(400, "A: b\r"),
    FIELD(400, "\rA: b"),
    BAD(400, GET "A: b\nC: d\r\n\r\n"),
    BAD(400, GET "\n"),
    BAD(400, "GET / HTTP/1.1\n" HOST "\r\n"),
    BAD(400, GET "A: b\r\n\n"),
    BAD(400, GET "A: b\n\r\n"),
    /* Host */
    BAD(400, "GET / HTTP/1.1\r\n\r\n"),
    BAD(400, "GET http://h/ HTTP/1.1\r\n\r\n"),
    BAD(400, GET HOST "\r\n"),
    BAD(400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"),
    BAD(400, GET "host: other\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: h?x\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: h#x\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: \"h\"\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: h\\x\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: \x80\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"),
    /* the request line */
    LINE(400, "GET /"),
    LINE(400, "GET / "),
    LINE(400, "GET"),
    LINE(400, "GET "),
    LINE(400, "GET HTTP/1.1"),
    LINE(400, "GET  HTTP/1.1"),
    LINE(400, "GET  / HTTP/1.1"),
    LINE(400, "GET /  HTTP/1.1"),
    LINE(400, "GET / HTTP/1.1 "),
    LINE(400, "GET / HTTP/1.1\t"),
    LINE(400, " GET / HTTP/1.1"),
    LINE(400, "GET\t/ HTTP/1.1"),
    LINE(400, "GET /\tHTTP/1.1"),
    LINE(400, "GET /\vHTTP/1.1"),
    LINE(400, "GET /a b HTTP/1.1"),
    LINE(505, "GET / HTTP/0.9"),
    LINE(505, "GET / HTTP/2.0"),
    LINE(505, "PRI * HTTP/2.0"),
    LINE(400, "GET / HTTP/2"),
    LINE(400, "GET / HTTP/1"),
    LINE(400, "GET / HTTP/1."),
    LINE(400, "GET / HTTP/1.10"),
    LINE(400, "GET / HTTP/11.1"),
    LINE(400, "GET / HTTP/1,1"),
    LINE(400, "GET / HTTP/1.x"),
    LINE(400, "GET / HTTP/+1.1"),
    LINE(400, "GET / http/1.1"),
    LINE(400, "GET / Http/1.1"),
    LINE(400, "GET / XHTTP/1.1"),
    LINE(400, "GET / ICY/1.1"),
    LINE(400, "GE\0T / HTTP/1.1"),
    LINE(400, "GE\x7FT / HTTP/1.1"),
    LINE(400, "GE(T / HTTP/1.1"),
    LINE(400, "GE:T / HTTP/1.1"),
    LINE(400, "G\x80T / HTTP/1.1"),
    LINE(400, "\x16\x03\x01 / HTTP/1.1"),
    LINE(400, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1"),
    LINE(400, "GET /\0 HTTP/1.1"),
    LINE(400, "GET /\x01 HTTP/1.1"),
    LINE(400, "GET /\x7F HTTP/1.1"),
    LINE(400, "GET /\r HTTP/1.1"),
    LINE(400, "GET /\rHTTP/1.1"),
    LINE(400, "GET /#x HTTP/1.1"),
    LINE(400, "GET /\"x\" HTTP/1.1"),
    LINE(400, "GET /<x> HTTP/1.1"),
    LINE(400, "GET /\\x HTTP/1.1"),
    LINE(400, "GET x HTTP/1.1"),
    LINE(400, "GET ** HTTP/1.1"),
    LINE(400, "GET ?x HTTP/1.1"),
    LINE(400, "GET h:80 HTTP/1.1"),
    LINE(400, "GET http:/x HTTP/1.1"),
    LINE(400, "GET http:// HTTP/1.1"),
    LINE(400, "GET http:///x HTTP/1.1"),
    LINE(400, "GET http://?x HTTP/1.1"),
    LINE(400, "GET http://u@h/x HTTP/1.1"),
    LINE(400, "GET http://u:p@h/x HTTP/1.1"),
    LINE(400, "GET http://\xC3\xBC/x HTTP/1.1"),
    LINE(400, "GET http://h/x#y HTTP/1.1"),
    LINE(400, "GET ftp://h/x HTTP/1.1"),
    LINE(400, "GET httpx://h/x HTTP/1.1"),
    BAD(400, "\r\n\r\n\r\n" GET "\r\n"),
    BAD(400, "\n" GET "\r\n"),
    BAD(400, "\r" GET "\r\n"),
    BAD(400, "\rX" GET "\r\n"),
    BAD(400, "\r\n\rX" GET "\r\n"),
    BAD(400, "\r\r\n" GET "\r\n"),
    /* expectations */
    FIELD(417, "Expect: 200-ok"),
    FIELD(417, "Expect: 100-continue, x"),
    FIELD(417, "Expect:"),
};

START_TEST(refuses_what_others_could_read_differently)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *shown = unit_show(bad[i].text, bad[i].len);
        struct outcome outcome;
        struct http_head head;

        ck_assert_msg(parse(bad[i].text, bad[i].len, bad[i].len, &head, &outcome) == HTTP_PARSE_BAD,
                      "accepted: %s", shown);
        ck_assert_msg(head.status == bad[i].status, "%s: %d", shown, head.status);
        ck_assert_msg(head.reason && *head.reason && !strchr(head.reason, '\n'), "%s", shown);
    }
}
END_TEST

/* No character but those that the RFC lists is part of a method, a name, a value or a target. */
START_TEST(knows_every_character)
{
    static const char token[] = "!#$%&'*+-.^_`|~"
                                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct outcome outcome;
    struct http_head head;
    char text[80];

    for (int c = 0; c < 256; c++) {
        bool is_token = c > 0 && strchr(token, c), is_value = c >= ' ' ? c != 0x7F : c == '\t';
        int len;

        if (c == '\r' || c == '\n') /* in the table above */
            continue;
        len = snprintf(text, sizeof text, "A%cB / HTTP/1.1\r\n" HOST "\r\n", c);
        ck_assert_msg(is_token || c == ' ' ||
                          parse(text, (size_t)len, (size_t)len, &head, &outcome) == HTTP_PARSE_BAD,
                      "in a method: %d", c);
        ck_assert_msg(!is_token || parse(text, (size_t)len, (size_t)len, &head, &outcome) ==
                                       HTTP_PARSE_WHOLE,
                      "in a method: %d", c);
        len = snprintf(text, sizeof text, GET "A%cB: x\r\n\r\n", c);
        ck_assert_msg((parse(text, (size_t)len, (size_t)len, &head, &outcome) ==
                       HTTP_PARSE_WHOLE) == (is_token || c == ':'),
                      "in a name: %d", c);
        len = snprintf(text, sizeof text, GET "A: x%cy\r\n\r\n", c);
        ck_assert_msg((parse(text, (size_t)len, (size_t)len, &head, &outcome) ==
                       HTTP_PARSE_WHOLE) == is_value,
                      "in a value: %d", c);
        len = snprintf(text, sizeof text, "GET /%c HTTP/1.1\r\n" HOST "\r\n", c);
        ck_assert_msg((parse(text, (size_t)len, (size_t)len, &head, &outcome) ==
                       HTTP_PARSE_WHOLE) == (c > ' ' && c != 0x7F && !strchr("\"#<>\\^`{|}", c)),
                      "in a target: %d", c);
    }
}
END_TEST

/* The same result for `len` bytes cut at every place, and in single bytes. */
static void assert_cuts(const char *text, size_t len)
{
    struct outcome once, cut;
    struct http_head head, other;
    enum http_parse result = parse(text, len, len, &head, &once);

    for (size_t at = 0; at < len; at++) {
        unit_check(parse(text, len, at, &other, &cut) == result, "cut at %zu: %s", at,
                   unit_show(text, len));
        unit_check(strcmp(once.text, cut.text) == 0, "cut at %zu: %s", at, unit_show(text, len));
        /* the end of the head may not be needed in order to refuse it */
        unit_check(result == HTTP_PARSE_BAD || head.len == other.len, "cut at %zu: %s", at,
                   unit_show(text, len));
    }
}

START_TEST(cuts_change_nothing)
{
    for (size_t i = 0; i < COUNT(good); i++)
        assert_cuts(good[i].text, strlen(good[i].text));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_cuts(bad[i].text, bad[i].len);
}
END_TEST

START_TEST(wants_more_until_the_empty_line)
{
    for (size_t i = 0; i < COUNT(good); i++)
        for (size_t len = strlen(good[i].text); len-- > 0;) {
            struct http_head head = {0};
            char *data = unit_copy(good[i].text, len);
            size_t seen = 0;

            ck_assert_msg(http_head_find(&head, data, len, &seen) == HTTP_PARSE_MORE, "%s",
                          unit_show(data, len));
            free(data);
        }
}
END_TEST

START_TEST(leaves_what_follows_the_head)
{
    static const char text[] = GET "\r\n" GET "\r\n";
    struct http_head head = {0};
    size_t seen = 0;

    ck_assert_int_eq(http_head_find(&head, text, sizeof text - 1, &seen), HTTP_PARSE_WHOLE);
    ck_assert_uint_eq(head.len, (sizeof text - 1) / 2);
}
END_TEST

START_TEST(heads_have_limits)
{
    static char text[HTTP_HEAD_MOST + 10];
    static struct outcome outcome;
    struct http_head head = {0};
    size_t seen = 0, len;

    memset(text, 'a', sizeof text);
    memcpy(text, GET "A:", sizeof GET + 1);
    ck_assert_int_eq(http_head_find(&head, text, HTTP_HEAD_MOST - 1, &seen), HTTP_PARSE_MORE);
    ck_assert_int_eq(http_head_find(&head, text, HTTP_HEAD_MOST, &seen), HTTP_PARSE_BAD);
    ck_assert_int_eq(head.status, 431);
    /* the limit itself, and one byte more */
    memcpy(text + HTTP_HEAD_MOST - 4, "\r\n\r\n", 4);
    seen = 0;
    ck_assert_int_eq(http_head_find(&head, text, sizeof text, &seen), HTTP_PARSE_WHOLE);
    ck_assert_uint_eq(head.len, HTTP_HEAD_MOST);
    memcpy(text + HTTP_HEAD_MOST - 4, "a\r\n\r\n", 5);
    seen = 0;
    ck_assert_int_eq(http_head_find(&head, text, sizeof text, &seen), HTTP_PARSE_BAD);
    ck_assert_int_eq(head.status, 431);
    for (int fields = HTTP_HEAD_FIELDS; fields <= HTTP_HEAD_FIELDS + 1; fields++) {
        len = (size_t)sprintf(text, "%s", GET);
        for (int i = 1; i < fields; i++)
            len += (size_t)sprintf(text + len, "A:b\r\n");
        len += (size_t)sprintf(text + len, "\r\n");
        ck_assert_int_eq(parse(text, len, len, &head, &outcome),
                         fields > HTTP_HEAD_FIELDS ? HTTP_PARSE_BAD : HTTP_PARSE_WHOLE);
        ck_assert_int_eq(head.status, fields > HTTP_HEAD_FIELDS ? 431 : 0);
    }
}
END_TEST

static bool take_nothing(void *to, const struct http_field *field)
{
    (void)to;
    (void)field;
    return false;
}

START_TEST(ends_when_memory_is_short)
{
    char text[] = GET "\r\n";
    struct http_head head = {0};
    size_t seen = 0;

    ck_assert_int_eq(http_head_find(&head, text, strlen(text), &seen), HTTP_PARSE_WHOLE);
    ck_assert_int_eq(http_head_parse(&head, text, take_nothing, NULL), HTTP_PARSE_BAD);
    ck_assert_int_eq(head.status, 503);
}
END_TEST

UNIT_MAIN(http_head, understands_what_the_rfc_allows, refuses_what_others_could_read_differently,
          knows_every_character, cuts_change_nothing, wants_more_until_the_empty_line,
          leaves_what_follows_the_head, heads_have_limits, ends_when_memory_is_short)
