/* Which part of a URL is the prefix of a program in a folder, and which one names the stream. */
#include "base/arena.h"
#include "config/config.h"
#include "http/http_request.h"
#include "unit.h"

static struct arena *arena;
static struct http_request request;

static void add(const struct config *config, const char *name, const char *value)
{
    if (value)
        ck_assert(http_request_add(&request, arena, config, name, strlen(name), value));
}

static int parse(const struct config *config, const char *uri, const char *script,
                 const char *path_info)
{
    const char *reason = "";

    memset(&request, 0, sizeof request);
    add(config, "REQUEST_METHOD", "GET");
    add(config, "REQUEST_URI", uri);
    add(config, "SCRIPT_NAME", script);
    add(config, "PATH_INFO", path_info);
    add(config, "HTTP_HOST", "h.example");
    return http_request_parse(&request, arena, config, &reason);
}

static struct config make_config(const char *base_url, const char *base_path)
{
    return (struct config){.base_url = (char *)(uintptr_t)base_url,
                           .base_path = base_path,
                           .cors_origin = (char *)(uintptr_t) "\0",
                           .trusted_proxies = (char *)(uintptr_t) "0\0",
                           .max_path_bytes = 2048,
                           .max_header_bytes = 8192};
}

START_TEST(parameters_are_found_by_their_names)
{
    static const char *const names[HTTP_PARAMS] = {
        [PARAM_METHOD] = "REQUEST_METHOD",
        [PARAM_TARGET] = "REQUEST_URI",
        [PARAM_REMOTE_ADDR] = "REMOTE_ADDR",
        [PARAM_SCRIPT_NAME] = "SCRIPT_NAME",
        [PARAM_PATH_INFO] = "PATH_INFO",
        [PARAM_SCHEME] = "REQUEST_SCHEME",
        [PARAM_HTTPS] = "HTTPS",
        [PARAM_SERVER_NAME] = "SERVER_NAME",
        [PARAM_SERVER_PORT] = "SERVER_PORT",
        [PARAM_SERVER_SOFTWARE] = "SERVER_SOFTWARE",
        [PARAM_CONTENT_TYPE] = "CONTENT_TYPE",
        [PARAM_SENT_TYPE] = "HTTP_CONTENT_TYPE",
        [PARAM_CONTENT_LENGTH] = "CONTENT_LENGTH",
        [PARAM_CONTENT_ENCODING] = "HTTP_CONTENT_ENCODING",
        [PARAM_HOST] = "HTTP_HOST",
        [PARAM_AUTHORIZATION] = "HTTP_AUTHORIZATION",
        [PARAM_ACCEPT_ENCODING] = "HTTP_ACCEPT_ENCODING",
        [PARAM_IF_NONE_MATCH] = "HTTP_IF_NONE_MATCH",
        [PARAM_ORIGIN] = "HTTP_ORIGIN",
        [PARAM_REQUEST_HEADERS] = "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
        [PARAM_LAST_EVENT_ID] = "HTTP_LAST_EVENT_ID",
        [PARAM_FORWARDED_HOST] = "HTTP_X_FORWARDED_HOST",
        [PARAM_FORWARDED_PROTO] = "HTTP_X_FORWARDED_PROTO",
        [PARAM_PRODUCER_EPOCH] = "HTTP_PRODUCER_EPOCH",
        [PARAM_PRODUCER_ID] = "HTTP_PRODUCER_ID",
        [PARAM_PRODUCER_SEQ] = "HTTP_PRODUCER_SEQ",
        [PARAM_STREAM_CLOSED] = "HTTP_STREAM_CLOSED",
        [PARAM_STREAM_EXPIRES_AT] = "HTTP_STREAM_EXPIRES_AT",
        [PARAM_STREAM_FORK_OFFSET] = "HTTP_STREAM_FORK_OFFSET",
        [PARAM_STREAM_FORK_SUB_OFFSET] = "HTTP_STREAM_FORK_SUB_OFFSET",
        [PARAM_STREAM_FORKED_FROM] = "HTTP_STREAM_FORKED_FROM",
        [PARAM_STREAM_SEQ] = "HTTP_STREAM_SEQ",
        [PARAM_STREAM_TTL] = "HTTP_STREAM_TTL",
        [PARAM_TEST_KILL] = "HTTP_X_TEST_KILL",
    };
    const struct config config = make_config("", "");
    char near[40];

    arena = arena_new();
    for (int i = 0; i < HTTP_PARAMS; i++) {
        memset(&request, 0, sizeof request);
        /* a letter added, removed or changed at either end makes another name */
        (void)snprintf(near, sizeof near, "%sX", names[i]);
        add(&config, near, "other");
        near[strlen(names[i]) - 1] = '\0';
        add(&config, near, "other");
        (void)snprintf(near, sizeof near, "x%s", names[i] + 1);
        add(&config, near, "other");
        (void)snprintf(near, sizeof near, "%.*sx", (int)strlen(names[i]) - 1, names[i]);
        add(&config, near, "other");
        for (int j = 0; j < HTTP_PARAMS; j++)
            ck_assert_msg(!request.param[j], "%s, %s", names[i], names[j]);
        add(&config, names[i], "first");
        add(&config, names[i], "second");
        for (int j = 0; j < HTTP_PARAMS; j++)
            ck_assert_msg(i == j ? request.param[j] && strcmp(request.param[j], "first") == 0
                                 : !request.param[j],
                          "%s, %s", names[i], names[j]);
    }
    arena_free(arena);
}
END_TEST

