/* cli_sse.c: finds the same events in any pieces of bytes, and reads what sse.c writes. */
#include "cli/cli_sse.h"

#include "base/buf.h"
#include "protocol/sse.h"
#include "unit.h"

/* Every event as "type|data;" */
static bool note(void *arg, const char *type, const char *data, size_t len)
{
    struct buf *seen = arg;

    buf_printf(seen, "%s|", type);
    buf_add(seen, data, len);
    buf_addc(seen, ';');
    return strcmp(type, "stop") != 0;
}

/* The events of text, when it is fed in pieces of the given size. */
static bool read_all(const char *text, size_t len, size_t piece, struct buf *seen)
{
    struct cli_sse sse = {.fn = note, .arg = seen};
    bool ok = true;

    for (size_t at = 0; ok && at < len; at += piece) {
        size_t size = piece < len - at ? piece : len - at;
        char *copy = unit_copy(text + at, size);

        ok = cli_sse_feed(&sse, copy, size);
        free(copy);
    }
    cli_sse_close(&sse);
    return ok;
}

START_TEST(reads_events_however_they_are_cut)
{
    static const struct {
        const char *text, *events;
    } cases[] = {
        {"", ""},
        {"data: a\n\n", "message|a;"},
        {"data:a\n\n", "message|a;"},
        {"data:  a\n\n", "message| a;"},
        {"data\n\n", "message|;"},
        {"data:a\ndata:b\n\n", "message|a\nb;"},
        {"data:\ndata:\n\n", "message|\n;"},
        {"event: data\ndata: a\n\nevent:control\ndata:{}\n\n", "data|a;control|{};"},
        {"event:data\r\ndata:a\r\n\r\ndata:b\r\n\r\n", "data|a;message|b;"},
        {"event:data\rdata:a\r\rdata:b\r\r", "data|a;message|b;"},
        {"data:a\n\r\ndata:b\n\n", "message|a;message|b;"},
        {"data:a\r\n\ndata:b\r\r\n\n", "message|a;message|b;"},
        {":\n\n: keep\n\ndata:a\n\n", "message|a;"},
        {"event: x\n\ndata:a\n\n", "message|a;"}, /* no data, no event */
        {"id: 1\nretry: 5\ndatum: x\nnothing\ndata:a\n\n", "message|a;"},
        {"event:a\nevent:b\ndata:c\n\n", "b|c;"},
        {"data:a:b\n\n", "message|a:b;"},
        {"\xEF\xBB\xBF"
         "data:a\n\n",
         "message|a;"},
        {"data:a\n", ""}, /* cut off */
        {"data:a\n\ndata:b", "message|a;"},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t piece = 1; piece < 8; piece++) {
            struct buf seen = {0};

            ck_assert(read_all(cases[i].text, strlen(cases[i].text), piece, &seen));
            ck_assert_msg(seen.len == strlen(cases[i].events) &&
                              (!seen.len || memcmp(seen.data, cases[i].events, seen.len) == 0),
                          "%zu in pieces of %zu: %s", i, piece, unit_show(seen.data, seen.len));
            buf_close(&seen);
        }
}
END_TEST

START_TEST(stops_when_told)
{
    static const char text[] = "data:a\n\nevent:stop\ndata:b\n\ndata:c\n\n";
    struct buf seen = {0};

    ck_assert(!read_all(text, strlen(text), 100, &seen));
    ck_assert_uint_eq(seen.len, strlen("message|a;stop|b;"));
    buf_close(&seen);
}
END_TEST

START_TEST(keeps_nul_bytes)
{
    struct buf seen = {0};

    ck_assert(read_all("data:a\0b\n\n", 10, 3, &seen));
    ck_assert_uint_eq(seen.len, 12);
    ck_assert_mem_eq(seen.data, "message|a\0b;", 12);
    buf_close(&seen);
}
END_TEST

/* JSON that the server writes is read back byte for byte, except that line breaks become LF. */
START_TEST(reads_what_the_server_writes)
{
    static const char *const piece[] = {"[",  "{\"a\":1}", ",",   " ",       "\n",  "\n\n",
                                        "\t", "\"x\"",     "]",   "data: ",  "id:", ":",
                                        "  ", "\xC3\xA9",  "\\n", "event:x", "é",   "0"};
    uint32_t random = 41;

    for (int n = 0; n < 5000; n++) {
        char payload[200] = "";
        struct buf frames = {0}, seen = {0}, expected = {0};

        for (unsigned i = unit_random(&random) % 14; i > 0; i--)
            (void)strcat(payload, piece[unit_random(&random) % COUNT(piece)]);
        sse_add_keepalive(&frames);
        sse_add_data(&frames, SSE_JSON, payload, strlen(payload));
        sse_add_control(&frames, &(struct sse_control){.next = 1, .closed = true});
        unit_check(read_all(frames.data, frames.len, 1 + unit_random(&random) % 9, &seen),
                   "out of memory");
        buf_printf(&expected,
                   "data|%s;control|{\"streamNextOffset\":\"0000000000000000_0000000000000001\","
                   "\"upToDate\":true,\"streamClosed\":true};",
                   payload);
        unit_check(seen.len == expected.len && memcmp(seen.data, expected.data, seen.len) == 0,
                   "%s", unit_show(seen.data, seen.len));
        buf_close(&frames);
        buf_close(&seen);
        buf_close(&expected);
    }
}
END_TEST

UNIT_MAIN(cli_sse, reads_events_however_they_are_cut, stops_when_told, keeps_nul_bytes,
          reads_what_the_server_writes)
