/*
 * The interface between the parts of the load generator. One thread, one epoll set, one request at
 * a time on each connection.
 *
 *   load.c            options and output
 *   load_http.c       connections: requests out, answers in
 *   load_message.c    messages that name their writer, and the ledger of acknowledged ones
 *   load_histogram.c  latencies
 *   load_requests.c   load requests, load create
 *   load_read.c       load catch-up, load verify
 *   load_live.c       load live
 *   load_notice.c     load notice, load work
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the options, explained in load.c --- */

struct wanted {
    const char *method, *prefix, *query, *type, *headers, *ledger, *wake, *heard;
    int port, listen, first, connections, streams, body, batch, readers;
    uint64_t count, bytes;
    bool producer, sse;
    double seconds, warmup, rate, pace, pause;
};

extern struct wanted want;

/* The results; the run fails if one of the last three is not 0. */
struct tally {
    uint64_t answered;     /* after the warm-up */
    uint64_t bytes;        /* of bodies, after the warm-up */
    uint64_t acknowledged; /* messages, from the first to the last */
    uint64_t failed;       /* connections that ended or stalled in the middle of an answer */
    uint64_t unexpected;   /* answers with another status */
    uint64_t missed;       /* messages that are lost, repeated, out of order or damaged */
};

extern struct tally tally;
extern bool measuring;

/* Prints a fault on stderr; only the first few are printed. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program after a failed system call. */
_Noreturn void die(const char *what);
void *allocate(size_t count, size_t size);
int64_t now_ns(void); /* CLOCK_MONOTONIC, which all processes of a machine share */

/* --- latencies: buckets of 1/32 of their value, from a microsecond up --- */

enum { FINE = 32, BUCKETS = 40 * FINE };

struct histogram {
    uint64_t count, bucket[BUCKETS];
    double sum_us;
    int64_t max_ns;
};

void histogram_note(struct histogram *histogram, int64_t ns);
void histogram_print(const char *name, const struct histogram *histogram);

/* --- messages --- */

/*
 * A message has want.body bytes, and describes itself:
 *
 *     r=<run> w=<writer> s=<stream> n=<number> t=<nanoseconds> h=<hash of what is before it>
 * .....\n
 *
 * In a stream of JSON that text, without the line feed, is the member "m" of an object. A writer
 * counts its messages from 0, over all streams that it writes to; `run` tells one start of the
 * generator from another.
 */
struct message {
    uint32_t run, writer, stream;
    uint64_t number;
    int64_t sent;
};

enum { MESSAGE_LEAST = 128 }; /* room for all of the above */

extern uint32_t run; /* of this process */

bool type_is_json(void);
/* Writes want.body bytes. */
void message_put(char *to, const struct message *message);
/* Parses the beginning of a text; false if it is not that of a message. */
bool message_read(const char *text, size_t len, struct message *message);
/* True if these want.body bytes are a message, and each byte is as it was sent. */
bool message_check(const char *bytes, struct message *message);

/*
 * The ledger: a file with a line for each writer of each run, "run writer count", which says that
 * messages 0 … count - 1 were acknowledged and no other was sent. Generators add to it, `load
 * verify` reads it.
 */
void ledger_add(uint32_t writer, uint64_t count);

struct ledger_entry {
    uint32_t run, writer;
    uint64_t count;
    unsigned char *seen; /* a bit for each message */
};

struct ledger {
    struct ledger_entry *entry; /* sorted by run and writer */
    size_t count;
};

void ledger_load(struct ledger *ledger);
/* The index of the entry of a message, -1 if no writer sent it. */
long ledger_find(const struct ledger *ledger, const struct message *message);

/* --- connections --- */

struct connection;

/* The callbacks of a connection. Each may be NULL. */
struct role {
    void (*data)(struct connection *connection, const char *data, size_t len); /* of a body */
    void (*whole)(struct connection *connection);    /* an answer has ended */
    void (*readable)(struct connection *connection); /* it reads by itself: not a client's */
    int also; /* a status that is expected besides those of success; 0: none */
};

struct connection {
    const struct role *role;
    int fd, id, stream;
    char *out; /* the request */
    size_t out_len, out_sent, out_size;
    char *in;
    size_t in_len, in_size;
    bool asked, head_only; /* a request is under way; its method is HEAD */
    int64_t began;         /* when the request was sent, or was due */
    bool in_body, chunked, endless, closing;
    int64_t left;    /* bytes left of the body or chunk; -1: the chunk's line end is next */
    char offset[80]; /* the last Stream-Next-Offset */
    bool up_to_date; /* Stream-Up-To-Date of this answer */
    bool refused;    /* its status was not expected */
    uint64_t number; /* writers: of the next message */
    uint64_t expected, passes; /* readers: of the next message; how often all was read */
    uint64_t got;              /* bytes of this pass */
    int64_t own_began, wakes;  /* when this pass began, and when the next one will */
    int owed;                  /* writers: messages that are late */
    char *piece;               /* the beginning of a message or line, until it is whole */
    size_t piece_len;
    bool greeted; /* the reader has reached the tail */
    void *own;    /* of the role */
};

extern int under_way; /* requests whose answer is not complete */

struct connection *connection_add(const struct role *role, int id, size_t in_size);
/* A socket that this process did not connect, for a role that reads by itself. */
struct connection *connection_adopt(const struct role *role, int fd, size_t in_size);
/* Makes room for a request of this size in connection->out. */
void connection_room(struct connection *connection, size_t size);
/* Sends the request in connection->out. */
void connection_ask(struct connection *connection, size_t len);
/* Sends a GET of a stream from connection->offset; `more` is added to the query. */
void connection_get(struct connection *connection, const char *more);
void connections_init(void);
/* Waits for events, and handles them. */
void turn(int64_t wait_ns);
/* Handles events until no request is under way. */
void drain(void);

/* --- modes --- */

/* A part of `load requests`: a POST of want.batch messages to connection->stream. */
void append_start(struct connection *connection);
void run_requests(void);
void run_create(void);
void run_catch_up(void);
void run_verify(void);
void run_live(void);
void run_notice(void);
void run_work(void);

#endif
