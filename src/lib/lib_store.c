/*
 * Opening and closing a store; connections and writes for the other files: see lib.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "engine/commit.h"
#include "lib/lib.h"
#include "protocol/path.h"
#include "store/store.h"

/* --- connections --- */

enum ds_status lib_acquire(struct ds_store *store, struct store_conn **conn)
{
    enum ds_status status;

    (void)pthread_mutex_lock(&store->lock);
    while (store->idles == 0 && store->connections == LIB_CONNECTIONS)
        (void)pthread_cond_wait(&store->given, &store->lock);
    if (store->idles > 0) {
        *conn = store->idle[--store->idles];
        (void)pthread_mutex_unlock(&store->lock);
        return DS_OK;
    }
    store->connections++;
    (void)pthread_mutex_unlock(&store->lock);
    status = store_connect(conn, store->engine.store);
    if (status == DS_OK)
        return DS_OK;
    (void)pthread_mutex_lock(&store->lock);
    store->connections--;
    (void)pthread_cond_signal(&store->given);
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

void lib_release(struct ds_store *store, struct store_conn *conn)
{
    (void)pthread_mutex_lock(&store->lock);
    store->idle[store->idles++] = conn;
    (void)pthread_cond_signal(&store->given);
    (void)pthread_mutex_unlock(&store->lock);
}

/* For a store in memory, whose files have no name for a later connection to open. */
static enum ds_status connect_all(struct ds_store *store)
{
    enum ds_status status = DS_OK;

    while (status == DS_OK && store->idles < LIB_CONNECTIONS) {
        status = store_connect(&store->idle[store->idles], store->engine.store);
        if (status == DS_OK)
            store->connections = ++store->idles;
    }
    return status;
}

/* --- writes --- */

struct waiting {
    struct commit_write write; /* first: apply() and finish() cast it back */
    lib_apply_fn *apply;
    void *asked;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool done;
    enum ds_status status;
};

static enum ds_status apply_waiting(struct batch *batch, struct commit_write *write)
{
    struct waiting *waiting = (struct waiting *)write;

    return waiting->apply(batch, waiting->asked);
}

static void finish_waiting(struct commit_write *write, enum ds_status status)
{
    struct waiting *waiting = (struct waiting *)write;

    (void)pthread_mutex_lock(&waiting->lock);
    waiting->status = status;
    waiting->done = true;
    (void)pthread_cond_signal(&waiting->finished); /* under the lock: the waiter frees both */
    (void)pthread_mutex_unlock(&waiting->lock);
}

enum ds_status lib_write(struct ds_store *store, lib_apply_fn *fn, void *asked, size_t bytes,
                         bool makes_room)
{
    struct waiting waiting = {
        .write = {.apply = apply_waiting,
                  .finish = finish_waiting,
                  .bytes = bytes,
                  .makes_room = makes_room},
        .apply = fn,
        .asked = asked,
    };

    (void)pthread_mutex_init(&waiting.lock, NULL);
    (void)pthread_cond_init(&waiting.finished, NULL);
    commit_submit(store->engine.commit, &waiting.write);
    (void)pthread_mutex_lock(&waiting.lock);
    while (!waiting.done)
        (void)pthread_cond_wait(&waiting.finished, &waiting.lock);
    (void)pthread_mutex_unlock(&waiting.lock);
    (void)pthread_cond_destroy(&waiting.finished);
    (void)pthread_mutex_destroy(&waiting.lock);
    return waiting.status;
}

enum ds_status lib_path(const struct ds_store *store, struct arena *arena, const char *path,
                        const char **normal, const char **reason)
{
    size_t len = path ? strlen(path) : 0;

    *reason = "the path must begin with a slash";
    if (len == 0 || path[0] != '/')
        return DS_INVALID;
    *reason = "the path is too long";
    if (len > (size_t)store->config.max_path_bytes)
        return DS_TOO_LARGE;
    *normal = path_normalize(arena, path, len, reason);
    if (*normal)
        return DS_OK;
    return *reason == path_no_memory ? DS_NO_MEMORY : DS_INVALID;
}

/* --- opening and closing --- */

/* Sets *field from an option, unless that is 0; false: it is out of range. */
static bool take_option(int64_t value, int64_t most, int64_t *field)
{
    if (value < 0 || value > most)
        return false;
    if (value > 0)
        *field = value;
    return true;
}

static enum ds_status take_registry(struct ds_store *store, const char *path)
{
    struct arena *arena = arena_new();
    const char *normal = path, *reason;
    enum ds_status status = arena ? DS_OK : DS_NO_MEMORY;
    char *copy = NULL;

