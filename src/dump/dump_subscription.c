/* The values of the lines about subscriptions: see dump_line.h. */
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "dump/dump_line.h"
#include "protocol/glob.h"
#include "protocol/json.h"
#include "protocol/offset.h"
#include "protocol/path.h"

enum {
    NAME_MOST = 256,  /* bytes of a name, */
    TEXT_MOST = 2048, /*   a URL or a description */
    CONFIG_MOST = 4 << 20,
    LEASE_MOST_MS = 600000,
    KID_MOST = 63,
    X_LEN = 43,
    SEED_LEN = 32,
};

#define TIME_MOST (INT64_MAX / 2)

static const struct dump_value *value_of(const struct dump_line *line, enum dump_field field)
{
    return &line->value[field];
}

/* An absent text is sound. */
static bool is_sound_text(const struct dump_value *value, size_t most)
{
    return !value->present || (value->len <= most && !memchr(value->text, '\0', value->len) &&
                               utf8_is_valid(value->text, value->len));
}

static bool is_name(const struct dump_value *value)
{
    if (!is_sound_text(value, NAME_MOST) || value->len == 0)
        return false;
    for (size_t i = 0; i < value->len; i++)
        if ((unsigned char)value->text[i] < 0x20 || value->text[i] == 0x7f)
            return false;
    return true;
}

static bool is_path(const struct dump_value *value, struct arena *arena)
{
    const char *reason, *normal = path_normalize(arena, value->text, value->len, &reason);

    return value->text[0] == '/' && normal && strlen(normal) == value->len &&
           memcmp(normal, value->text, value->len) == 0;
}

static bool is_pattern(const struct dump_value *value, struct arena *arena)
{
    const char *reason, *normal = glob_normalize(arena, value->text, value->len, &reason);

    return normal && strlen(normal) == value->len && memcmp(normal, value->text, value->len) == 0;
}

static bool is_time(const struct dump_value *value)
{
    return value->number <= TIME_MOST;
}

static const char *judge_subscription(const struct dump_line *line, struct arena *arena)
{
    const struct dump_value *type = value_of(line, DUMP_F_TYPE);
    const struct dump_value *pattern = value_of(line, DUMP_F_PATTERN);
    const struct dump_value *url = value_of(line, DUMP_F_URL);
    const struct dump_value *wake_stream = value_of(line, DUMP_F_WAKE_STREAM);
    const struct dump_value *config = value_of(line, DUMP_F_CONFIG);
    int64_t lease = value_of(line, DUMP_F_LEASE_TTL_MS)->number;
    bool webhook = strcmp(type->text, "webhook") == 0;

    if (!is_name(value_of(line, DUMP_F_SUBSCRIPTION)))
        return "the name of the subscription is not valid";
    if (!webhook && strcmp(type->text, "pull-wake") != 0)
        return "the type of the subscription is neither webhook nor pull-wake";
    if (webhook != url->present || webhook == wake_stream->present)
        return "a webhook needs a url, and a pull-wake a wake_stream";
    if (pattern->present && !is_pattern(pattern, arena))
        return "the pattern is not in normal form";
    if (wake_stream->present && !is_path(wake_stream, arena))
        return "wake_stream is not a path in normal form";
    if (!is_sound_text(url, TEXT_MOST) ||
        !is_sound_text(value_of(line, DUMP_F_BASE_URL), TEXT_MOST) ||
        !is_sound_text(value_of(line, DUMP_F_DESCRIPTION), TEXT_MOST))
        return "url, base_url or description is not valid";
    if (!is_sound_text(config, CONFIG_MOST) || json_precheck(config->text, config->len) ||
        !json_is_valid(config->text, config->len))
        return "config is not valid JSON";
    if (lease < 1 || lease > LEASE_MOST_MS || !is_time(value_of(line, DUMP_F_CREATED_AT)) ||
        value_of(line, DUMP_F_GENERATION)->number > OFFSET_POSITION_MAX)
        return "lease_ttl_ms, created_at or generation is not valid";
    return NULL;
}

static const char *judge_link(const struct dump_line *line, struct arena *arena)
{
    if (!is_path(value_of(line, DUMP_F_LINK), arena))
        return "the path of the link is not in normal form";
    if (value_of(line, DUMP_F_EXPLICIT)->number > 1 || value_of(line, DUMP_F_GLOB)->number > 1 ||
        value_of(line, DUMP_F_EXPLICIT)->number + value_of(line, DUMP_F_GLOB)->number == 0)
        return "the link is neither explicit nor of a pattern";
    if (value_of(line, DUMP_F_ACKED)->number > OFFSET_POSITION_MAX)
        return "the cursor is beyond the largest offset";
    return NULL;
}

static const char *judge_key(const struct dump_line *line)
{
    const struct dump_value *kid = value_of(line, DUMP_F_WEBHOOK_KEY);
    const struct dump_value *x = value_of(line, DUMP_F_X);

    if (!is_name(kid) || kid->len > KID_MOST || !is_name(x) || x->len != X_LEN ||
        value_of(line, DUMP_F_SEED)->len != SEED_LEN)
        return "the key has no valid id, x or seed";
    if (!is_time(value_of(line, DUMP_F_CREATED_AT)) ||
        !is_time(value_of(line, DUMP_F_SIGNS_FROM)) || !is_time(value_of(line, DUMP_F_SIGNS_UNTIL)))
        return "a time of the key is not valid";
    return NULL;
}

const char *dump_subscription_judge(const struct dump_line *line, struct arena *arena)
{
    switch (line->kind) {
    case DUMP_SUBSCRIPTION:
        return judge_subscription(line, arena);
    case DUMP_LINK:
        return judge_link(line, arena);
    case DUMP_END_OF_SUBSCRIPTION:
        return is_name(value_of(line, DUMP_F_END_OF_SUBSCRIPTION))
                   ? NULL
                   : "the name of the subscription is not valid";
    case DUMP_TOMBSTONE:
        return is_name(value_of(line, DUMP_F_TOMBSTONE)) &&
                       is_time(value_of(line, DUMP_F_DELETED_AT)) &&
                       value_of(line, DUMP_F_GENERATION)->number <= OFFSET_POSITION_MAX
                   ? NULL
                   : "the name, generation or time of the deleted subscription is not valid";
    case DUMP_WEBHOOK_KEY:
        return judge_key(line);
    default:
        return "this line is not about a subscription";
    }
}
