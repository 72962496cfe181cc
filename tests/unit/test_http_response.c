/* http_response.c: every line of a head, byte for byte. */
#include "http/http_response.h"

#include "base/buf.h"
#include "config/config.h"
#include "unit.h"

#define SECURITY                                                                                   \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Cross-Origin-Resource-Policy: cross-origin\r\n"

static struct buf head;

static void assert_head(const char *text)
{
    ck_assert_msg(head.len == strlen(text) && memcmp(head.data, text, head.len) == 0,
                  "\"%s\" expected, it is \"%s\"", text, unit_show(head.data, head.len));
}

START_TEST(begins_with_status_and_security)
{
    static const struct {
        int status;
        const char *head;
    } cases[] = {
        {200, "Status: 200 OK\r\n" SECURITY},
        {204, "Status: 204 No Content\r\n" SECURITY},
        {304, "Status: 304 Not Modified\r\n" SECURITY},
        {431, "Status: 431 Request Header Fields Too Large\r\n" SECURITY},
        /* a status that a fault may set */
        {299, "Status: 299 Success\r\n" SECURITY},
        {399, "Status: 399 Redirection\r\n" SECURITY},
        {599, "Status: 599 Error\r\n" SECURITY},
    };
    const struct config config = {.cors_origin = (char[]){"\0"}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        http_begin(&head, &config, NULL, cases[i].status);
        assert_head(cases[i].head);
    }
    buf_close(&head);
}
END_TEST

START_TEST(names_the_origin_that_may_read_and_the_test_endpoints)
{
    const struct config config = {.cors_origin = (char[]){"https://a.example\0"},
                                  .test_endpoints = true};
    static const char origin[] = "Access-Control-Allow-Origin: https://a.example\r\n"
                                 "Access-Control-Expose-Headers: Stream-Next-Offset, ";
    static const char end[] = ", Vary\r\nDS-Test-Endpoints: on\r\n";

    http_begin(&head, &config, NULL, 200);
    buf_addc(&head, '\0');
    ck_assert_ptr_nonnull(strstr(head.data, origin));
    ck_assert_str_eq(head.data + head.len - sizeof end, end);
    buf_close(&head);
}
END_TEST

START_TEST(adds_lines)
{
    http_add(&head, "A", "b c");
    http_add(&head, "Empty", "");
    http_add_int(&head, "Least", INT64_MIN);
    http_add_int(&head, "Zero", 0);
    http_add_offset(&head, 123);
    http_end(&head, 42);
    assert_head("A: b c\r\nEmpty: \r\nLeast: -9223372036854775808\r\nZero: 0\r\n"
                "Stream-Next-Offset: 0000000000000000_0000000000000123\r\n"
                "Content-Length: 42\r\n\r\n");
    buf_clear(&head);
    http_end(&head, -1);
    assert_head("\r\n");
    buf_close(&head);
}
END_TEST

START_TEST(drops_control_characters_and_nothing_else)
{
    char value[256], expected[300] = "A: ";
    size_t kept = strlen(expected);

    for (int c = 1; c < 256; c++) {
        value[c - 1] = (char)c;
        if (c >= 0x20 && c != 0x7F)
            expected[kept++] = (char)c;
    }
    value[255] = '\0';
    memcpy(expected + kept, "\r\n", 3);
    http_add(&head, "A", value);
    assert_head(expected);
    buf_close(&head);
}
END_TEST

UNIT_MAIN(http_response, begins_with_status_and_security,
          names_the_origin_that_may_read_and_the_test_endpoints, adds_lines,
          drops_control_characters_and_nothing_else)
