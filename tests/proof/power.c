/*
 * Power cuts.
 *
 * In each round several processes work on one database (work.h). record.c is preloaded into them
 * and records every change of its files, and writers add their acknowledgements (trace.h). Then the
 * judge reads the trace and cuts the power at many places: disk.h makes the files that may be found
 * then. Plain SQLite and the library open each state, sometimes the programs too. The database must
 * be sound, and have everything that was acknowledged, once, in order and whole. With
 * DS_DURABILITY=normal the last messages may be missing, but none before them.
 *
 * The hints beside the database also vary: the -shm file is missing, older or random bytes, and the
 * wake file older or missing.
 *
 * Half of the rounds start from a state of the round before: the programs themselves open it, and
 * the power is cut again, also while they recover.
 *
 * To test the judge itself, there are rounds in which the disk lies (syncs do nothing), and rounds
 * of DS_DURABILITY=normal that are judged as full: something must be missing there, or the proof
 * fails.
 *
 *     power [--seed N] [--rounds N] [--seconds N] [--keep]
 *     power --judge FOLDER     judges the files of a round again; their seed is in the folder
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "ledger.h"
#include "look.h"
#include "proof.h"
#include "trace.h"
#include "work.h"

enum {
    SNAPSHOTS = 4, /* of the hints */
    JUDGES = 2,    /* at a time */
    PROGRAMS_EVERY = 25,
    HUNG_S = 120,
    BASE = 1, /* the time of data from before the trace; records are later */
};

/* The properties of a round; written to its folder, for --judge. */
struct round {
    uint64_t seed, unit_seed; /* unit_seed: of the round whose database is continued, if any */
    uint32_t next_stream;
    bool normal, lies, control; /* control: judged as full, and something must be missing */
    int64_t work_ms, units;     /* it ends after this time, or this number of acknowledged units */
    uint64_t states;            /* about */
};

/* Shared by the judges. */
static struct covered {
    _Atomic uint64_t states, changes_missing, lost; /* lost: in a control */
    _Atomic uint64_t by_cut[CUTS];
    _Atomic int64_t acknowledged; /* in all rounds */
} * covered;

static uint64_t records, controls, kills, restarts, imports, vacuums, logs, checkpoints;

static const char *database(void)
{
    return proof_file("db/s.db");
}

/* --- the work --- */

static struct trace trace;

static void mark(void *arg, uint32_t stream, enum mark what, uint64_t n)
{
    trace_mark(arg, stream, what, n);
}

static void snapshot(int i)
{
    static const char *const suffixes[] = {"-shm", "-wake"};
    char from[300], to[300];

    for (int j = 0; j < 2; j++) {
        (void)snprintf(from, sizeof from, "%s%s", database(), suffixes[j]);
        (void)snprintf(to, sizeof to, "%s/hint-%d%s", proof.folder, i, suffixes[j]);
        proof_copy(from, to);
    }
}

/* How often the log was restarted, and how often a checkpoint was synced. */
static void count_logs(void)
{
    const struct trace_record *record;
    uint64_t at = 0;

    while ((record = trace_next(&trace, &at)) != NULL) {
        const char *name = trace.header->file[record->file].name;

        if (record->kind == TRACE_WRITE && record->at == 0 && strstr(name, "-wal"))
            logs++;
        if (record->kind == TRACE_SYNCED && strcmp(name, "s.db") == 0)
            checkpoints++;
    }
}

