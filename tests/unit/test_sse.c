/* sse.c: the exact bytes of frames, and the same frames as a browser reads them. */
#include "protocol/sse.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "unit.h"

static void assert_frame(const struct buf *buf, const char *expected, const char *what)
{
    ck_assert_msg(buf->len == strlen(expected) && memcmp(buf->data, expected, buf->len) == 0,
                  "%s: %s", what, unit_show(buf->data, buf->len));
}

START_TEST(frames_text_line_by_line)
{
    static const struct {
        const char *payload, *lines;
    } cases[] = {
        {"", "data:\n"},
        {"hello", "data:hello\n"},
        {"a\nb", "data:a\ndata:b\n"},
        {"a\rb", "data:a\ndata:b\n"},
        {"a\r\nb", "data:a\ndata:b\n"},
        {"a\n\rb", "data:a\ndata:\ndata:b\n"},
        {"a\r\r\nb", "data:a\ndata:\ndata:b\n"},
        {"a\n\nb", "data:a\ndata:\ndata:b\n"},
        {"a\n", "data:a\ndata:\n"},
        {"\n", "data:\ndata:\n"},
        {"\r\n", "data:\ndata:\n"},
        {"\r", "data:\ndata:\n"},
        {" a\n  b\nc", "data:  a\ndata:   b\ndata:c\n"},
        {" ", "data:  \n"},
        {"\ta", "data:\ta\n"},
        {"event: control\ndata: x\n\nid: 1",
         "data:event: control\ndata:data: x\ndata:\ndata:id: 1\n"},
        {"gr\xC3\xBC\xC3\x9F", "data:gr\xC3\xBC\xC3\x9F\n"},
        {"\xC3\n\xA9", "data:\xEF\xBF\xBD\ndata:\xEF\xBF\xBD\n"},
        {"a\xFFz\nb", "data:a\xEF\xBF\xBDz\ndata:b\n"},
        {"\xE2\x80\xA8", "data:\xE2\x80\xA8\n"}, /* LINE SEPARATOR is not a line break in SSE */
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].payload);
        char *payload = unit_copy(cases[i].payload, len), expected[200];
        struct buf buf = {0};

        (void)snprintf(expected, sizeof expected, "event: data\n%s\n", cases[i].lines);
        sse_add_data(&buf, SSE_TEXT, payload, len);
        assert_frame(&buf, expected, expected);
        free(payload);
        buf_close(&buf);
    }
}
END_TEST

START_TEST(frames_json_with_line_breaks_between_its_tokens)
{
    static const char json[] = "[{\"a\":1},\n {\"b\":\r\n2}]";
    struct buf buf = {0};

    sse_add_data(&buf, SSE_JSON, json, strlen(json));
    assert_frame(&buf, "event: data\ndata:[{\"a\":1},\ndata:  {\"b\":\ndata:2}]\n\n", "json");
    buf_close(&buf);
}
END_TEST

START_TEST(writes_base64_on_one_line)
{
    static const struct {
        const char *payload, *text;
    } cases[] = {
        /* RFC 4648 section 10 */
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\n\n", "Cgo="},
        {"\xFF\xFE\xFD", "//79"},
        {"\xFB\xEF\xBE", "++++"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].payload);
        char *payload = unit_copy(cases[i].payload, len), expected[100];
        struct buf buf = {0};

        (void)snprintf(expected, sizeof expected, "event: data\ndata:%s\n\n", cases[i].text);
        sse_add_data(&buf, SSE_BASE64, payload, len);
        assert_frame(&buf, expected, cases[i].text);
        free(payload);
        buf_close(&buf);
    }
}
END_TEST

/* Decodes by positions in the alphabet, in a different way from the encoder. */
static size_t decode_base64(const char *text, size_t len, char *to)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned long bits = 0, count = 0;
    size_t bytes = 0;

    ck_assert_uint_eq(len % 4, 0);
    for (size_t i = 0; i < len && text[i] != '='; i++) {
        const char *digit = strchr(alphabet, text[i]);

        ck_assert_msg(digit && *digit, "not base64: %s", unit_show(text, len));
        bits = (bits << 6 | (unsigned long)(digit - alphabet)) & 0xFFFFFF;
        count += 6;
        if (count >= 8) {
            count -= 8;
            to[bytes++] = (char)(bits >> count & 0xFF);
        }
    }
    return bytes;
}

