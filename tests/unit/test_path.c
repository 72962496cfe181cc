/* path.c: equivalent URLs get one name, different ones get two, and dangerous ones are refused. */
#include "protocol/path.h"

#include "base/arena.h"
#include "unit.h"

START_TEST(splits_request_targets)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {
        {"/", "/", ""},
        {"/a/b", "/a/b", ""},
        {"/a/b?x=y", "/a/b", "x=y"},
        {"/a?", "/a", ""},
        {"/a?x=?&y=/", "/a", "x=?&y=/"},
        {"//x//y", "//x//y", ""}, /* x is not a host: RFC 9112 section 3.2.1 */
        {"//x/y?z", "//x/y", "z"},
        {"/http://a/b", "/http://a/b", ""},
        {"/a?http://b/c", "/a", "http://b/c"},
        /* absolute form */
        {"http://host/a/b", "/a/b", ""},
        {"http://host/a/b?x=y", "/a/b", "x=y"},
        {"https://user@host:8443/a?x", "/a", "x"},
        {"http://[::1]:80/a", "/a", ""},
        {"http://host/", "/", ""},
        {"http://host//a", "//a", ""},
        {"http:///a", "/a", ""},
        {"svn+ssh.x-1://host/a", "/a", ""},
        {"HTTP://HOST/A", "/A", ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *path, *query;
        size_t len;

        ck_assert_msg(path_split_target(cases[i].target, &path, &len, &query), "%s",
                      cases[i].target);
        ck_assert_msg(len == strlen(cases[i].path) && strncmp(path, cases[i].path, len) == 0,
                      "%s: path %.*s", cases[i].target, (int)len, path);
        ck_assert_msg(strcmp(query, cases[i].query) == 0, "%s: query %s", cases[i].target, query);
        ck_assert_msg(path >= cases[i].target && query <= cases[i].target + strlen(cases[i].target),
                      "%s: not inside", cases[i].target);
    }
}
END_TEST

START_TEST(refuses_targets_without_a_path)
{
    static const char *const cases[] = {
        "",        "*",           "a/b",       "?x=/",         "host:443",   "http://host",
        "http://", "http:/a",     "http:/a/b", "http://h?x=/", "http://h#/", "1http://h/a",
        "://h/a",  "ht tp://h/a", "http//h/a", " /a",          "#/a",        "mailto:a@b/c"};

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *path, *query;
        size_t len;

        ck_assert_msg(!path_split_target(cases[i], &path, &len, &query), "\"%s\"", cases[i]);
    }
}
END_TEST

/* The normal form of a copy without a final NUL; NULL if it is refused with a reason. */
static char *normalize(struct arena *arena, const char *path, size_t len)
{
    char *copy = unit_copy(path, len), *normal;
    const char *reason = "untouched";

    normal = path_normalize(arena, copy, len, &reason);
    unit_check(normal || (reason && reason[0] && !strchr(reason, '\n')), "\"%s\": no reason",
               unit_show(path, len));
    free(copy);
    return normal;
}

START_TEST(normalises_what_rfc_3986_calls_equivalent)
{
    static const struct {
        const char *path, *normal;
    } cases[] = {
        {"/", "/"},
        {"/v1/stream/a", "/v1/stream/a"},
        /* %XX of an unreserved character is that character */
        {"/%41", "/A"},
        {"/%61%7A%30%2d%5F%2E%7E", "/az0-_.~"},
        {"/%7E", "/~"},
        {"/%7e", "/~"},
        {"/~", "/~"},
        /* any other %XX remains, with upper-case digits */
        {"/a%2fb", "/a%2Fb"},
        {"/a%2Fb", "/a%2Fb"},
        {"/%3a%40%3f%23%25", "/%3A%40%3F%23%25"},
        {"/%c3%bc", "/%C3%BC"},
        {"/%e2%82%ac/%f0%9f%98%80", "/%E2%82%AC/%F0%9F%98%80"},
        {"/%ff", "/%FF"},
        {"/%20", "/%20"},
        {"/%22%3c%5c%7b", "/%22%3C%5C%7B"},
        /* decoded once, not twice */
        {"/%2541", "/%2541"},
        {"/%252e%252e/", "/%252e%252e/"},
        /* nothing else changes */
        {"//x//y", "//x//y"},
        {"/a/", "/a/"},
        {"/A/a", "/A/a"},
        {"/a:b@c!d$e&f'g(h)i*j+k,l;m=n", "/a:b@c!d$e&f'g(h)i*j+k,l;m=n"},
        {"/a[1]", "/a[1]"},
        {"/+", "/+"},
        /* dots that are not dot segments */
        {"/...", "/..."},
        {"/.a", "/.a"},
        {"/a.", "/a."},
        {"/..a/b..", "/..a/b.."},
        {"/.%41", "/.A"},
        {"/%2e%2e%2e", "/..."},
        {"/a%2f..%2fb", "/a%2F..%2Fb"},
        {"/..%2f", "/..%2F"},
        /* names relative to the root are also paths */
        {"events/abc", "events/abc"},
        {"", ""},
    };
    struct arena *arena = arena_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *normal = normalize(arena, cases[i].path, strlen(cases[i].path));

        ck_assert_msg(normal && strcmp(normal, cases[i].normal) == 0, "%s: %s", cases[i].path,
                      normal ? normal : "refused");
        normal = normalize(arena, cases[i].normal, strlen(cases[i].normal));
        ck_assert_msg(normal && strcmp(normal, cases[i].normal) == 0, "%s, again: %s",
                      cases[i].path, normal ? normal : "refused");
    }
    arena_free(arena);
}
END_TEST

