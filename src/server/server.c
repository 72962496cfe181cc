/* Starting and ending a server process: see server.h. */
#include "server/server.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "live/live.h"
#include "server/hook.h"
#include "store/store.h"

static int64_t stop_by(struct server *server)
{
    if (server->stop_by == 0)
        server->stop_by = clock_monotonic_ms() + server->exchanges.config->stop_timeout_ms;
    return server->stop_by;
}

void server_close(struct server *server)
{
    /* the committer hands answers to the desk, and the desk renewals to the committer: each accepts
       them until both have ended */
    engine_stop(&server->engine);
    hook_stop(server->hook, stop_by(server)); /* after the committer, which makes its events */
    live_stop(server->live);
    engine_close(&server->engine);
    exchanges_close(&server->exchanges);
}

void server_leave(struct server *server)
{
    hook_stop(server->hook, stop_by(server));
}

enum ds_status server_start(struct server *server, const struct config *config, bool threads)
{
    struct engine *engine = &server->engine;
    enum ds_status status = DS_NO_MEMORY;

    memset((void *)server, 0, sizeof *server);
    engine->is_restarted = threads;
    if (exchanges_open(&server->exchanges, config, server))
        status = engine_open(engine, config, threads);
    if (status == DS_OK && config->hook[0])
        status = hook_start(&server->hook, config, threads);
    if (server->hook)
        store_on_event(engine->store, hook_tell, server->hook);
    if (status == DS_OK)
        status = engine_start(engine);
    if (status == DS_OK)
        status = live_start(&server->live, engine, &server->exchanges, threads);
    if (status != DS_OK)
        server_close(server);
    else if (threads && config->test_endpoints)
        log_warn(
            "DS_TEST_ENDPOINTS=1: any client can make requests fail, through /_test/inject-error");
    return status;
}

void server_drain(struct server *server)
{
    int64_t until = stop_by(server); /* one deadline for all steps */
    const struct timespec moment = {0, 2 * 1000000};

    live_let_go(server->live);
    while (atomic_load(&server->exchanges.count) > 0 && clock_monotonic_ms() < until)
        (void)nanosleep(&moment, NULL);
    if (atomic_load(&server->exchanges.count) > 0)
        log_warn("%d requests were not answered in time", atomic_load(&server->exchanges.count));
}