/* Chooses the doors, the number of processes, and how often each thing happens. */
static void choose_work(struct work *work, const struct round *round, struct chance *chance)
{
    static const unsigned doors[] = {7, 7, 7, 1, 2, 4, 3, 5};
    unsigned used = doors[chance_below(chance, 8)];

    work->seed = round->seed;
    work->normal = round->normal;
    work->fcgi = (used & 1) != 0;
    work->cgi = (used & 2) != 0;
    work->library = (used & 4) != 0;
    work->writers = 1 + (int)chance_below(chance, 5);
    work->doors.responders = work->fcgi ? 1 + (int)chance_below(chance, 3) : 0;
    if (chance_one_in(chance, 2))
        work->kills_every_ms = chance_between(chance, 15, 150);
    if (chance_one_in(chance, 2))
        work->restarts_every_ms = chance_between(chance, 30, 200);
    if (chance_one_in(chance, 2))
        work->imports_every_ms = chance_between(chance, 50, 200);
    if (chance_one_in(chance, 4))
        work->vacuums_every_ms = chance_between(chance, 50, 300);
}

static void set_environment(struct work *work, const struct round *round)
{
    static char texts[5][400];
    char *build = realpath(work->doors.build, NULL);

    PROOF(build, "no %s", work->doors.build);
    (void)snprintf(texts[0], sizeof texts[0], "DS_DATABASE=%s", work->doors.database);
    (void)snprintf(texts[1], sizeof texts[1], "DS_DURABILITY=%s",
                   round->normal ? "normal" : "full");
    (void)snprintf(texts[2], sizeof texts[2], "LD_PRELOAD=%s/proof/record.so", build);
    free(build);
    (void)snprintf(texts[3], sizeof texts[3], "PROOF_TRACE=%s", proof_file("trace"));
    (void)snprintf(texts[4], sizeof texts[4], "PROOF_DATABASE=%s", work->doors.database);
    for (int i = 0; i < 5; i++)
        doors_set(&work->doors, texts[i]);
    /* the smallest value: as many checkpoints as possible */
    doors_set(&work->doors, "DS_WAL_BYTES=65536");
    doors_set(&work->doors, "DS_BUSY_TIMEOUT_MS=30000");
    doors_set(&work->doors, "DS_LOG_LEVEL=warn");
    if (round->lies)
        doors_set(&work->doors, "PROOF_NO_SYNC=1");
}

/* Returns the number of the first unused stream. */
static uint32_t carry_out(const struct round *round)
{
    struct chance chance = chance_from(round->seed, 7);
    struct work work = {.mark = mark, .arg = &trace};
    atomic_uint next_stream = round->next_stream;
    int64_t begin = proof_now_ms();

    PROOF(trace_make(&trace, proof_file("trace"), database()), "no trace");
    doors_open(&work.doors, database());
    set_environment(&work, round);
    choose_work(&work, round, &chance);
    work.next_stream = &next_stream;
    work_start(&work);
    for (int i = 0; i < SNAPSHOTS; i++) {
        while (work.acknowledged < round->units * (i + 1) / SNAPSHOTS &&
               proof_now_ms() - begin < round->work_ms * (i + 1) / SNAPSHOTS)
            proof_sleep_us(1000);
        snapshot(i);
    }
    work_stop(&work, chance_one_in(&chance, 2));
    doors_close(&work.doors);
    PROOF(!trace.header->odd[0], "%s", trace.header->odd);
    records += trace.header->records;
    count_logs();
    kills += (uint64_t)work.kills;
    restarts += (uint64_t)work.restarts;
    imports += (uint64_t)work.imports;
    vacuums += (uint64_t)work.vacuums;
    (void)printf("  seed %llu: %s%s%s%s, %d writers, %d responders%s%s, %lld acknowledged, "
                 "%llu records in %lld ms\n",
                 (unsigned long long)round->seed, round->normal ? "normal" : "full",
                 round->lies ? ", syncs do nothing" : "", round->control ? ", a control" : "",
                 round->next_stream > 0 ? ", after a power cut" : "", work.writers,
                 work.doors.responders, work.cgi ? ", CGI" : "", work.library ? ", library" : "",
                 (long long)work.acknowledged, (unsigned long long)trace.header->records,
                 (long long)(proof_now_ms() - begin));
    return atomic_load(&next_stream);
}

/* --- the judges --- */

