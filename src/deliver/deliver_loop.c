/* The loop of the process that delivers webhooks: see deliver.h. */
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config/config.h"
#include "deliver/deliver.h"
#include "deliver/deliver_private.h"
#include "engine/commit.h"
#include "engine/upkeep.h"
#include "hints/duty.h"
#include "hints/hints.h"
#include "store/store.h"

enum {
    SECOND_MS = 1000,
    ONCE_MS = 50000,       /* --once: less than cron's minute */
    ONCE_STOP_MS = 5000,   /* and this much for what is under way then */
    KEPT_CONNECTIONS = 64, /* open connections that wait for the next POST */
};

/* How long the process runs. Times are monotonic ms. */
struct span {
    int signals; /* descriptor */
    bool once;
    int64_t until;   /* no attempt begins after this; INT64_MAX */
    int64_t stop_by; /* transfers under way are dropped then; only while stopping */
    int64_t next_second;
};

static bool open_multi(struct deliver *deliver)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return false;
    deliver->multi = curl_multi_init();
    return deliver->multi &&
           curl_multi_setopt(deliver->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)POSTS_MOST) ==
               CURLM_OK &&
           curl_multi_setopt(deliver->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                             (long)POSTS_MOST_FOR_HOST) == CURLM_OK &&
           curl_multi_setopt(deliver->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS) ==
               CURLM_OK;
}

static enum ds_status open_deliver(struct deliver *deliver, const struct config *config, bool once)
{
    enum ds_status status;

    deliver->rules = (struct webhook_rules){.local = config->webhook_local != 0,
                                            .allow = config->webhook_allow,
                                            .deny = config->webhook_deny};
    TAILQ_INIT(&deliver->under_way);
    TAILQ_INIT(&deliver->ended);
    status = engine_open(&deliver->engine, config, !once);
    if (status == DS_OK)
        status = engine_start_in_place(&deliver->engine);
    if (status == DS_OK)
        status = store_connect(&deliver->conn, deliver->engine.store);
    if (status == DS_OK)
        commit_lend(deliver->engine.commit, deliver->conn);
    if (status == DS_OK && !open_multi(deliver))
        status = DS_NO_MEMORY;
    if (status == DS_OK)
        (void)bell_start(&deliver->bell, store_hints(deliver->engine.store), deliver->multi);
    return status;
}

static void close_deliver(struct deliver *deliver)
{
    bell_stop(&deliver->bell);
    deliver_drop(deliver);
    (void)curl_multi_cleanup(deliver->multi);
    curl_global_cleanup();
    deliver_keys_close(&deliver->keys);
    engine_stop(&deliver->engine);
    store_disconnect(deliver->conn);
    engine_close(&deliver->engine);
}

/* Takes the duty, if it is free, and keeps it. */
static void take_duty(struct deliver *deliver)
{
    bool had = deliver->delivers;

    deliver->delivers = duty_try_delivery(store_hints(deliver->engine.store));
    if (deliver->delivers && !had)
        log_debug("this process delivers webhooks");
}

static void every_second(struct deliver *deliver, struct span *span)
{
    struct hints *hints = store_hints(deliver->engine.store);
    const struct config *config = deliver->engine.config;

    hints_mend(hints);
    /* --once opens the file for a moment, and does not note which one it is */
    if (!span->once && store_find_place(deliver->engine.store) == STORE_REPLACED)
        deliver->stopping = true; /* the next process opens the file that is there now */
    take_duty(deliver);
    if (deliver->delivers) {
        (void)deliver_keys_mend(&deliver->keys, deliver->conn, clock_wall_ms());
        deliver_cancel(deliver);
        deliver_settle(deliver);
    }
    /* a sweep here would not be told to the hook, which a server starts */
    if (span->once && !config->hook[0])
        upkeep_once(&deliver->engine, deliver->conn);
    upkeep_trim(&deliver->engine, deliver->conn);
    deliver->look_at = 0;
}

static void begin_stop(struct deliver *deliver, struct span *span, int64_t patience)
{
    if (span->stop_by == 0)
        span->stop_by = clock_monotonic_ms() + patience;
    deliver->stopping = true;
}

static bool is_signalled(const struct span *span)
{
    struct signalfd_siginfo signal;

    return read(span->signals, &signal, sizeof signal) == (ssize_t)sizeof signal;
}

/* Sleeps until a transfer moves, the bell or a signal arrives, or something is due. */
static void sleep_and_transfer(struct deliver *deliver, const struct span *span)
{
    struct curl_waitfd signals = {.fd = span->signals, .events = CURL_WAIT_POLLIN};
    int64_t due = deliver->look_at - clock_wall_ms();
    int64_t second = span->next_second - clock_monotonic_ms();
    int64_t sleep = due < second ? due : second;
    int running;

    sleep = sleep < 0 ? 0 : sleep > SECOND_MS ? SECOND_MS : sleep;
    if (curl_multi_poll(deliver->multi, &signals, 1, (int)sleep, NULL) != CURLM_OK ||
        curl_multi_perform(deliver->multi, &running) != CURLM_OK)
        log_debug("libcurl is out of memory");
    deliver_collect(deliver);
}

/* One turn of the loop. False at the end. */
static bool run_once_more(struct deliver *deliver, struct span *span)
{
    int64_t now = clock_monotonic_ms();
    bool rung = bell_take(&deliver->bell);

    if (now >= span->next_second) {
        span->next_second = now + SECOND_MS;
        every_second(deliver, span);
    }
    if (rung || !TAILQ_EMPTY(&deliver->ended) || clock_wall_ms() >= deliver->look_at)
        deliver_turn(deliver);
    if (is_signalled(span))
        begin_stop(deliver, span, deliver->engine.config->stop_timeout_ms);
    if (now >= span->until || (span->once && (deliver->posts == 0 || !deliver->delivers)))
        begin_stop(deliver, span, ONCE_STOP_MS);
    if (deliver->stopping) {
        begin_stop(deliver, span, deliver->engine.config->stop_timeout_ms);
        if (deliver->posts == 0 || now >= span->stop_by)
            return false;
    }
    sleep_and_transfer(deliver, span);
    return true;
}

static int run(struct deliver *deliver, struct span *span)
{
    struct hints *hints = store_hints(deliver->engine.store);

    take_duty(deliver);
    if (span->once && !deliver->delivers) {
        log_debug("another process delivers webhooks");
        return 0;
    }
    if (span->once)
        duty_note_delivery(hints, clock_wall_ms());
    while (run_once_more(deliver, span))
        ;
    if (!TAILQ_EMPTY(&deliver->under_way))
        log_info("%zu POSTs of webhooks were not answered in time: they will be made again",
                 deliver->posts);
    return 0;
}

int deliver_run(const struct config *config, const sigset_t *signals, bool once)
{
    struct deliver deliver = {0};
    struct span span = {.once = once,
                        .until = once ? clock_monotonic_ms() + ONCE_MS : INT64_MAX,
                        .signals =
                            descriptor_high(signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK))};
    int result = 1;

    if (span.signals < 0)
        log_error("cannot wait for signals: %s", strerror(errno));
    else if (open_deliver(&deliver, config, once) == DS_OK)
        result = run(&deliver, &span);
    close_deliver(&deliver);
    if (span.signals >= 0)
        (void)close(span.signals);
    return result;
}
