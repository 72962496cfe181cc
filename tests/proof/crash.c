/*
 * kill -9, at random and between every two system calls.
 *
 * At random: writers use all doors (work.h), while responders, CGI processes, dsctl import and
 * programs that use the library are killed again and again.
 *
 * Between every two system calls: one of these programs works, traced with ptrace(2), and is killed
 * at the first, second, third … start or end of a system call of any of its threads, after it has
 * opened the database. A long run tries every place, a short one some.
 *
 * After each kill of the second kind, and sometimes during the first, the database must be sound,
 * and have everything that was acknowledged, once, in order and whole. Writers repeat unanswered
 * requests with the same producer sequence, and no unit may be stored twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"
#include "look.h"
#include "proof.h"
#include "work.h"

enum {
    PLACES_SHORT = 14, /* of each kind, in a round; many rounds cover all places */
    PLACES_LONG = 150,
    LIBRARY_EVERY = 10, /* the library checks every tenth state as well */
    PIPE_BYTES = 1024 * 1024,
};

static struct found found[LEDGER_STREAMS];
static struct ledger ledger;
static pthread_mutex_t ledger_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t now; /* counts the notes in the ledger */
static bool is_long;

static const char *const kinds[] = {"CGI", "responder", "library", "import"};
enum { CGI, RESPONDER, LIBRARY, IMPORT, KINDS };

static struct {
    int64_t random, looks, acknowledged;
    int64_t stopped[KINDS];   /* killed at a stop */
    int64_t through[KINDS];   /* ended before the stop: all places were tried */
    int64_t next_stop[KINDS]; /* the place of the next kill */
} covered;

static const char *database(void)
{
    return proof_file("db/s.db");
}

static void mark(void *arg, uint32_t stream, enum mark what, uint64_t n)
{
    (void)arg;
    (void)pthread_mutex_lock(&ledger_lock);
    ledger_note(&ledger, stream, what, n, ++now);
    (void)pthread_mutex_unlock(&ledger_lock);
}

static void copy_database(const char *to)
{
    static const char *const suffixes[] = {"", "-wal", "-journal"};
    char from[300], target[300];

    proof_remove(proof_file(to));
    PROOF(mkdir(proof_file(to), 0700) == 0, "%s", strerror(errno));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(from, sizeof from, "%s%s", database(), suffixes[i]);
        (void)snprintf(target, sizeof target, "%s/s.db%s", proof_file(to), suffixes[i]);
        proof_copy(from, target);
    }
}

/* No process uses the database meanwhile. */
static void look(const char *after, bool by_library)
{
    const char *wrong;

    copy_database("copy");
    wrong = look_by_sqlite(proof_file("copy/s.db"), found);
    if (!wrong)
        wrong = ledger_judge(&ledger, found, true);
    if (!wrong && by_library) {
        copy_database("copy");
        wrong = look_by_library(proof_file("copy/s.db"), found);
    }
    covered.looks++;
    PROOF(!wrong, "after %s: %s", after, wrong);
}

static void set_environment(struct doors *doors)
{
    static char text[300];

    (void)snprintf(text, sizeof text, "DS_DATABASE=%s", doors->database);
    doors_set(doors, text);
    doors_set(doors, "DS_WAL_BYTES=65536");
    doors_set(doors, "DS_BUSY_TIMEOUT_MS=30000");
    doors_set(doors, "DS_LOG_LEVEL=error");
}

/* --- between two system calls --- */

/* The traced program: its kind, its requests and their answers. */
struct subject {
    struct doors *doors;
    int kind;
    uint32_t stream;
    uint64_t unit;
    uint64_t units[IMPORTED_STREAMS]; /* of imported streams; the first is 0 before an import */
    pid_t pid;
    char content[UNIT_MOST];
    size_t len;
    int in, out;      /* our ends of its pipes, -1 */
    pthread_t client; /* of a responder */
    bool acknowledged;
};

/* Is this the system call that opens the database? */
static bool opens_database(pid_t pid, const struct __ptrace_syscall_info *info)
{
    char path[300] = "";
    struct iovec local = {path, sizeof path - 1}, remote;

    if (info->op != PTRACE_SYSCALL_INFO_ENTRY || info->entry.nr != SYS_openat)
        return false;
    remote = (struct iovec){(void *)(uintptr_t)info->entry.args[1], strlen(database()) + 1};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) > 0 && strcmp(path, database()) == 0;
}

