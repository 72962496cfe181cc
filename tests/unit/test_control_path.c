/* control_path.c: IDs and paths of streams in requests about subscriptions. */
#include "engine/subscription.h"
#include "server/control_path.h"

#include "base/arena.h"
#include "config/config.h"
#include "protocol/path.h"
#include "unit.h"

static struct arena *arena;
static const struct config config = {.max_path_bytes = 64};

START_TEST(the_first_segment_is_reserved_however_many_slashes_precede_it)
{
    static const char *const reserved[] = {
        "/v1/stream/__ds",    "/v1/stream/__ds/",   "/v1/stream/__ds/x",       "/v1/stream//__ds/x",
        "/v1/stream////__ds", "/v1/stream/__ds//x", "/v1/stream/__ds/../x/%2F"};
    static const char *const streams[] = {
        "/v1/stream/__dsx",   "/v1/stream/a/__ds", "/v1/stream/__ds%2Fx", "/__ds/x",
        "/v1//stream/__ds/x", "/v1/stream/_ds",    "/v1/stream/__DS",     "/v1/stream"};

    for (size_t i = 0; i < COUNT(reserved); i++)
        ck_assert_msg(subscription_reserves(reserved[i]), "%s", reserved[i]);
    for (size_t i = 0; i < COUNT(streams); i++)
        ck_assert_msg(!subscription_reserves(streams[i]), "%s", streams[i]);
}
END_TEST

START_TEST(an_id_is_one_segment_decoded_once)
{
    static const char *const ids[][2] = {
        {"a", "a"},
        {"a/claim", "a"},
        {"a%2Fb/ack", "a/b"},
        {"%2541", "%41"},
        {"webhook:x%3Ay", "webhook:x:y"},
        {"%C3%BC%20/streams/x%2Fy", "ü "},
        {"100%25", "100%"},
    };
    char path[100];

    arena = arena_new();
    for (size_t i = 0; i < COUNT(ids); i++) {
        (void)snprintf(path, sizeof path, CONTROL_SUBSCRIPTIONS "%s", ids[i][0]);
        ck_assert_str_eq(control_path_name(arena, path), ids[i][1]);
    }
    arena_free(arena);
}
END_TEST

START_TEST(names_are_short_texts_without_control_characters)
{
    char name[258];

    memset(name, 'x', sizeof name);
    name[256] = '\0';
    ck_assert(subscription_is_name(name));
    name[256] = 'x';
    name[257] = '\0';
    ck_assert(!subscription_is_name(name));
    ck_assert(subscription_is_name("a b/ü:%"));
    ck_assert(!subscription_is_name(""));
    ck_assert(!subscription_is_name("a\nb"));
    ck_assert(!subscription_is_name("a\x7f"));
    ck_assert(!subscription_is_name("\xff"));
    ck_assert(!subscription_is_name("\xed\xa0\x80")); /* a surrogate */
}
END_TEST

/* What follows /streams/ in a request, and the stream that it names; NULL: none. */
static const char *const links[][2] = {
    {"a", "/v1/stream/a"},
    {"a%2Fb", "/v1/stream/a/b"}, /* as encodeURIComponent() makes it of a/b */
    {"a/b", "/v1/stream/a/b"},
    {"%2Fa%2F", "/v1/stream/a"},
    {"/a/", "/v1/stream/a"},
    {"g%2Fx%2520y", "/v1/stream/g/x%20y"}, /* … of g/x%20y */
    {"g/x%20y", "/v1/stream/g/x%20y"},
    {"x%20y", "/v1/stream/x%20y"}, /* encoded once: a space cannot be in a path */
    {"a%3Ab", "/v1/stream/a:b"},
    {"c/a%3Ab", "/v1/stream/c/a%3Ab"}, /* as in the stream's URL */
    {"a%252Fb", "/v1/stream/a%2Fb"},
    {"a/b%2Fc", "/v1/stream/a/b%2Fc"},
    {"%C3%BC", "/v1/stream/%C3%BC"},
    {"a%2F%2Fb", "/v1/stream/a//b"},
    {"a%3F", "/v1/stream/a%3F"},
    {"%252e%252e%2Fx", NULL},
    {"%2500", NULL},
    {"100%25", NULL},
    {"%2F", NULL},
    {"//", NULL},
    {"__ds%2Fx", NULL},
    {"%2F__ds", NULL},
};

START_TEST(a_link_is_one_encoded_segment_or_has_slashes)
{
    arena = arena_new();
    for (size_t i = 0; i < COUNT(links); i++) {
        const char *path =
            arena_printf(arena, CONTROL_SUBSCRIPTIONS "s%%2F1/streams/%s", links[i][0]);
        const char *reason = NULL;
        const char *stream =
            control_path_stream(arena, &config, control_path_link(arena, path), &reason);

        if (!links[i][1])
            ck_assert_msg(!stream && reason && reason != path_no_memory, "%s", links[i][0]);
        else
            ck_assert_msg(stream && strcmp(stream, links[i][1]) == 0, "%s: %s", links[i][0],
                          stream ? stream : reason);
    }
    arena_free(arena);
}
END_TEST

START_TEST(streams_are_named_as_in_their_urls)
{
    const char *reason;
    char longest[64];

    arena = arena_new();
    ck_assert_str_eq(control_path_stream(arena, &config, "%41/%2f", &reason), "/v1/stream/A/%2F");
    ck_assert_str_eq(control_path_stream(arena, &config, "//a//b//", &reason), "/v1/stream/a//b");
    ck_assert_ptr_null(control_path_stream(arena, &config, "", &reason));
    ck_assert_ptr_null(control_path_stream(arena, &config, "a b", &reason));
    ck_assert_ptr_null(control_path_stream(arena, &config, "a?b", &reason));
    ck_assert_ptr_null(control_path_stream(arena, &config, "%5F_ds/x", &reason));
    memset(longest, 'x', sizeof longest);
    longest[53] = '\0'; /* 64 with the root */
    ck_assert_uint_eq(strlen(control_path_stream(arena, &config, longest, &reason)), 64);
    longest[53] = 'x';
    longest[54] = '\0';
    ck_assert_ptr_null(control_path_stream(arena, &config, longest, &reason));
    arena_free(arena);
}
END_TEST

UNIT_MAIN(control_path, the_first_segment_is_reserved_however_many_slashes_precede_it,
          an_id_is_one_segment_decoded_once, names_are_short_texts_without_control_characters,
          a_link_is_one_encoded_segment_or_has_slashes, streams_are_named_as_in_their_urls)
