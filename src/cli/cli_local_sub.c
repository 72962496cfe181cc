/* Subscriptions of a database file, with the public library: see cli_backend.h. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli_local.h"

static const char *keep(const struct cli *cli, const char *text, bool *ok)
{
    const char *copy = text ? arena_strndup(cli->arena, text, strlen(text)) : NULL;

    *ok = *ok && (copy || !text);
    return copy;
}

/* Copies links into the arena. NULL: no memory. */
static const struct ds_subscription_link *
keep_links(const struct cli *cli, const struct ds_subscription_link *link, size_t n)
{
    struct ds_subscription_link *copy = arena_alloc(cli->arena, (n + 1) * sizeof *copy);
    bool ok = copy != NULL;

    for (size_t i = 0; ok && i < n; i++) {
        copy[i] = link[i];
        copy[i].path = keep(cli, link[i].path, &ok);
    }
    return ok ? copy : NULL;
}

/* Copies a subscription into the arena. */
static enum cli_exit keep_subscription(const struct cli *cli, const struct ds_subscription *from,
                                       struct ds_subscription *to)
{
    bool ok = true;

    *to = *from;
    to->name = keep(cli, from->name, &ok);
    to->pattern = keep(cli, from->pattern, &ok);
    to->wake_stream = keep(cli, from->wake_stream, &ok);
    to->url = keep(cli, from->url, &ok);
    to->description = keep(cli, from->description, &ok);
    to->wake_id = keep(cli, from->wake_id, &ok);
    to->holder = keep(cli, from->holder, &ok);
    to->failure = keep(cli, from->failure, &ok);
    if (from->link)
        to->link = keep_links(cli, from->link, from->links);
    return ok && !to->link == !from->link ? CLI_DONE : cli_no_memory(cli);
}

static enum cli_exit refuse(const struct cli *cli, const char *name, enum ds_status status,
                            const char *reason)
{
    return cli_local_refuse(cli, name, status,
                            status == DS_NOT_FOUND && !reason ? "no such subscription" : reason);
}

static enum cli_exit local_put(struct cli *cli, const char *name,
                               const struct ds_subscription_options *options, bool *created)
{
    const char *reason = NULL;
    enum ds_status status = ds_subscription_put(cli->link, name, options, created, NULL, &reason);

    return status == DS_OK ? CLI_DONE : refuse(cli, name, status, reason);
}

static enum cli_exit local_get(struct cli *cli, const char *name,
                               struct ds_subscription *subscription)
{
    struct ds_subscription *found = NULL;
    enum ds_status status = ds_subscription_get(cli->link, name, &found);
    enum cli_exit exit;

    if (status != DS_OK)
        return refuse(cli, name, status, NULL);
    exit = keep_subscription(cli, found, subscription);
    ds_subscription_free(found);
    return exit;
}

struct listing {
    struct cli *cli;
    ds_subscription_fn *fn;
    void *arg;
    enum cli_exit exit;
};

static bool take_listed(void *arg, const struct ds_subscription *subscription)
{
    struct listing *listing = arg;
    struct ds_subscription copy;

    listing->exit = keep_subscription(listing->cli, subscription, &copy);
    if (listing->exit == CLI_DONE && !listing->fn(listing->arg, &copy))
        listing->exit = CLI_FAILED;
    return listing->exit == CLI_DONE;
}

static enum cli_exit local_list(struct cli *cli, ds_subscription_fn *fn, void *arg)
{
    struct listing listing = {cli, fn, arg, CLI_DONE};
    enum ds_status status = ds_subscription_list(cli->link, take_listed, &listing);

    return status == DS_OK ? listing.exit : refuse(cli, cli->db, status, NULL);
}

static enum cli_exit local_remove(struct cli *cli, const char *name)
{
    enum ds_status status = ds_subscription_delete(cli->link, name);

    return status == DS_OK ? CLI_DONE : refuse(cli, name, status, NULL);
}

