/* Subscriptions: wakes, claims, cursors and attempts, by writes to a committer without a thread. */
#include "subscription_unit.h"

START_TEST(wakes_once_and_again_after_done)
{
    struct subscription_claim claim;
    struct subscription_answer answer;

    open_all();
    make(WAKES, "[]");
    make("/v1/stream/e/old", "[1]");
    ck_assert(put_pool("s", "e/*").created);
    ck_assert(!put_pool("s", "e/*").created);
    ck_assert_int_eq(put_pool("s", "f/*").verdict, DS_CONFLICT);
    ck_assert_int_eq(claim_by("s", "w").verdict, DS_IDLE); /* history is not replayed */
    make("/v1/stream/e/a", "[1]");
    append("/v1/stream/e/a", "2");
    append("/v1/stream/e/old", "2");
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 1);
    claim = claim_by("s", "w");
    ck_assert_int_eq(claim.verdict, DS_OK);
    ck_assert_int_eq(claim.generation, 1);
    ck_assert_uint_eq(claim.view.links, 2);
    ck_assert_str_eq(claim.view.link[0].path, "/v1/stream/e/a");
    ck_assert_int_eq(claim.view.link[0].acked, -1);
    ck_assert_int_eq(claim.view.link[0].tail, 2);
    ck_assert_int_eq(claim.view.link[1].acked, 1);
    ck_assert_int_eq(claim_by("s", "w").verdict, DS_CLAIMED);
    answer = answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/e/a", 3, true);
    ck_assert_int_eq(answer.verdict, DS_CONFLICT); /* beyond the tail */
    answer = answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/e/a", 2, true);
    ck_assert_int_eq(answer.verdict, DS_OK);
    ck_assert(answer.next_wake); /* for e/old */
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, true).verdict, DS_FENCED);
    claim = claim_by("s", "w2");
    ck_assert_int_eq(claim.generation, 2);
    answer = answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/e/old", 2, true);
    ck_assert_int_eq(answer.verdict, DS_OK);
    ck_assert(!answer.next_wake);
    ck_assert_int_eq(claim_by("s", "w").verdict, DS_IDLE);
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 2);
    close_all();
}
END_TEST

START_TEST(tells_tokens_apart)
{
    struct subscription_claim claim, other;

    open_all();
    make(WAKES, "[]");
    (void)put_pool("s", "e/*");
    (void)put_pool("t", "e/*");
    make("/v1/stream/e/a", "[1]");
    claim = claim_by("s", "w");
    other = claim_by("t", "w");
    other.name = "s";
    ck_assert_int_eq(answer_to(&other, SUBSCRIPTION_ACK, NULL, 0, false).verdict, DS_DENIED);
    other = claim;
    other.token = "";
    ck_assert_int_eq(answer_to(&other, SUBSCRIPTION_ACK, NULL, 0, false).verdict, DS_DENIED);
    other.token = arena_printf(f.arena, "%.*sx", (int)strlen(claim.token) - 1, claim.token);
    ck_assert_int_eq(answer_to(&other, SUBSCRIPTION_ACK, NULL, 0, false).verdict, DS_DENIED);
    other = claim;
    other.generation = -1;
    ck_assert_int_eq(answer_to(&other, SUBSCRIPTION_ACK, NULL, 0, false).verdict, DS_FENCED);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_CALLBACK, NULL, 0, false).verdict, DS_INVALID);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, false).verdict, DS_OK);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_RELEASE, NULL, 0, false).verdict, DS_OK);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_RELEASE, NULL, 0, false).verdict, DS_FENCED);
    close_all();
}
END_TEST