START_TEST(other_parameters_are_passed_over)
{
    const struct config config = make_config("", "");
    char name[100];

    arena = arena_new();
    memset(&request, 0, sizeof request);
    for (size_t len = 0; len < sizeof name; len++) {
        memset(name, 'D', len); /* several names end like this */
        name[len] = '\0';
        add(&config, name, "other");
    }
    for (int i = 0; i < HTTP_PARAMS; i++)
        ck_assert_ptr_null(request.param[i]);
    arena_free(arena);
}
END_TEST

START_TEST(prefix_is_what_stands_before_path_info)
{
    static const struct {
        const char *uri, *script, *path_info, *prefix, *path;
    } cases[] = {
        /* the program is not in a folder */
        {"/v1/stream/a", NULL, NULL, "", "/v1/stream/a"},
        {"/v1/stream/a", "", "/v1/stream/a", "", "/v1/stream/a"},
        {"/v1/stream/a%2fb%41//c", "/v1/stream/a%2fbA//c", NULL, "", "/v1/stream/a%2FbA//c"},
        {"/v1/stream/a", "/app.fcgi", NULL, "", "/v1/stream/a"},
        {"/x/v1/y", NULL, NULL, "", "/x/v1/y"},
        /* Apache: direct, rewritten, cgi-bin, encoded prefix */
        {"/~ann/s.cgi/v1/stream/a%2fb%41//c?x", "/~ann/s.cgi", "/v1/stream/a%2fbA/c", "/~ann/s.cgi",
         "/v1/stream/a%2FbA//c"},
        {"/~ann/v1/stream/a%2fb%41//c?x", "/~ann/s.cgi", "/v1/stream/a%2fbA/c", "/~ann",
         "/v1/stream/a%2FbA//c"},
        {"/v1/stream/a", "/s.cgi", "/v1/stream/a", "", "/v1/stream/a"},
        {"/cgi-bin/s/v1/stream/a", "/cgi-bin/s", "/v1/stream/a", "/cgi-bin/s", "/v1/stream/a"},
        {"/%7Eann/s%2ecgi/v1/a", "/~ann/s.cgi", "/v1/a", "/%7Eann/s%2ecgi", "/v1/a"},
        {"/~ann/s.cgi/v1/a%252fb", "/~ann/s.cgi", "/v1/a%2fb", "/~ann/s.cgi", "/v1/a%252fb"},
        {"/~ann/s.cgi/health", "/~ann/s.cgi", "/health", "/~ann/s.cgi", "/health"},
        /* lighttpd decodes %2f as well */
        {"/~ann/v1/stream/a%2Fb", "/~ann/s.cgi", "/v1/stream/a/b", "/~ann", "/v1/stream/a%2Fb"},
        /* /v1/ in the prefix, in the name, and both */
        {"/v1/x/v1/y", "/v1/x", "/v1/y", "/v1/x", "/v1/y"},
        {"/s.cgi/v1/x/v1/y", "/s.cgi", "/v1/x/v1/y", "/s.cgi", "/v1/x/v1/y"},
        {"/s.cgi//v1/x", "/s.cgi", "/v1/x", "/s.cgi/", "/v1/x"},
        /* a web server that searched its document root passes no prefix */
        {"/v1/stream/a", "/v1", "/stream/a", "", "/v1/stream/a"},
        {"/s.cgi", "/s.cgi", NULL, "", "/s.cgi"},
    };
    const struct config config = make_config("", "");

    arena = arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_msg(parse(&config, cases[i].uri, cases[i].script, cases[i].path_info) == 0, "%s",
                      cases[i].uri);
        ck_assert_msg(strcmp(request.prefix, cases[i].prefix) == 0, "%s: prefix \"%s\"",
                      cases[i].uri, request.prefix);
        ck_assert_msg(strcmp(request.path, cases[i].path) == 0, "%s: path \"%s\"", cases[i].uri,
                      request.path);
    }
    arena_free(arena);
}
END_TEST