static enum cli_exit local_nudge(struct cli *cli, const char *name)
{
    enum ds_status status = ds_subscription_nudge(cli->link, name);

    return status == DS_OK ? CLI_DONE : refuse(cli, name, status, NULL);
}

/* Who was faster? The holder may have finished meanwhile. */
static enum cli_exit find_holder(struct cli *cli, const char *name, const char **holder)
{
    struct ds_subscription *found = NULL;
    bool ok = true;

    if (ds_subscription_get(cli->link, name, &found) != DS_OK)
        return CLI_DONE;
    *holder = keep(cli, found->holder, &ok);
    ds_subscription_free(found);
    return ok ? CLI_DONE : cli_no_memory(cli);
}

static enum cli_exit local_claim(struct cli *cli, const char *name, const char *worker,
                                 bool patiently, struct cli_claimed *claimed)
{
    struct ds_claim *claim = NULL;
    const char *reason = NULL;
    bool ok = true;

    (void)patiently;
    *claimed = (struct cli_claimed){0};
    claimed->status = ds_subscription_claim(cli->link, name, worker, &claim, &reason);
    if (claimed->status == DS_CLAIMED)
        return find_holder(cli, name, &claimed->holder);
    if (claimed->status == DS_IDLE)
        return CLI_DONE;
    if (claimed->status != DS_OK)
        return refuse(cli, name, claimed->status, reason);
    claimed->claim = *claim;
    claimed->claim.wake_id = keep(cli, claim->wake_id, &ok);
    claimed->claim.token = keep(cli, claim->token, &ok);
    claimed->claim.link = keep_links(cli, claim->link, claim->links);
    ds_claim_free(claim);
    return ok && claimed->claim.link ? CLI_DONE : cli_no_memory(cli);
}

static enum cli_exit take_verdict(const struct cli *cli, const char *name, enum ds_status status,
                                  const char *reason, struct cli_acked *acked)
{
    if (status == DS_OK)
        return CLI_DONE;
    if (status != DS_FENCED)
        return refuse(cli, name, status, reason);
    acked->fenced = true;
    acked->refusal = reason;
    return CLI_DONE;
}

static enum cli_exit local_ack(struct cli *cli, const char *name, const struct ds_claim *claim,
                               const struct ds_ack *acks, size_t n, bool done,
                               struct cli_acked *acked)
{
    const char *reason = NULL;
    enum ds_status status;

    *acked = (struct cli_acked){0};
    status = ds_subscription_ack(cli->link, name, claim, acks, n, done, &acked->next_wake, &reason);
    return take_verdict(cli, name, status, reason, acked);
}

static enum cli_exit local_release(struct cli *cli, const char *name, const struct ds_claim *claim,
                                   struct cli_acked *acked)
{
    *acked = (struct cli_acked){0};
    return take_verdict(cli, name, ds_subscription_release(cli->link, name, claim), NULL, acked);
}

static bool local_tail(struct cli *cli, const char *path, char *offset, size_t size)
{
    struct ds_stream *stream = NULL;
    bool is_open;

    if (ds_get(cli->link, path, &stream) != DS_OK)
        return false;
    (void)snprintf(offset, size, "%s", stream->tail);
    is_open = !stream->closed;
    ds_stream_free(stream);
    return is_open;
}

static bool local_wait(struct cli *cli, const char *path, char *offset, size_t size, int64_t ms)
{
    enum ds_status status = ds_wait(cli->link, path, offset, ms);

    if (status == DS_OK)
        return local_tail(cli, path, offset, size);
    return status == DS_TIMEOUT;
}

const struct cli_sub_backend cli_local_sub = {
    .put = local_put,
    .get = local_get,
    .list = local_list,
    .remove = local_remove,
    .nudge = local_nudge,
    .claim = local_claim,
    .ack = local_ack,
    .release = local_release,
    .tail = local_tail,
    .wait = local_wait,
};
