/* Seeds, rounds, files: see proof.h. */
#include "proof.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 32 };

struct proof proof;

static char base[120]; /* the folder of all rounds */
static uint64_t first_seed;

int64_t proof_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void proof_sleep_us(int64_t us)
{
    const struct timespec time = {us / 1000000, us % 1000000 * 1000};

    (void)nanosleep(&time, NULL);
}

static _Noreturn void explain(void)
{
    (void)fprintf(stderr, "%s [--seed N] [--rounds N] [--seconds N] [--keep]\n", proof.name);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = text ? strtoull(text, &end, 10) : 0;
    if (!text || errno != 0 || end == text || *end)
        explain();
    return value;
}

/* Files are in memory if there is such a folder: power cuts are simulated, so no proof needs a
   disk. */
static void make_base(void)
{
    const char *folder = getenv("TMPDIR");

    if (!folder)
        folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(base, sizeof base, "%s/ds-proof-XXXXXX", folder);
    if (!mkdtemp(base)) {
        perror(base);
        exit(1);
    }
}

void proof_begin(const char *name, int argc, char **argv)
{
    struct timespec now;

    proof.name = name;
    proof.until_ms = proof_now_ms();
    proof.rounds = 1;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    first_seed = (uint64_t)now.tv_sec * 1000;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0)
            first_seed = number(argv[++i]);
        else if (strcmp(argv[i], "--rounds") == 0)
            proof.rounds = (int)number(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0)
            proof.until_ms += (int64_t)number(argv[++i]) * 1000;
        else if (strcmp(argv[i], "--keep") == 0)
            proof.keep = true;
        else
            explain();
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("proof: %s: from seed %llu\n", name, (unsigned long long)first_seed);
    make_base();
}

bool proof_round(void)
{
    if (proof.done > 0 && !proof.keep)
        proof_remove(proof.folder);
    if (proof.done >= proof.rounds && (proof.done > 0 && proof_now_ms() >= proof.until_ms))
        return false;
    proof.seed = first_seed + (uint64_t)proof.done++;
    (void)snprintf(proof.folder, sizeof proof.folder, "%s/%d", base, proof.done);
    if (mkdir(proof.folder, 0700) != 0)
        proof_fail("%s: %s", proof.folder, strerror(errno));
    return true;
}

void proof_fail(const char *format, ...)
{
    va_list args;

    (void)fflush(stdout);
    (void)fprintf(stderr, "proof: %s: seed %llu: ", proof.name, (unsigned long long)proof.seed);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "\n  files: %s\n  again: %s --seed %llu\n", proof.folder, proof.name,
                  (unsigned long long)proof.seed);
    exit(1);
}

void proof_end(const char *format, ...)
{
    va_list args;

    (void)printf("proof: %s: %d rounds from seed %llu, ", proof.name, proof.done,
                 (unsigned long long)first_seed);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)printf("; 0 failed\n");
    if (!proof.keep)
        proof_remove(base);
}

/* --- files --- */

const char *proof_file(const char *name)
{
    static _Thread_local char names[NAMES][300];
    static _Thread_local unsigned turn;
    char *to = names[turn++ % NAMES];

    (void)snprintf(to, sizeof names[0], "%s/%s", proof.folder, name);
    return to;
}

char *proof_read(const char *name, size_t *len)
{
    FILE *file = fopen(name, "r");
    struct stat info;
    char *data;

    *len = 0;
    if (!file)
        return NULL;
    PROOF(fstat(fileno(file), &info) == 0, "%s: %s", name, strerror(errno));
    data = malloc((size_t)info.st_size + 1);
    PROOF(data, "out of memory");
    *len = fread(data, 1, (size_t)info.st_size, file);
    data[*len] = '\0';
    (void)fclose(file);
    return data;
}

void proof_write(const char *name, const void *data, size_t len)
{
    FILE *file = fopen(name, "w");

    PROOF(file && (len == 0 || fwrite(data, 1, len, file) == len) && fclose(file) == 0, "%s: %s",
          name, strerror(errno));
}

void proof_copy(const char *from, const char *to)
{
    size_t len;
    char *data = proof_read(from, &len);

    if (data)
        proof_write(to, data, len);
    else
        (void)unlink(to);
    free(data);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void proof_remove(const char *name)
{
    (void)nftw(name, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- chance (splitmix64) --- */

struct chance chance_from(uint64_t seed, uint64_t salt)
{
    struct chance chance = {seed * UINT64_C(0x9e3779b97f4a7c15) ^ salt};

    (void)chance_next(&chance);
    return chance;
}

uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t chance_below(struct chance *chance, uint64_t n)
{
    return chance_next(chance) % n;
}

int64_t chance_between(struct chance *chance, int64_t low, int64_t high)
{
    return low + (int64_t)chance_below(chance, (uint64_t)(high - low + 1));
}

bool chance_one_in(struct chance *chance, uint64_t n)
{
    return chance_below(chance, n) == 0;
}

void chance_fill(struct chance *chance, void *data, size_t len)
{
    unsigned char *to = data;

    for (size_t i = 0; i < len; i += 8) {
        uint64_t bits = chance_next(chance);

        memcpy(to + i, &bits, len - i < 8 ? len - i : 8);
    }
}