    if (arena && strcmp(path, "off") != 0)
        status = lib_path(store, arena, path, &normal, &reason);
    if (status == DS_OK)
        copy = strdup(normal);
    arena_free(arena);
    if (status == DS_OK && !copy)
        status = DS_NO_MEMORY;
    if (status == DS_OK) {
        free(store->config.registry);
        store->config.registry = copy;
    }
    return status;
}

static void pass_event(void *arg, const struct ds_event *event)
{
    const struct ds_store *store = arg;
    ds_event_fn *fn = event->kind == DS_EVENT_CREATED ? store->on_created : store->on_deleted;

    if (fn)
        fn(store->event_arg, event);
}

static enum ds_status take_options(struct ds_store *store, const struct ds_store_options *options)
{
    struct config *config = &store->config;

    if (!options)
        return DS_OK;
    store->on_created = options->on_created;
    store->on_deleted = options->on_deleted;
    store->event_arg = options->event_arg;
    if (options->durability != DS_DURABILITY_FULL && options->durability != DS_DURABILITY_NORMAL)
        return DS_INVALID;
    config->durability =
        options->durability == DS_DURABILITY_NORMAL ? DURABILITY_NORMAL : DURABILITY_FULL;
    if (!take_option(options->busy_timeout_ms, 600000, &config->busy_timeout_ms) ||
        !take_option(options->read_chunk_bytes, INT64_C(1) << 30, &config->read_chunk_bytes) ||
        !take_option(options->max_body_bytes, INT64_C(900) << 20, &config->max_body_bytes))
        return DS_INVALID;
    return options->registry ? take_registry(store, options->registry) : DS_OK;
}

/* Threads inherit the mask of signals: those of the store must not run the program's handlers. */
static enum ds_status start_engine(struct ds_store *store)
{
    struct engine *engine = &store->engine;
    sigset_t all, before;
    enum ds_status status = engine_open(engine, &store->config, true);

    if (status == DS_OK && (store->on_created || store->on_deleted))
        store_on_event(engine->store, pass_event, store);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (status == DS_OK)
        status = engine_start(engine);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static enum ds_status open_file(struct ds_store *store, const char *path,
                                const struct ds_store_options *options)
{
    enum ds_status status;

    if (!config_init(&store->config, path))
        return DS_NO_MEMORY;
    status = take_options(store, options);
    if (status == DS_OK && lib_fork_has(store->config.database)) {
        log_error("%s was open when this process was forked, so it cannot be opened here", path);
        status = DS_FAILED;
    }
    return status == DS_OK ? start_engine(store) : status;
}

static enum ds_status open_memory(struct ds_store *store, const struct ds_store_options *options)
{
    char *folder, *path;
    enum ds_status status = lib_memory_folder(&folder);

    if (status != DS_OK)
        return status;
    if (asprintf(&path, "%s/streams.db", folder) < 0 || !config_init(&store->config, path)) {
        status = DS_NO_MEMORY;
    } else {
        status = take_options(store, options);
        store->config.durability = DURABILITY_MEMORY;
        if (status == DS_OK)
            status = start_engine(store);
        if (status == DS_OK)
            status = connect_all(store);
        free(path);
    }
    lib_memory_hide(folder);
    free(folder);
    return status;
}

static void prepare_process(void)
{
    log_open_quietly();
    lib_fork_prepare();
}

void lib_prepare_process(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, prepare_process);
}

enum ds_status ds_store_open(const char *path, const struct ds_store_options *options,
                             struct ds_store **out)
{
    struct ds_store *store;
    enum ds_status status;

    if (!path || !path[0])
        return DS_INVALID;
    lib_prepare_process();
    store = calloc(1, sizeof *store);
    if (!store)
        return DS_NO_MEMORY;
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->given, NULL);
    status = strcmp(path, ":memory:") == 0 ? open_memory(store, options)
                                           : open_file(store, path, options);
    if (status != DS_OK) {
        ds_store_close(store);
        return status;
    }
    lib_fork_add(store);
    *out = store;
    return DS_OK;
}

void ds_store_close(struct ds_store *store)
{
    if (!store)
        return;
    lib_fork_remove(store);
    engine_stop(&store->engine);
    while (store->idles > 0)
        store_disconnect(store->idle[--store->idles]);
    engine_close(&store->engine);
    (void)pthread_cond_destroy(&store->given);
    (void)pthread_mutex_destroy(&store->lock);
    config_close(&store->config);
    free(store);
}
