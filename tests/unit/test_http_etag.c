/* http_etag.c: finds our tag in every form in which web servers return it, and matches no other
   tag. */
#include "http/http_etag.h"

#include "unit.h"

#define OURS "\"s1:0:42\""

static void assert_all(const char *const *lists, size_t count, bool matches)
{
    for (size_t i = 0; i < count; i++) {
        char *list = unit_copy(lists[i], strlen(lists[i]) + 1);

        ck_assert_msg(http_etag_matches(list, OURS) == matches, "%s", lists[i]);
        free(list);
    }
}

START_TEST(finds_the_tag_alone_and_in_lists)
{
    static const char *const lists[] = {
        OURS,
        "  " OURS "\t",
        "\"a\", " OURS,
        OURS ", \"a\"",
        "\"a\"," OURS ",\"b\"",
        "\"a\" , \t" OURS " ,\"b\"",
        "\"\", " OURS,
        "\"a,b\", " OURS, /* a comma inside a tag does not end the element */
        "\"x\\\", " OURS, /* a backslash inside a tag does not escape anything */
        ",, ," OURS,      /* empty elements: RFC 9110 section 5.6.1.2 */
        OURS ",",
        "\"!#~\", " OURS, /* the first and last characters that a tag may contain */
        "\"gr\xC3\xBC\xC3\x9F\", " OURS,
    };

    assert_all(lists, COUNT(lists), true);
}
END_TEST

START_TEST(compares_weakly)
{
    static const char *const lists[] = {"W/" OURS, "W/\"a\", W/" OURS, "\"a\",W/" OURS ",\"b\""};

    assert_all(lists, COUNT(lists), true);
}
END_TEST

START_TEST(knows_its_tag_behind_a_compressing_server)
{
    static const char *const lists[] = {"\"s1:0:42-gzip\"",    "\"s1:0:42-br\"",
                                        "\"s1:0:42-deflate\"", "\"s1:0:42-zstd\"",
                                        "W/\"s1:0:42-gzip\"",  "\"a\", \"s1:0:42-gzip\""};

    assert_all(lists, COUNT(lists), true);
}
END_TEST

START_TEST(takes_a_star_for_any)
{
    static const char *const lists[] = {"*", " * ", "*\t"};

    assert_all(lists, COUNT(lists), true);
}
END_TEST

START_TEST(takes_no_other_tag_for_ours)
{
    static const char *const lists[] = {
        "",
        " ",
        ",",
        "\"\"",
        "\"s1:0:4\"",
        "\"s1:0:421\"",
        "\"s1:0:42:c\"",
        "\"s2:0:42\"",
        "\"xs1:0:42\"",
        "\"S1:0:42\"",
        "\"s1:0:42-\"",
        "\"s1:0:42-gzi\"",
        "\"s1:0:42-gzipp\"",
        "\"s1:0:42-gzip-gzip\"",
        "\"s1:0:42-GZIP\"",
        "\"s1:0:42gzip\"",
        "\"-gzip\"",
        "\"a\", \"b\", \"c\"",
    };

    assert_all(lists, COUNT(lists), false);
}
END_TEST

START_TEST(matches_nothing_behind_a_mistake)
{
    static const char *const lists[] = {
        "s1:0:42", /* no quotes */
        "\"s1:0:42",
        "s1:0:42\"",
        "w/" OURS, /* W is upper-case */
        "W" OURS,
        "W/ " OURS,
        "W/",
        "a, " OURS,
        "\"a\" " OURS, /* no comma */
        OURS "x",
        OURS " \"b\"",
        "\"a b\", " OURS, /* no space inside a tag */
        "\"a\tb\", " OURS,
        "\"a\x7F\", " OURS,
        "\"a, " OURS, /* the first tag, whose quote is open, ends in the middle of ours */
        "\"a\", *",
        "*, " OURS,
        "**",
        OURS "; q=1",
    };

    assert_all(lists, COUNT(lists), false);
}
END_TEST

START_TEST(still_matches_before_a_mistake)
{
    static const char *const lists[] = {OURS ", b", OURS ", \"open", OURS ", *"};

    assert_all(lists, COUNT(lists), true);
}
END_TEST

UNIT_MAIN(http_etag, finds_the_tag_alone_and_in_lists, compares_weakly,
          knows_its_tag_behind_a_compressing_server, takes_a_star_for_any,
          takes_no_other_tag_for_ours, matches_nothing_behind_a_mistake,
          still_matches_before_a_mistake)
