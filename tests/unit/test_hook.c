/* The hook: the input of a program, and its end when its time is up. */
#include "base/clock.h"
#include "protocol/json.h"
#include "server/hook.h"
#include "store_unit.h"

#include <sys/stat.h>

struct place {
    char folder[32], out[64];
    struct config config;
};

static void open_place(struct place *place, const char *script)
{
    char path[64], error[160];
    FILE *file;

    log_open(LOG_ERR_);
    (void)strcpy(place->folder, "/tmp/ds-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place->folder));
    (void)snprintf(place->out, sizeof place->out, "%s/out", place->folder);
    (void)snprintf(path, sizeof path, "%s/hook.sh", place->folder);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(file, "#!/bin/sh\n%s\n", script);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0700), 0);
    (void)setenv("DS_HOOK", path, 1);
    (void)setenv("DS_OUT", place->out, 1);
    (void)setenv("DS_HOOK_PROCESSES", "1", 1);
    ck_assert_msg(config_load(&place->config, error, sizeof error), "%s", error);
}

static void close_place(struct place *place)
{
    config_close(&place->config);
    (void)nftw(place->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Returns what the program has written, in a static buffer. */
static const char *written(const struct place *place)
{
    static char text[4096];
    FILE *file = fopen(place->out, "r");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;

    if (file)
        (void)fclose(file);
    text[len] = '\0';
    return text;
}

static void tell(struct hook *hook, enum ds_event_kind kind, const char *path, const char *type)
{
    struct ds_event event = {kind, path, type, 5, 7};

    hook_tell(hook, &event);
}

START_TEST(runs_its_program_for_each_event_in_order)
{
    for (int thread = 0; thread < 2; thread++) {
        struct place place;
        struct hook *hook;

        open_place(&place, "cat >>\"$DS_OUT\"");
        ck_assert_int_eq(hook_start(&hook, &place.config, thread), DS_OK);
        tell(hook, DS_EVENT_CREATED, "/a", "text/plain; x=\"\\y\"");
        tell(hook, DS_EVENT_DELETED, "/b", "a/b");
        hook_stop(hook, clock_monotonic_ms() + 20000);
        ck_assert_str_eq(written(&place),
                         "{\"type\":\"created\",\"path\":\"/a\",\"contentType\":\"text/plain; "
                         "x=\\\"\\\\y\\\"\",\"createdAt\":5,\"timestamp\":7}\n"
                         "{\"type\":\"deleted\",\"path\":\"/b\",\"contentType\":\"a/b\","
                         "\"createdAt\":5,\"timestamp\":7}\n");
        close_place(&place);
    }
}
END_TEST

START_TEST(writes_valid_json_for_any_content_type)
{
    struct place place;
    struct hook *hook;
    const char *text;

    open_place(&place, "cat >>\"$DS_OUT\"");
    ck_assert_int_eq(hook_start(&hook, &place.config, true), DS_OK);
    tell(hook, DS_EVENT_CREATED, "/a", "a/b; c=\"\xFF\xC3\xA9\x01\"");
    hook_stop(hook, clock_monotonic_ms() + 20000);
    text = written(&place);
    ck_assert_ptr_null(json_precheck(text, strlen(text)));
    ck_assert(json_is_valid(text, strlen(text)));
    ck_assert_ptr_nonnull(strstr(text, "c=\\\"\xEF\xBF\xBD\xC3\xA9\\u0001\\\""));
    close_place(&place);
}
END_TEST

START_TEST(stops_in_time_even_if_its_program_hangs)
{
    for (int thread = 0; thread < 2; thread++) {
        struct place place;
        struct hook *hook;
        int64_t began = clock_monotonic_ms();

        open_place(&place, "echo x >>\"$DS_OUT\"; sleep 1000");
        ck_assert_int_eq(hook_start(&hook, &place.config, thread), DS_OK);
        for (int i = 0; i < 5; i++)
            tell(hook, DS_EVENT_CREATED, "/a", "a/b");
        hook_stop(hook, clock_monotonic_ms() + 500);
        ck_assert_int_lt(clock_monotonic_ms() - began, 30000);
        ck_assert_str_eq(written(&place), "x\n");
        close_place(&place);
    }
}
END_TEST

UNIT_MAIN(hook, runs_its_program_for_each_event_in_order, writes_valid_json_for_any_content_type,
          stops_in_time_even_if_its_program_hangs)
