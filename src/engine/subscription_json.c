/* Subscriptions as JSON: see subscription_json.h. */
#include "engine/subscription_json.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "protocol/json_string.h"
#include "protocol/offset.h"

/* --- members --- */

static void add_text(struct buf *buf, const char *text)
{
    buf_addc(buf, '"');
    json_add_escaped(buf, text, strlen(text));
    buf_addc(buf, '"');
}

/* ,"name":"text", or nothing if text is NULL. */
static void add_member(struct buf *buf, const char *name, const char *text)
{
    if (!text)
        return;
    buf_printf(buf, ",\"%s\":", name);
    add_text(buf, text);
}

static void add_offset(struct buf *buf, const char *name, int64_t position)
{
    char offset[OFFSET_TEXT_SIZE] = "-1";

    if (position >= 0)
        offset_format(position, offset);
    buf_printf(buf, ",\"%s\":\"%s\"", name, offset);
}

const char *subscription_path(const char *path)
{
    size_t root = strlen(SUBSCRIPTION_ROOT);

    return strncmp(path, SUBSCRIPTION_ROOT, root) == 0 ? path + root : path;
}

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_encoded(struct buf *buf, const char *text)
{
    for (; *text; text++) {
        if (is_unreserved((unsigned char)*text))
            buf_addc(buf, *text);
        else
            buf_printf(buf, "%%%02X", (unsigned char)*text);
    }
}

/* ,"name":"URL below the reserved prefix": up to what the caller adds before the closing quote. */
static void begin_url(struct buf *buf, const char *name, const struct subscription *row)
{
    buf_printf(buf, ",\"%s\":\"", name);
    json_add_escaped(buf, row->base_url, strlen(row->base_url));
    buf_adds(buf, SUBSCRIPTION_ROOT "__ds/");
}

/* --- links --- */

static void add_link(struct buf *buf, const struct subscription_link *link, bool wake)
{
    buf_adds(buf, "{\"path\":");
    add_text(buf, subscription_path(link->path));
    add_member(buf, "link_type", link->is_explicit ? "explicit" : "glob");
    add_offset(buf, "acked_offset", link->acked);
    if (wake) {
        add_offset(buf, "tail_offset", link->tail);
        buf_adds(buf, link->pending ? ",\"has_pending\":true" : ",\"has_pending\":false");
    }
    buf_addc(buf, '}');
}

static void add_links(struct buf *buf, const struct subscription_view *view, bool wake)
{
    buf_addc(buf, '[');
    for (size_t i = 0; i < view->links; i++) {
        if (i > 0)
            buf_addc(buf, ',');
        add_link(buf, &view->link[i], wake);
    }
    buf_addc(buf, ']');
}

void subscription_add_wake_links(struct buf *buf, const struct subscription_view *view)
{
    add_links(buf, view, true);
}

/* --- the whole --- */

static const char *type_of(const struct subscription *row)
{
    return row->is_webhook ? "webhook" : "pull-wake";
}

static const char *status_of(const struct subscription *row)
{
    return row->failed_at != 0 && row->next_attempt_at != 0 ? "failed" : "active";
}

static void add_webhook_member(struct buf *buf, const struct subscription *row, const char *kid)
{
    buf_adds(buf, ",\"webhook\":{\"url\":");
    add_text(buf, row->url);
    if (kid) {
        buf_adds(buf, ",\"signing\":{\"alg\":\"ed25519\"");
        add_member(buf, "kid", kid);
        begin_url(buf, "jwks_url", row);
        buf_adds(buf, "jwks.json\"}");
    }
    buf_addc(buf, '}');
}

