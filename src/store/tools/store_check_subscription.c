/*
 * The rows of subscriptions and of webhook keys: see store_check.h.
 *
 * Must hold between any two transactions: engine/subscription.h says what a wake promises,
 * sql/subscriptions.sql what triggers do. A statement at the prompt may leave work for upkeep,
 * which is marked (unsettled, subscription_arrival) and no damage.
 */
#include <stddef.h>

#include "store/tools/store_check_private.h"

#define SUBSCRIPTION(text) "SELECT NULL, 'the subscription ' || quote(s.name) || ': ' || " text " "
#define LINK(text)                                                                                 \
    "SELECT l.path, printf('its link to the subscription %s (id %s): ', quote(s.name), "           \
    "quote(l.subscription_id)) || " text " FROM subscription_link AS l "                           \
    "LEFT JOIN subscription AS s ON s.id = l.subscription_id "
#define COLUMN(table, name, valid)                                                                 \
    "SELECT rowid AS id, '" name "' AS name, +" name " AS value FROM " table " "                   \
    "WHERE " name " IS NOT NULL AND NOT (" valid ")"
#define TIME(name)                                                                                 \
    COLUMN("subscription", name,                                                                   \
           "typeof(" name ") = 'integer' AND " name " BETWEEN 0 AND 4611686018427387903")
#define FLAG(name)                                                                                 \
    COLUMN("subscription", name, "typeof(" name ") = 'integer' AND " name " IN (0, 1)")
#define TEXT(name)                                                                                 \
    COLUMN("subscription", name, "typeof(" name ") = 'text' AND instr(" name ", char(0)) = 0")
#define AND " UNION ALL "