static struct found found[LEDGER_STREAMS];
static struct ledger ledger;

static void put_hints(const char *folder, struct chance *chance)
{
    char from[300], to[300], junk[65536];
    uint64_t which = chance_below(chance, SNAPSHOTS);

    (void)snprintf(to, sizeof to, "%s/s.db-shm", folder);
    (void)snprintf(from, sizeof from, "%s/hint-%d-shm", proof.folder, (int)which);
    switch (chance_below(chance, 3)) {
    case 0:
        proof_copy(from, to);
        break;
    case 1:
        chance_fill(chance, junk, sizeof junk);
        proof_write(to, junk, 32768 * (1 + chance_below(chance, 2)));
        break;
    default:
        break;
    }
    (void)snprintf(to, sizeof to, "%s/s.db-wake", folder);
    (void)snprintf(from, sizeof from, "%s/hint-%d-wake", proof.folder, (int)which);
    if (chance_one_in(chance, 2))
        proof_copy(from, to);
}

static void make_folder(const char *name)
{
    proof_remove(name);
    PROOF(mkdir(name, 0700) == 0, "%s: %s", name, strerror(errno));
}

/* The same state for the same numbers. */
static size_t make_state(const struct disk *disk, enum disk_cut cut, struct chance chance,
                         const char *folder)
{
    size_t missing;

    make_folder(folder);
    missing = disk_cut(disk, cut, &chance, folder);
    put_hints(folder, &chance);
    return missing;
}

static void copy_state(const char *from, const char *to)
{
    static const char *const suffixes[] = {"", "-wal", "-journal", "-shm", "-wake"};
    char source[300], target[300];

    make_folder(to);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(source, sizeof source, "%s/s.db%s", from, suffixes[i]);
        (void)snprintf(target, sizeof target, "%s/s.db%s", to, suffixes[i]);
        proof_copy(source, target);
    }
}

/* Returns a fault or NULL. `at` is the number of the record before which the power was cut. */
static const char *judge_state(const struct disk *disk, const struct round *round, uint64_t at,
                               enum disk_cut cut, struct chance chance, int judge)
{
    char by_sqlite[260], by_library[260], name[300];
    const char *wrong;

    (void)snprintf(by_sqlite, sizeof by_sqlite, "%s/sqlite-%d", proof.folder, judge);
    (void)snprintf(by_library, sizeof by_library, "%s/library-%d", proof.folder, judge);
    covered->changes_missing += make_state(disk, cut, chance, by_sqlite);
    copy_state(by_sqlite, by_library);
    covered->states++;
    covered->by_cut[cut]++;
    (void)snprintf(name, sizeof name, "%s/s.db", by_sqlite);
    wrong = look_by_sqlite(name, found);
    if (!wrong)
        wrong = ledger_judge(&ledger, found, !round->normal || round->control);
    if (wrong)
        return wrong;
    (void)snprintf(name, sizeof name, "%s/s.db", by_library);
    if (at % PROGRAMS_EVERY == 0) {
        wrong = look_by_programs(getenv("B") ? getenv("B") : "build", name, found, chance.state);
        if (!wrong)
            make_state(disk, cut, chance, by_library);
    }
    return wrong ? wrong : look_by_library(name, found);
}

/* --- a round that continues after a cut --- */

static struct found base[LEDGER_STREAMS];

/* The data from before the trace, as SQLite finds it. */
static void read_base(void)
{
    const char *wrong;

    copy_state(proof_file("before"), proof_file("base"));
    wrong = look_by_sqlite(proof_file("base/s.db"), base);
    PROOF(!wrong, "before the work: %s", wrong);
    for (uint32_t i = 0; i < LEDGER_STREAMS; i++)
        PROOF(!base[i].there || found_count(&base[i], i), "before the work: stream %u", i);
}

