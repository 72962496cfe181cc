/*
 * The live desk: one thread that serves all exchanges of a process that wait.
 *
 * A waiting reader is an offset and a connection. The desk keeps its readers by stream. When a
 * stream changes (wake.h), the desk reads it once and writes to all its readers; those at the same
 * offset share one read and one encoded answer. The desk never blocks on a socket: a reader that
 * does not read keeps its offset, and the desk reads on from there when the socket is writable
 * again.
 *
 *             live_park                     data, closure, end of the stream
 *     worker ───────────▶ inbox ─▶ waiting ─────────────────▶ sending ─▶ waiting (SSE)
 *                                     │ time is up, stop          │  └─▶ done (long-poll, end)
 *                                     └──────────▶ sending ───────┤
 *     any    ───────────▶ inbox ───────────────────▲              └ gone: closed
 *             live_drain
 *     worker ───────────▶ inbox ─▶ delayed ─▶ on with it: time is up, or the server stops
 *             live_delay              └ gone: not carried out
 *
 * A CGI process has no such thread: live_run() serves its one exchange in the caller.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "exchange/peer.h"
#include "protocol/fault.h"
#include "protocol/sse.h"
#include "protocol/status.h"

struct ds_exchange;
struct engine;
struct exchanges;
struct live;
struct stream;
struct store_conn;

enum live_kind { LIVE_LONG_POLL, LIVE_SSE };

/* What the encoder must know of a reader. */
struct live_reader {
    int64_t stream_id;
    int64_t position;    /* where it reads on; it has everything before */
    int64_t cursor;      /* the client's cursor, -1 if it sent none */
    char *if_none_match; /* malloc'd, or NULL */
    const char *origin;  /* long-poll: the request's, see http_cors.h */
    enum live_kind kind;
    enum sse_encoding encoding;
    struct mangle mangle; /* long-poll: an injected fault damages the answer, which is not shared */
    bool only_now;        /* asked for offset=now: the answer is not shared */
    bool greeted;         /* SSE: the first control event has been sent */
    bool out_of_time;     /* answer now, even if there is nothing new */
};

/* What to send to a reader next: see live_encode.c. */
struct live_answer {
    struct chunk *head, *body; /* references that the caller owns; either may be NULL */
    int64_t next;              /* the reader's new position */
    bool end;                  /* the exchange ends with this answer */
};

/*
 * Hands an exchange over to the desk, which sends its head first, if it has one (SSE). On success
 * the desk also owns reader->if_none_match. False when DS_MAX_PARKED readers wait or memory ran
 * out: the caller then still owns both. Any thread.
 */
bool live_park(struct live *live, struct ds_exchange *exchange, const struct live_reader *reader);

/*
 * Hands an exchange over to the desk for `ms` milliseconds, or until the server stops: resume()
 * then owns it, on the desk's thread and with the desk's connection. If the client leaves before,
 * the exchange ends without resume(). False, and the caller still owns it, when DS_MAX_PARKED
 * exchanges wait, or their bodies exceed DS_MAX_QUEUED_BYTES. Any thread.
 */
bool live_delay(struct live *live, struct ds_exchange *exchange, int64_t ms,
                void (*resume)(struct ds_exchange *exchange));

/* Writes the rest of an answer as its client reads it. Takes over peer and the chunks of out. When
   too many bytes wait already, closes the connection instead. Any thread. */
void live_drain(struct live *live, struct peer *peer, struct outgoing *out);

/* thread: false in a CGI process, which calls live_run() instead. engine and exchanges are borrowed
   until live_stop(). */
enum ds_status live_start(struct live **live, struct engine *engine, struct exchanges *exchanges,
                          bool thread);

/* Has the desk no exchange? */
bool live_is_empty(struct live *live);

/* Serves on this thread until no exchange is left. */
void live_run(struct live *live);

/* Answers every waiting reader with what there is, now and from now on. Returns at once. */
void live_let_go(struct live *live);

/* Ends the thread and closes the connections that are left. NULL is allowed. */
void live_stop(struct live *live);

#endif
