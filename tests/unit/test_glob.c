/* glob.c: patterns in their normal form, what they match, and the prefixes of what they match. */
#include "protocol/glob.h"

#include "base/arena.h"
#include "unit.h"

static const char *const matching[][2] = {
    {"a", "a"},
    {"a/b", "a/b"},
    {"*", "a"},
    {"*/*", "a/b"},
    {"events/*", "events/a"},
    {"g/**", "g"},
    {"g/**", "g/x"},
    {"g/**", "g/x/y/z"},
    {"**", "a"},
    {"**", "a/b/c"},
    {"**", ""},
    {"**/z", "z"},
    {"**/z", "a/b/z"},
    {"**/z", "z/z"},
    {"a/**/z", "a/z"},
    {"a/**/z", "a/z/b/z"},
    {"a/**/*", "a/b"},
    {"a/**/**", "a"},
    {"**/a/**/b/**", "x/a/y/z/b"},
    {"a*", "a*"},
    {"*a", "*a"},
    {"***", "***"},
    {"a/%2A", "a/*"},
    {"a/%2A", "a/%2A"},
    {"x%2Ay", "x*y"},
    {"%2A%2A", "**"},
    {"g/x%20y", "g/x%20y"},
    {"a/%2Fb", "a/%2Fb"},
    {"a/b", "a//b"},
    {"a/b", "/a/b/"},
    {"a/*", "a//b"},
    {"a/**", "a//"},
};

static const char *const other[][2] = {
    {"a", "A"},           {"a", "b"},         {"a", "ab"},       {"a", "a/b"},     {"a", ""},
    {"a/b", "a"},         {"*", "a/b"},       {"*", ""},         {"*", "/"},       {"g/*", "g"},
    {"g/*", "g/"},        {"g/*", "g/x/y"},   {"g/**", "gx"},    {"g/**", "h/g"},  {"**/z", "z/a"},
    {"a/**/z", "a"},      {"a/**/z", "a/zz"}, {"a/**/*", "a"},   {"a*", "ab"},     {"*a", "ba"},
    {"***", "a"},         {"a/%2A", "a/b"},   {"%2A%2A", "a/b"}, {"a/*", "a%2Fb"}, {"a/b", "a%2Fb"},
    {"g/x y", "g/x%20y"},
};

START_TEST(matches_by_segments)
{
    for (size_t i = 0; i < COUNT(matching); i++)
        ck_assert_msg(glob_matches(matching[i][0], matching[i][1]), "%s: %s", matching[i][0],
                      matching[i][1]);
    for (size_t i = 0; i < COUNT(other); i++)
        ck_assert_msg(!glob_matches(other[i][0], other[i][1]), "%s: %s", other[i][0], other[i][1]);
}
END_TEST

START_TEST(brings_patterns_into_their_normal_form)
{
    static const char *const cases[][2] = {
        {"a", "a"},       {"/a/b/", "a/b"},     {"///a//b///", "a/b"},
        {"*", "*"},       {"**/x", "**/x"},     {"a*", "a*"},
        {"%61", "a"},     {"%2a", "%2A"},       {"a/%2A/b", "a/%2A/b"},
        {"%2fx", "%2Fx"}, {"%c3%bc", "%C3%BC"}, {"a:b@c", "a:b@c"},
    };
    struct arena *arena = arena_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *reason = NULL;
        const char *normal = glob_normalize(arena, cases[i][0], strlen(cases[i][0]), &reason);

        ck_assert_msg(normal, "%s: %s", cases[i][0], reason);
        ck_assert_str_eq(normal, cases[i][1]);
    }
    arena_free(arena);
}
END_TEST

START_TEST(refuses_patterns_that_no_stream_can_match)
{
    static const char *const cases[] = {"",     "/",    "///",        "a b",   "a%",
                                        "a%zz", "a%00", "..",         "a/./b", "%2e%2E",
                                        "a?b",  "a#b",  "gr\xC3\xBC", "a\nb",  "a\\b"};
    struct arena *arena = arena_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *reason = NULL;

        ck_assert_msg(!glob_normalize(arena, cases[i], strlen(cases[i]), &reason), "%s", cases[i]);
        ck_assert_msg(reason && *reason && !strchr(reason, '\n'), "%s", cases[i]);
    }
    arena_free(arena);
}
END_TEST

