/* Writers, and the programs beside them: see work.h. */
#include "work.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof.h"

enum { OWN_STREAMS = 4, REPEAT_US = 3000, MOMENT_US = 6000 };

/* A program that uses the library, see library.c. */
struct program {
    pthread_mutex_t lock; /* guards pid, because another thread may kill it */
    pid_t pid;            /* 0: it does not run */
    FILE *in, *out;
};

struct own_stream {
    uint32_t number;
    uint64_t units;
    bool there;
};

struct writer {
    struct work *work;
    struct chance chance;
    struct own_stream own[OWN_STREAMS];
    struct program program;
    char unit[UNIT_MOST];
};

/* --- the library --- */

static void program_start(struct work *work, struct program *program, const char *database,
                          bool traced)
{
    char seed[24];
    const char *const argv[] = {"proof/library", database, work->normal ? "normal" : "full", seed,
                                NULL};
    int in[2], out[2];

    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)unit_seed);
    PROOF(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "no pipes");
    (void)pthread_mutex_lock(&program->lock);
    program->pid = start(&work->doors, argv, NULL, in[0], out[1], traced);
    (void)pthread_mutex_unlock(&program->lock);
    (void)close(in[0]);
    (void)close(out[1]);
    program->in = fdopen(in[1], "w");
    program->out = fdopen(out[0], "r");
    PROOF(program->in && program->out, "no streams");
}

static void program_end(struct program *program)
{
    int status;
    pid_t pid;

    if (program->pid == 0)
        return;
    (void)fclose(program->in);
    (void)fclose(program->out);
    (void)pthread_mutex_lock(&program->lock);
    pid = program->pid;
    program->pid = 0;
    (void)pthread_mutex_unlock(&program->lock);
    status = await(pid);
    PROOF((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
              (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGPIPE)),
          "a program of the library ended with status %x: see %s", (unsigned)status,
          proof_file("log"));
}

/* The status that the server would have answered; 0 if there was none. */
static int ask_program(struct program *program, const char *line)
{
    char answer[16];

    if (fputs(line, program->in) < 0 || fflush(program->in) != 0 ||
        !fgets(answer, sizeof answer, program->out)) {
        program_end(program);
        return 0;
    }
    switch (atoi(answer)) {
    case 0:
        return 204;
    case 2: /* DS_NOT_FOUND */
        return 404;
    case 6: /* DS_BUSY */
        return 503;
    default:
        return 400;
    }
}

static int by_library(struct writer *writer, char op, uint32_t stream, uint64_t n)
{
    char line[80];

    if (writer->program.pid == 0)
        program_start(writer->work, &writer->program, writer->work->doors.database, true);
    if (chance_one_in(&writer->chance, 60) && ask_program(&writer->program, "R\n") != 204)
        return 0;
    (void)snprintf(line, sizeof line, "%c %u %llu\n", op, stream, (unsigned long long)n);
    return ask_program(&writer->program, line);
}

/* --- writers --- */

static int by_request(struct writer *writer, char op, uint32_t stream, uint64_t n, bool cgi)
{
    char path[40];
    struct request request = {.path = stream_path(stream, path), .seq = -1};

    if (op == 'A') {
        request.method = "POST";
        request.type = stream_type(stream);
        request.seq = (int64_t)n;
        request.body = writer->unit;
        request.len = unit_content(stream, n, writer->unit);
    } else if (op == 'C') {
        request.method = "PUT";
        request.type = stream_type(stream);
    } else {
        request.method = "DELETE";
    }
    if (cgi && writer->work->kills_every_ms > 0 && chance_one_in(&writer->chance, 2)) {
        request.kill_after_us = chance_between(&writer->chance, 1, MOMENT_US);
        request.kills = &writer->work->kills;
    }
    return cgi ? request_cgi(&writer->work->doors, &request, NULL, NULL)
               : request_fcgi(&writer->work->doors, &request, NULL, NULL);
}

static int by_some_door(struct writer *writer, char op, uint32_t stream, uint64_t n)
{
    struct work *work = writer->work;

    for (;;) { /* one of the doors in use */
        switch (chance_below(&writer->chance, 8)) {
        case 0:
            if (work->cgi)
                return by_request(writer, op, stream, n, true);
            break;
        case 1:
        case 2:
        case 3:
            if (work->library)
                return by_library(writer, op, stream, n);
            break;
        default:
            if (work->fcgi)
                return by_request(writer, op, stream, n, false);
            break;
        }
        if (!work->fcgi && !work->library && work->cgi)
            return by_request(writer, op, stream, n, true);
    }
}

