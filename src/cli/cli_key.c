/*
 * dsctl webhook-key ls and rotate: the keys that sign webhooks.
 *
 * The process that delivers webhooks makes keys: the first one at once, and a successor as soon as
 * the end of the newest is planned. Receivers cache the set of keys for five minutes, so a key is
 * published that long before it signs.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli_commands.h"
#include "cli/cli_database.h"
#include "cli/cli_member.h"
#include "store/store_subscription.h"

enum { NOTICE_MS = 300000 }; /* how long receivers may cache the set of keys */

const struct cli_option cli_key_ls_options[] = {
    {"json", 'j', NULL, "print one JSON object per line"},
    {0},
};

struct keys {
    struct webhook_key key[WEBHOOK_KEYS_MOST];
    size_t n;
};

typedef enum cli_exit keys_fn(const struct cli *cli, const struct cli_database *database,
                              struct keys *keys);

static enum cli_exit read_keys(const struct cli *cli, const struct cli_database *database,
                               struct keys *keys)
{
    enum ds_status status = store_webhook_keys(database->conn, keys->key, &keys->n);

    return status == DS_OK ? CLI_DONE
                           : cli_fail(cli, CLI_FAILED, "%s: %s", cli->db, ds_status_text(status));
}

/* The newest whose first signature is not later than now. */
static const struct webhook_key *signing_key(const struct keys *keys, int64_t now)
{
    const struct webhook_key *signs = NULL;

    for (size_t i = 0; i < keys->n; i++)
        if (keys->key[i].signs_from <= now)
            signs = &keys->key[i];
    return signs;
}

static const char *state_of(const struct webhook_key *key, const struct webhook_key *signs,
                            int64_t now)
{
    if (key == signs)
        return "signs";
    return key->signs_from > now ? "next" : "old";
}

static bool print_json(const struct cli *cli, const struct webhook_key *key, const char *state)
{
    struct buf buf = {0};
    bool ok;

    buf_addc(&buf, '{');
    cli_member_text(&buf, "kid", key->kid);
    cli_member_text(&buf, "state", state);
    cli_member_text(&buf, "x", key->x);
    cli_member_time(&buf, "createdAt", key->created_at);
    cli_member_time(&buf, "signsFrom", key->signs_from);
    if (key->signs_until)
        cli_member_time(&buf, "signsUntil", key->signs_until);
    buf_adds(&buf, "}\n");
    ok = !buf_failed(&buf) && cli_out(cli, buf.data, buf.len);
    buf_close(&buf);
    return ok;
}

static void print_columns(const struct cli *cli, const struct webhook_key *key, const char *state)
{
    char from[CLOCK_TIME_SIZE], until[CLOCK_TIME_SIZE];

    cli_format_time(key->signs_from, from);
    cli_format_time(key->signs_until, until);
    (void)printf("%-5s  %-20s  %-20s  %s\n", state, from, until, cli_shown(cli, key->kid));
}

static enum cli_exit print_keys(const struct cli *cli, const struct cli_database *database,
                                struct keys *keys)
{
    int64_t now = clock_wall_ms();
    const struct webhook_key *signs = signing_key(keys, now);
    bool json = cli_has(cli, "json");

    (void)database;
    if (keys->n == 0)
        cli_note(cli, "there is no key yet: the first process that delivers webhooks makes one");
    else if (!json)
        (void)printf("%s%-5s  %-20s  %-20s  %s%s\n", cli_bold(cli), "STATE", "SIGNS FROM",
                     "SIGNS UNTIL", "KEY", cli_plain(cli));
    for (size_t i = 0; i < keys->n; i++) {
        const char *state = state_of(&keys->key[i], signs, now);

        if (!json)
            print_columns(cli, &keys->key[i], state);
        else if (!print_json(cli, &keys->key[i], state))
            return CLI_FAILED;
    }
    return CLI_DONE;
}

/* Plans the last signature of the newest key, so that its successor is made and published. */
static enum cli_exit plan_end(const struct cli *cli, const struct cli_database *database,
                              struct keys *keys)
{
    int64_t now = clock_wall_ms();
    struct webhook_key *newest;
    char until[CLOCK_TIME_SIZE];
    enum ds_status status;

    if (keys->n == 0)
        return cli_fail(cli, CLI_NOT_FOUND,
                        "there is no key yet: the first process that delivers webhooks makes one");
    newest = &keys->key[keys->n - 1];
    if (newest->signs_from > now) {
        cli_format_time(newest->signs_from, until);
        cli_note(cli, "%s is published already, and signs from %s", newest->kid, until);
        return CLI_DONE;
    }
    if (!newest->signs_until) {
        newest->signs_until = now + NOTICE_MS;
        status = store_webhook_key_put(database->conn, newest);
        if (status != DS_OK)
            return cli_fail(cli, CLI_FAILED, "%s: %s", cli->db, ds_status_text(status));
    }
    cli_format_time(newest->signs_until, until);
    (void)printf("%s signs until %s\n", cli_shown(cli, newest->kid), until);
    cli_note(cli, "the process that delivers webhooks makes and publishes the next key");
    return CLI_DONE;
}

/* Opens the database, reads its keys, and does something with them. */
static enum cli_exit with_keys(struct cli *cli, keys_fn *fn)
{
    struct cli_database database;
    struct keys keys = {0};
    enum cli_exit exit = cli_database_open(cli, false, &database);

    if (exit != CLI_DONE)
        return exit;
    exit = read_keys(cli, &database, &keys);
    if (exit == CLI_DONE)
        exit = fn(cli, &database, &keys);
    cli_database_close(&database);
    return exit;
}

enum cli_exit cli_key_ls(struct cli *cli)
{
    return with_keys(cli, print_keys);
}

enum cli_exit cli_key_rotate(struct cli *cli)
{
    return with_keys(cli, plan_end);
}
