/* Opening and closing what server and library share: see engine.h. */
#include "engine/engine.h"

#include "engine/commit.h"
#include "engine/upkeep.h"
#include "store/store.h"

enum ds_status engine_open(struct engine *engine, const struct config *config, bool lasting)
{
    engine->config = config;
    engine->lasting = lasting;
    return store_open(&engine->store, config, lasting);
}

enum ds_status engine_start(struct engine *engine)
{
    enum ds_status status =
        commit_start(&engine->commit, engine->store, engine->config, engine->lasting);

    if (status == DS_OK && engine->lasting)
        status = upkeep_start(&engine->upkeep, engine);
    return status;
}

enum ds_status engine_start_in_place(struct engine *engine)
{
    return commit_start(&engine->commit, engine->store, engine->config, false);
}

void engine_stop(struct engine *engine)
{
    upkeep_stop(engine->upkeep);
    commit_stop(engine->commit);
}

void engine_close(struct engine *engine)
{
    commit_free(engine->commit);
    store_close(engine->store, engine->lasting);
}