void subscription_add_json(struct buf *buf, const struct subscription_view *view, const char *kid)
{
    const struct subscription *row = &view->row;
    char created[CLOCK_TIME_SIZE];

    buf_adds(buf, "{\"id\":");
    add_text(buf, row->name);
    add_member(buf, "subscription_id", row->name);
    add_member(buf, "type", type_of(row));
    add_member(buf, "pattern", row->pattern);
    buf_adds(buf, ",\"streams\":");
    add_links(buf, view, false);
    if (view->more)
        buf_adds(buf, ",\"streams_truncated\":true");
    if (row->is_webhook)
        add_webhook_member(buf, row, kid);
    else
        add_member(buf, "wake_stream", subscription_path(row->wake_stream));
    buf_printf(buf, ",\"lease_ttl_ms\":%lld", (long long)row->lease_ttl_ms);
    clock_format_time(row->created_at, created);
    add_member(buf, "created_at", created);
    add_member(buf, "status", status_of(row));
    add_member(buf, "description", row->description);
    buf_addc(buf, '}');
}

void subscription_add_config(struct buf *buf, const struct subscription *row,
                             const char *const *streams, size_t n)
{
    buf_adds(buf, "{\"type\":");
    add_text(buf, type_of(row));
    add_member(buf, "pattern", row->pattern);
    buf_adds(buf, ",\"streams\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(buf, ',');
        add_text(buf, streams[i]);
    }
    buf_addc(buf, ']');
    if (row->is_webhook)
        add_member(buf, "url", row->url);
    else
        add_member(buf, "wake_stream", row->wake_stream);
    buf_printf(buf, ",\"lease_ttl_ms\":%lld", (long long)row->lease_ttl_ms);
    add_member(buf, "description", row->description);
    buf_addc(buf, '}');
}

/* --- wakes --- */

void subscription_add_event_json(struct buf *buf, const struct subscription *row,
                                 const char *stream, int64_t now)
{
    buf_adds(buf, "{\"type\":\"wake\"");
    add_member(buf, "subscription_id", row->name);
    add_member(buf, "stream", stream);
    buf_printf(buf, ",\"generation\":%lld,\"ts\":%lld}", (long long)row->generation,
               (long long)now);
}

void subscription_add_webhook(struct buf *buf, const struct subscription_attempt *attempt)
{
    const struct subscription *row = &attempt->view.row;

    buf_adds(buf, "{\"subscription_id\":");
    add_text(buf, row->name);
    add_member(buf, "wake_id", row->wake_id);
    buf_printf(buf, ",\"generation\":%lld,\"streams\":", (long long)row->generation);
    subscription_add_wake_links(buf, &attempt->view);
    begin_url(buf, "callback_url", row);
    buf_adds(buf, "subscriptions/");
    add_encoded(buf, row->name);
    buf_adds(buf, "/callback\"");
    add_member(buf, "callback_token", attempt->token);
    buf_addc(buf, '}');
}

void subscription_add_claim(struct buf *buf, const struct subscription_claim *claim)
{
    const struct subscription *row = &claim->view.row;

    buf_adds(buf, "{\"wake_id\":");
    add_text(buf, row->wake_id);
    buf_printf(buf, ",\"generation\":%lld", (long long)row->generation);
    add_member(buf, "token", claim->token);
    buf_adds(buf, ",\"streams\":");
    subscription_add_wake_links(buf, &claim->view);
    buf_printf(buf, ",\"lease_ttl_ms\":%lld}", (long long)row->lease_ttl_ms);
}

/* --- keys --- */

const struct webhook_key *subscription_signing_key(const struct webhook_key *keys, size_t n,
                                                   int64_t now)
{
    const struct webhook_key *newest = NULL;

    for (size_t i = 0; i < n; i++)
        if (keys[i].signs_from <= now && (!newest || keys[i].signs_from >= newest->signs_from))
            newest = &keys[i];
    return newest;
}

void subscription_add_keys(struct buf *buf, const struct webhook_key *keys, size_t n)
{
    buf_adds(buf, "{\"keys\":[");
    for (size_t i = 0; i < n; i++) {
        buf_adds(buf, i > 0 ? ",{\"kty\":\"OKP\",\"crv\":\"Ed25519\""
                            : "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"");
        add_member(buf, "kid", keys[i].kid);
        buf_adds(buf, ",\"use\":\"sig\",\"alg\":\"EdDSA\"");
        add_member(buf, "x", keys[i].x);
        buf_addc(buf, '}');
    }
    buf_adds(buf, "]}");
}
