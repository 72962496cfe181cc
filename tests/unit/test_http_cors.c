/* http_cors.c: which origins may read an answer, and which headers a page may send. */
#include "http/http_cors.h"

#include "base/buf.h"
#include "config/config.h"
#include "unit.h"

/* Lists in the form of the settings: a NUL after each word, and another one at the end. */
static struct config make_config(const char *origins, const char *headers)
{
    return (struct config){.cors_origin = (char *)(uintptr_t)origins,
                           .cors_headers = (char *)(uintptr_t)headers};
}

static const char *text_of(struct buf *head)
{
    buf_addc(head, '\0');
    return head->data;
}

START_TEST(names_one_of_several_only_when_it_asks)
{
    static const char two[] = "https://a.example\0http://b.example:80\0";
    static const char *const others[] = {
        "",
        "null",
        "https://a.exampl",
        "https://a.example.evil",
        "HTTPS://A.EXAMPLE",
        "*",
        "http://b.example",
    };
    const struct config several = make_config(two, "\0"),
                        one = make_config("https://a.example\0", "\0"),
                        any = make_config("*\0", "\0"), none = make_config("\0", "\0");

    /* the result is the text of the settings, which outlives the request */
    ck_assert_ptr_eq(http_cors_origin(&several, "https://a.example"), two);
    ck_assert_ptr_eq(http_cors_origin(&several, "http://b.example:80"), two + 18);
    for (size_t i = 0; i < COUNT(others); i++)
        ck_assert_ptr_null(http_cors_origin(&several, others[i]));
    ck_assert_ptr_null(http_cors_origin(&several, NULL));
    ck_assert_ptr_null(http_cors_origin(&one, "https://a.example"));
    ck_assert_ptr_null(http_cors_origin(&any, "https://a.example"));
    ck_assert_ptr_null(http_cors_origin(&none, "https://a.example"));
}
END_TEST

START_TEST(says_who_may_see_an_answer_and_warns_caches)
{
    static const struct {
        const char *list, *asked, *begins;
        int64_t credentials;
    } cases[] = {
        {"*\0", "https://a", "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose", 0},
        {"https://a\0", NULL, "Access-Control-Allow-Origin: https://a\r\nAccess-Control-Expose", 1},
        {"https://a\0https://b\0", "https://b",
         "Vary: Origin\r\nAccess-Control-Allow-Origin: https://b\r\nAccess-Control-Expose", 1},
    };
    struct config config;
    struct buf head = {0};

    for (size_t i = 0; i < COUNT(cases); i++) {
        config = make_config(cases[i].list, "\0");
        config.cors_credentials = cases[i].credentials;
        buf_clear(&head);
        http_cors_add(&head, &config, http_cors_origin(&config, cases[i].asked));
        ck_assert_msg(strncmp(text_of(&head), cases[i].begins, strlen(cases[i].begins)) == 0, "%s",
                      head.data);
        ck_assert_int_eq(strstr(head.data, "Allow-Credentials: true") != NULL,
                         cases[i].credentials);
    }
    buf_clear(&head);
    http_cors_add(&head, &config, http_cors_origin(&config, "https://c"));
    ck_assert_str_eq(text_of(&head), "Vary: Origin\r\n");
    config = make_config("\0", "\0");
    buf_clear(&head);
    http_cors_add(&head, &config, NULL);
    ck_assert_str_eq(text_of(&head), "");
    buf_close(&head);
}
END_TEST

START_TEST(lets_a_page_send_what_the_settings_say)
{
    static const struct {
        const char *headers, *wanted, *contains, *lacks;
    } cases[] = {
        {"\0", "x-own", "traceparent", "x-own"},
        {"X-Own\0X-Two\0", "x-three", ", X-Own, X-Two\r\n", "x-three"},
        {"*\0", "x-own, y", ", x-own, y\r\nVary: Access-Control-Request-Headers\r\n", "*"},
        {"*\0", NULL, "Producer-Id", "x-own"},
        {"*\0", "a\r\nX-Evil: 1", ", a, X-Evil, 1\r\n", "X-Evil:"},
        {"*\0", " ,,;()", "newrelic", ";"},
    };
    struct buf head = {0};

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct config config = make_config("*\0", cases[i].headers);

        buf_clear(&head);
        http_cors_add_preflight(&head, &config, "GET", cases[i].wanted);
        ck_assert_msg(strstr(text_of(&head), cases[i].contains) != NULL, "%s", head.data);
        ck_assert_msg(strstr(head.data, cases[i].lacks) == NULL, "%s", head.data);
    }
    buf_close(&head);
}
END_TEST

UNIT_MAIN(http_cors, names_one_of_several_only_when_it_asks,
          says_who_may_see_an_answer_and_warns_caches, lets_a_page_send_what_the_settings_say)
