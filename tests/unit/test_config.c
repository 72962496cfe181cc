/* config.c and config_help.c: the table of settings, what it accepts, and how it is printed. */
#include <ctype.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "config/config_private.h"
#include "unit.h"

static void unset_all(void)
{
    for (size_t i = 0; i < config_table_rows; i++)
        (void)unsetenv(config_table[i].name);
}

/* What config_load() says of one setting; "" when it accepts the value. */
static const char *load_with(const char *name, const char *value)
{
    static char error[200];
    struct config config;

    unset_all();
    (void)setenv(name, value, 1);
    if (config_load(&config, error, sizeof error)) {
        config_close(&config);
        error[0] = '\0';
    }
    return error;
}

START_TEST(every_row_is_complete_and_stands_with_its_group)
{
    for (size_t i = 0; i < config_table_rows; i++) {
        const struct config_row *row = &config_table[i];
        size_t len = strlen(row->help);

        ck_assert_msg(strncmp(row->name, "DS_", 3) == 0, "%s", row->name);
        ck_assert_msg(i == 0 || row->group >= row[-1].group, "%s stands in another group",
                      row->name);
        ck_assert_msg(len > 0 && row->help[len - 1] == '.', "%s: the help lacks a full stop",
                      row->name);
        ck_assert_msg(!strstr(row->help, "  "), "%s: two spaces in the help", row->name);
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(strcmp(config_table[j].name, row->name) != 0 &&
                              config_table[j].field != row->field,
                          "%s is there twice", row->name);
        if (row->kind == NUMBER)
            ck_assert_msg(row->least <= row->number && row->number <= row->most,
                          "%s: its default is not allowed", row->name);
    }
}
END_TEST

START_TEST(a_number_is_whole_and_within_its_bounds)
{
    char value[40], expected[200];

    for (size_t i = 0; i < config_table_rows; i++) {
        const struct config_row *row = &config_table[i];
        const char *wrong[] = {"", "x", "1x", "1.5", "0x10", "99999999999999999999", value};

        if (row->kind != NUMBER)
            continue;
        (void)snprintf(expected, sizeof expected,
                       row->most == 1 ? "%s must be %lld or %lld"
                                      : "%s must be a whole number from %lld to %lld",
                       row->name, (long long)row->least, (long long)row->most);
        (void)snprintf(value, sizeof value, "%lld", (long long)row->least - 1);
        for (size_t w = 0; w < COUNT(wrong); w++)
            ck_assert_str_eq(load_with(row->name, wrong[w]), expected);
        (void)snprintf(value, sizeof value, "%lld", (long long)row->most + 1);
        ck_assert_str_eq(load_with(row->name, value), expected);
        (void)snprintf(value, sizeof value, "%lld", (long long)row->least);
        ck_assert_str_eq(load_with(row->name, value), "");
    }
}
END_TEST

START_TEST(a_choice_is_one_of_its_words)
{
    struct config config;
    char error[200];

    ck_assert_str_eq(load_with("DS_DURABILITY", "ful"),
                     "DS_DURABILITY must be full, normal or memory");
    ck_assert_str_eq(load_with("DS_DURABILITY", ""),
                     "DS_DURABILITY must be full, normal or memory");
    ck_assert_str_eq(load_with("DS_DURABILITY", "full|normal"),
                     "DS_DURABILITY must be full, normal or memory");
    ck_assert_str_eq(load_with("DS_CHECKPOINT", "no"), "DS_CHECKPOINT must be off or on");
    unset_all();
    (void)setenv("DS_CACHE", "off", 1);
    (void)setenv("DS_LOG_LEVEL", "debug", 1);
    ck_assert(config_load(&config, error, sizeof error));
    ck_assert_int_eq(config.cache, CACHE_OFF);
    ck_assert_int_eq(config.log_level, LOG_DEBUG_);
    ck_assert_int_eq(config.durability, DURABILITY_FULL);
    config_close(&config);
}
END_TEST

START_TEST(a_list_takes_spaces_and_commas)
{
    struct config config;
    char error[200];

    unset_all();
    (void)setenv("DS_CORS_ORIGIN", " https://a.example,, https://b.example ", 1);
    ck_assert(config_load(&config, error, sizeof error));
    ck_assert(memcmp(config.cors_origin, "https://a.example\0https://b.example\0",
                     sizeof "https://a.example\0https://b.example\0") == 0);
    config_close(&config);
}
END_TEST