START_TEST(goes_on_counting_after_a_deletion)
{
    struct subscription_delete deletion = {.name = "s"};
    struct subscription_claim claim, later;

    open_all();
    make(WAKES, "[]");
    submit_any(run_delete, &deletion);
    ck_assert_int_eq(deletion.verdict, DS_NOT_FOUND);
    (void)put_pool("s", "e/*");
    make("/v1/stream/e/a", "[1]");
    claim = claim_by("s", "w");
    submit_any(run_delete, &deletion);
    ck_assert_int_eq(deletion.verdict, DS_OK);
    ck_assert_int_eq(ask("SELECT count(*) FROM stream WHERE subscribed = 1"), 0);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, true).verdict, DS_NOT_FOUND);
    (void)put_pool("s", "e/*");
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, true).verdict, DS_FENCED);
    append("/v1/stream/e/a", "2");
    later = claim_by("s", "w");
    ck_assert_int_eq(later.generation, 2);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, true).verdict, DS_FENCED);
    type("DELETE FROM subscription WHERE name = 's'");
    ck_assert_int_eq(claim_by("s", "w").verdict, DS_NOT_FOUND);
    (void)put_pool("s", "e/*");
    append("/v1/stream/e/a", "3");
    ck_assert_int_eq(claim_by("s", "w").generation, 3);
    close_all();
}
END_TEST

START_TEST(follows_the_lives_of_streams)
{
    struct subscription_streams streams = {
        .name = "s", .stream = (const char *const[]){"/v1/stream/x"}, .streams = 1};
    struct subscription_claim claim;
    bool more;

    open_all();
    make(WAKES, "[]");
    (void)put_pool("s", "e/*");
    submit_any(run_streams, &streams);
    ck_assert_int_eq(streams.verdict, DS_OK);
    make("/v1/stream/e/a", "[1,2,3]");
    end_stream("/v1/stream/e/a"); /* the wake has become needless */
    ck_assert_int_eq(claim_by("s", "w").verdict, DS_IDLE);
    make("/v1/stream/e/a", "[1]"); /* smaller than before */
    claim = claim_by("s", "w");
    ck_assert_int_eq(claim.verdict, DS_OK);
    ck_assert_int_eq(claim.view.link[0].acked, -1);
    ck_assert(!answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/e/a", 1, true).next_wake);
    make("/v1/stream/x", "[1,2]"); /* an explicit link that waited for it */
    claim = claim_by("s", "w");
    ck_assert_str_eq(claim.view.link[0].path, "/v1/stream/x");
    ck_assert_int_eq(claim.view.link[0].acked, 0);
    type("DELETE FROM stream WHERE path = '/v1/stream/x'"); /* while it is held */
    ck_assert(!answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, true).next_wake);
    make("/v1/stream/x", "[1]");
    ck_assert_int_eq(claim_by("s", "w").view.link[0].acked, -1);
    type("INSERT INTO stream (path, content_type, tail, created_at) VALUES "
         "('/v1/stream/e/prompt', 'text/plain', 5, 0)");
    submit_any(run_upkeep, &more);
    ck_assert_int_eq(ask("SELECT pending FROM subscription_link WHERE path = "
                         "'/v1/stream/e/prompt'"),
                     1);
    streams.removes = true;
    submit_any(run_streams, &streams);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_link WHERE path = '/v1/stream/x'"), 0);
    close_all();
}
END_TEST

/* What a worker has read of a stream says nothing about the next stream of the same path. */
START_TEST(takes_no_ack_of_an_earlier_life)
{
    struct subscription_streams streams = {
        .name = "s", .stream = (const char *const[]){"/v1/stream/x"}, .streams = 1};
    struct subscription_claim claim;

    open_all();
    make(WAKES, "[]");
    (void)put_pool("s", "e/*");
    submit_any(run_streams, &streams);
    make("/v1/stream/e/a", "[1,2]");
    make("/v1/stream/x", "[1,2]");
    claim = claim_by("s", "w");
    end_stream("/v1/stream/e/a");
    end_stream("/v1/stream/x");
    make("/v1/stream/e/a", "[3,4,5]");
    make("/v1/stream/x", "[3,4,5]");
    make("/v1/stream/e/first", "[1]"); /* made under the lease as well, but for the first time */
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/e/a", 2, true).verdict,
                     DS_CONFLICT);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/x", 2, false).verdict,
                     DS_CONFLICT);
    ck_assert(answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/e/first", 1, true).next_wake);
    claim = claim_by("s", "w"); /* the next lease sees the streams of now */
    ck_assert_int_eq(claim.view.link[0].acked, -1);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, "/v1/stream/e/a", 2, false).verdict,
                     DS_OK);
    end_stream("/v1/stream/e/first");
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_ended"), 1);
    type("DELETE FROM subscription");
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_ended"), 0);
    close_all();
}
END_TEST

