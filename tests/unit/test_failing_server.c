/*
 * A server while the machine fails: whichever call fails, each request gets an answer or its
 * connection is closed, every acknowledged message is stored once and in order, and the next
 * request is answered as if nothing had failed.
 *
 * The whole server runs in the test, behind a socket. FULL=1 CK_TIMEOUT_MULTIPLIER=60 tries every
 * call of its start, and each failure also as one that lasts until the request is over; this takes
 * some minutes.
 */
#include "failing.h"

#include <poll.h>
#include <signal.h>
#include <sys/un.h>
#include <time.h>

#include "fcgi_client.h"
#include "gateway/gateway.h"
#include "gateway/listen.h"
#include "server/server.h"
#include "store/tools/store_check.h"
#include "store_unit.h"

enum { PATIENCE_MS = 10000, MOST = 100000, TOKEN = 8 };

static struct server server;
static struct gateway *gateway;
static struct config config;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char folder[32];
static bool full;       /* FULL=1 */
static char where[100]; /* the call that fails now, for messages */

/* --- the server --- */

static void prepare(const char *durability)
{
    static const char *const settings[][2] = {
        {"DS_LONG_POLL_TIMEOUT_MS", "100"}, {"DS_SSE_LIFETIME_MS", "400"},
        {"DS_BUSY_TIMEOUT_MS", "3000"},     {"DS_WORKERS", "2"},
        {"DS_STOP_TIMEOUT_MS", "5000"},     {"DS_REGISTRY", "/all"},
        {"DS_WAL_BYTES", "65536"},          {"DS_IO_TIMEOUT_MS", "500"},
    };
    char error[160], path[64];

    full = getenv("FULL") && strcmp(getenv("FULL"), "1") == 0;
    failing_begin();
    failing_spared = true; /* this thread is usually the client */
    (void)signal(SIGPIPE, SIG_IGN);
    /* the failures cause thousands of log lines */
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    (void)strcpy(folder, "/dev/shm/ds-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/streams.db", folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    (void)setenv("DS_DATABASE", path, 1);
    (void)setenv("DS_DURABILITY", durability, 1);
    for (size_t i = 0; i < COUNT(settings); i++)
        (void)setenv(settings[i][0], settings[i][1], 1);
    log_open(LOG_ERR_);
    store_own_process();
    ck_assert_msg(config_load(&config, error, sizeof error), "%s", error);
}

static void end(void)
{
    config_close(&config);
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static int open_listener(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)unlink(address.sun_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    return fd;
}

static void stop(void)
{
    if (gateway)
        gateway_close_listener(gateway);
    server_drain(&server);
    ck_assert_int_eq(atomic_load(&server.exchanges.count), 0);
    if (gateway)
        gateway_stop(gateway);
    server_close(&server);
    gateway_free(gateway);
    gateway = NULL;
}

/*
 * Starts the server. False if it cannot start; it then leaves nothing behind. Only the server's own
 * calls fail, because Check writes each check to a file.
 */
static bool start(bool spared)
{
    int fd = open_listener();
    enum ds_status status;

    failing_spared = spared;
    status = server_start(&server, &config, true);
    if (status == DS_OK)
        gateway = gateway_new(&server, &(struct door_socket){fd, DOOR_FCGI}, 1);
    if (gateway)
        status = gateway_start(gateway);
    failing_spared = true;
    if (gateway && status == DS_OK)
        return true;
    if (!gateway)
        (void)close(fd);
    if (gateway || status == DS_OK)
        stop();
    return false;
}

/* --- the client --- */

static int join(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* lines: method, target, headers as "NAME=value", and NULL. */
static void send_request(int fd, const char *const *lines, const char *body)
{
    struct buf params = {0}, request = {0};
    char length[24];

    (void)snprintf(length, sizeof length, "%zu", strlen(body));
    fcgi_add_param(&params, "REQUEST_METHOD", 14, lines[0], strlen(lines[0]));
    fcgi_add_param(&params, "REQUEST_URI", 11, lines[1], strlen(lines[1]));
    fcgi_add_param(&params, "CONTENT_LENGTH", 14, length, strlen(length));
    for (lines += 2; *lines; lines++) {
        size_t name = strcspn(*lines, "=");

        fcgi_add_param(&params, *lines, name, *lines + name + 1, strlen(*lines + name + 1));
    }
    fcgi_add_request(&request, &params, body, strlen(body));
    /* the server may have closed it already */
    (void)send(fd, request.data, request.len, MSG_NOSIGNAL);
    buf_close(&params);
    buf_close(&request);
}

/*
 * Receives until the answer ends, contains `wanted`, or the connection ends; in the last case
 * closes it and returns false. The caller closes answer->text.
 */
static bool hear(int fd, struct fcgi_answer *answer, const char *wanted)
{
    struct buf got = {0};
    struct pollfd socket = {.fd = fd, .events = POLLIN};
    const char *wrong = NULL;
    char piece[8192];
    ssize_t n = 1;

    *answer = (struct fcgi_answer){.length = -1};
    while (!wrong && n > 0 && !answer->ended &&
           !(wanted && answer->text.len > 0 &&
             memmem(answer->text.data, answer->text.len, wanted, strlen(wanted)))) {
        unit_check(poll(&socket, 1, PATIENCE_MS) == 1, "nothing is heard of a connection: %s",
                   where);
        n = syscall(SYS_recvfrom, fd, piece, sizeof piece, 0, NULL, NULL);
        buf_add(&got, piece, n > 0 ? (size_t)n : 0);
        buf_close(&answer->text);
        wrong = fcgi_parse(&got, answer);
    }
    buf_close(&got);
    unit_check(!wrong, "%s: %s", wrong, where);
    unit_check(!answer->ended || answer->length < 0 ||
                   (int64_t)(answer->text.len - answer->head) == answer->length ||
                   answer->text.len == answer->head,
               "a body of another length than it says");
    return n > 0;
}

/* Sends a request and returns the status; 0 if the answer is not complete. */
static int ask(const char *const *lines, const char *body, struct fcgi_answer *answer)
{
    int fd = join();

    send_request(fd, lines, body);
    (void)hear(fd, answer, NULL);
    (void)close(fd);
    return answer->ended ? answer->status : 0;
}

static int ask_for_status(const char *const *lines, const char *body)
{
    struct fcgi_answer answer;
    int status = ask(lines, body, &answer);

    buf_close(&answer.text);
    return status;
}

/* --- the content of the stream --- */

static struct buf expected;    /* the known content of /s */
static char offset[40] = "-1"; /* the offset after it */
static char token[TOKEN + 1];  /* the next message */
static unsigned tokens;

static const char *next_token(void)
{
    (void)snprintf(token, sizeof token, "%07u\n", tokens++);
    return token;
}

/* Reads what was appended to /s: at most the token, and certainly the token if it was
   acknowledged. */
static void settle(bool acknowledged)
{
    char target[80];
    const char *const read[] = {"GET", target, NULL};
    struct fcgi_answer answer;
    const char *next;
    int status;

    (void)snprintf(target, sizeof target, "/s?offset=%s", offset);
    status = ask(read, "", &answer);
    unit_check(status == 200, "the read after it was answered %d: %s", status, where);
    if (answer.text.len > answer.head) {
        unit_check(answer.text.len - answer.head == TOKEN &&
                       memcmp(answer.text.data + answer.head, token, TOKEN) == 0,
                   "there is something else than what was appended: %s", where);
        buf_add(&expected, token, TOKEN);
    } else {
        unit_check(!acknowledged, "what was acknowledged is not there: %s", where);
    }
    next = fcgi_header(&answer, "Stream-Next-Offset");
    unit_check(next != NULL, "no offset");
    (void)snprintf(offset, sizeof offset, "%.*s", (int)strcspn(next, "\r"), next);
    buf_close(&answer.text);
}

/* Starts another server, reads the whole stream from it, and checks the database. */
static void count_finding(void *arg, enum store_check_kind kind, const char *path, const char *text)
{
    (void)arg;
    unit_check(kind != STORE_CHECK_DAMAGE, "%s: %s", path ? path : "", text);
}

static void expect_all(void)
{
    const char *const read[] = {"GET", "/s?offset=-1", NULL};
    struct store_check check = {
        .database = config.database, .busy_timeout_ms = 1000, .now = 1, .fn = count_finding};
    struct fcgi_answer answer;

    stop();
    ck_assert_int_eq(store_check(&check), DS_OK);
    ck_assert(start(true));
    ck_assert_int_eq(ask(read, "", &answer), 200);
    ck_assert_uint_eq(answer.text.len - answer.head, expected.len);
    ck_assert_mem_eq(answer.text.data + answer.head, expected.data, expected.len);
    buf_close(&answer.text);
}

static void begin_stream(void)
{
    const char *const create[] = {"PUT", "/s", "CONTENT_TYPE=text/plain", NULL};

    ck_assert_int_eq(ask_for_status(create, ""), 201);
    ck_assert_int_eq(ask_for_status(create, ""), 200);
    tokens = 0;
    (void)strcpy(offset, "-1");
    buf_close(&expected);
}

/* --- the loops --- */

/* Does something while its n-th call of this kind fails. Returns whether one failed. */
typedef bool attempt(enum failing kind, int n, bool stays);

enum { NONE = -1, EACH = 1 };

static void arm(const char *what, enum failing kind, int n, bool stays)
{
    (void)snprintf(where, sizeof where, "%s, %s %d%s", what, failing_names[kind], n,
                   stays ? " and those after it" : "");
    failing_arm(kind, n, stays);
}

/* but: a kind of call that does not fail; step: the distance between two failing allocations or
   reads. */
static void loop(attempt *run, const char *name, int but, int step)
{
    for (int kind = 0; kind < FAIL_KINDS; kind++)
        /* no lasting failures of locks, for which SQLite waits ten seconds, and of descriptors, for
           which a client waits without limit */
        for (int stays = 0;
             stays <= (full && kind != FAIL_LOCK && kind != FAIL_OPEN) && kind != but; stays++) {
            /* rounds without a failure: more than one is needed, because other threads' calls count
               too */
            int clean = 0;

            int n;

            for (n = 0; clean < 2; n += kind == FAIL_MEMORY || kind == FAIL_READ ? step : 1) {
                clean = run((enum failing)kind, n, stays != 0) ? 0 : clean + 1;
                unit_check(n < MOST, "%s: %s never ends", name, failing_names[kind]);
            }
            if (full) {
                (void)printf("%s: %d places of %s\n", name, n - 2, failing_names[kind]);
                (void)fflush(stdout);
            }
        }
}

static bool good(int status)
{
    return status >= 200 && status < 300;
}

/* A success, no answer at all, or a refusal that does not blame the client. */
static bool decent(int status)
{
    return status == 0 || good(status) || status == 500 || status == 503 || status == 507;
}

static bool run_append(enum failing kind, int n, bool stays)
{
    const char *const append[] = {"POST", "/s", "CONTENT_TYPE=text/plain", NULL};
    const char *text = next_token();
    int status;
    bool failed;

    arm("append", kind, n, stays);
    status = ask_for_status(append, text);
    failed = failing_disarm();
    unit_check(decent(status), "answered %d: %s", status, where);
    settle(good(status));
    status = ask_for_status(append, next_token());
    unit_check(good(status), "then answered %d: %s", status, where);
    settle(true);
    return failed;
}

START_TEST(append_that_is_acknowledged_is_there)
{
    prepare("full");
    ck_assert(start(true));
    begin_stream();
    loop(run_append, "append", NONE, EACH);
    expect_all();
    stop();
    end();
}
END_TEST

/* Creates, forks, closes, describes and deletes a stream. */
static bool run_life(enum failing kind, int n, bool stays)
{
    static const char *const life[][6] = {
        {"PUT", "/made", "CONTENT_TYPE=application/json", "HTTP_STREAM_TTL=1000", NULL},
        {"POST", "/made", "CONTENT_TYPE=application/json", "HTTP_PRODUCER_ID=p",
         "HTTP_PRODUCER_EPOCH=0", NULL},
        {"PUT", "/fork", "CONTENT_TYPE=application/json", "HTTP_STREAM_FORKED_FROM=/made", NULL},
        {"HEAD", "/fork", NULL},
        {"GET", "/fork?offset=-1", NULL},
        {"POST", "/fork", "CONTENT_TYPE=application/json", "HTTP_STREAM_CLOSED=true", NULL},
        {"GET", "/all?offset=now", NULL},
        {"DELETE", "/made", NULL},
        {"DELETE", "/fork", NULL},
    };
    static const char *const bodies[] = {"[1,2]", "3", "", "", "", "[4]", "", "", ""};
    bool failed = false;

    for (size_t i = 0; i < COUNT(life); i++) {
        int status;

        arm(life[i][0], kind, n, stays);
        status = ask_for_status(life[i], bodies[i]);
        failed |= failing_disarm();
        unit_check(decent(status) || (status >= 400 && status < 500), "%s answered %d: %s",
                   life[i][1], status, where);
        status = ask_for_status(life[i], bodies[i]);
        unit_check(status != 0 && status < 500, "%s then answered %d: %s", life[i][1], status,
                   where);
    }
    return failed;
}

START_TEST(streams_come_and_go)
{
    prepare("normal");
    ck_assert(start(true));
    begin_stream();
    loop(run_life, "life", NONE, EACH);
    expect_all();
    stop();
    end();
}
END_TEST

#define CONTROL "/v1/stream/__ds/subscriptions/s"

/* Copies a member of the answer, which is a text or a number; false if there is none. */
static bool copy_member(const struct fcgi_answer *answer, const char *name, char to[static 80])
{
    const char *at = answer->text.len == 0
                         ? NULL
                         : memmem(answer->text.data, answer->text.len, name, strlen(name));
    size_t len;

    if (!at)
        return false;
    at += strlen(name);
    at += *at == '"';
    len = strcspn(at, "\",}");
    ck_assert_uint_lt(len, 80);
    memcpy(to, at, len);
    to[len] = '\0';
    return true;
}

/* A claim that was answered holds the lease: its token counts, once. */
static void work_on_claim(const struct fcgi_answer *answer, enum failing kind, int n, bool stays)
{
    char wake[80], token_text[80], generation[80], authorization[120], body[300];
    const char *const ack[] = {"POST", CONTROL "/ack", authorization, NULL};
    int status, again;

    ck_assert(copy_member(answer, "\"wake_id\":", wake) &&
              copy_member(answer, "\"token\":", token_text) &&
              copy_member(answer, "\"generation\":", generation));
    (void)snprintf(authorization, sizeof authorization, "HTTP_AUTHORIZATION=Bearer %s", token_text);
    (void)snprintf(body, sizeof body, "{\"wake_id\":\"%s\",\"generation\":%s,\"done\":true}", wake,
                   generation);
    arm("ack", kind, n, stays);
    status = ask_for_status(ack, body);
    (void)failing_disarm();
    unit_check(decent(status), "ack answered %d: %s", status, where);
    again = ask_for_status(ack, body);
    unit_check(again == 409 || (again == 200 && status != 200), "ack then answered %d: %s", again,
               where);
}

/* Creates a subscription, wakes it, claims and acks, shows and deletes it. */
static bool run_subscription(enum failing kind, int n, bool stays)
{
    static const char *const life[][4] = {
        {"PUT", CONTROL, NULL},
        {"PUT", "/v1/stream/q/a", "CONTENT_TYPE=text/plain", NULL},
        {"POST", CONTROL "/streams", NULL},
        {"POST", CONTROL "/claim", NULL},
        {"GET", CONTROL, NULL},
        {"DELETE", CONTROL "/streams/q%2Fb", NULL},
        {"DELETE", "/v1/stream/q/a", NULL},
        {"DELETE", CONTROL, NULL},
    };
    static const char *const bodies[] = {
        "{\"type\":\"pull-wake\",\"pattern\":\"q/*\",\"wake_stream\":\"wake\"}",
        "data",
        "{\"streams\":[\"q/b\"]}",
        "{\"worker\":\"w\"}",
        "",
        "",
        "",
        ""};
    bool failed = false;

    for (size_t i = 0; i < COUNT(life); i++) {
        struct fcgi_answer answer;
        bool claims = i == 3;
        int status, again = 0;

        arm(life[i][1], kind, n, stays);
        status = ask(life[i], bodies[i], &answer);
        failed |= failing_disarm();
        unit_check(decent(status), "%s %s answered %d: %s", life[i][0], life[i][1], status, where);
        if (!good(status) || !claims) {
            buf_close(&answer.text);
            again = ask(life[i], bodies[i], &answer);
        }
        /* a claim, or the deletion of the stream, whose answer was lost */
        unit_check(!again || good(again) || (status == 0 && again == (claims ? 409 : 404)) ||
                       (again == 404 && i == 6),
                   "%s %s then answered %d: %s", life[i][0], life[i][1], again, where);
        if (claims && (good(status) || good(again)))
            work_on_claim(&answer, kind, n, stays);
        buf_close(&answer.text);
    }
    return failed;
}

START_TEST(subscription_wakes_and_its_claim_counts)
{
    const char *const wake[] = {"PUT", "/v1/stream/wake", "CONTENT_TYPE=application/json", NULL};

    prepare("normal");
    ck_assert(start(true));
    begin_stream();
    ck_assert_int_eq(ask_for_status(wake, "[]"), 201);
    loop(run_subscription, "subscription", NONE, EACH);
    expect_all();
    stop();
    end();
}
END_TEST

/* Starts a server and sends its first requests, for which no statement is prepared yet. */
static bool run_beginning(enum failing kind, int n, bool stays)
{
    const char *const append[] = {"POST", "/s", "CONTENT_TYPE=text/plain", NULL};
    bool began, failed;
    int status = 0;

    stop();
    arm("beginning", kind, n, stays);
    began = start(false);
    if (began)
        status = ask_for_status(append, next_token());
    failed = failing_disarm();
    unit_check(decent(status), "answered %d: %s", status, where);
    unit_check(began || start(true), "does not begin: %s", where);
    settle(good(status));
    status = ask_for_status(append, next_token());
    unit_check(good(status), "then answered %d: %s", status, where);
    settle(true);
    return failed;
}

START_TEST(server_begins_or_says_that_it_does_not)
{
    prepare("full");
    ck_assert(start(true));
    begin_stream();
    /* there are eight thousand allocations. Opening files does not fail here: if SQLite cannot open
       the log's index for writing, it only reads it from then on */
    loop(run_beginning, "beginning", FAIL_OPEN, full ? EACH : 61);
    expect_all();
    stop();
    end();
}
END_TEST

/* SQLite opens a file only for reading if it cannot open it for writing; with our VFS it fails. */
static bool run_connection(struct store *store, int n)
{
    struct store_conn *conn;
    int64_t version;
    bool failed;

    arm("connection", FAIL_OPEN, n, false);
    failing_spared = false;
    if (store_connect(&conn, store) != DS_OK)
        conn = NULL;
    if (conn && store_begin_read(conn) == DS_OK) {
        (void)store_data_version(conn, &version);
        store_end_read(conn);
    }
    failing_spared = true;
    failed = failing_disarm();
    if (conn) {
        ck_assert_msg(store_begin_write(conn) == DS_OK, "cannot write: %s", where);
        store_rollback(conn);
    }
    store_disconnect(conn);
    return failed;
}

START_TEST(connection_without_a_descriptor_for_a_moment_writes_later)
{
    struct store *store;
    struct store_conn *other;

    prepare("normal");
    ck_assert_int_eq(store_open(&store, &config, true), DS_OK);
    ck_assert_int_eq(store_connect(&other, store), DS_OK);
    ck_assert_int_eq(store_begin_write(other), DS_OK); /* creates the log and its index */
    store_rollback(other);
    ck_assert(run_connection(store, 0));
    for (int n = 1; run_connection(store, n); n++)
        ;
    store_disconnect(other);
    store_close(store, true);
    end();
}
END_TEST

/* A live reader and an append: the reader gets the message, or its request ends. */
static bool wait_and_append(const char *live, enum failing kind, int n, bool stays)
{
    const char *const append[] = {"POST", "/s", "CONTENT_TYPE=text/plain", NULL};
    const struct timespec moment = {0, 1000000};
    char target[80];
    const char *const wait[] = {"GET", target, NULL};
    struct fcgi_answer answer;
    int reader = join(), status;
    bool failed;

    (void)snprintf(target, sizeof target, "/s?offset=%s&live=%s", offset, live);
    arm(live, kind, n, stays);
    send_request(reader, wait, "");
    (void)nanosleep(&moment, NULL); /* usually the reader is parked by then; both cases are valid */
    status = ask_for_status(append, next_token());
    unit_check(decent(status), "answered %d: %s", status, where);
    if (good(status)) {
        (void)hear(reader, &answer, token);
        unit_check(decent(answer.status), "the reader was answered %d: %s", answer.status, where);
        buf_close(&answer.text);
    }
    failed = failing_disarm();
    (void)close(reader);
    settle(good(status));
    return failed;
}

static bool run_long_poll(enum failing kind, int n, bool stays)
{
    return wait_and_append("long-poll", kind, n, stays);
}

static bool run_sse(enum failing kind, int n, bool stays)
{
    return wait_and_append("sse", kind, n, stays);
}

START_TEST(reader_that_waits_is_answered_or_let_go)
{
    prepare("normal");
    ck_assert(start(true));
    begin_stream();
    /* without a descriptor for the append's connection, the server accepts it only after the reader
       has left */
    loop(run_long_poll, "long-poll", FAIL_OPEN, EACH);
    loop(run_sse, "sse", FAIL_OPEN, EACH);
    expect_all();
    stop();
    end();
}
END_TEST

/* A body that arrives in pieces, and is too large for one row and one answer. */
static bool run_large(enum failing kind, int n, bool stays)
{
    const char *const create[] = {"PUT", "/large", "CONTENT_TYPE=text/plain", NULL};
    const char *const read[] = {"GET", "/large?offset=-1", NULL};
    const char *const clear[] = {"DELETE", "/large", NULL};
    static char body[300001];
    struct fcgi_answer answer;
    int status;
    bool failed;

    memset(body, 'a' + n % 26, sizeof body - 1);
    arm("large", kind, n, stays);
    status = ask_for_status(create, body);
    unit_check(decent(status), "answered %d: %s", status, where);
    status = ask(read, "", &answer);
    unit_check(decent(status) || status == 404, "read, answered %d: %s", status, where);
    unit_check(status != 200 || answer.text.len - answer.head == strlen(body), "cut: %s", where);
    buf_close(&answer.text);
    failed = failing_disarm();
    status = ask_for_status(create, body);
    unit_check(good(status) || status == 409, "then answered %d: %s", status, where);
    (void)ask_for_status(clear, "");
    return failed;
}

START_TEST(large_body_is_there_or_refused)
{
    prepare("normal");
    ck_assert(start(true));
    begin_stream();
    loop(run_large, "large", NONE, full ? EACH : 11);
    expect_all();
    stop();
    end();
}
END_TEST

/* Requests that do not fit into the first block of their arena: if lack of memory cut a query or
   path, it would name another offset or another stream. */
static bool run_names(int filler, int n)
{
    static char target[5000];
    const char *const read[] = {"GET", target, "SCRIPT_NAME=/~ann/streams.cgi",
                                "PATH_INFO=/v1/stream/r", NULL};
    const char *const fork[] = {"PUT",
                                target,
                                "SCRIPT_NAME=/~ann/streams.cgi",
                                "PATH_INFO=/v1/stream/f",
                                "HTTP_STREAM_FORKED_FROM=/~ann/v1/stream/r",
                                NULL};
    struct fcgi_answer answer;
    int status;
    bool failed;

    (void)snprintf(target, sizeof target, "/~ann/v1/stream/r?x=%0*d&offset=%s", filler, 0,
                   "0000000000000000_0000000000000%30%30%35");
    arm("names", FAIL_MEMORY, n, false);
    status = ask(read, "", &answer);
    failed = failing_disarm();
    unit_check(decent(status), "answered %d, %d of filling: %s", status, filler, where);
    unit_check(status != 200 || (answer.text.len - answer.head == 5 &&
                                 memcmp(answer.text.data + answer.head, "56789", 5) == 0),
               "another place was read, %d of filling: %s", filler, where);
    buf_close(&answer.text);
    (void)snprintf(target, sizeof target, "/~ann/v1/stream/f?x=%0*d", filler, 0);
    arm("names of forks", FAIL_MEMORY, n, false);
    status = ask_for_status(fork, "");
    failed |= failing_disarm();
    unit_check(decent(status), "fork answered %d, %d of filling: %s", status, filler, where);
    return failed;
}

START_TEST(names_are_understood_or_refused)
{
    const char *const create[] = {"PUT", "/v1/stream/r", "CONTENT_TYPE=text/plain", NULL};
    const char *const append[] = {"POST", "/v1/stream/r", "CONTENT_TYPE=text/plain", NULL};

    prepare("normal");
    ck_assert(start(true));
    begin_stream();
    ck_assert_int_eq(ask_for_status(create, "01234"), 201);
    ck_assert_int_eq(ask_for_status(append, "56789"), 204);
    for (int filler = full ? 1 : 2401; filler < 3700;
         filler += 16) /* the arena rounds sizes up to multiples of 16 */
        for (int n = 0; n < (full ? 100 : 20) && run_names(filler, n); n++)
            ;
    expect_all();
    stop();
    end();
}
END_TEST

/* The answer to a fork repeats a content type that is longer than most answers. */
static bool run_long_answer(int n)
{
    const char *const fork[] = {"PUT", "/long-fork", "HTTP_STREAM_FORKED_FROM=/long", NULL};
    const char *const clear[] = {"DELETE", "/long-fork", NULL};
    int status;
    bool failed;

    arm("long answer", FAIL_MEMORY, n, false);
    status = ask_for_status(fork, "");
    failed = failing_disarm();
    unit_check(status == 201 || status == 503, "answered %d: %s", status, where);
    status = ask_for_status(clear, "");
    unit_check(status == 204 || status == 404, "cleared, answered %d: %s", status, where);
    return failed;
}

START_TEST(what_was_done_has_its_answer_however_long)
{
    static char type[4000];
    const char *const create[] = {"PUT", "/long", type, NULL};

    (void)snprintf(type, sizeof type, "CONTENT_TYPE=text/plain; a=%03500d", 0);
    prepare("normal");
    ck_assert(start(true));
    begin_stream();
    ck_assert_int_eq(ask_for_status(create, "x"), 201);
    for (int n = 0, clean = 0; clean < 2; n++)
        clean = run_long_answer(n) ? 0 : clean + 1;
    expect_all();
    stop();
    end();
}
END_TEST

UNIT_MAIN(failing_server, append_that_is_acknowledged_is_there, streams_come_and_go,
          subscription_wakes_and_its_claim_counts, server_begins_or_says_that_it_does_not,
          connection_without_a_descriptor_for_a_moment_writes_later,
          reader_that_waits_is_answered_or_let_go, large_body_is_there_or_refused,
          names_are_understood_or_refused, what_was_done_has_its_answer_however_long)
