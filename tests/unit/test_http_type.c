/* http_type.c: which texts are valid types, their kinds, and which types match. */
#include "protocol/http_type.h"

#include "unit.h"

START_TEST(accepts_types_with_and_without_parameters)
{
    static const char *const types[] = {
        "text/plain",
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=utf-8",
        "text/html ; charset=UTF-8 ; q=1",
        "application/vnd.api+json",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=\"a b;c,d\"",
        "text/plain; x=\"quoted \\\" and \\\\\"",
        "text/plain; x=\"\"",
        "text/plain; x=\"gr\xC3\xBC\xC3\x9F\"",
        "text/plain;",
        "text/plain; ;; a=b",
        "TEXT/PLAIN",
        "*/*",
        "a/b",
        "!#$%&'*+-.^_`|~09/x",
    };

    for (size_t i = 0; i < COUNT(types); i++)
        ck_assert_msg(http_type_is_valid(types[i]), "\"%s\"", types[i]);
}
END_TEST

START_TEST(rejects_malformed_types)
{
    static const char *const types[] = {
        "",
        "text",
        "text/",
        "/plain",
        "/",
        " text/plain",
        "text /plain",
        "text/ plain",
        "text/plain ",
        "text/plain/x",
        "text/plain, text/html",
        "text/plain charset=utf-8",
        "text/plain; charset",
        "text/plain; =utf-8",
        "text/plain; charset=",
        "text/plain; charset =utf-8",
        "text/plain; charset= utf-8",
        "text/plain; charset=a b",
        "text/plain; x=\"open",
        "text/plain; x=\"open\\\"",
        "text/plain; x=\"open\\",
        "text/plain; x=\"a\"b",
        "text/pl\xC3\xA4in",
        "text/plain;x=\xFF",
        "text@x/plain",
    };

    for (size_t i = 0; i < COUNT(types); i++)
        ck_assert_msg(!http_type_is_valid(types[i]), "\"%s\"", types[i]);
}
END_TEST

START_TEST(accepts_token_characters_only)
{
    static const char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "!#$%&'*+-.^_`|~";

    for (int c = 1; c < 256; c++) {
        const char type[] = {'a', (char)c, '/', (char)c, '\0'};

        ck_assert_msg(http_type_is_valid(type) == (strchr(token, c) != NULL), "%s",
                      unit_show(type, 4));
    }
}
END_TEST

START_TEST(rejects_control_characters)
{
    static const char *const around[] = {
        "te%cxt/plain",      "text/pl%cain",      "text/plain%c",         "text/plain;%ca=b",
        "text/plain; a%c=b", "text/plain; a=b%c", "text/plain; a=\"%c\"", "text/plain; a=\"\\%c\""};

    for (size_t i = 0; i < COUNT(around); i++)
        for (int c = 1; c < 128; c = c == 0x1F ? 0x7F : c + 1) {
            const char *hole = strchr(around[i], '%');
            char type[40];

            (void)snprintf(type, sizeof type, "%.*s%c%s", (int)(hole - around[i]), around[i], c,
                           hole + 2);
            ck_assert_msg(!http_type_is_valid(type), "%s", unit_show(type, strlen(type)));
        }
}
END_TEST

START_TEST(tells_json_text_and_binary_apart)
{
    static const struct {
        const char *type;
        enum http_type_kind kind;
    } cases[] = {
        {"application/json", HTTP_TYPE_JSON},
        {"Application/JSON", HTTP_TYPE_JSON},
        {"application/json; charset=utf-8", HTTP_TYPE_JSON},
        {"application/json;charset=utf-8", HTTP_TYPE_JSON},
        {"application/json ; x=y", HTTP_TYPE_JSON},
        {"application/jsonl", HTTP_TYPE_BINARY},
        {"application/json-seq", HTTP_TYPE_BINARY},
        {"application/ndjson", HTTP_TYPE_BINARY},
        {"application/vnd.api+json", HTTP_TYPE_BINARY},
        {"text/json", HTTP_TYPE_TEXT},
        {"text/plain", HTTP_TYPE_TEXT},
        {"TEXT/html; charset=utf-8", HTTP_TYPE_TEXT},
        {"text/x", HTTP_TYPE_TEXT},
        {"textile/plain", HTTP_TYPE_BINARY},
        {"application/text", HTTP_TYPE_BINARY},
        {"application/octet-stream", HTTP_TYPE_BINARY},
        {"application/octet-stream; x=text/plain", HTTP_TYPE_BINARY},
        {"image/png", HTTP_TYPE_BINARY},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_msg(http_type_kind(cases[i].type) == cases[i].kind, "%s", cases[i].type);
}
END_TEST

START_TEST(compares_essences_only)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"text/plain", "text/plain", true},
        {"text/plain", "TEXT/Plain", true},
        {"text/plain", "text/plain; charset=utf-8", true},
        {"text/plain;charset=utf-8", "text/plain ; charset=latin1", true},
        {"text/plain", "text/plainer", false},
        {"text/plain", "text/plai", false},
        {"text/plain", "text/html", false},
        {"text/plain", "", false},
        {"text/plain", "application/json", false},
        {"application/json", "application/vnd.api+json", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_msg(http_type_matches(cases[i].a, cases[i].b) == cases[i].same, "%s and %s",
                      cases[i].a, cases[i].b);
        ck_assert_msg(http_type_matches(cases[i].b, cases[i].a) == cases[i].same, "%s and %s",
                      cases[i].b, cases[i].a);
    }
}
END_TEST

UNIT_MAIN(http_type, accepts_types_with_and_without_parameters, rejects_malformed_types,
          accepts_token_characters_only, rejects_control_characters,
          tells_json_text_and_binary_apart, compares_essences_only)