START_TEST(base_url_says_the_prefix_itself)
{
    const struct config config = make_config("https://h.example/streams", "/streams");

    arena = arena_new();
    ck_assert_int_eq(parse(&config, "/streams/v1/stream/a", NULL, NULL), 0);
    ck_assert_str_eq(request.path, "/v1/stream/a");
    ck_assert_str_eq(http_request_url(&request, arena, &config),
                     "https://h.example/streams/v1/stream/a");
    /* a web server that has already removed the prefix */
    ck_assert_int_eq(parse(&config, "/v1/stream/a", "/x", "/v1/stream/a"), 0);
    ck_assert_str_eq(http_request_url(&request, arena, &config),
                     "https://h.example/streams/v1/stream/a");
    arena_free(arena);
}
END_TEST

START_TEST(base_url_without_a_prefix_changes_no_names)
{
    const struct config config = make_config("https://h.example", "");

    arena = arena_new();
    ck_assert_int_eq(parse(&config, "/y/v1/stream/a", "/y", "/v1/stream/a"), 0);
    ck_assert_str_eq(request.path, "/v1/stream/a");
    ck_assert_str_eq(http_request_url(&request, arena, &config), "https://h.example/y/v1/stream/a");
    arena_free(arena);
}
END_TEST

START_TEST(location_and_fork_sources_are_urls_of_the_client)
{
    const struct config config = make_config("", "");
    const char *reason;

    arena = arena_new();
    ck_assert_int_eq(parse(&config, "/~ann/v1/a", "/~ann/s.cgi", "/v1/a"), 0);
    ck_assert_str_eq(http_request_url(&request, arena, &config), "http://h.example/~ann/v1/a");
    ck_assert_str_eq(http_request_base(&request, arena, &config), "http://h.example/~ann");
    ck_assert_str_eq(http_request_sibling(&request, arena, &config, "/~ann/v1/b", &reason),
                     "/v1/b");
    ck_assert_str_eq(http_request_sibling(&request, arena, &config, "/~ann/s.cgi/v1/b", &reason),
                     "/v1/b");
    ck_assert_str_eq(http_request_sibling(&request, arena, &config, "/v1/b", &reason), "/v1/b");
    ck_assert_int_eq(parse(&config, "/~ann/s.cgi/v1/a", "/~ann/s.cgi", "/v1/a"), 0);
    ck_assert_str_eq(http_request_sibling(&request, arena, &config, "/~ann/v1/b", &reason),
                     "/v1/b");
    ck_assert_int_eq(parse(&config, "/v1/a", "/s.cgi", "/v1/a"), 0);
    ck_assert_str_eq(http_request_sibling(&request, arena, &config, "/s.cgi/v1/b", &reason),
                     "/v1/b");
    ck_assert_ptr_null(http_request_sibling(&request, arena, &config, "v1/b", &reason));
    arena_free(arena);
}
END_TEST