/* Marks it as acknowledged for the judges. */
static void note_base(void)
{
    for (uint32_t i = 0; i < LEDGER_STREAMS; i++) {
        if (!base[i].there)
            continue;
        ledger_note(&ledger, i, MARK_CREATING, 0, BASE);
        ledger_note(&ledger, i, MARK_CREATED, 0, BASE);
        for (uint64_t n = 0; n < base[i].units; n++) {
            ledger_note(&ledger, i, MARK_SENDING, n, BASE);
            ledger_note(&ledger, i, MARK_SENT, n, BASE);
        }
    }
    ledger.acknowledged = 0; /* not in this round */
}

/* Cuts the power somewhere in the round, and leaves the state for the next one. */
static void leave_state(const struct round *round)
{
    struct chance chance = chance_from(round->seed, 13);
    struct disk *disk = disk_new(&trace, proof_file("before"));
    uint64_t at = 0, n = trace.header->records / 4;
    const struct trace_record *record;

    n += chance_below(&chance, trace.header->records - n);
    while (n-- > 0 && (record = trace_next(&trace, &at)) != NULL)
        disk_take(disk, record, false);
    (void)make_state(disk, (enum disk_cut)chance_below(&chance, CUTS), chance,
                     proof_file("../next"));
    disk_free(disk);
}

/* One of several judges, which takes every JUDGES-th state. Exits with 1 on a fault. */
static void judge(const struct round *round, const char *folder, int number)
{
    struct disk *disk = disk_new(&trace, folder);
    uint64_t at = 0, n = 0, total = trace.header->records;
    const struct trace_record *record;
    char state[260];

    (void)snprintf(state, sizeof state, "%s/state-%d", proof.folder, number);
    unit_seed = round->unit_seed;
    note_base();
    while ((record = trace_next(&trace, &at)) != NULL) {
        struct chance chance = chance_from(round->seed + n, 11);
        bool changes = record->kind != TRACE_MARK && record->kind != TRACE_SYNC;

        disk_take(disk, record, round->lies);
        if (record->kind == TRACE_MARK) {
            uint64_t unit;

            memcpy(&unit, record->data, sizeof unit);
            ledger_note(&ledger, record->file, (enum mark)record->at, unit, n + BASE + 1);
        }
        n++;
        /* more often after a change than after an acknowledgement or the start of a sync */
        if (chance_below(&chance, total) >= round->states * (changes ? 1 : 2) ||
            (int)(n % JUDGES) != number)
            continue;
        for (int tries = disk_pending(disk) > 0 ? 2 : 1; tries > 0; tries--) {
            enum disk_cut cut = (enum disk_cut)chance_below(&chance, CUTS);
            const char *wrong;

            (void)alarm(HUNG_S);
            wrong = judge_state(disk, round, n, cut, chance, number);
            (void)alarm(0);
            if (wrong && round->control) {
                covered->lost++;
                continue;
            }
            if (wrong)
                (void)make_state(disk, cut, chance, state);
            PROOF(!wrong,
                  "power cut behind record %llu of %llu, unsynced part %s: %s\n"
                  "  this state: %s, all of them: power --judge %s",
                  (unsigned long long)n, (unsigned long long)total, disk_cuts[cut], wrong, state,
                  proof.folder);
        }
    }
    if (number == 0)
        covered->acknowledged += round->control ? 0 : ledger.acknowledged;
    disk_free(disk);
    ledger_clear(&ledger);
}

static void judge_all(const struct round *round)
{
    uint64_t lost = covered->lost;
    pid_t pid[JUDGES];

    for (int i = 0; i < JUDGES; i++) {
        (void)fflush(NULL);
        pid[i] = fork();
        PROOF(pid[i] >= 0, "cannot fork");
        if (pid[i] == 0) {
            judge(round, proof_file("before"), i);
            exit(0);
        }
    }
    for (int i = 0; i < JUDGES; i++) {
        int status = await(pid[i]);

        if (WIFSIGNALED(status))
            proof_fail("judge %d was ended by signal %d: see %s, or power --judge %s", i,
                       WTERMSIG(status), proof.folder, proof.folder);
        if (status != 0)
            exit(1); /* it has printed the reason */
    }
    if (round->control) {
        controls++;
        PROOF(covered->lost > lost, "the judge saw nothing missing in a round in which it must");
    }
}

