/* Prints subscriptions: see cli_sub.h. */
#include "cli/cli_sub.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli_member.h"
#include "protocol/json_string.h"

/* As in the view subscription_overview. */
const char *cli_sub_state(const struct ds_subscription *subscription)
{
    if (subscription->generation < 0) /* over HTTP */
        return subscription->failed_at ? "failed" : "active";
    if (!subscription->wake_id)
        return "idle";
    if (subscription->type == DS_PULL_WAKE)
        return subscription->lease_until ? "held" : "waits for a claim";
    if (subscription->failed_at)
        return "failed, will be tried again";
    return subscription->next_attempt_at ? "is being delivered" : "waits for a callback";
}

/* ------------------------------------------------------------------------------------ rows -- */

static void print_configuration(const struct cli *cli, const struct ds_subscription *subscription)
{
    cli_row(cli, "name", "%s%s%s", cli_bold(cli), cli_shown(cli, subscription->name),
            cli_plain(cli));
    if (subscription->description)
        cli_row(cli, "description", "%s", cli_shown(cli, subscription->description));
    cli_row(cli, "type", "%s", subscription->type == DS_WEBHOOK ? "webhook" : "pull-wake");
    if (subscription->url)
        cli_row(cli, "webhook", "%s", cli_shown(cli, subscription->url));
    if (subscription->wake_stream)
        cli_row(cli, "wake stream", "%s", cli_shown(cli, subscription->wake_stream));
    if (subscription->pattern)
        cli_row(cli, "pattern", "%s", cli_shown(cli, subscription->pattern));
    cli_row(cli, "lease", "%lld ms", (long long)subscription->lease_ttl_ms);
    if (subscription->created_at)
        cli_row_time(cli, "created", subscription->created_at);
}

static void print_wake(const struct cli *cli, const struct ds_subscription *subscription)
{
    cli_row(cli, "state", "%s", cli_sub_state(subscription));
    if (subscription->generation < 0) {
        cli_row(cli, "generation", "unknown over HTTP: see --db");
        return;
    }
    cli_row(cli, "generation", "%lld", (long long)subscription->generation);
    if (subscription->wake_id)
        cli_row(cli, "wake", "%s", cli_shown(cli, subscription->wake_id));
    if (subscription->woken_at)
        cli_row_time(cli, "woken", subscription->woken_at);
    if (subscription->holder)
        cli_row(cli, "holder", "%s", cli_shown(cli, subscription->holder));
    if (subscription->lease_until)
        cli_row_time(cli, "lease until", subscription->lease_until);
    if (subscription->attempts)
        cli_row(cli, "attempts", "%lld", (long long)subscription->attempts);
    if (subscription->next_attempt_at)
        cli_row_time(cli, "next attempt", subscription->next_attempt_at);
    if (subscription->failed_at)
        cli_row_time(cli, "failed", subscription->failed_at);
    if (subscription->failure)
        cli_row(cli, "failure", "%s", cli_shown(cli, subscription->failure));
}

static const char *link_type(const struct ds_subscription_link *link)
{
    return link->is_explicit ? "explicit" : "glob";
}

static void print_links(const struct cli *cli, const struct ds_subscription *subscription)
{
    bool has_tails = subscription->generation >= 0;

    cli_row(cli, "links", "%lld", (long long)subscription->link_count);
    if (subscription->links == 0)
        return;
    (void)printf("\n%s%-8s  %-33s  ", cli_bold(cli), "TYPE", "ACKED");
    if (has_tails)
        (void)printf("%-33s  %-7s  ", "TAIL", "PENDING");
    (void)printf("PATH%s\n", cli_plain(cli));
    for (size_t i = 0; i < subscription->links; i++) {
        const struct ds_subscription_link *link = &subscription->link[i];

        (void)printf("%-8s  %-33s  ", link_type(link), cli_shown(cli, link->acked_offset));
        if (has_tails)
            (void)printf("%-33s  %-7s  ", link->tail_offset[0] ? link->tail_offset : "-",
                         link->pending ? "yes" : "no");
        (void)printf("%s\n", cli_shown(cli, link->path));
    }
    if (subscription->link_count > (int64_t)subscription->links)
        cli_note(cli, "%lld more links are not shown",
                 (long long)(subscription->link_count - (int64_t)subscription->links));
}