START_TEST(keeps_an_event_for_a_missing_wake_stream)
{
    open_all();
    (void)put_pool("s", "**");
    make("/v1/stream/e/a", "[1]");
    ck_assert_int_eq(ask("SELECT event_due FROM subscription"), 1);
    make(WAKES, "[]");
    ck_assert_int_eq(ask("SELECT count(event_due) FROM subscription"), 0);
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 1);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_link"), 1); /* never the wake stream */
    end_stream(WAKES);
    make(WAKES, "[]");
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 1);
    close_all();
}
END_TEST

START_TEST(ends_leases)
{
    struct subscription_claim claim, later;
    bool more;

    open_all();
    make(WAKES, "[]");
    (void)put_pool("s", "e/*");
    make("/v1/stream/e/a", "[1]");
    claim = claim_by("s", "w");
    type("UPDATE subscription SET lease_until = 1");
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, true).verdict, DS_FENCED);
    submit_any(run_upkeep, &more);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE holder IS NULL"), 2);
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 2);
    claim = claim_by("s", "w");
    type("UPDATE subscription SET lease_until = 1");
    later = claim_by("s", "v"); /* whoever looks sees that it is over */
    ck_assert_int_eq(later.verdict, DS_OK);
    ck_assert_int_eq(later.generation, 3);
    ck_assert_int_eq(answer_to(&claim, SUBSCRIPTION_ACK, NULL, 0, true).verdict, DS_FENCED);
    type("UPDATE subscription SET lease_until = 4000000000000"); /* the clock was set back */
    submit_any(run_upkeep, &more);
    ck_assert_int_lt(ask("SELECT lease_until FROM subscription"), 4000000000000);
    close_all();
}
END_TEST

static struct subscription_begin begin_all(void)
{
    struct subscription_begin begin = {.arena = f.arena, .most = 4};

    submit_any(run_begin, &begin);
    return begin;
}

static struct subscription_end end_with(const struct subscription_begin *begin,
                                        enum subscription_outcome outcome)
{
    struct subscription_end end = {
        .attempt = &begin->attempt[0], .outcome = outcome, .failure = "it failed"};

    submit_any(run_end, &end);
    return end;
}

START_TEST(attempts_a_webhook_until_it_is_done)
{
    struct subscription_begin begin;
    struct subscription_end end;
    struct subscription_claim shown;

    open_all();
    (void)put_hook("h", "e/*");
    ck_assert_uint_eq(begin_all().attempts, 0);
    make("/v1/stream/e/a", "[1]");
    begin = begin_all();
    ck_assert_uint_eq(begin.attempts, 1);
    ck_assert_int_eq(begin.attempt[0].view.row.generation, 1);
    ck_assert_int_eq(begin.attempt[0].view.row.attempts, 1);
    ck_assert_uint_eq(begin_all().attempts, 0); /* the next one is planned for later */
    (void)end_with(&begin, SUBSCRIPTION_FAILED);
    ck_assert_int_eq(ask("SELECT failed_at > 0 AND next_attempt_at > failed_at FROM subscription"),
                     1);
    type("UPDATE subscription SET next_attempt_at = 1");
    begin = begin_all();
    ck_assert_int_eq(begin.attempt[0].view.row.generation, 1); /* the same wake */
    append("/v1/stream/e/a", "2");
    end = end_with(&begin, SUBSCRIPTION_DONE);
    ck_assert(!end.fenced && end.next_wake); /* only what was shown is acked */
    ck_assert_int_eq(ask("SELECT acked FROM subscription_link"), 1);
    ck_assert(end_with(&begin, SUBSCRIPTION_DONE).fenced);
    begin = begin_all();
    ck_assert_int_eq(begin.attempt[0].view.row.generation, 2);
    (void)end_with(&begin, SUBSCRIPTION_TAKEN);
    ck_assert_int_eq(ask("SELECT count(next_attempt_at) FROM subscription"), 0);
    shown =
        (struct subscription_claim){.name = "h", .token = begin.attempt[0].token, .generation = 2};
    shown.view = begin.attempt[0].view;
    ck_assert_int_eq(answer_to(&shown, SUBSCRIPTION_ACK, NULL, 0, true).verdict, DS_INVALID);
    ck_assert_int_eq(answer_to(&shown, SUBSCRIPTION_CALLBACK, "/v1/stream/e/a", 2, true).verdict,
                     DS_OK);
    ck_assert_int_eq(ask("SELECT count(wake_id) FROM subscription"), 0);
    close_all();
}
END_TEST

