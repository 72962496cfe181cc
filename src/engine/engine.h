/*
 * The engine: a database that is open, and the two threads that a process keeps for it. A server
 * embeds one, and so does an open store of the library.
 *
 *     engine_open ──▶ engine_start ──▶ in use ──▶ engine_stop ──▶ engine_close
 *       the store      committer,                  the threads     the rest
 *                      upkeep
 *
 * The owner may begin to listen to stream events between the first two, and must end everything
 * else that uses the store between the last two. Fields are set by these functions only; between
 * start and stop any thread may read them.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>

#include "protocol/status.h"

struct commit;
struct config;
struct store;
struct upkeep;

struct engine {
    const struct config *config; /* the owner's, unchanged until engine_close() */
    struct store *store;
    struct commit *commit;
    struct upkeep *upkeep; /* NULL in a CGI process */
    bool lasting;          /* has threads and stays; a CGI process does not */
    bool is_restarted;     /* another process is started when this one ends */
};

/*
 * Opens the store. lasting: see the field. On failure the status is logged, and engine_close() is
 * still to be called.
 */
enum ds_status engine_open(struct engine *engine, const struct config *config, bool lasting);

/* Starts the committer, and upkeep in a process that stays. On failure as engine_open(). */
enum ds_status engine_start(struct engine *engine);

/* Ends both threads. Writes that are submitted later are refused with DS_BUSY. */
void engine_stop(struct engine *engine);

/* After engine_stop(), or a failure: frees everything. No other thread uses the engine any more. */
void engine_close(struct engine *engine);

#endif