/* Repeats a request until it is acknowledged. False if the work ends before. */
static bool insist(struct writer *writer, char op, uint32_t stream, uint64_t n, enum mark begun,
                   enum mark done)
{
    struct work *work = writer->work;

    work->mark(work->arg, stream, begun, n);
    for (int tries = 1;; tries++) {
        int status = by_some_door(writer, op, stream, n);

        if (status == 200 || status == 201 || status == 204 ||
            (op == 'D' && status == 404 && tries > 1)) {
            work->mark(work->arg, stream, done, n);
            atomic_fetch_add(&work->acknowledged, 1);
            return true;
        }
        PROOF(status == 0 || status >= 500, "%c of stream %u, unit %llu: %d", op, stream,
              (unsigned long long)n, status);
        if (atomic_load(&work->stopping))
            return false;
        atomic_fetch_add(&work->repeated, 1);
        proof_sleep_us(REPEAT_US);
    }
}

static bool create(struct writer *writer, struct own_stream *own)
{
    uint32_t number = atomic_fetch_add(writer->work->next_stream, 1);

    *own = (struct own_stream){.number = number};
    own->there =
        number < LEDGER_STREAMS && insist(writer, 'C', number, 0, MARK_CREATING, MARK_CREATED);
    return own->there;
}

static void *write_on(void *arg)
{
    struct writer *writer = arg;
    struct chance *chance = &writer->chance;

    while (!atomic_load(&writer->work->stopping)) {
        struct own_stream *own = &writer->own[chance_below(chance, OWN_STREAMS)];

        if (!own->there) {
            if (!create(writer, own))
                break;
        } else if (chance_one_in(chance, 80)) {
            own->there = false;
            if (!insist(writer, 'D', own->number, 0, MARK_DELETING, MARK_DELETED))
                break;
        } else {
            if (!insist(writer, 'A', own->number, own->units, MARK_SENDING, MARK_SENT))
                break;
            own->units++;
        }
    }
    program_end(&writer->program);
    return NULL;
}

/* --- imports --- */

/* kill_after_us: kill the program after this time, if it still runs; 0: never. */
static int run(struct work *work, const char *const argv[], const char *input, bool traced,
               int64_t kill_after_us)
{
    int in = input ? open(input, O_RDONLY | O_CLOEXEC) : -1;
    pid_t pid = start(&work->doors, argv, NULL, in, -1, traced);
    int status;

    if (in >= 0)
        (void)close(in);
    if (kill_after_us > 0) {
        proof_sleep_us(kill_after_us);
        (void)kill(pid, SIGKILL);
    }
    status = await(pid);
    if (WIFSIGNALED(status))
        atomic_fetch_add(&work->kills, 1);
    return status;
}

void work_export(struct work *work, struct chance *chance, uint32_t first,
                 uint64_t units[IMPORTED_STREAMS])
{
    const char *scratch = proof_file("scratch/s.db");
    const char *const argv[] = {
        "dsctl", "-q", "--db", scratch, "export", "-o", proof_file("export"), NULL};
    struct program program = {.lock = PTHREAD_MUTEX_INITIALIZER};
    char line[80];

    proof_remove(proof_file("scratch")); /* otherwise the new database would adopt the old log */
    PROOF(mkdir(proof_file("scratch"), 0700) == 0, "no folder for another database");
    program_start(work, &program, scratch, false);
    for (uint32_t i = 0; i < IMPORTED_STREAMS; i++) {
        units[i] = 1 + chance_below(chance, 12);
        (void)snprintf(line, sizeof line, "C %u\n", first + i);
        PROOF(ask_program(&program, line) == 204, "a stream to be exported");
        for (uint64_t n = 0; n < units[i]; n++) {
            (void)snprintf(line, sizeof line, "A %u %llu\n", first + i, (unsigned long long)n);
            PROOF(ask_program(&program, line) == 204, "a unit to be exported");
        }
    }
    program_end(&program);
    PROOF(run(work, argv, NULL, false, 0) == 0, "dsctl export fails: see %s", proof_file("log"));
}