START_TEST(renews_a_wake_whose_lease_ended_between_attempts)
{
    struct subscription_begin begin;
    bool more;

    open_all();
    (void)put_hook("h", "e/*");
    make("/v1/stream/e/a", "[1]");
    begin = begin_all();
    (void)end_with(&begin, SUBSCRIPTION_FAILED);
    type("UPDATE subscription SET lease_until = 1");
    submit_any(run_upkeep, &more); /* leaves it to the attempt, which keeps its pause */
    ck_assert_int_eq(ask("SELECT generation FROM subscription"), 1);
    ck_assert_uint_eq(begin_all().attempts, 0);
    type("UPDATE subscription SET next_attempt_at = 1");
    begin = begin_all();
    ck_assert_int_eq(begin.attempt[0].view.row.generation, 2);
    ck_assert_int_eq(begin.attempt[0].view.row.attempts, 2);
    /* a receiver that takes it and never calls back is slowed too */
    (void)end_with(&begin, SUBSCRIPTION_TAKEN);
    type("UPDATE subscription SET lease_until = 1");
    submit_any(run_upkeep, &more);
    ck_assert_int_eq(ask("SELECT generation FROM subscription"), 3);
    ck_assert_int_gt(ask("SELECT next_attempt_at - woken_at FROM subscription"), 1000);
    end_stream("/v1/stream/e/a");
    type("UPDATE subscription SET next_attempt_at = 1");
    ck_assert_uint_eq(begin_all().attempts, 0); /* nothing is left to tell */
    ck_assert_int_eq(ask("SELECT count(wake_id) FROM subscription"), 0);
    close_all();
}
END_TEST

START_TEST(a_damaged_row_stops_no_other)
{
    bool more;

    open_all();
    make(WAKES, "[]");
    (void)put_hook("broken", "e/*");
    (void)put_hook("h", "e/*");
    make("/v1/stream/e/a", "[1]");
    type("UPDATE subscription SET failure = x'00', lease_until = 1, unsettled = 1 "
         "WHERE name = 'broken'");
    make("/v1/stream/e/b", "[1]"); /* settles what is due */
    submit_any(run_upkeep, &more);
    ck_assert_uint_eq(begin_all().attempts, 1);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription WHERE name = 'broken' "
                         "AND next_attempt_at > created_at + 1000"),
                     1);
    close_all();
}
END_TEST

START_TEST(pauses_longer_after_each_attempt)
{
    ck_assert_int_eq(subscription_backoff(0, 0.5), 0);
    ck_assert_int_eq(subscription_backoff(1, 0.5), 1000);
    ck_assert_int_eq(subscription_backoff(2, 0.5), 2000);
    ck_assert_int_eq(subscription_backoff(6, 0.5), 32000);
    ck_assert_int_eq(subscription_backoff(7, 0.5), 60000);
    ck_assert_int_eq(subscription_backoff(INT64_MAX, 0), 48000);
    ck_assert_int_le(subscription_backoff(INT64_MAX, 1), SUBSCRIPTION_PAUSE_MOST_MS);
}
END_TEST

START_TEST(wakes_again_for_a_person)
{
    struct subscription_nudge nudge = {.name = "s"};

    open_all();
    make(WAKES, "[]");
    submit_any(run_nudge, &nudge);
    ck_assert_int_eq(nudge.verdict, DS_NOT_FOUND);
    (void)put_pool("s", "e/*");
    submit_any(run_nudge, &nudge);
    ck_assert_int_eq(nudge.verdict, DS_IDLE);
    make("/v1/stream/e/a", "[1]");
    submit_any(run_nudge, &nudge);
    ck_assert_int_eq(nudge.verdict, DS_OK);
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 2);
    (void)claim_by("s", "w");
    submit_any(run_nudge, &nudge);
    ck_assert_int_eq(nudge.verdict, DS_CLAIMED);
    close_all();
}
END_TEST

/* As an import leaves it: pending, but idle. A stream that is still to be compared with patterns
   may have links that were read to the end: when the same batch makes a stream and a subscription.
 */