static void *request(void *arg)
{
    struct subject *subject = arg;
    char path[40];
    const struct request asked = {.method = "POST",
                                  .path = stream_path(subject->stream, path),
                                  .type = stream_type(subject->stream),
                                  .seq = (int64_t)subject->unit,
                                  .body = subject->content,
                                  .len = subject->len};
    int status = request_fcgi(subject->doors, &asked, NULL, NULL);

    subject->acknowledged = status == 200 || status == 204;
    PROOF(subject->acknowledged || status == 0 || status >= 500, "%d to an append", status);
    (void)kill(subject->pid, SIGTERM); /* kills during its graceful end are tried as well */
    return NULL;
}

/* In the child: runs the program of this kind, traced. */
static _Noreturn void become(const struct subject *subject, int in, int out)
{
    char text[12][300], program[300], *environment[SETTINGS_MOST + 16], path[40], seed[24];
    char leaks[] = "ASAN_OPTIONS=detect_leaks=0"; /* the leak check uses ptrace(2), too */
    const char *argv[8] = {"durable-streams.fcgi"};
    int n = 0, log = open(proof_file("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);

    for (; subject->doors->setting[n]; n++)
        environment[n] = (char *)(uintptr_t)subject->doors->setting[n];
    environment[n++] = leaks;
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)unit_seed);
    if (subject->kind == CGI) {
        (void)stream_path(subject->stream, path);
        (void)snprintf(text[0], sizeof text[0], "REQUEST_METHOD=POST");
        (void)snprintf(text[1], sizeof text[1], "REQUEST_URI=%s", path);
        (void)snprintf(text[2], sizeof text[2], "PATH_INFO=%s", path);
        (void)snprintf(text[3], sizeof text[3], "SCRIPT_NAME=");
        (void)snprintf(text[4], sizeof text[4], "CONTENT_TYPE=%s", stream_type(subject->stream));
        (void)snprintf(text[5], sizeof text[5], "CONTENT_LENGTH=%zu", subject->len);
        (void)snprintf(text[6], sizeof text[6], "HTTP_PRODUCER_ID=proof");
        (void)snprintf(text[7], sizeof text[7], "HTTP_PRODUCER_EPOCH=0");
        (void)snprintf(text[8], sizeof text[8], "HTTP_PRODUCER_SEQ=%llu",
                       (unsigned long long)subject->unit);
        (void)snprintf(text[9], sizeof text[9], "SERVER_NAME=localhost");
        (void)snprintf(text[10], sizeof text[10], "SERVER_PORT=80");
        (void)snprintf(text[11], sizeof text[11], "SERVER_PROTOCOL=HTTP/1.1");
        for (int i = 0; i < 12; i++)
            environment[n++] = text[i];
    } else if (subject->kind == LIBRARY) {
        const char *const given[] = {"proof/library", database(), "full", seed, NULL};

        memcpy(argv, given, sizeof given);
    } else if (subject->kind == IMPORT) {
        const char *const given[] = {"dsctl",           "-q", "--db", database(), "import",
                                     "--skip-existing", NULL};

        memcpy(argv, given, sizeof given);
    }
    environment[n] = NULL;
    (void)snprintf(program, sizeof program, "%s/%s", subject->doors->build, argv[0]);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    (void)execve(program, (char *const *)(uintptr_t)argv, environment);
    _exit(127);
}

/* Starts the program, which stops at its execve(). */
static void begin(struct subject *subject)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, status;
    int given;

    if (subject->kind == RESPONDER) {
        given = subject->doors->listening;
    } else if (subject->kind == IMPORT) {
        given = open(proof_file("export"), O_RDONLY | O_CLOEXEC);
    } else {
        PROOF(pipe2(in, O_CLOEXEC) == 0 && fcntl(in[1], F_SETPIPE_SZ, PIPE_BYTES) >= UNIT_MOST,
              "no pipe that takes a whole unit");
        given = in[0];
    }
    PROOF(pipe2(out, O_CLOEXEC) == 0, "no pipe");
    (void)fflush(NULL);
    subject->pid = fork();
    PROOF(subject->pid >= 0, "cannot fork");
    if (subject->pid == 0)
        become(subject, given, out[1]);
    (void)close(out[1]);
    if (given != subject->doors->listening)
        (void)close(given);
    subject->in = in[1];
    subject->out = out[0];
    PROOF(waitpid(subject->pid, &status, 0) == subject->pid && WIFSTOPPED(status),
          "%s cannot be traced", kinds[subject->kind]);
    PROOF(ptrace(PTRACE_SETOPTIONS, subject->pid, NULL,
                 PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) == 0,
          "ptrace: %s", strerror(errno));
}