START_TEST(texts_that_make_no_sense_are_refused)
{
    static const struct {
        const char *name, *value, *error; /* NULL: accepted */
    } cases[] = {
        {"DS_BASE_URL", "https://a.example/streams/", NULL},
        {"DS_BASE_URL", "https://a.example:8443", NULL},
        {"DS_BASE_URL", "a.example", "DS_BASE_URL must be "},
        {"DS_BASE_URL", "ftp://a.example", "DS_BASE_URL must be "},
        {"DS_BASE_URL", "https:///streams", "DS_BASE_URL must be "},
        {"DS_BASE_URL", "https://a.example/?x", "DS_BASE_URL must be "},
        {"DS_BASE_URL", "https://a.example/a b", "DS_BASE_URL must be "},
        {"DS_BASE_URL", "https://a.example/\n", "DS_BASE_URL must be "},
        {"DS_REGISTRY", "/v1/stream/__registry__", NULL},
        {"DS_REGISTRY", "off", NULL},
        {"DS_REGISTRY", "v1/stream/x", "DS_REGISTRY must be "},
        {"DS_REGISTRY", "/v1/stream/../x", "DS_REGISTRY must be "},
        {"DS_REGISTRY", "/v1/stream/x?a", "DS_REGISTRY must be "},
        {"DS_HOOK", "/usr/bin/true", NULL},
        {"DS_HOOK", "true", "DS_HOOK must be "},
        {"DS_CORS_ORIGIN", "https://a.example/", "DS_CORS_ORIGIN must be "},
        {"DS_CORS_ORIGIN", "* https://a.example", "DS_CORS_ORIGIN must be "},
        {"DS_CORS_CREDENTIALS", "1", "DS_CORS_CREDENTIALS=1 "},
        {"DS_CORS_HEADERS", "x-a: b", "DS_CORS_HEADERS must be "},
        {"DS_CORS_HEADERS", "x-a, x-b", NULL},
        {"DS_WEBHOOK_ALLOW", "10.0.0.0/8,fd00::/8 worker, *.internal.example 10.0.0.1", NULL},
        {"DS_TRUST_FORWARDED", "1", NULL},
        {"DS_TRUST_FORWARDED", "10.0.0.0/8,::1 192.0.2.1", NULL},
        {"DS_TRUST_FORWARDED", "2", "DS_TRUST_FORWARDED must be "},
        {"DS_TRUST_FORWARDED", "1 10.0.0.0/8", "DS_TRUST_FORWARDED must be "},
        {"DS_TRUST_FORWARDED", "10.0.0.1/8", "DS_TRUST_FORWARDED must be "},
        {"DS_TRUST_FORWARDED", "proxy", "DS_TRUST_FORWARDED must be "},
        {"DS_WEBHOOK_ALLOW", "worker, *", "DS_WEBHOOK_ALLOW: *: must be "},
        {"DS_WEBHOOK_ALLOW", "http://worker", "DS_WEBHOOK_ALLOW: http://worker: must be "},
        {"DS_WEBHOOK_DENY", "metadata.internal 169.254.0.0/16", NULL},
        {"DS_WEBHOOK_DENY", "10.0.0.1/8", "DS_WEBHOOK_DENY: 10.0.0.1/8: the address "},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *expected = cases[i].error ? cases[i].error : "";
        const char *error = load_with(cases[i].name, cases[i].value);

        ck_assert_msg(strncmp(error, expected, strlen(expected)) == 0 && !*error == !*expected,
                      "%s=%s: %s", cases[i].name, cases[i].value, error);
    }
}
END_TEST

/* Everything that one of the two functions prints. The caller frees it. */
static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    print(out);
    (void)fclose(out);
    return text;
}

static int count_of(const char *text, const char *part)
{
    int n = 0;

    for (text = strstr(text, part); text; text = strstr(text + 1, part))
        n++;
    return n;
}

START_TEST(the_help_has_every_setting_with_its_values)
{
    char *help = printed(config_print_help);

    for (size_t i = 0; i < config_table_rows; i++) {
        char start[60];

        (void)snprintf(start, sizeof start, "\n  %s=", config_table[i].name);
        ck_assert_msg(count_of(help, start) == 1, "%s", config_table[i].name);
    }
    ck_assert_ptr_nonnull(strstr(help, "\nLimits\n  DS_"));
    ck_assert_ptr_nonnull(strstr(help, "  DS_WORKERS=4  (1 to 256 threads)\n      Threads "));
    ck_assert_ptr_nonnull(strstr(help, "  DS_CORS_CREDENTIALS=0  (0 or 1)\n"));
    ck_assert_ptr_nonnull(strstr(help, "  DS_DURABILITY=full  (full, normal or memory)\n"));
    ck_assert_ptr_nonnull(strstr(help, "  DS_CHECKPOINT=on  (off or on)\n"));
    ck_assert_ptr_nonnull(strstr(help, "  DS_HOOK=\n"));
    for (const char *line = help; *line; line += strcspn(line, "\n") + 1)
        ck_assert_msg(strcspn(line, "\n") < 80, "%.*s", (int)strcspn(line, "\n"), line);
    free(help);
}
END_TEST

