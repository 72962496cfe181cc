/*
 * Which of the attempts that are due begin. A host has POSTS_MOST_FOR_HOST places, but not more
 * than half of those that other hosts leave, so that a few silent hosts cannot take them all. An
 * attempt for a host without a free place does not begin, because its time would run while it
 * waits, and it would take a place from other hosts.
 */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "deliver/deliver_private.h"
#include "store/store.h"

enum {
    LOOK = 1024,        /* due subscriptions that are looked at, */
    LOOK_ALL = 1 << 30, /*  except now and then all of them */
};

struct host {
    uint64_t hash;
    size_t posts;
};

struct choice {
    int64_t busy[POSTS_MOST]; /* subscriptions with a POST under way */
    size_t n_busy;
    struct host host[POSTS_MOST + 1];
    size_t hosts;
    size_t posts; /* places taken */
    size_t seen;  /* rows */
};

/* Of host and port as they stand in the URL, in lower case. Other spellings of a host have places
   of their own; libcurl's limit holds for those. */
static uint64_t hash_host(const char *url)
{
    const char *at = strstr(url, "://");
    uint64_t hash = HASH_OF_NOTHING;

    for (at = at ? at + 3 : url; *at && !strchr("/?#", *at); at++)
        hash = hash_add_byte(hash, (unsigned char)tolower((unsigned char)*at));
    return hash;
}

/* NULL: there are POSTS_MOST other hosts. */
static struct host *find_host(struct choice *choice, const char *url)
{
    uint64_t hash = hash_host(url);
    size_t i = 0;

    while (i < choice->hosts && choice->host[i].hash != hash)
        i++;
    if (i == sizeof choice->host / sizeof choice->host[0])
        return NULL;
    if (i == choice->hosts)
        choice->host[choice->hosts++] = (struct host){.hash = hash};
    return &choice->host[i];
}

static void take_place(struct choice *choice, struct host *host)
{
    host->posts++;
    choice->posts++;
}

static bool has_place(const struct choice *choice, const struct host *host)
{
    size_t free_places = choice->posts < POSTS_MOST ? POSTS_MOST - choice->posts : 0;

    return host->posts < POSTS_MOST_FOR_HOST && 2 * host->posts < host->posts + free_places;
}

static void count_under_way(const struct deliver *deliver, struct choice *choice)
{
    const struct post *post;

    TAILQ_FOREACH(post, &deliver->under_way, link) {
        struct host *host = find_host(choice, post->attempt.view.row.url);

        if (choice->n_busy == POSTS_MOST)
            break;
        choice->busy[choice->n_busy++] = post->attempt.view.row.id;
        if (host)
            take_place(choice, host);
    }
}

static bool may_begin(void *arg, int64_t id, const char *url)
{
    struct choice *choice = arg;
    struct host *host = find_host(choice, url);

    choice->seen++;
    if (!host || !has_place(choice, host))
        return false;
    for (size_t i = 0; i < choice->n_busy; i++)
        if (choice->busy[i] == id)
            return false;
    take_place(choice, host);
    return true;
}

enum ds_status deliver_choose(struct deliver *deliver, struct store_conn *conn, int64_t now,
                              int64_t *ids, size_t most, size_t *n)
{
    struct choice choice = {.n_busy = 0};
    int64_t start = clock_monotonic_ms();
    bool all = start >= deliver->look_at_all_at;
    const struct store_attempt_filter filter = {
        .look = all ? LOOK_ALL : LOOK, .passes = may_begin, .arg = &choice};
    enum ds_status status;

    count_under_way(deliver, &choice);
    status = store_subscriptions_to_attempt(conn, now, &filter, ids, most, n);
    /* at most half of the time goes into looking at all */
    if (choice.seen > LOOK && *n < most)
        deliver->look_at_all_at = start + 2 * (clock_monotonic_ms() - start + 1);
    return status;
}