START_TEST(refuses_dot_segments_however_they_are_written)
{
    static const char *const cases[] = {
        "..",        ".",     "/..",    "/.",     "/a/./b",      "/a/../b",     "/a/..",
        "/a/.",      "/../a", "/./",    "//../",  "/a/%2e%2e/b", "/a/%2E%2E/b", "/a/.%2e/b",
        "/a/%2e./b", "/%2e",  "/a/%2E", "%2e%2e", "../a"};
    struct arena *arena = arena_new();

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_msg(!normalize(arena, cases[i], strlen(cases[i])), "%s", cases[i]);
    arena_free(arena);
}
END_TEST

START_TEST(refuses_malformed_percent_encodings)
{
    static const char *const cases[] = {"/%",   "/a%",    "/%4",     "/%zz",  "/%4z",
                                        "/%z4", "/%%41",  "/%u00e9", "/% 41", "/%+1",
                                        "/%-1", "/%4%31", "%",       "/a%2"};
    struct arena *arena = arena_new();

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_msg(!normalize(arena, cases[i], strlen(cases[i])), "%s", cases[i]);
    arena_free(arena);
}
END_TEST

#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

START_TEST(accepts_each_byte_raw_or_encoded_as_the_rfc_says)
{
    struct arena *arena = arena_new();

    for (unsigned byte = 0; byte < 256; byte++) {
        char raw[3] = {'/', (char)byte, 'x'}, text[8], expected[8];
        const char *normal;
        bool control = byte < 0x20 || byte == 0x7F;
        bool allowed = byte > 0x20 && byte < 0x7F && !strchr("\"#<>?\\^`{|}%", (int)byte);

        ck_assert_msg((normalize(arena, raw, 3) != NULL) == allowed, "raw byte %02X", byte);
        (void)snprintf(text, sizeof text, "/%%%02Xx", byte);
        normal = normalize(arena, text, 5);
        if (control)
            expected[0] = '\0';
        else if (strchr(UNRESERVED, (int)byte))
            (void)snprintf(expected, sizeof expected, "/%cx", (int)byte);
        else
            (void)snprintf(expected, sizeof expected, "/%%%02Xx", byte);
        ck_assert_msg(strcmp(normal ? normal : "", expected) == 0, "%s: %s", text,
                      normal ? normal : "refused");
    }
    arena_free(arena);
}
END_TEST

START_TEST(refuses_a_fragment)
{
    struct arena *arena = arena_new();
    const char *path, *query;
    size_t len;

    ck_assert(path_split_target("/a#b?c", &path, &len, &query));
    ck_assert_ptr_null(normalize(arena, path, len));
    ck_assert(path_split_target("http://h/a#b", &path, &len, &query));
    ck_assert_ptr_null(normalize(arena, path, len));
    arena_free(arena);
}
END_TEST

START_TEST(does_not_change_a_normal_form)
{
    static const char alphabet[] = "//..%%%2eE4152fFaZ~+[\x80 \0";
    struct arena *arena = arena_new();
    uint32_t random = 41;
    char text[24];

    for (int n = 0; n < 100000; n++) {
        size_t len = unit_random(&random) % sizeof text;
        const char *normal, *again;

        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[unit_random(&random) % (n % 2 ? 20 : sizeof alphabet)];
        normal = normalize(arena, text, len);
        if (!normal)
            continue;
        unit_check(strlen(normal) <= len, "%s", unit_show(text, len));
        again = normalize(arena, normal, strlen(normal));
        unit_check(again && strcmp(normal, again) == 0, "%s", unit_show(text, len));
    }
    arena_free(arena);
}
END_TEST

UNIT_MAIN(path, splits_request_targets, refuses_targets_without_a_path,
          normalises_what_rfc_3986_calls_equivalent, refuses_dot_segments_however_they_are_written,
          refuses_malformed_percent_encodings, accepts_each_byte_raw_or_encoded_as_the_rfc_says,
          refuses_a_fragment, does_not_change_a_normal_form)