START_TEST(the_manual_page_is_clean_mdoc)
{
    char *page = printed(config_print_man);

    ck_assert_int_eq(count_of(page, ".It Ev DS_"), (int)config_table_rows);
    ck_assert_int_eq(count_of(page, ".Bl "), count_of(page, ".Ss "));
    ck_assert_int_eq(count_of(page, ".Bl "), count_of(page, ".El"));
    ck_assert_ptr_nonnull(strstr(page, "\nAllowed: 65536 to 68719476736 bytes.\n"
                                       "Default: 16777216 (16 MiB).\n"));
    ck_assert_ptr_nonnull(strstr(page, "\nDefault: empty.\n"));
    ck_assert_ptr_nonnull(strstr(page, " \\-\\-listen "));
    for (const char *line = page; *line; line += strcspn(line, "\n") + 1) {
        const char *stop = strstr(line, ". ");

        ck_assert_msg(*line == '.' || !stop || stop > strchr(line, '\n'),
                      "a sentence begins inside a line: %s", line);
        ck_assert_msg(*line != '.' || isupper((unsigned char)line[1]), "not a macro: %s", line);
        ck_assert(*line != '\'' && *line != '\n');
    }
    free(page);
}
END_TEST

/* What config_warn_unknown() logs with these variables, "NAME=value", and no other DS_*. */
static char *warnings(char *const *variables, size_t n)
{
    char *text = calloc(1, 4000);
    int fds[2];

    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(fds[1]);
    log_open(LOG_WARN_);
    ck_assert_int_eq(clearenv(), 0);
    for (size_t i = 0; i < n; i++)
        (void)putenv(variables[i]);
    config_warn_unknown();
    config_warn_unknown(); /* as a responder that inherits the environment does */
    (void)close(STDERR_FILENO);
    for (ssize_t len = 0, got; (got = read(fds[0], text + len, 3999 - (size_t)len)) > 0;)
        len += got;
    (void)close(fds[0]);
    return text;
}

START_TEST(a_misspelt_setting_is_named_once_with_the_one_that_was_meant)
{
    char *set[] = {"DS_WORKER=3",     "DS_DATABSE=secret", "DS_LOG=debug", "DS_TEST_ENDPOINT=1",
                   "DS_=x",           "DS_SOMETHING_=x",   "DS_WORKERS=2", "DS_URL=http://x",
                   "DS_DB=x",         "DS_USER=x",         "DS_HEADER=x",  "DS_LIBEXECDIR=x",
                   "DS_SUB_STREAM=x", "DS_TEST_KEEP=1",    "DSX=1",        "XDS_WORKER=1"};
    char *text = warnings(set, COUNT(set));

    ck_assert_int_eq(count_of(text, "\n"), 6);
    ck_assert_int_eq(
        count_of(text, "warning: DS_WORKER is not a setting; did you mean DS_WORKERS?\n"), 1);
    ck_assert_int_eq(count_of(text, "DS_DATABSE is not a setting; did you mean DS_DATABASE?\n"), 1);
    ck_assert_int_eq(count_of(text, "DS_LOG is not a setting; did you mean DS_LOG_LEVEL?\n"), 1);
    ck_assert_int_eq(
        count_of(text, "DS_TEST_ENDPOINT is not a setting; did you mean DS_TEST_ENDPOINTS?\n"), 1);
    ck_assert_int_eq(count_of(text, "DS_ is not a setting\n"), 1);
    ck_assert_int_eq(count_of(text, "DS_SOMETHING_ is not a setting\n"), 1);
    ck_assert_ptr_null(strstr(text, "secret"));
    free(text);
}
END_TEST

START_TEST(variables_of_a_hook_are_its_own_unless_they_look_misspelt)
{
    char *set[] = {"DS_HOOK=/usr/bin/true", "DS_OUT=/x", "DS_HOOK_TIMEOUT=5"};
    char *text = warnings(set, COUNT(set));

    ck_assert_int_eq(count_of(text, "\n"), 1);
    ck_assert_ptr_nonnull(
        strstr(text, "DS_HOOK_TIMEOUT is not a setting; did you mean DS_HOOK_TIMEOUT_MS?\n"));
    free(text);
}
END_TEST

START_TEST(a_very_long_variable_is_cut)
{
    char *variable = malloc(100001), *set[1] = {variable}, *text;

    ck_assert_ptr_nonnull(variable);
    memset(variable, 'X', 100000);
    memcpy(variable, "DS_", 3);
    memcpy(variable + 99998, "=x", 3);
    text = warnings(set, 1);
    ck_assert_ptr_nonnull(strstr(text, "XXX is not a setting\n"));
    ck_assert_uint_lt(strlen(text), 300);
    free(text);
    free(variable);
}
END_TEST

UNIT_MAIN(config, every_row_is_complete_and_stands_with_its_group,
          a_number_is_whole_and_within_its_bounds, a_choice_is_one_of_its_words,
          a_list_takes_spaces_and_commas, texts_that_make_no_sense_are_refused,
          the_help_has_every_setting_with_its_values, the_manual_page_is_clean_mdoc,
          a_misspelt_setting_is_named_once_with_the_one_that_was_meant,
          variables_of_a_hook_are_its_own_unless_they_look_misspelt, a_very_long_variable_is_cut)