static void import(struct work *work, struct chance *chance)
{
    uint32_t first = atomic_fetch_add(work->next_stream, IMPORTED_STREAMS);
    const char *const argv[] = {"dsctl",           "-q", "--db", work->doors.database, "import",
                                "--skip-existing", NULL};
    int64_t kill_after_us = 0;
    uint64_t units[IMPORTED_STREAMS];

    if (first + IMPORTED_STREAMS > LEDGER_STREAMS)
        return;
    work_export(work, chance, first, units);
    for (uint32_t i = 0; i < IMPORTED_STREAMS; i++)
        work->mark(work->arg, first + i, MARK_IMPORTING, units[i]);
    do { /* once, and again each time it is killed or another program holds the database */
        if (atomic_load(&work->stopping))
            return; /* some streams are there, each whole */
        if (work->kills_every_ms > 0)
            kill_after_us = chance_one_in(chance, 3) ? 0 : chance_between(chance, 1, MOMENT_US);
    } while (run(work, argv, proof_file("export"), true, kill_after_us) != 0);
    for (uint32_t i = 0; i < IMPORTED_STREAMS; i++)
        work->mark(work->arg, first + i, MARK_IMPORTED, units[i]);
    atomic_fetch_add(&work->imports, 1);
}

/* --- beside the writers --- */

static void kill_somebody(struct work *work, struct chance *chance)
{
    struct writer *writer = &work->writer[chance_below(chance, (uint64_t)work->writers)];
    int i = (int)chance_below(chance, (uint64_t)work->doors.responders + 1);

    if (i < work->doors.responders) {
        atomic_fetch_add(&work->kills, 1);
        responder_end(&work->doors, i, SIGKILL);
        responder_start(&work->doors, i);
        return;
    }
    (void)pthread_mutex_lock(&writer->program.lock);
    if (writer->program.pid > 0) {
        atomic_fetch_add(&work->kills, 1);
        (void)kill(writer->program.pid, SIGKILL);
    }
    (void)pthread_mutex_unlock(&writer->program.lock);
}

static void restart(struct work *work, struct chance *chance)
{
    int i;

    if (work->doors.responders == 0)
        return;
    i = (int)chance_below(chance, (uint64_t)work->doors.responders);
    responder_end(&work->doors, i, SIGTERM);
    responder_start(&work->doors, i);
    atomic_fetch_add(&work->restarts, 1);
}

static void vacuum(struct work *work, struct chance *chance)
{
    const char *const argv[] = {"dsctl", "-q", "--db", work->doors.database, "vacuum", NULL};

    (void)chance;
    (void)run(work, argv, NULL, true, 0); /* fails if the database is in use */
    atomic_fetch_add(&work->vacuums, 1);
}

static void *disturb(void *arg)
{
    struct work *work = arg;
    struct chance chance = chance_from(work->seed, 99);
    const struct {
        int64_t every_ms;
        void (*does)(struct work *, struct chance *);
    } events[] = {{work->kills_every_ms, kill_somebody},
                  {work->restarts_every_ms, restart},
                  {work->imports_every_ms, import},
                  {work->vacuums_every_ms, vacuum}};
    int64_t next[4];

    for (int i = 0; i < 4; i++)
        next[i] = proof_now_ms() + events[i].every_ms / 2;
    while (!atomic_load(&work->stopping)) {
        for (int i = 0; i < 4; i++) {
            if (events[i].every_ms == 0 || proof_now_ms() < next[i])
                continue;
            events[i].does(work, &chance);
            next[i] = proof_now_ms() + chance_between(&chance, 0, 2 * events[i].every_ms);
        }
        proof_sleep_us(1000);
    }
    return NULL;
}

void work_start(struct work *work)
{
    atomic_store(&work->stopping, false);
    work->writer = calloc((size_t)work->writers, sizeof *work->writer);
    PROOF(work->writer, "out of memory");
    for (int i = 0; i < work->doors.responders; i++)
        responder_start(&work->doors, i);
    for (int i = 0; i < work->writers; i++) {
        work->writer[i].work = work;
        work->writer[i].chance = chance_from(work->seed, 100 + (uint64_t)i);
        (void)pthread_mutex_init(&work->writer[i].program.lock, NULL);
        PROOF(pthread_create(&work->thread[i], NULL, write_on, &work->writer[i]) == 0, "no thread");
    }
    PROOF(pthread_create(&work->thread[work->writers], NULL, disturb, work) == 0, "no thread");
}

void work_stop(struct work *work, bool kills)
{
    atomic_store(&work->stopping, true);
    for (int i = 0; i <= work->writers; i++)
        (void)pthread_join(work->thread[i], NULL);
    for (int i = 0; i < work->doors.responders; i++)
        responder_end(&work->doors, i, kills ? SIGKILL : SIGTERM);
    free(work->writer);
}
