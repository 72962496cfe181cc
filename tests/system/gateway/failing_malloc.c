/*
 * Preloaded: of all allocations of a program, one fails. DS_TEST_MALLOC names a file of 16 bytes,
 * which every process of the test maps: how many allocations succeed before the one that fails
 * (negative: all do), and how many have failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

struct plan {
    _Atomic int64_t left, failed;
};

static struct plan *plan;

__attribute__((constructor)) static void open_plan(void)
{
    const char *file = getenv("DS_TEST_MALLOC");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    void *map;

    if (fd < 0)
        return;
    map = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (map != MAP_FAILED)
        plan = map;
}

static int fails(void)
{
    if (!plan || atomic_load(&plan->left) < 0 || atomic_fetch_sub(&plan->left, 1) != 0)
        return 0;
    atomic_fetch_add(&plan->failed, 1);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails() ? NULL : __libc_realloc(memory, size);
}