static const struct check_rule subscription_rules[] = {
    {STORE_CHECK_DAMAGE,
     SUBSCRIPTION("printf('its %s is not valid: %s', bad.name, "
                  "substr(quote(value), 1, 60))") "FROM (" TEXT("name") AND TEXT("type")
         AND TEXT("pattern") AND TEXT("url") AND TEXT("wake_stream") AND TEXT("description")
             AND TEXT("config") AND TEXT("base_url") AND TEXT("wake_id") AND TEXT("token")
                 AND TEXT("holder") AND TEXT("failure") AND TIME("created_at") AND TIME("woken_at")
                     AND TIME("lease_until") AND TIME("next_attempt_at") AND TIME("failed_at")
                         AND FLAG("event_due") AND FLAG("unsettled")
                             AND COLUMN("subscription", "generation",
                                        "typeof(generation) = 'integer' AND generation "
                                        "BETWEEN 0 AND 9999999999999999")
                                 AND COLUMN("subscription", "attempts",
                                            "typeof(attempts) = 'integer' AND "
                                            "attempts BETWEEN 0 AND 2147483647")
                                     AND COLUMN("subscription", "lease_ttl_ms",
                                                "typeof(lease_ttl_ms) = 'integer' "
                                                "AND lease_ttl_ms BETWEEN 1 AND "
                                                "2147483647") ") AS bad JOIN "
                                                              "subscription AS s "
                                                              "ON s.id = bad.id"},
    {STORE_CHECK_DAMAGE,
     SUBSCRIPTION("'its name, type, config, base_url, lease_ttl_ms or created_at is "
                  "missing'") "FROM subscription AS s WHERE name IS NULL OR type IS "
                              "NULL OR config IS NULL "
                              "OR base_url IS NULL OR lease_ttl_ms IS NULL OR "
                              "created_at IS NULL"},
    {STORE_CHECK_DAMAGE,
     SUBSCRIPTION(
         "printf('its type is %s, its url %s, its wake stream %s', quote(type), "
         "quote(url), quote(wake_stream))") "FROM subscription AS s WHERE type NOT IN ('webhook', "
                                            "'pull-wake') "
                                            "OR (type = 'webhook' AND url IS NULL) OR (type = "
                                            "'pull-wake' AND wake_stream IS NULL)"},
    {STORE_CHECK_DAMAGE, SUBSCRIPTION("printf('it has no wake, but the holder %s, a lease until "
                                      "%s, the next attempt "
                                      "at %s', quote(holder), quote(lease_until), "
                                      "quote(next_attempt_at))") "FROM subscription AS s WHERE "
                                                                 "wake_id IS NULL AND (holder IS "
                                                                 "NOT NULL "
                                                                 "OR lease_until IS NOT NULL OR "
                                                                 "next_attempt_at IS NOT NULL)"},
    {STORE_CHECK_DAMAGE,
     SUBSCRIPTION(
         "printf('%s holds it without a lease', quote(holder))") "FROM subscription AS s WHERE "
                                                                 "holder IS NOT NULL AND wake_id "
                                                                 "IS NOT NULL "
                                                                 "AND lease_until IS NULL"},
    {STORE_CHECK_DAMAGE,
     SUBSCRIPTION(
         "printf('its wake has the generation %s and the token %s', quote(generation), "
         "CASE WHEN token IS NULL THEN 'NULL' ELSE '(secret)' END)") "FROM subscription AS s WHERE "
                                                                     "wake_id IS NOT NULL AND "
                                                                     "(token IS "
                                                                     "NULL OR generation = 0 "
                                                                     "OR generation IS NULL)"},
    {STORE_CHECK_DAMAGE,
     SUBSCRIPTION("'its wake has neither a lease nor a next attempt: nobody will be "
                  "told'") "FROM subscription AS s WHERE type = 'webhook' AND wake_id "
                           "IS NOT NULL "
                           "AND lease_until IS NULL AND next_attempt_at IS NULL"},
    {STORE_CHECK_DAMAGE,
     SUBSCRIPTION("printf('%d of its streams are pending, but it has no wake', (SELECT "
                  "count(*) "
                  "FROM subscription_link WHERE subscription_id = s.id AND pending = "
                  "1))") "FROM subscription AS s WHERE wake_id IS NULL AND "
                         "ifnull(unsettled, 0) <> 1 "
                         "AND EXISTS (SELECT 1 FROM subscription_link WHERE "
                         "subscription_id = s.id AND pending = 1)"},
    {STORE_CHECK_DAMAGE, SUBSCRIPTION("printf('deleted ones have the same name or id (%s)', "
                                      "quote(t.name))") "FROM subscription_tombstone AS t JOIN "
                                                        "subscription AS s ON s.name = t.name OR "
                                                        "s.id = t.id"},
    {STORE_CHECK_DAMAGE,
     "SELECT NULL, printf('the deleted subscription %s: id %s, generation %s, deleted at %s', "
     "quote(name), quote(id), quote(generation), quote(deleted_at)) FROM subscription_tombstone "
     "WHERE typeof(name) <> 'text' OR typeof(id) <> 'integer' OR typeof(generation) <> 'integer' "
     "OR generation NOT BETWEEN 0 AND 9999999999999999 OR typeof(deleted_at) <> 'integer' OR "
     "deleted_at < 0"},
    {STORE_CHECK_DAMAGE, "SELECT NULL, printf('deleted subscriptions share the id %s', quote(id)) "
                         "FROM subscription_tombstone GROUP BY id HAVING count(*) > 1"},

    {STORE_CHECK_DAMAGE,
     "SELECT NULL, printf('subscription %s: not valid: the end of %s under generation %s', "
     "quote(subscription_id), quote(path), quote(generation)) FROM subscription_ended "
     "WHERE typeof(path) <> 'text' OR subscription_id NOT IN (SELECT id FROM subscription) "
     "OR typeof(generation) <> 'integer' OR generation NOT BETWEEN 0 AND 9999999999999999"},

    {STORE_CHECK_DAMAGE, LINK("'there is no such subscription'") "WHERE s.id IS NULL"},
    {STORE_CHECK_DAMAGE,
     LINK("printf('its columns are not valid: stream %s, explicit %s, glob %s, cursor %s, pending "
          "%s', quote(stream_id), quote(is_explicit), quote(is_glob), quote(acked), "
          "quote(pending))") "WHERE typeof(l.path) <> 'text' OR typeof(stream_id) NOT IN ('null', "
                             "'integer') "
                             "OR is_explicit NOT IN (0, 1) OR is_glob NOT IN (0, 1) OR pending NOT "
                             "IN (0, 1) "
                             "OR typeof(is_explicit) <> 'integer' OR typeof(is_glob) <> 'integer' "
                             "OR typeof(pending) <> 'integer' OR typeof(acked) <> 'integer' OR "
                             "acked < -1"},
    {STORE_CHECK_DAMAGE,
     LINK("'neither a client nor a pattern has made it'") "WHERE is_explicit = 0 AND (is_glob = 0 "
                                                          "OR s.pattern IS NULL)"},
    {STORE_CHECK_DAMAGE,
     LINK("'its stream does not exist, but a pattern has matched it'") "WHERE is_glob = 1 AND "
                                                                       "stream_id IS NULL"},
    {STORE_CHECK_DAMAGE, LINK("printf('it means the stream %s (id %s)', quote(stream.path), "
                              "quote(stream_id))") "LEFT JOIN stream ON stream.id = stream_id "
                                                   "WHERE stream_id IS NOT NULL "
                                                   "AND (stream.id IS NULL OR stream.path <> "
                                                   "l.path OR stream.deleted_at IS NOT NULL)"},
    {STORE_CHECK_DAMAGE, LINK("printf('it does not know that the stream exists (id %d)', "
                              "stream.id)") "JOIN stream ON stream.path = l.path WHERE stream_id "
                                            "IS NULL AND stream.deleted_at IS NULL "
                                            "AND (stream.expires_at IS NULL OR stream.expires_at > "
                                            "?1) "
                                            "AND stream.id NOT IN (SELECT stream_id FROM "
                                            "subscription_arrival)"},
    {STORE_CHECK_DAMAGE, LINK("printf('its cursor, %d, is beyond the tail, %d', acked, "
                              "ifnull(tail, 0))") "LEFT JOIN stream ON stream.id = stream_id WHERE "
                                                  "acked > ifnull(tail, 0)"},
    {STORE_CHECK_DAMAGE,
     LINK("printf('it is %spending, but its cursor is %d and the tail %d', "
          "CASE WHEN pending THEN '' ELSE 'not ' END, acked, ifnull(tail, 0))") "LEFT JOIN stream "
                                                                                "ON stream.id = "
                                                                                "stream_id "
                                                                                "WHERE pending <> "
                                                                                "(ifnull(tail, 0) "
                                                                                "> max(acked, 0)) "
                                                                                "AND acked <= "
                                                                                "ifnull(tail, 0)"},
    {STORE_CHECK_DAMAGE,
     LINK("'its stream is not marked as subscribed: an append makes no wake'") "JOIN stream ON "
                                                                               "stream.id = "
                                                                               "stream_id WHERE "
                                                                               "stream.subscribed "
                                                                               "IS NOT 1"},
    {STORE_CHECK_DAMAGE,
     LINK("'a pattern must not match a registry or a wake stream'") "LEFT JOIN stream ON stream.id "
                                                                    "= stream_id WHERE is_glob = 1 "
                                                                    "AND (stream.registry = 1 "
                                                                    "OR l.path IN (SELECT "
                                                                    "wake_stream FROM "
                                                                    "subscription))"},
    {0, NULL},
};

