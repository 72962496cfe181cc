/* buf.c: the bytes are those that were appended, and a failed allocation is remembered. */
#include "base/buf.h"

#include "unit.h"

static void assert_holds(const struct buf *buf, const char *text)
{
    ck_assert_msg(buf->len == strlen(text) && memcmp(buf->data, text, buf->len) == 0,
                  "\"%s\" expected, it holds \"%s\"", text, unit_show(buf->data, buf->len));
}

START_TEST(begins_empty_without_memory)
{
    struct buf buf = {0};

    ck_assert_uint_eq(buf.len, 0);
    ck_assert(!buf_failed(&buf));
    buf_add(&buf, NULL, 0);
    buf_adds(&buf, "");
    ck_assert_ptr_null(buf.data);
    buf_close(&buf);
}
END_TEST

START_TEST(appends_bytes_strings_and_formats)
{
    struct buf buf = {0};

    buf_add(&buf, "abc", 2);
    buf_adds(&buf, "-def");
    buf_addc(&buf, '!');
    buf_printf(&buf, "%d/%s", 42, "x");
    assert_holds(&buf, "ab-def!42/x");
    buf_close(&buf);
}
END_TEST

START_TEST(appends_numbers_with_and_without_room)
{
    struct buf buf = {0};

    for (int i = 0; i < 100; i++)
        buf_add_int(&buf, INT64_MIN);
    buf_add_int(&buf, 0);
    ck_assert_uint_eq(buf.len, 2001);
    ck_assert_mem_eq(buf.data + 1980, "-92233720368547758080", 21);
    buf_close(&buf);
}
END_TEST

START_TEST(keeps_nul_bytes)
{
    struct buf buf = {0};

    buf_add(&buf, "\0a\0", 3);
    buf_addc(&buf, '\0');
    ck_assert_uint_eq(buf.len, 4);
    ck_assert_mem_eq(buf.data, "\0a\0\0", 4);
    buf_close(&buf);
}
END_TEST

START_TEST(loses_no_byte_when_it_grows)
{
    struct buf buf = {0};

    for (unsigned i = 0; i < 100000; i++)
        buf_addc(&buf, (char)(i % 251));
    ck_assert_uint_eq(buf.len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        unit_check(buf.data[i] == (char)(i % 251), "byte %u", i);
    buf_close(&buf);
}
END_TEST

START_TEST(prints_more_than_it_has_room_for)
{
    struct buf buf = {0};

    buf_adds(&buf, "x");
    buf_printf(&buf, "%0300d", 1);
    ck_assert_uint_eq(buf.len, 301);
    ck_assert_mem_eq(buf.data + 298, "001", 3);
    buf_adds(&buf, "y"); /* overwrites the final NUL of vsnprintf() */
    ck_assert_mem_eq(buf.data + 299, "01y", 3);
    buf_close(&buf);
}
END_TEST

START_TEST(does_not_move_while_reserved_room_is_left)
{
    struct buf buf = {0};
    const char *data;

    ck_assert(buf_reserve(&buf, 5000));
    ck_assert_uint_eq(buf.len, 0);
    data = buf.data;
    for (int i = 0; i < 5000; i++)
        buf_addc(&buf, 'x');
    ck_assert_ptr_eq(buf.data, data);
    buf_close(&buf);
}
END_TEST

START_TEST(remembers_a_failure_and_appends_nothing_more)
{
    struct buf buf = {0};

    buf_adds(&buf, "before");
    ck_assert(!buf_reserve(&buf, SIZE_MAX));
    ck_assert(buf_failed(&buf));
    /* there is room again, but half an answer must not look like a whole one */
    buf_adds(&buf, "a");
    buf_addc(&buf, 'b');
    buf_add_int(&buf, 2);
    buf_printf(&buf, "%d", 1);
    ck_assert(!buf_reserve(&buf, 1));
    ck_assert(buf_failed(&buf));
    assert_holds(&buf, "before");
    buf_close(&buf);
    ck_assert(!buf_failed(&buf));
}
END_TEST

START_TEST(keeps_the_memory_when_it_is_cleared)
{
    struct buf buf = {0};
    size_t size;

    buf_adds(&buf, "something");
    size = buf.size;
    ck_assert(!buf_reserve(&buf, SIZE_MAX / 2));
    buf_clear(&buf);
    ck_assert_uint_eq(buf.len, 0);
    ck_assert_uint_eq(buf.size, size);
    ck_assert(!buf_failed(&buf));
    buf_adds(&buf, "else");
    assert_holds(&buf, "else");
    buf_close(&buf);
}
END_TEST

START_TEST(hands_its_data_to_the_caller)
{
    struct buf buf = {0};
    size_t len = 99;
    char *data;

    buf_adds(&buf, "mine");
    data = buf_take(&buf, &len);
    ck_assert_uint_eq(len, 4);
    ck_assert_mem_eq(data, "mine", 4);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.len, 0);
    buf_adds(&buf, "new");
    ck_assert_mem_eq(data, "mine", 4);
    free(data);
    buf_close(&buf);
    data = buf_take(&buf, &len);
    ck_assert_ptr_null(data);
    ck_assert_uint_eq(len, 0);
}
END_TEST

UNIT_MAIN(buf, begins_empty_without_memory, appends_bytes_strings_and_formats,
          appends_numbers_with_and_without_room, keeps_nul_bytes, loses_no_byte_when_it_grows,
          prints_more_than_it_has_room_for, does_not_move_while_reserved_room_is_left,
          remembers_a_failure_and_appends_nothing_more, keeps_the_memory_when_it_is_cleared,
          hands_its_data_to_the_caller)
