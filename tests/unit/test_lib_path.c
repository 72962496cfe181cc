/*
 * Paths as file names: ds_path_encode() and ds_path_decode(). The texts expected here are those of
 * the protocol's Node server; tests/system/library.test.mjs compares more of them with its code.
 */
#include "durable_streams.h"
#include "unit.h"

static void check_both(const char *path, const char *encoded)
{
    char *text = ds_path_encode(path), *back;

    ck_assert_str_eq(text, encoded);
    back = ds_path_decode(text);
    ck_assert_str_eq(back, path);
    free(text);
    free(back);
}

static void check_decode(const char *encoded, const char *path)
{
    char *text = ds_path_decode(encoded);

    ck_assert_str_eq(text, path);
    free(text);
}

START_TEST(paths_become_base64url_without_padding_and_come_back)
{
    check_both("", "");
    check_both("/", "Lw");
    check_both("/stream/users:created", "L3N0cmVhbS91c2VyczpjcmVhdGVk");
    check_both("/v1/stream/a?b>c~", "L3YxL3N0cmVhbS9hP2I-Y34");
    check_both("\xC3\xBF\xC3\xBF\xC3\xBF", "w7_Dv8O_");
    check_both("/\xF0\x9F\x98\x80", "L_CfmIA");
}
END_TEST

START_TEST(a_path_of_150_bytes_is_kept_and_one_of_151_is_hashed)
{
    char path[152], *text, *back;

    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[150] = '\0';
    text = ds_path_encode(path);
    ck_assert_uint_eq(strlen(text), 200);
    back = ds_path_decode(text);
    ck_assert_str_eq(back, path);
    free(text);
    free(back);

    path[150] = 'a';
    path[151] = '\0';
    text = ds_path_encode(path);
    ck_assert_uint_eq(strlen(text), 180 + 1 + 16);
    ck_assert_int_eq(text[180], '~');
    /* printf '/%s' "$(head -c 150 /dev/zero | tr '\0' a)" | sha256sum */
    ck_assert_str_eq(text + 181, "b7530a9b37ab3b92");
    back = ds_path_decode(text);
    ck_assert_uint_eq(strlen(back), 135);
    ck_assert_mem_eq(back, path, 135);
    free(text);
    free(back);
}
END_TEST

START_TEST(a_character_that_the_hash_has_cut_in_two_is_replaced)
{
    char path[200] = "/", *text, *back;

    while (strlen(path) < 190) /* two-byte characters begin at odd positions */
        (void)strcat(path, "\xC3\xA4");
    text = ds_path_encode(path); /* keeps 135 bytes: "/" and 67 characters */
    back = ds_path_decode(text);
    ck_assert_uint_eq(strlen(back), 135);
    path[0] = 'x';
    memmove(path + 1, path, strlen(path) + 1); /* at even positions */
    free(text);
    free(back);
    text = ds_path_encode(path);
    back = ds_path_decode(text);
    ck_assert_uint_eq(strlen(back), 134 + 3);
    ck_assert_str_eq(back + 134, "\xEF\xBF\xBD");
    free(text);
    free(back);
}
END_TEST

START_TEST(what_is_no_base64_is_passed_over)
{
    check_decode("QU JD\nQUJD", "ABCABC");
    check_decode("QU~JD", "ABC");
    check_decode("QUJD=QUJD", "ABC");
    check_decode("QU+/", "AO\xEF\xBF\xBD");
    check_decode("A", "");
    check_decode("QR", "A");
    check_decode("QUJD~0123456789abcdef", "ABC");
    check_decode("QUJD~0123456789abcdeF", /* not a hash: those are in lower case */
                 "ABC\xEF\xBF\xBD]\xEF\xBF\xBD\xE3\x9E\xBB\xEF\xBF\xBD\xD6\x9B"
                 "q\xD7\x85");
}
END_TEST

UNIT_MAIN(lib_path, paths_become_base64url_without_padding_and_come_back,
          a_path_of_150_bytes_is_kept_and_one_of_151_is_hashed,
          a_character_that_the_hash_has_cut_in_two_is_replaced, what_is_no_base64_is_passed_over)
