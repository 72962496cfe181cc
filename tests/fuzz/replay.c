/*
 * Runs a fuzz target over files: those named, and all files below the folders named. Replaces
 * libFuzzer's main(), so that the ordinary tests run a corpus.
 *
 * Each name is printed before its file is run, so the last name printed is that of the failure.
 */
#include "fuzz.h"

#include <ftw.h>

enum { OPEN_FOLDERS_MAX = 16 };

static unsigned replayed;

static void *read_file(FILE *file, size_t *size)
{
    char *data = NULL, *more;
    size_t room = 0;

    *size = 0;
    do {
        room += 65536;
        more = realloc(data, room);
        fuzz_require(more);
        data = more;
        *size += fread(data + *size, 1, room - *size, file);
    } while (*size == room);
    return data;
}

static int replay(const char *path, const struct stat *status, int type, struct FTW *place)
{
    FILE *file;
    uint8_t *data, *exact;
    size_t size;

    (void)status;
    (void)place;
    if (type == FTW_D)
        return 0;
    (void)printf("%s\n", path);
    (void)fflush(stdout);
    file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    data = read_file(file, &size);
    (void)fclose(file);
    /* in a block of its exact size, so that a sanitizer notices a read beyond it */
    exact = malloc(size ? size : 1);
    fuzz_require(exact);
    memcpy(exact, data, size);
    free(data);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    replayed++;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], replay, OPEN_FOLDERS_MAX, 0) != 0) {
            (void)fprintf(stderr, "cannot replay %s\n", argv[i]);
            return EXIT_FAILURE;
        }
    (void)printf("%u inputs replayed\n", replayed);
    /* a missing corpus must not look like one that passed */
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