static const struct check_rule key_rules[] = {
    {STORE_CHECK_DAMAGE,
     "SELECT NULL, printf('the webhook key %s is not valid', substr(quote(kid), 1, 80)) "
     "FROM webhook_key WHERE typeof(kid) <> 'text' OR length(CAST(kid AS BLOB)) NOT BETWEEN 1 AND "
     "63 OR typeof(x) <> 'text' OR length(CAST(x AS BLOB)) <> 43 OR typeof(seed) <> 'blob' "
     "OR length(seed) <> 32 OR typeof(created_at) <> 'integer' "
     "OR typeof(signs_from) <> 'integer' OR typeof(signs_until) NOT IN ('null', 'integer') "
     "OR min(created_at, signs_from, ifnull(signs_until, 0)) < 0"},
    {STORE_CHECK_DAMAGE,
     "SELECT NULL, printf('there are %d webhook keys: only the first 16 are used', count(*)) "
     "FROM webhook_key HAVING count(*) > 16"},
    {0, NULL},
};

static enum ds_status apply_rules(struct store_check *check, sqlite3 *db,
                                  const struct check_rule *rule)
{
    enum ds_status status = DS_OK;

    for (; status == DS_OK && rule->sql; rule++)
        status = check_apply(check, db, rule);
    return status;
}

enum ds_status check_subscriptions(struct store_check *check, sqlite3 *db)
{
    enum ds_status status = DS_OK;

    if (check_has_table(db, "subscription"))
        status = apply_rules(check, db, subscription_rules);
    if (status == DS_OK && check_has_table(db, "webhook_key"))
        status = apply_rules(check, db, key_rules);
    return status;
}
