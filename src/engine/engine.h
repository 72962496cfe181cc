/*
 * The engine: an open database, and the two threads that a process keeps for it. A server embeds
 * one, and so does an open store of the library.
 *
 *     engine_open ──▶ engine_start ──▶ in use ──▶ engine_stop ──▶ engine_close
 *       the store      committer,                  the threads     the rest
 *                      upkeep
 *
 * Between engine_open() and engine_start() the owner may begin to listen to stream events. Between
 * engine_stop() and engine_close() it must end every other user of the store. Fields are set by
 * these functions only; between start and stop any thread may read them.
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
    struct upkeep *upkeep; /* NULL in a CGI process, and after engine_start_in_place() */
    bool lasting;          /* the process has threads and stays, unlike a CGI process */
    bool is_restarted;     /* another process is started when this one ends */
};

/*
 * Opens the store. lasting: see the field. A failure is logged, and the caller must still call
 * engine_close().
 */
enum ds_status engine_open(struct engine *engine, const struct config *config, bool lasting);

/* Starts the committer, and upkeep in a process that stays. A failure is handled as with
   engine_open(). */
enum ds_status engine_start(struct engine *engine);

/*
 * Instead of engine_start(), for a process of one task: starts no thread. Writes run in the thread
 * that submits them, and only one thread may. The process has no part in upkeep, but must call
 * upkeep_trim() once a second if it stays.
 */
enum ds_status engine_start_in_place(struct engine *engine);

/* Ends both threads. Writes that are submitted later are refused with DS_BUSY. */
void engine_stop(struct engine *engine);

/* After engine_stop(), or a failure: frees everything. No other thread uses the engine any more. */
void engine_close(struct engine *engine);

#endif