START_TEST(limits_bytes_and_segments)
{
    struct arena *arena = arena_new();
    const char *reason = NULL;
    char text[GLOB_MOST + 1];

    memset(text, 'a', sizeof text);
    ck_assert_ptr_nonnull(glob_normalize(arena, text, GLOB_MOST, &reason));
    ck_assert_ptr_null(glob_normalize(arena, text, GLOB_MOST + 1, &reason));
    ck_assert_str_eq(reason, "the pattern is longer than 1024 bytes");
    for (size_t i = 0; i < sizeof text; i += 2)
        text[i] = '/';
    ck_assert_ptr_nonnull(glob_normalize(arena, text, 2 * GLOB_SEGMENTS_MOST, &reason));
    ck_assert_ptr_null(glob_normalize(arena, text, 2 * GLOB_SEGMENTS_MOST + 2, &reason));
    ck_assert_str_eq(reason, "the pattern has more than 64 segments");
    text[GLOB_MOST] = '\0';
    ck_assert(!glob_matches(text, text)); /* not a normal form */
    arena_free(arena);
}
END_TEST

/* --- an oracle: matching by recursion, for small patterns --- */

static const char *rest_of(const char *text)
{
    text += strspn(text, "/");
    return text + strcspn(text, "/");
}

static bool naive_matches(const char *pattern, const char *path)
{
    size_t len, path_len;

    pattern += strspn(pattern, "/");
    path += strspn(path, "/");
    len = strcspn(pattern, "/");
    path_len = strcspn(path, "/");
    if (len == 0)
        return path_len == 0;
    if (len == 2 && memcmp(pattern, "**", 2) == 0)
        return naive_matches(pattern + len, path) ||
               (path_len > 0 && naive_matches(pattern, rest_of(path)));
    if (path_len == 0)
        return false;
    if (len == 1 && *pattern == '*')
        return naive_matches(pattern + len, path + path_len);
    return len == path_len && memcmp(pattern, path, len) == 0 &&
           naive_matches(pattern + len, path + path_len);
}

/* Segments from a small alphabet, so that many of them match. */
static void make_text(uint32_t *state, char *text, const char *const *words, uint32_t n)
{
    uint32_t segments = unit_random(state) % 6;

    *text = '\0';
    for (uint32_t i = 0; i < segments; i++) {
        if (i > 0)
            (void)strcat(text, "/");
        (void)strcat(text, words[unit_random(state) % n]);
    }
}

START_TEST(agrees_with_matching_by_recursion)
{
    static const char *const words[] = {"a", "b", "", "*", "**", "ab", "**"};
    uint32_t state = 2463534242;
    int matches = 0;

    for (int i = 0; i < 200000; i++) {
        char pattern[64], subject[64];
        bool expected;

        make_text(&state, pattern, words, COUNT(words));
        make_text(&state, subject, words, i % 2 ? 2 : 4);
        expected = naive_matches(pattern, subject);
        unit_check(glob_matches(pattern, subject) == expected, "%s: %s", pattern, subject);
        matches += expected;
    }
    ck_assert_int_gt(matches, 10000);
}
END_TEST

/* A matcher that tries all ways would still run when the test is stopped. */
START_TEST(matches_many_double_stars_in_no_time)
{
    char pattern[GLOB_MOST + 1] = "", subject[4000] = "";

    for (int i = 0; i < GLOB_SEGMENTS_MOST / 2; i++)
        (void)strcat(pattern, "**/a/");
    for (size_t i = 0; i + 2 < sizeof subject; i += 2)
        memcpy(subject + i, "a/", 3);
    ck_assert(glob_matches(pattern, subject));
    (void)strcat(subject, "b");
    ck_assert(!glob_matches(pattern, subject));
}
END_TEST

/* --- prefixes --- */