START_TEST(location_is_what_the_first_proxy_saw)
{
    static const struct {
        const char *proto, *host, *url;
    } cases[] = {
        {"https", "a.example", "https://a.example/v1/a"},
        {"https, http", "a.example, b.example:8080", "https://a.example/v1/a"},
        {" HTTPS\t,http", "\ta.example:8443 , b.example", "https://a.example:8443/v1/a"},
        {", ,https", ",, a.example", "https://a.example/v1/a"},
        {"https", "[2001:db8::1]:80, b", "https://[2001:db8::1]:80/v1/a"},
        {"http", "a_b-c.example", "http://a_b-c.example/v1/a"},
        /* invalid values are ignored, and the request itself counts */
        {"", "", "http://h.example/v1/a"},
        {",", " , ", "http://h.example/v1/a"},
        {"javascript, https", "a.example/../x", "http://h.example/v1/a"},
        {"https://x", "u@a.example", "http://h.example/v1/a"},
        {"https http", "a b", "http://h.example/v1/a"},
        {"\"https\"", "a.example;b", "http://h.example/v1/a"},
        {"wss", "%61.example", "http://h.example/v1/a"},
        {"https", ":80", "https://h.example/v1/a"},
        {"https", "a:b", "https://h.example/v1/a"},
        {"https", "a:80:80", "https://h.example/v1/a"},
        {"https", "[::1", "https://h.example/v1/a"},
        {"https", "[x]", "https://h.example/v1/a"},
        {"https", "[::1]x", "https://h.example/v1/a"},
        {"https", "a]", "https://h.example/v1/a"},
    };
    struct config config = make_config("", "");

    arena = arena_new();
    config.trusted_proxies = (char *)(uintptr_t) "1\0";
    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(parse(&config, "/v1/a", NULL, NULL), 0);
        add(&config, "HTTP_X_FORWARDED_PROTO", cases[i].proto);
        add(&config, "HTTP_X_FORWARDED_HOST", cases[i].host);
        /* a proxy that adds its own line to the client's */
        add(&config, "HTTP_X_FORWARDED_PROTO", "http");
        add(&config, "HTTP_X_FORWARDED_HOST", "later.example");
        ck_assert_str_eq(http_request_url(&request, arena, &config), cases[i].url);
    }
    arena_free(arena);
}
END_TEST

START_TEST(a_list_of_proxies_says_who_is_believed)
{
    static const struct {
        const char *list, *from;
        bool believed;
    } cases[] = {
        {"0\0", "10.1.2.3", false},
        {"1\0", "192.0.2.1", true},
        {"1\0", NULL, true},
        {"10.0.0.0/8\0::1\0", "10.1.2.3", true},
        {"10.0.0.0/8\0::1\0", "::1", true},
        {"10.0.0.0/8\0::1\0", "::ffff:10.1.2.3", true},
        {"10.0.0.0/8\0::1\0", "11.1.2.3", false},
        {"10.0.0.0/8\0::1\0", "10.1.2.3, 11.1.2.3", false},
        {"10.0.0.0/8\0::1\0", "", false},
        {"10.0.0.0/8\0::1\0", NULL, false},
        {"", "10.1.2.3", false},
    };
    struct config config = make_config("", "");

    arena = arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        config.trusted_proxies = (char *)(uintptr_t)cases[i].list;
        ck_assert_int_eq(parse(&config, "/v1/a", NULL, NULL), 0);
        if (cases[i].from)
            add(&config, "REMOTE_ADDR", cases[i].from);
        /* a client's own header lines of such names change nothing */
        add(&config, "HTTP_REMOTE_ADDR", "10.1.2.3");
        add(&config, "HTTP_X_FORWARDED_PROTO", "https");
        add(&config, "HTTP_X_FORWARDED_HOST", "a.example");
        ck_assert_str_eq(http_request_url(&request, arena, &config),
                         cases[i].believed ? "https://a.example/v1/a" : "http://h.example/v1/a");
    }
    arena_free(arena);
}
END_TEST

/* The result of parse() for two values of a header, passed as two parameters or as one. */
static int parse_two(const struct config *config, const char *name, const char *one,
                     const char *other, const char **reason)
{
    *reason = "";
    memset(&request, 0, sizeof request);
    add(config, "REQUEST_METHOD", "POST");
    add(config, "REQUEST_URI", "/v1/stream/a");
    add(config, name, one);
    add(config, name, other);
    return http_request_parse(&request, arena, config, reason);
}

