/*
 * Creating subscriptions. Their options are checked here by the rules that bodies of requests obey;
 * the decisions are those of the engine (subscription.h).
 */
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "lib/lib_subscription.h"
#include "protocol/glob.h"
#include "protocol/path.h"
#include "protocol/webhook_url.h"

static enum ds_status refuse_put(struct subscription_put *put, const char *reason)
{
    put->reason = reason;
    return DS_INVALID;
}

static enum ds_status take_pattern(struct arena *arena, const char *pattern,
                                   struct subscription_put *put)
{
    if (!pattern)
        return put->streams > 0 ? DS_OK : refuse_put(put, "there is neither pattern nor stream");
    put->pattern = glob_normalize(arena, pattern, strlen(pattern), &put->reason);
    if (!put->pattern)
        return put->reason == path_no_memory ? DS_NO_MEMORY : DS_INVALID;
    put->reason = NULL;
    return DS_OK;
}

static bool is_base_url(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;

    if (scheme == 0 || !url[scheme] || url[scheme] == '/' || strlen(url) > SUBSCRIPTION_URL_MOST)
        return false;
    for (; *url; url++)
        if (*url <= 0x20 || *url >= 0x7f || *url == '?' || *url == '#')
            return false;
    return true;
}

static enum ds_status take_base_url(struct arena *arena, const char *url,
                                    struct subscription_put *put)
{
    size_t len = url ? strlen(url) : 0;

    if (url && !is_base_url(url))
        return refuse_put(put, "base_url must be http://host[/prefix] or https://host[/prefix]");
    while (len > 0 && url[len - 1] == '/')
        len--; /* paths, which begin with a slash, follow it */
    put->base_url = url ? arena_strndup(arena, url, len) : "";
    return put->base_url ? DS_OK : DS_NO_MEMORY;
}

static enum ds_status take_webhook(const struct ds_subscription_options *options,
                                   struct subscription_put *put)
{
    static const struct webhook_rules rules = {.allow = "", .deny = ""};

    put->is_webhook = true;
    put->url = options->url;
    if (options->wake_stream)
        return refuse_put(put, "a webhook has no wake stream");
    if (!put->url || !options->base_url)
        return refuse_put(put, "a webhook needs url and base_url");
    if (strlen(put->url) > SUBSCRIPTION_URL_MOST)
        return refuse_put(put, "the URL is longer than 2048 bytes");
    put->unfit_reason = webhook_url_check(put->url, &rules);
    put->unfit = put->unfit_reason ? DS_INVALID : DS_OK;
    return DS_OK;
}

static enum ds_status take_pull_wake(const struct ds_store *store, struct arena *arena,
                                     const struct ds_subscription_options *options,
                                     struct subscription_put *put)
{
    if (options->url)
        return refuse_put(put, "only a webhook has a URL");
    if (!options->wake_stream)
        return refuse_put(put, "a pull-wake subscription needs a wake stream");
    return lib_linkable(store, arena, options->wake_stream, &put->wake_stream, &put->reason);
}

static enum ds_status take_rest(const struct ds_subscription_options *options,
                                struct subscription_put *put)
{
    const char *text = options->description;
    int64_t lease = options->lease_ttl_ms;

    put->lease_ttl_ms = lease == 0 ? SUBSCRIPTION_LEASE_MS : lease;
    if (put->lease_ttl_ms < SUBSCRIPTION_LEASE_LEAST_MS ||
        put->lease_ttl_ms > SUBSCRIPTION_LEASE_MOST_MS)
        return refuse_put(put, "lease_ttl_ms must be from 1000 to 600000");
    put->description = text;
    if (text && strlen(text) > SUBSCRIPTION_DESCRIPTION_MOST)
        return refuse_put(put, "the description is longer than 1024 bytes");
    if (text && !utf8_is_valid(text, strlen(text)))
        return refuse_put(put, "the description is not UTF-8");
    return DS_OK;
}

static enum ds_status take_options(const struct ds_store *store, struct arena *arena,
                                   const struct ds_subscription_options *options,
                                   struct subscription_put *put)
{
    enum ds_status status;

    if (!options || (options->type != DS_PULL_WAKE && options->type != DS_WEBHOOK))
        return refuse_put(put, "the type must be DS_PULL_WAKE or DS_WEBHOOK");
    status =
        lib_take_streams(store, arena, options->streams, &put->stream, &put->streams, &put->reason);
    if (status == DS_OK)
        status = take_pattern(arena, options->pattern, put);
    if (status == DS_OK)
        status = take_base_url(arena, options->base_url, put);
    if (status == DS_OK)
        status = options->type == DS_WEBHOOK ? take_webhook(options, put)
                                             : take_pull_wake(store, arena, options, put);
    return status == DS_OK ? take_rest(options, put) : status;
}

static enum ds_status apply_put(struct batch *batch, void *asked)
{
    return subscription_put(batch, asked);
}

static enum ds_status ask_put(struct ds_store *store, struct arena *arena, const char *name,
                              const struct ds_subscription_options *options,
                              struct subscription_put *put)
{
    enum ds_status status;

    if (!lib_is_name(name))
        return refuse_put(put, "a name is 1 to 256 bytes of UTF-8 without control characters");
    put->name = name;
    put->most = store->config.max_subscriptions;
    put->arena = arena;
    status = take_options(store, arena, options, put);
    if (status == DS_OK)
        status = lib_write(store, apply_put, put, 0, false);
    return status == DS_OK ? put->verdict : status;
}

enum ds_status ds_subscription_put(struct ds_store *store, const char *name,
                                   const struct ds_subscription_options *options, bool *created,
                                   struct ds_subscription **subscription, const char **reason)
{
    struct subscription_put put = {.name = NULL};
    struct arena *arena = arena_new();
    enum ds_status status = arena ? ask_put(store, arena, name, options, &put) : DS_NO_MEMORY;

    if (status == DS_OK && subscription)
        status = lib_describe_view(store, &put.view, subscription);
    if (status == DS_OK && created)
        *created = put.created;
    arena_free(arena);
    return lib_explain(status, put.reason, reason);
}