START_TEST(names_the_prefixes_of_a_search)
{
    static const struct {
        const char *pattern, *prefixes; /* with spaces between them */
    } cases[] = {
        {"a", "a /"},
        {"a/b", "a/b / a//"},
        {"a/b/*", "a/b/ / a//"},
        {"a/**", "a /"},
        {"a/**/**", "a /"},
        {"a/**/b", "a/ /"},
        {"a/**/*", "a/ /"},
        {"*", ""},
        {"**", ""},
        {"*/a", ""},
        {"%2A", ""},
        {"a/x%2A/b", "a/ /"},
        {"a*", "a* /"},
        {"ab/cd/ef", "ab/cd/ef / ab// ab/cd//"},
        {"a/%2Fb", "a/%2Fb / a//"},
    };
    struct arena *arena = arena_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[100] = "";

        for (size_t n = 0; n < glob_prefixes(cases[i].pattern); n++) {
            if (n > 0)
                (void)strcat(text, " ");
            (void)strcat(text, glob_prefix(arena, cases[i].pattern, n));
        }
        ck_assert_msg(strcmp(text, cases[i].prefixes) == 0, "%s: %s", cases[i].pattern, text);
    }
    arena_free(arena);
}
END_TEST

static int count_prefixes(struct arena *arena, const char *pattern, const char *subject)
{
    int count = 0;

    for (size_t n = 0; n < glob_prefixes(pattern); n++) {
        const char *prefix = glob_prefix(arena, pattern, n);

        count += strncmp(subject, prefix, strlen(prefix)) == 0;
    }
    return count;
}

static int count_ranges(struct arena *arena, const char *pattern, const char *subject)
{
    int count = 0;

    for (size_t n = 0; n < glob_ranges(subject); n++) {
        struct glob_range range;

        ck_assert(glob_range(arena, subject, n, &range));
        ck_assert_str_lt(range.first, range.end);
        count += strcmp(pattern, range.first) >= 0 && strcmp(pattern, range.end) < 0;
    }
    return count;
}

START_TEST(names_the_ranges_of_patterns)
{
    static const char *const cases[][2] = {
        {"a", "[* +) [a/* a/+) [a a\1)"},
        {"a//b/", "[* +) [a/* a/+) [a/b/* a/b/+) [a/b a/b\1)"},
        {"a/x*", "[ \x7f)"},
    };
    struct arena *arena = arena_new();
    char deep[200] = "";

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[100] = "";

        for (size_t n = 0; n < glob_ranges(cases[i][0]); n++) {
            struct glob_range range;

            ck_assert(glob_range(arena, cases[i][0], n, &range));
            (void)sprintf(text + strlen(text), "%s[%s %s)", n > 0 ? " " : "", range.first,
                          range.end);
        }
        ck_assert_msg(strcmp(text, cases[i][1]) == 0, "%s: %s", cases[i][0], text);
    }
    for (int i = 0; i < 90; i++)
        (void)strcat(deep, "a/");
    ck_assert_uint_eq(glob_ranges(deep), GLOB_SEGMENTS_MOST + 1);
    deep[2 * (GLOB_SEGMENTS_MOST - 1) - 1] = '\0';
    ck_assert_int_eq(count_ranges(arena, arena_printf(arena, "%s/*", deep), deep), 1);
    arena_free(arena);
}
END_TEST

START_TEST(every_match_begins_with_exactly_one_prefix)
{
    static const char *const words[] = {"a", "b", "a*b", "a%2Ab", "*", "**", "ab"};
    static const char *const names[] = {"a", "b", "", "a*b", "a%2Ab", "*", "ab"};
    uint32_t state = 88172645;
    int matches = 0;

    for (int i = 0; i < 100000; i++) {
        struct arena *arena = arena_new();
        char pattern[64], subject[64];
        const char *reason, *normal;

        make_text(&state, pattern, words, COUNT(words));
        make_text(&state, subject, names, i % 2 ? 3 : COUNT(names));
        normal = glob_normalize(arena, pattern, strlen(pattern), &reason);
        if (normal) {
            int count = count_prefixes(arena, normal, subject);

            int ranges = count_ranges(arena, normal, subject);

            unit_check(count < 2 && ranges < 2, "%s: %s", normal, subject);
            if (glob_matches(normal, subject)) {
                unit_check(ranges == 1, "%s: %s", normal, subject);
                unit_check(count == 1, "%s: %s", normal, subject);
                matches++;
            }
        }
        arena_free(arena);
    }
    ck_assert_int_gt(matches, 1000);
}
END_TEST

UNIT_MAIN(glob, matches_by_segments, brings_patterns_into_their_normal_form,
          refuses_patterns_that_no_stream_can_match, limits_bytes_and_segments,
          agrees_with_matching_by_recursion, matches_many_double_stars_in_no_time,
          names_the_prefixes_of_a_search, names_the_ranges_of_patterns,
          every_match_begins_with_exactly_one_prefix)