void cli_sub_print(const struct cli *cli, const struct ds_subscription *subscription)
{
    print_configuration(cli, subscription);
    print_wake(cli, subscription);
    print_links(cli, subscription);
}

/* ------------------------------------------------------------------------------------ JSON -- */

static void add_text(struct buf *buf, const char *name, const char *text)
{
    if (text)
        cli_member_text(buf, name, text);
}

static void add_time(struct buf *buf, const char *name, int64_t ms)
{
    if (ms)
        cli_member_time(buf, name, ms);
}

static void add_links(struct buf *buf, const struct ds_subscription_link *link, size_t n,
                      bool has_tails)
{
    cli_member_name(buf, "streams");
    buf_addc(buf, '[');
    for (size_t i = 0; i < n; i++) {
        buf_adds(buf, i > 0 ? ",{" : "{");
        cli_member_text(buf, "path", link[i].path);
        cli_member_text(buf, "link_type", link_type(&link[i]));
        cli_member_text(buf, "acked_offset", link[i].acked_offset);
        if (has_tails) {
            if (link[i].tail_offset[0])
                cli_member_text(buf, "tail_offset", link[i].tail_offset);
            cli_member_bool(buf, "has_pending", link[i].pending);
        }
        buf_addc(buf, '}');
    }
    buf_addc(buf, ']');
}

static void add_wake(struct buf *buf, const struct ds_subscription *subscription)
{
    cli_member_text(buf, "state", cli_sub_state(subscription));
    if (subscription->generation < 0)
        return;
    cli_member_number(buf, "generation", subscription->generation);
    cli_member_bool(buf, "has_pending", subscription->pending);
    add_text(buf, "wake_id", subscription->wake_id);
    add_time(buf, "woken_at", subscription->woken_at);
    add_text(buf, "holder", subscription->holder);
    add_time(buf, "lease_until", subscription->lease_until);
    if (subscription->type == DS_WEBHOOK)
        cli_member_number(buf, "attempts", subscription->attempts);
    add_time(buf, "next_attempt_at", subscription->next_attempt_at);
    add_time(buf, "failed_at", subscription->failed_at);
    add_text(buf, "failure", subscription->failure);
}

static bool print_line(const struct cli *cli, struct buf *buf)
{
    bool ok;

    buf_adds(buf, "}\n");
    ok = !buf_failed(buf) && cli_out(cli, buf->data, buf->len);
    buf_close(buf);
    return ok;
}

bool cli_sub_print_json(const struct cli *cli, const struct ds_subscription *subscription)
{
    struct buf buf = {0};

    buf_addc(&buf, '{');
    cli_member_text(&buf, "id", subscription->name);
    cli_member_text(&buf, "type", subscription->type == DS_WEBHOOK ? "webhook" : "pull-wake");
    add_text(&buf, "description", subscription->description);
    add_text(&buf, "pattern", subscription->pattern);
    add_text(&buf, "wake_stream", subscription->wake_stream);
    add_text(&buf, "webhook_url", subscription->url);
    cli_member_number(&buf, "lease_ttl_ms", subscription->lease_ttl_ms);
    add_time(&buf, "created_at", subscription->created_at);
    add_wake(&buf, subscription);
    cli_member_number(&buf, "links", subscription->link_count);
    if (subscription->link)
        add_links(&buf, subscription->link, subscription->links, subscription->generation >= 0);
    return print_line(cli, &buf);
}

bool cli_sub_print_claim_json(const struct cli *cli, const struct ds_claim *claim)
{
    struct buf buf = {0};

    buf_addc(&buf, '{');
    cli_member_text(&buf, "wake_id", claim->wake_id);
    cli_member_number(&buf, "generation", claim->generation);
    cli_member_text(&buf, "token", claim->token);
    cli_member_number(&buf, "lease_ttl_ms", claim->lease_ttl_ms);
    add_links(&buf, claim->link, claim->links, true);
    return print_line(cli, &buf);
}