START_TEST(writes_base64_that_decodes_to_every_byte)
{
    char payload[600], decoded[600];
    uint32_t random = 31;

    for (size_t len = 0; len < sizeof payload; len++) {
        struct buf buf = {0};
        size_t frame = strlen("event: data\ndata:");

        for (size_t i = 0; i < len; i++)
            payload[i] = (char)(len < 256 ? i : unit_random(&random));
        sse_add_data(&buf, SSE_BASE64, payload, len);
        ck_assert_uint_eq(buf.len, frame + (len + 2) / 3 * 4 + 2);
        ck_assert_uint_eq(decode_base64(buf.data + frame, buf.len - frame - 2, decoded), len);
        ck_assert_msg(len == 0 || memcmp(payload, decoded, len) == 0, "%zu bytes", len);
        buf_close(&buf);
    }
}
END_TEST

START_TEST(writes_control_events)
{
    static const struct {
        struct sse_control control;
        const char *json;
    } cases[] = {
        {{.next = 123, .cursor = 12345, .up_to_date = true},
         "{\"streamNextOffset\":\"0000000000000000_0000000000000123\",\"streamCursor\":\"12345\","
         "\"upToDate\":true}"},
        {{.next = 0, .cursor = 0},
         "{\"streamNextOffset\":\"0000000000000000_0000000000000000\",\"streamCursor\":\"0\"}"},
        {{.next = 9, .cursor = 77, .closed = true},
         "{\"streamNextOffset\":\"0000000000000000_0000000000000009\",\"upToDate\":true,"
         "\"streamClosed\":true}"},
        {{.next = 9, .cursor = 77, .up_to_date = true, .closed = true},
         "{\"streamNextOffset\":\"0000000000000000_0000000000000009\",\"upToDate\":true,"
         "\"streamClosed\":true}"},
        {{.next = INT64_C(9999999999999999), .cursor = INT64_MAX},
         "{\"streamNextOffset\":\"0000000000000000_9999999999999999\",\"streamCursor\":"
         "\"9223372036854775807\"}"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf buf = {0};
        char expected[300];

        (void)snprintf(expected, sizeof expected,
                       "event: control\ndata:%s\nid: 0000000000000000_%016" PRId64 "\n\n",
                       cases[i].json, cases[i].control.next);
        sse_add_control(&buf, &cases[i].control);
        assert_frame(&buf, expected, expected);
        buf_close(&buf);
    }
}
END_TEST

START_TEST(gives_the_last_event_its_id)
{
    struct buf buf = {0};

    sse_add_data(&buf, SSE_TEXT, "a", 1);
    sse_add_id(&buf, 17);
    sse_add_data(&buf, SSE_BASE64, "foo", 3);
    sse_add_id(&buf, 20);
    assert_frame(&buf,
                 "event: data\ndata:a\nid: 0000000000000000_0000000000000017\n\n"
                 "event: data\ndata:Zm9v\nid: 0000000000000000_0000000000000020\n\n",
                 "two ids");
    buf_close(&buf);
}
END_TEST

START_TEST(sends_a_comment_as_a_keep_alive)
{
    struct buf buf = {0};

    sse_add_keepalive(&buf);
    assert_frame(&buf, ":\n\n", "keepalive");
    buf_close(&buf);
}
END_TEST

/* An event as a reader according to HTML 9.2.6 gets it. */
struct event {
    char type[40];
    char data[400];
    size_t len;
    char id[40]; /* the Last-Event-ID after this event */
};

/* Reads the events of a stream; returns their number. */
static size_t read_events(const char *at, size_t len, struct event *event, size_t most)
{
    const char *end = at + len;
    size_t count = 0;

    event[0] = (struct event){0};
    while (at < end) {
        const char *stop = at;

        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        unit_check(stop < end, "the stream ends inside a line");
        if (stop == at) { /* an empty line dispatches the event, if it has data */
            if (event[count].len > 0) {
                event[count].len--; /* the last line feed is not part of the data */
                unit_check(++count < most, "too many events");
            }
            event[count] = (struct event){0};
            if (count > 0)
                memcpy(event[count].id, event[count - 1].id, sizeof event->id);
        } else if (strncmp(at, "event:", 6) == 0) {
            at += at[6] == ' ' ? 7 : 6;
            (void)snprintf(event[count].type, sizeof event->type, "%.*s", (int)(stop - at), at);
        } else if (strncmp(at, "data:", 5) == 0) {
            at += at[5] == ' ' ? 6 : 5;
            memcpy(event[count].data + event[count].len, at, (size_t)(stop - at));
            event[count].len += (size_t)(stop - at);
            event[count].data[event[count].len++] = '\n';
        } else if (strncmp(at, "id:", 3) == 0) {
            at += at[3] == ' ' ? 4 : 3;
            (void)snprintf(event[count].id, sizeof event->id, "%.*s", (int)(stop - at), at);
        } else {
            unit_check(*at == ':', "a line of some other field: %s",
                       unit_show(at, (size_t)(stop - at)));
        }
        at = stop + (stop[0] == '\r' && stop + 1 < end && stop[1] == '\n' ? 2 : 1);
    }
    return count;
}

START_TEST(no_payload_ends_or_forges_an_event)
{
    static const char *const piece[] = {"\n",      "\r",   "\r\n",           "\n\n",
                                        " ",       "a",    "data: ",         ":",
                                        "id:1",    "\xFF", "event: control", "\xC3\xA9",
                                        "\xE2\x82"};
    uint32_t random = 37;

    for (int n = 0; n < 20000; n++) {
        enum sse_encoding encoding = n % 2 ? SSE_TEXT : SSE_JSON;
        char payload[200], expected[400];
        size_t len = 0, expected_len = 0;
        struct buf buf = {0}, whole = {0};
        struct event event[5];
        char *copy;

        for (unsigned i = unit_random(&random) % 12; i > 0; i--)
            len += (size_t)sprintf(payload + len, "%s", piece[unit_random(&random) % COUNT(piece)]);
        copy = unit_copy(payload, len);
        sse_add_keepalive(&buf);
        sse_add_data(&buf, encoding, copy, len);
        sse_add_id(&buf, 1);
        sse_add_control(&buf, &(struct sse_control){.next = 2});
        sse_add_keepalive(&buf);
        unit_check(read_events(buf.data, buf.len, event, COUNT(event)) == 2, "%s",
                   unit_show(payload, len));
        unit_check(strcmp(event[0].type, "data") == 0 && strcmp(event[1].type, "control") == 0,
                   "%s and %s", event[0].type, event[1].type);
        unit_check(strcmp(event[0].id, "0000000000000000_0000000000000001") == 0 &&
                       strcmp(event[1].id, "0000000000000000_0000000000000002") == 0,
                   "%s and %s", event[0].id, event[1].id);
        /* the data are the payload, with LF for each line break, and in text valid UTF-8 */
        if (encoding == SSE_TEXT)
            utf8_add_lossy(&whole, copy, len);
        else
            buf_add(&whole, copy, len);
        for (size_t i = 0; i < whole.len; i++)
            if (whole.data[i] != '\r')
                expected[expected_len++] = whole.data[i];
            else if (i + 1 == whole.len || whole.data[i + 1] != '\n')
                expected[expected_len++] = '\n';
        unit_check(event[0].len == expected_len &&
                       memcmp(event[0].data, expected, expected_len) == 0,
                   "%s", unit_show(payload, len));
        free(copy);
        buf_close(&buf);
        buf_close(&whole);
    }
}
END_TEST

START_TEST(frames_an_empty_payload_at_null)
{
    for (enum sse_encoding encoding = SSE_TEXT; encoding <= SSE_BASE64; encoding++) {
        struct buf buf = {0};

        sse_add_data(&buf, encoding, NULL, 0);
        assert_frame(&buf, "event: data\ndata:\n\n", "empty");
        buf_close(&buf);
    }
}
END_TEST

START_TEST(keeps_nul_bytes_in_text)
{
    struct buf buf = {0};

    sse_add_data(&buf, SSE_TEXT, "a\0b", 3);
    ck_assert_uint_eq(buf.len, 22);
    ck_assert_mem_eq(buf.data, "event: data\ndata:a\0b\n\n", 22);
    buf_close(&buf);
}
END_TEST

START_TEST(appends_to_what_the_buffer_contains)
{
    struct buf buf = {0};

    sse_add_data(&buf, SSE_BASE64, "foo", 3);
    sse_add_data(&buf, SSE_TEXT, "x", 1);
    assert_frame(&buf, "event: data\ndata:Zm9v\n\nevent: data\ndata:x\n\n", "two events");
    buf_close(&buf);
}
END_TEST

UNIT_MAIN(sse, frames_text_line_by_line, frames_json_with_line_breaks_between_its_tokens,
          writes_base64_on_one_line, writes_base64_that_decodes_to_every_byte,
          writes_control_events, gives_the_last_event_its_id, sends_a_comment_as_a_keep_alive,
          no_payload_ends_or_forges_an_event, frames_an_empty_payload_at_null,
          keeps_nul_bytes_in_text, appends_to_what_the_buffer_contains)