START_TEST(wakes_what_was_left_pending)
{
    bool more;

    open_all();
    make(WAKES, "[]");
    make("/v1/stream/e/a", "[1]");
    (void)put_pool("s", "e/*");
    (void)put_pool("quiet", "e/*");
    type("UPDATE subscription_link SET acked = -1, pending = 1 WHERE subscription_id = 1;"
         "UPDATE subscription SET generation = 7, unsettled = 1;"
         "INSERT INTO subscription_arrival SELECT id FROM stream WHERE path LIKE '%a'");
    submit_any(run_upkeep, &more);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE name = 's' "
                         "AND wake_id IS NOT NULL AND unsettled IS NULL"),
                     8);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE name = 'quiet' "
                         "AND wake_id IS NULL AND unsettled IS NULL"),
                     7);
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 1);
    close_all();
}
END_TEST

/* A subscription may have a hundred thousand links, and each wake asks for the pending ones. */
START_TEST(finds_pending_links_by_their_index)
{
    static const enum stmt statements[] = {STMT_LINK_PENDING, STMT_LINK_HAS_PENDING};

    open_all();
    (void)put_pool("s", "e/*");
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", stmt_sql[statements[i]]);
        sqlite3_stmt *plan = NULL;
        bool by_index = false;

        ck_assert_int_eq(sqlite3_prepare_v2(f.conn->db, sql, -1, &plan, NULL), SQLITE_OK);
        while (sqlite3_step(plan) == SQLITE_ROW)
            by_index |= strstr((const char *)sqlite3_column_text(plan, 3),
                               "INDEX subscription_link_pending") != NULL;
        ck_assert_msg(by_index, "%s", sql);
        (void)sqlite3_finalize(plan);
        sqlite3_free(sql);
    }
    close_all();
}
END_TEST

/* The triggers of the database append to the registry, and not a request. */
START_TEST(wakes_for_the_registry_where_it_is_named)
{
    const char *registry = "/v1/stream/registry";
    struct subscription_streams streams = {.name = "s", .stream = &registry, .streams = 1};
    struct subscription_claim claim;
    bool more;

    open_all();
    make(WAKES, "[]");
    (void)put_pool("s", "none");
    (void)put_pool("all", "**");
    submit_any(run_streams, &streams); /* before there is one */
    make(registry, "");
    ck_assert_int_eq(
        store_appoint_registry(f.conn, ask("SELECT id FROM stream WHERE path LIKE '%/registry'")),
        DS_OK);
    make("/v1/stream/a", "");
    claim = claim_by("s", "w");
    ck_assert_int_eq(claim.verdict, DS_OK);
    ck_assert_str_eq(claim.view.link[0].path, registry);
    ck_assert(
        !answer_to(&claim, SUBSCRIPTION_ACK, registry, claim.view.link[0].tail, true).next_wake);
    end_stream("/v1/stream/a");
    claim = claim_by("s", "w");
    ck_assert_int_eq(claim.verdict, DS_OK);
    ck_assert(
        !answer_to(&claim, SUBSCRIPTION_ACK, registry, claim.view.link[0].tail, true).next_wake);
    type("INSERT INTO stream (path, content_type, tail, created_at) VALUES "
         "('/v1/stream/b', 'text/plain', 0, 0)");
    submit_any(run_upkeep, &more);
    ck_assert_int_eq(claim_by("s", "w").verdict, DS_OK);
    ck_assert_int_eq(claim_by("all", "w").verdict, DS_IDLE);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_arrival"), 0);
    close_all();
}
END_TEST

UNIT_MAIN(subscription, a_damaged_row_stops_no_other, wakes_once_and_again_after_done,
          tells_tokens_apart, goes_on_counting_after_a_deletion, follows_the_lives_of_streams,
          takes_no_ack_of_an_earlier_life, keeps_an_event_for_a_missing_wake_stream, ends_leases,
          attempts_a_webhook_until_it_is_done, renews_a_wake_whose_lease_ended_between_attempts,
          pauses_longer_after_each_attempt, wakes_again_for_a_person, wakes_what_was_left_pending,
          finds_pending_links_by_their_index, wakes_for_the_registry_where_it_is_named)