/* Gives the program its work: on its standard input, or by a client. */
static void tell(struct subject *subject)
{
    char line[80];

    if (subject->kind == CGI) {
        (void)!write(subject->in, subject->content, subject->len);
    } else if (subject->kind == LIBRARY) {
        (void)snprintf(line, sizeof line, "A %u %llu\n", subject->stream,
                       (unsigned long long)subject->unit);
        (void)!write(subject->in, line, strlen(line));
    } else if (subject->kind == RESPONDER) {
        PROOF(pthread_create(&subject->client, NULL, request, subject) == 0, "no thread");
    }
    if (subject->in >= 0)
        (void)close(subject->in);
}

/* Handles a stop of one of its threads, and lets it continue. */
static void resume(pid_t thread, int status)
{
    int signal = WSTOPSIG(status);

    if (signal == (SIGTRAP | 0x80) || signal == SIGTRAP || signal == SIGSTOP)
        signal = 0;
    (void)ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(intptr_t)signal);
}

/* Runs it until it ends, or kills it at this stop and returns true. */
static bool follow(struct subject *subject, int64_t stop, int *ended)
{
    bool counts = false, killed = false;
    int64_t stops = 0;

    (void)ptrace(PTRACE_SYSCALL, subject->pid, NULL, NULL);
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);

        PROOF(thread > 0, "%s: nothing to wait for: %s", kinds[subject->kind], strerror(errno));
        if (!WIFSTOPPED(status)) {
            if (thread != subject->pid)
                continue;
            *ended = status;
            return killed;
        }
        if (!killed && WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info = {.op = 0};

            if (!counts)
                counts = ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) > 0 &&
                         opens_database(thread, &info);
            stops += counts;
            if (counts && stops == stop) {
                (void)kill(subject->pid, SIGKILL);
                killed = true;
            }
        }
        resume(thread, status);
    }
}

/* Waits for the client of a responder that has ended. The client may wait for the listening socket,
   which this process also holds, so this closes its connection. */
static void join_client(const struct subject *subject)
{
    struct pollfd door = {.fd = subject->doors->listening, .events = POLLIN};

    while (pthread_tryjoin_np(subject->client, NULL) == EBUSY)
        if (poll(&door, 1, 1) == 1)
            (void)close(accept4(door.fd, NULL, NULL, SOCK_CLOEXEC));
}

/* Reads its output to the end. */
static void hear(struct subject *subject)
{
    char said[4096];
    ssize_t n, len = 0;

    if (subject->kind == RESPONDER)
        join_client(subject);
    while ((n = read(subject->out, said + len, sizeof said - 1 - (size_t)len)) > 0)
        len += n;
    said[len] = '\0';
    (void)close(subject->out);
    if (subject->kind == CGI)
        subject->acknowledged = strstr(said, "Status: 204") || strstr(said, "Status: 200") ||
                                (strstr(said, "\r\n\r\n") && !strstr(said, "Status:"));
    else if (subject->kind == LIBRARY)
        subject->acknowledged = said[0] == '0';
}

/* Kills it at this stop; false if it ended before. */
static bool kill_at(struct subject *subject, int64_t stop)
{
    bool killed;
    int ended = 0;

    subject->acknowledged = false;
    subject->len = unit_content(subject->stream, subject->unit, subject->content);
    begin(subject);
    tell(subject);
    killed = follow(subject, stop, &ended);
    if (!killed && subject->kind == IMPORT)
        subject->acknowledged = ended == 0;
    hear(subject);
    PROOF(killed || ended == 0, "%s ended with status %x: see %s", kinds[subject->kind],
          (unsigned)ended, proof_file("log"));
    PROOF(killed || subject->acknowledged, "%s came to its end without an answer: see %s",
          kinds[subject->kind], proof_file("log"));
    return killed;
}

static void create_stream(struct doors *doors, uint32_t stream)
{
    char path[40];
    const struct request request = {
        .method = "PUT", .path = stream_path(stream, path), .type = stream_type(stream), .seq = -1};
    int status;

    mark(NULL, stream, MARK_CREATING, 0);
    status = request_cgi(doors, &request, NULL, NULL);
    PROOF(status == 201, "%d to a stream's creation: see %s", status, proof_file("log"));
    mark(NULL, stream, MARK_CREATED, 0);
}

/* Marks the next unit as begun; imports also need a file. */
static void prepare(struct subject *subject, struct chance *chance)
{
    struct work work = {.doors = *subject->doors};

    if (subject->kind != IMPORT) {
        mark(NULL, subject->stream, MARK_SENDING, subject->unit);
    } else if (subject->units[0] == 0) { /* the same file until it is imported */
        work_export(&work, chance, subject->stream, subject->units);
        for (uint32_t i = 0; i < IMPORTED_STREAMS; i++)
            mark(NULL, subject->stream + i, MARK_IMPORTING, subject->units[i]);
    }
}