/* --- rounds --- */

static struct round choose_round(void)
{
    struct chance chance = chance_from(proof.seed, 5);
    struct round round = {.seed = proof.seed, .work_ms = 1500, .units = 500, .states = 80};

    /* a short run has one of each */
    switch (proof.done % 6) {
    case 2:
        round.normal = true;
        break;
    case 4:
        round.normal = round.control = true;
        break;
    case 5:
        round.lies = round.control = true;
        break;
    default:
        break;
    }
    if (proof.done > 6 && chance_one_in(&chance, 3))
        round.units = 3000;
    if (proof.done > 6)
        round.states = 600;
    if (round.control)
        round.states = 40;
    return round;
}

static void judge_again(const char *folder)
{
    struct round *round;
    size_t len;

    (void)snprintf(proof.folder, sizeof proof.folder, "%s", folder);
    round = (struct round *)(void *)proof_read(proof_file("round"), &len);
    PROOF(round && len == sizeof *round && trace_open(&trace, proof_file("trace"), database()),
          "%s: no round of this program", folder);
    proof.seed = round->seed;
    unit_seed = round->unit_seed;
    read_base();
    judge_all(round);
    (void)printf("proof: power: %llu states of %s; 0 failed\n", (unsigned long long)covered->states,
                 folder);
}

int main(int argc, char **argv)
{
    uint32_t next_stream = 0; /* of the database that is continued; 0: none */

    covered =
        mmap(NULL, sizeof *covered, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "--judge") == 0) {
        proof.name = "power";
        judge_again(argv[2]);
        return 0;
    }
    proof_begin("power", argc, argv);
    while (proof_round()) {
        struct round round = choose_round();
        /* after a full one, after a normal one, and with the control that is judged as full */
        bool goes_on = next_stream > 0 && next_stream < LEDGER_STREAMS / 2 &&
                       (proof.done % 6 == 1 || proof.done % 6 == 3 || proof.done % 6 == 4);

        round.unit_seed = goes_on ? unit_seed : round.seed;
        round.next_stream = goes_on ? next_stream : 0;
        unit_seed = round.unit_seed;
        proof_write(proof_file("round"), &round, sizeof round);
        if (goes_on)
            copy_state(proof_file("../next"), proof_file("before"));
        else
            make_folder(proof_file("before"));
        copy_state(proof_file("before"), proof_file("db"));
        read_base();
        next_stream = carry_out(&round);
        judge_all(&round);
        if (round.control)
            next_stream = 0; /* its contents are unknown */
        else
            leave_state(&round);
        trace_close(&trace);
    }
    (void)printf("  cuts:");
    for (int i = 0; i < CUTS; i++)
        (void)printf(" %s %llu,", disk_cuts[i], (unsigned long long)covered->by_cut[i]);
    (void)printf(
        " %llu unsynced changes missing; beside the work %llu kills, %llu restarts, "
        "%llu imports, %llu vacuums, the log begun %llu times and %llu checkpoints synced; "
        "%llu controls lost something in %llu states\n",
        (unsigned long long)covered->changes_missing, (unsigned long long)kills,
        (unsigned long long)restarts, (unsigned long long)imports, (unsigned long long)vacuums,
        (unsigned long long)logs, (unsigned long long)checkpoints, (unsigned long long)controls,
        (unsigned long long)covered->lost);
    proof_end("%llu states of %llu records, %lld units acknowledged",
              (unsigned long long)covered->states, (unsigned long long)records,
              (long long)covered->acknowledged);
    return 0;
}
