/*
 * The live desk: exchanges that wait, without a thread each.
 *
 * A waiting reader is an offset and a connection. The desk, one thread a process, holds them by
 * stream; when a stream's sequence moves (wake.h), it reads the stream once and writes to all its
 * readers. It writes without blocking: a reader that takes nothing keeps what it has been sent so
 * far and costs nobody anything; when its socket is writable again the desk reads on from its
 * offset. Readers at the same offset share one read and one encoded answer.
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
 * In a CGI process the one exchange is served by live_run() in the caller.
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

/* A reader as the encoder sees it. */
struct live_reader {
    int64_t stream_id;
    int64_t position;    /* it has everything before */
    int64_t cursor;      /* the client's cursor, -1 if it sent none */
    char *if_none_match; /* malloc'd, or NULL */
    const char *origin;  /* long-poll: of the request, see http_cors.h */
    enum live_kind kind;
    enum sse_encoding encoding;
    struct mangle mangle; /* long-poll: the answer is made to suffer, and is for it alone */
    bool only_now;        /* asked for offset=now: the answer is for it alone */
    bool greeted;         /* SSE: the first control event is out */
    bool out_of_time;     /* answer now, with what there is */
};

/* What a reader gets next; see live_encode.c. */
struct live_answer {
    struct chunk *head, *body; /* references of the caller; either may be NULL */
    int64_t next;              /* the reader's new position */
    bool end;                  /* the exchange is over with this */
};

/*
 * Hands an exchange over. For SSE its head is sent first. False when DS_MAX_PARKED readers wait:
 * the exchange is then still the caller's. reader->if_none_match goes over to the desk.
 */
bool live_park(struct live *live, struct ds_exchange *exchange, const struct live_reader *reader);

/*
 * Hands an exchange over that is to go on in `ms` milliseconds, or when the server stops: resume()
 * then owns it, on the desk's thread and with the desk's connection. It is forgotten when its
 * client leaves before. False when DS_MAX_PARKED readers wait, or requests of DS_MAX_QUEUED_BYTES.
 */
bool live_delay(struct live *live, struct ds_exchange *exchange, int64_t ms,
                void (*resume)(struct ds_exchange *exchange));

/* Writes the rest of an answer as the reader reads. Takes peer and the chunks of out. */
void live_drain(struct live *live, struct peer *peer, struct outgoing *out);

/* thread: false in a CGI process, which calls live_run() instead. */
enum ds_status live_start(struct live **live, struct engine *engine, struct exchanges *exchanges,
                          bool thread);

/* Is nobody here? */
bool live_is_empty(struct live *live);

/* Serves until nobody is left, on this thread. */
void live_run(struct live *live);

/* Lets every reader go, politely; from now on nobody stays. Returns at once. */
void live_let_go(struct live *live);

/* Ends the thread; whoever is left is closed. NULL is allowed. */
void live_stop(struct live *live);

#endif
