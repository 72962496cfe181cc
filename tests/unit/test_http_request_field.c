/* The header lines of HTTP that a request takes, by their names, and what a second one does. */
#include "base/arena.h"
#include "config/config.h"
#include "http/http_head.h"
#include "http/http_request.h"
#include "unit.h"

static struct arena *arena;
static struct http_request request;

static struct config make_config(void)
{
    return (struct config){.cors_origin = (char *)(uintptr_t) "\0", .max_header_bytes = 8192};
}

static void add_field(const struct config *config, const char *name, const char *value)
{
    struct http_field field = {name, value, strlen(name), strlen(value)};

    ck_assert(http_request_add_field(&request, arena, config, &field));
}

START_TEST(header_lines_are_found_by_their_names)
{
    static const struct {
        const char *name;
        enum http_param param;
    } fields[] = {
        {"Content-Type", PARAM_CONTENT_TYPE},
        {"Content-Encoding", PARAM_CONTENT_ENCODING},
        {"Host", PARAM_HOST},
        {"Authorization", PARAM_AUTHORIZATION},
        {"Accept-Encoding", PARAM_ACCEPT_ENCODING},
        {"If-None-Match", PARAM_IF_NONE_MATCH},
        {"Origin", PARAM_ORIGIN},
        {"Access-Control-Request-Headers", PARAM_REQUEST_HEADERS},
        {"Last-Event-ID", PARAM_LAST_EVENT_ID},
        {"X-Forwarded-Host", PARAM_FORWARDED_HOST},
        {"X-Forwarded-Proto", PARAM_FORWARDED_PROTO},
        {"Producer-Epoch", PARAM_PRODUCER_EPOCH},
        {"Producer-Id", PARAM_PRODUCER_ID},
        {"Producer-Seq", PARAM_PRODUCER_SEQ},
        {"Stream-Closed", PARAM_STREAM_CLOSED},
        {"Stream-Expires-At", PARAM_STREAM_EXPIRES_AT},
        {"Stream-Fork-Offset", PARAM_STREAM_FORK_OFFSET},
        {"Stream-Fork-Sub-Offset", PARAM_STREAM_FORK_SUB_OFFSET},
        {"Stream-Forked-From", PARAM_STREAM_FORKED_FROM},
        {"Stream-Seq", PARAM_STREAM_SEQ},
        {"Stream-TTL", PARAM_STREAM_TTL},
    };
    const struct config config = make_config();
    char name[60];

    arena = arena_new();
    for (size_t i = 0; i < COUNT(fields); i++)
        for (int form = 0; form < 4; form++) { /* as it is, lower case, upper case, with a "_" */
            (void)snprintf(name, sizeof name, "%s", fields[i].name);
            for (char *at = name; *at; at++)
                if (form == 1)
                    *at = (char)(*at | (*at == '-' ? 0 : 0x20));
                else if (form == 2)
                    *at = (char)(*at & (*at == '-' ? 0xff : ~0x20));
                else if (form == 3 && *at == '-')
                    *at = '_';
            memset(&request, 0, sizeof request);
            add_field(&config, name, "value");
            for (int param = 0; param < HTTP_PARAMS; param++)
                ck_assert_msg((request.param[param] != NULL) ==
                                  (param == (int)fields[i].param && !strchr(name, '_')),
                              "%s: %d", name, param);
            ck_assert_ptr_null(request.repeated);
        }
    arena_free(arena);
}
END_TEST

START_TEST(header_lines_are_no_other_parameters)
{
    static const char *const others[] = {
        "Request-Method",
        "REQUEST_METHOD",
        "Request-Uri",
        "HTTPS",
        "Script-Name",
        "Path-Info",
        "HTTP_HOST",
        "Http-Host",
        "Server-Name",
        "Server-Port",
        "Content-Typ",
        "Content-Types",
        "Content Type",
        "Hos",
        "Hostt",
        "",
        "-",
        "_",
    };
    const struct config config = make_config();
    char name[100];

    arena = arena_new();
    memset(&request, 0, sizeof request);
    for (size_t i = 0; i < COUNT(others); i++)
        add_field(&config, others[i], "other");
    for (size_t len = 0; len < sizeof name; len++) {
        memset(name, 'D', len);
        name[len] = '\0';
        add_field(&config, name, "other");
    }
    for (int i = 0; i < HTTP_PARAMS; i++)
        ck_assert_msg(!request.param[i], "%d", i);
    arena_free(arena);
}
END_TEST

START_TEST(a_second_line_is_refused_or_joined)
{
    static const struct {
        const char *name, *repeated; /* NULL: joined, or the first one counts */
        const char *value;
        enum http_param param;
    } fields[] = {
        {"content-type", "Content-Type", "a", PARAM_CONTENT_TYPE},
        {"content-encoding", "Content-Encoding", "a", PARAM_CONTENT_ENCODING},
        {"authorization", "Authorization", "a", PARAM_AUTHORIZATION},
        {"producer-id", "Producer-Id", "a", PARAM_PRODUCER_ID},
        {"stream-ttl", "Stream-TTL", "a", PARAM_STREAM_TTL},
        {"if-none-match", NULL, "a, b", PARAM_IF_NONE_MATCH},
        {"accept-encoding", NULL, "a, b", PARAM_ACCEPT_ENCODING},
        {"access-control-request-headers", NULL, "a, b", PARAM_REQUEST_HEADERS},
        {"x-forwarded-host", NULL, "a, b", PARAM_FORWARDED_HOST},
        {"x-forwarded-proto", NULL, "a, b", PARAM_FORWARDED_PROTO},
        {"origin", NULL, "a", PARAM_ORIGIN},
        {"last-event-id", NULL, "a", PARAM_LAST_EVENT_ID},
    };
    struct config config = make_config();

    arena = arena_new();
    for (size_t i = 0; i < COUNT(fields); i++) {
        memset(&request, 0, sizeof request);
        add_field(&config, fields[i].name, "a");
        ck_assert_ptr_null(request.repeated);
        add_field(&config, fields[i].name, "b");
        ck_assert_str_eq(request.param[fields[i].param], fields[i].value);
        ck_assert_msg((request.repeated != NULL) == (fields[i].repeated != NULL), "%s",
                      fields[i].name);
        if (fields[i].repeated)
            ck_assert_str_eq(request.repeated, fields[i].repeated);
        ck_assert(!request.too_long);
    }
    /* together they have the limit of one */
    config.max_header_bytes = 10;
    for (int more = 0; more < 2; more++) {
        memset(&request, 0, sizeof request);
        add_field(&config, "If-None-Match", "1234");
        add_field(&config, "If-None-Match", more ? "12345" : "1234");
        ck_assert_int_eq(request.too_long, more);
    }
    arena_free(arena);
}
END_TEST

UNIT_MAIN(http_request_field, header_lines_are_found_by_their_names,
          header_lines_are_no_other_parameters, a_second_line_is_refused_or_joined)
