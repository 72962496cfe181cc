/* http_query.c: the first value, decoded; and how often the name occurs. */
#include "http/http_query.h"

#include "base/arena.h"
#include "unit.h"

struct query_case {
    const char *query, *name;
    const char *value; /* NULL: absent */
    size_t len;
    unsigned count;
};

static void assert_cases(const struct query_case *at, size_t cases)
{
    struct arena *arena = arena_new();

    for (; cases > 0; at++, cases--) {
        char *query = unit_copy(at->query, strlen(at->query) + 1);
        unsigned count = 99;
        size_t len = 99;
        const char *value = http_query_get(arena, query, at->name, &len, &count);

        free(query); /* the value must be a copy */
        ck_assert_msg(count == at->count, "%s of %s: found %u times", at->name, at->query, count);
        ck_assert_msg((value != NULL) == (at->value != NULL), "%s of %s", at->name, at->query);
        ck_assert_msg(value || len == 0, "%s of %s: absent, and %zu long", at->name, at->query,
                      len);
        ck_assert_msg(!value || (len == at->len && memcmp(value, at->value, len + 1) == 0),
                      "%s of %s: \"%s\"", at->name, at->query, unit_show(value, len));
    }
    arena_free(arena);
}

START_TEST(finds_a_parameter_among_others)
{
    static const struct query_case cases[] = {
        {"offset=-1", "offset", "-1", 2, 1},
        {"offset=-1&live=sse&cursor=12", "offset", "-1", 2, 1},
        {"offset=-1&live=sse&cursor=12", "live", "sse", 3, 1},
        {"offset=-1&live=sse&cursor=12", "cursor", "12", 2, 1},
        {"a=1&&b=2&", "b", "2", 1, 1},
        {"&b=2", "b", "2", 1, 1},
        {"a=b=c", "a", "b=c", 3, 1},
        {"a=?/", "a", "?/", 2, 1},
        {"a=1;b=2", "a", "1;b=2", 5, 1},
    };

    assert_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(says_when_there_is_none)
{
    static const struct query_case cases[] = {
        {"", "a", NULL, 0, 0},
        {"&", "a", NULL, 0, 0},
        {"&&=&", "a", NULL, 0, 0},
        {"=a", "a", NULL, 0, 0},
        {"b=a", "a", NULL, 0, 0},
        {"offsets=1", "offset", NULL, 0, 0},
        {"offse=1", "offset", NULL, 0, 0},
        {"xoffset=1", "offset", NULL, 0, 0},
        {"Offset=1", "offset", NULL, 0, 0},
        {"offset%00=1", "offset", NULL, 0, 0},
        {"a=1;b=2", "b", NULL, 0, 0},
        {"&&", "", NULL, 0, 0},
    };

    assert_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(tells_an_empty_value_from_none)
{
    static const struct query_case cases[] = {
        {"offset=", "offset", "", 0, 1},
        {"offset", "offset", "", 0, 1},
        {"offset&live=sse", "offset", "", 0, 1},
        {"a=1&offset=&b=2", "offset", "", 0, 1},
    };

    assert_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(takes_the_first_and_counts_the_rest)
{
    static const struct query_case cases[] = {
        {"offset=1&offset=2", "offset", "1", 1, 2},
        {"offset=&offset=2", "offset", "", 0, 2},
        {"offset&x=1&offset=2&off%73et=3", "offset", "", 0, 3},
    };

    assert_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(decodes_values_and_names)
{
    static const struct query_case cases[] = {
        {"a=%41%7a%2F", "a", "Az/", 3, 1},
        {"a=x+y%2Bz%20", "a", "x y+z ", 6, 1},
        {"a=%26%3D", "a", "&=", 2, 1},
        {"a=%00b", "a", "\0b", 2, 1},
        {"a=%c3%bc", "a", "\xC3\xBC", 2, 1},
        {"a=%2541", "a", "%41", 3, 1}, /* once, not twice */
        {"%6fffset=now", "offset", "now", 3, 1},
        {"a+b=1", "a b", "1", 1, 1},
        {"a%3Db=1", "a=b", "1", 1, 1},
    };

    assert_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(leaves_malformed_encodings_as_they_are)
{
    static const struct query_case cases[] = {
        {"a=%", "a", "%", 1, 1},       {"a=%4", "a", "%4", 2, 1},   {"a=%zz", "a", "%zz", 3, 1},
        {"a=%4&b=1", "a", "%4", 2, 1}, /* does not borrow from the next parameter */
        {"a=%&41", "a", "%", 1, 1},    {"a=%%41", "a", "%A", 2, 1}, {"%=1", "%", "1", 1, 1},
        {"a%4=1", "a%4", "1", 1, 1},
    };

    assert_cases(cases, COUNT(cases));
}
END_TEST

UNIT_MAIN(http_query, finds_a_parameter_among_others, says_when_there_is_none,
          tells_an_empty_value_from_none, takes_the_first_and_counts_the_rest,
          decodes_values_and_names, leaves_malformed_encodings_as_they_are)