START_TEST(a_header_of_the_protocol_comes_once)
{
    static const char *const names[] = {
        "HTTP_PRODUCER_ID",        "HTTP_PRODUCER_EPOCH",
        "HTTP_PRODUCER_SEQ",       "HTTP_STREAM_SEQ",
        "HTTP_STREAM_TTL",         "HTTP_STREAM_EXPIRES_AT",
        "HTTP_STREAM_CLOSED",      "HTTP_STREAM_FORKED_FROM",
        "HTTP_STREAM_FORK_OFFSET", "HTTP_STREAM_FORK_SUB_OFFSET",
    };
    const struct config config = make_config("", "");
    const char *reason;

    arena = arena_new();
    for (size_t i = 0; i < COUNT(names); i++) {
        ck_assert_int_eq(parse_two(&config, names[i], "1", "2", &reason), 400);
        ck_assert_ptr_nonnull(strstr(reason, "must be sent once"));
        ck_assert_int_eq(parse_two(&config, names[i], "1", "1", &reason), 400);
        ck_assert_int_eq(parse_two(&config, names[i], "", "", &reason), 400);
        ck_assert_int_eq(parse_two(&config, names[i], "1, 2", NULL, &reason), 400);
        ck_assert_int_eq(parse_two(&config, names[i], "1, 1", NULL, &reason), 400);
        ck_assert_int_eq(parse_two(&config, names[i], "1,2", NULL, &reason), 0);
        ck_assert_int_eq(parse_two(&config, names[i], "1", NULL, &reason), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        const char *name = i == 0   ? "HTTP_CONTENT_ENCODING"
                           : i == 1 ? "HTTP_CONTENT_TYPE"
                                    : "HTTP_AUTHORIZATION";

        ck_assert_int_eq(parse_two(&config, name, "a/b", "c/d", &reason), 400);
        ck_assert_int_eq(parse_two(&config, name, "a/b; c=\"d, e\"", NULL, &reason), 0);
    }
    ck_assert_int_eq(parse_two(&config, "HTTP_IF_NONE_MATCH", "\"a\"", "\"b\"", &reason), 0);
    arena_free(arena);
}
END_TEST

START_TEST(long_credentials_are_for_somebody_else)
{
    struct config config = make_config("", "");
    static char ticket[300];

    config.max_header_bytes = 256;
    memset(ticket, 'x', sizeof ticket - 1);
    arena = arena_new();
    ck_assert_int_eq(parse(&config, "/v1/stream/a", NULL, NULL), 0);
    add(&config, "HTTP_AUTHORIZATION", ticket);
    ck_assert(!request.too_long);
    ck_assert_ptr_null(request.param[PARAM_AUTHORIZATION]);
    add(&config, "HTTP_IF_NONE_MATCH", ticket);
    ck_assert(request.too_long);
    arena_free(arena);
}
END_TEST

START_TEST(knows_a_body_that_is_coded)
{
    static const char *const coded[] = {
        "gzip", "GZIP", "br", "identity, gzip", ", x", "identityx", "gzip, identity", "ident"};
    static const char *const plain[] = {"identity", "Identity", " identity ,identity",
                                        "",         " ",        ","};
    const struct config config = make_config("", "");

    arena = arena_new();
    memset(&request, 0, sizeof request);
    ck_assert(!http_request_is_coded(&request));
    for (size_t i = 0; i < COUNT(coded); i++) {
        memset(&request, 0, sizeof request);
        add(&config, "HTTP_CONTENT_ENCODING", coded[i]);
        ck_assert_msg(http_request_is_coded(&request), "%s", coded[i]);
    }
    for (size_t i = 0; i < COUNT(plain); i++) {
        memset(&request, 0, sizeof request);
        add(&config, "HTTP_CONTENT_ENCODING", plain[i]);
        ck_assert_msg(!http_request_is_coded(&request), "%s", plain[i]);
    }
    arena_free(arena);
}
END_TEST

START_TEST(many_places_for_a_prefix_cost_little)
{
    const struct config config = make_config("", "");
    static char uri[60000], path_info[60000];

    for (size_t i = 0; i + 4 < sizeof uri; i += 3) {
        memcpy(uri + i, "/v1", 4);
        memcpy(path_info + i, "/v1", 4);
    }
    strcat(path_info, "/x");
    arena = arena_new();
    ck_assert_int_eq(parse(&config, uri, "/s.cgi", path_info), 414);
    arena_free(arena);
}
END_TEST

UNIT_MAIN(http_request, parameters_are_found_by_their_names, other_parameters_are_passed_over,
          prefix_is_what_stands_before_path_info, base_url_says_the_prefix_itself,
          base_url_without_a_prefix_changes_no_names,
          location_and_fork_sources_are_urls_of_the_client, location_is_what_the_first_proxy_saw,
          a_list_of_proxies_says_who_is_believed, a_header_of_the_protocol_comes_once,
          long_credentials_are_for_somebody_else, knows_a_body_that_is_coded,
          many_places_for_a_prefix_cost_little)