static void note_acknowledged(struct subject *subject)
{
    if (subject->kind != IMPORT) {
        mark(NULL, subject->stream, MARK_SENT, subject->unit++);
        return;
    }
    for (uint32_t i = 0; i < IMPORTED_STREAMS; i++)
        mark(NULL, subject->stream + i, MARK_IMPORTED, subject->units[i]);
    subject->stream += IMPORTED_STREAMS;
    subject->units[0] = 0;
}

/* Kills one kind at the next places; repeats a unit until it is acknowledged. */
static void sweep(struct doors *doors, int kind, uint32_t stream, int places)
{
    static struct subject subject;
    struct chance chance = chance_from(proof.seed, 31 + (uint64_t)kind);

    subject = (struct subject){.doors = doors, .kind = kind, .stream = stream};
    if (kind != IMPORT)
        create_stream(doors, stream);
    for (int i = 0; i < places; i++) {
        char after[80];
        bool killed;

        /* a short run tries some of all places */
        covered.next_stop[kind] += is_long ? 1 : chance_between(&chance, 1, 60);
        prepare(&subject, &chance);
        killed = kill_at(&subject, covered.next_stop[kind]);
        if (subject.acknowledged)
            note_acknowledged(&subject);
        (void)snprintf(after, sizeof after, "%s that was killed at stop %lld", kinds[kind],
                       (long long)covered.next_stop[kind]);
        look(after, i % LIBRARY_EVERY == 0);
        covered.stopped[kind] += killed;
        if (!killed) {
            covered.through[kind]++;
            covered.next_stop[kind] = 0;
        }
    }
}

static void kill_at_every_place(void)
{
    struct doors doors;
    int places = is_long ? PLACES_LONG : PLACES_SHORT;

    PROOF(mkdir(proof_file("db"), 0700) == 0, "%s", strerror(errno));
    doors_open(&doors, database());
    set_environment(&doors);
    for (int kind = 0; kind < KINDS; kind++)
        sweep(&doors, kind, 1 + 1000 * (uint32_t)kind, places);
    covered.acknowledged += ledger.acknowledged;
    doors_close(&doors);
    look("all of these", true);
}

/* --- at random --- */

static void kill_at_random(void)
{
    struct chance chance = chance_from(proof.seed, 41);
    struct work work = {.mark = mark};
    atomic_uint next_stream = 0;
    int64_t until = proof_now_ms() + (is_long ? 5000 : 2000);

    proof_remove(proof_file("db"));
    PROOF(mkdir(proof_file("db"), 0700) == 0, "%s", strerror(errno));
    ledger_clear(&ledger);
    doors_open(&work.doors, database());
    set_environment(&work.doors);
    work.seed = proof.seed;
    work.fcgi = work.cgi = work.library = true;
    work.writers = 6;
    work.doors.responders = 1 + (int)chance_below(&chance, 3);
    work.kills_every_ms = chance_between(&chance, 3, 20);
    work.imports_every_ms = 60;
    work.restarts_every_ms = 200;
    work.next_stream = &next_stream;
    work_start(&work);
    while (proof_now_ms() < until)
        proof_sleep_us(10000);
    work_stop(&work, true);
    look("kills at random", true);
    if (work.kills > 0) {
        const char *wrong = look_by_programs(work.doors.build, database(), found, proof.seed);

        PROOF(!wrong, "after kills at random: %s", wrong);
    }
    doors_close(&work.doors);
    (void)printf("  seed %llu: %lld kills at random among %d writers and %d responders, "
                 "%lld requests acknowledged, %lld repeated\n",
                 (unsigned long long)proof.seed, (long long)work.kills, work.writers,
                 work.doors.responders, (long long)work.acknowledged, (long long)work.repeated);
    covered.random += work.kills;
    covered.acknowledged += ledger.acknowledged;
}

int main(int argc, char **argv)
{
    int64_t stopped = 0;

    proof_begin("crash", argc, argv);
    is_long = proof.until_ms > proof_now_ms();
    (void)signal(SIGPIPE, SIG_IGN);
    while (proof_round()) {
        unit_seed = proof.seed;
        ledger_clear(&ledger);
        kill_at_every_place();
        kill_at_random();
    }
    for (int kind = 0; kind < KINDS; kind++) {
        (void)printf("  %s: killed at %lld stops, %lld times through\n", kinds[kind],
                     (long long)covered.stopped[kind], (long long)covered.through[kind]);
        stopped += covered.stopped[kind];
    }
    proof_end("%lld kills (%lld at random, %lld between two system calls), %lld units "
              "acknowledged, %lld looks: each there, once",
              (long long)(covered.random + stopped), (long long)covered.random, (long long)stopped,
              (long long)covered.acknowledged, (long long)covered.looks);
    return 0;
}
