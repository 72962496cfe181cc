/* How many workers look for requests at once: see seats.h. */
#include "gateway/seats.h"

/* An ordinary request takes ten to fifty; one that loses its CPU for a while does not count. */
enum { LONG_US = 300, WEIGHT = 16 };

int64_t seats_for(int64_t cpus)
{
    return cpus > 3 ? cpus / 2 : 1;
}

void seats_open(struct seats *seats, int64_t cpus)
{
    (void)pthread_mutex_init(&seats->lock, NULL);
    (void)pthread_cond_init(&seats->freed, NULL);
    seats->free = seats_for(cpus);
    atomic_init(&seats->average_us, 0);
}

void seats_close(struct seats *seats)
{
    (void)pthread_cond_destroy(&seats->freed);
    (void)pthread_mutex_destroy(&seats->lock);
}

void seats_take(struct seats *seats)
{
    (void)pthread_mutex_lock(&seats->lock);
    while (seats->free == 0)
        (void)pthread_cond_wait(&seats->freed, &seats->lock);
    seats->free--;
    (void)pthread_mutex_unlock(&seats->lock);
}

void seats_leave(struct seats *seats)
{
    (void)pthread_mutex_lock(&seats->lock);
    seats->free++;
    (void)pthread_cond_signal(&seats->freed);
    (void)pthread_mutex_unlock(&seats->lock);
}

void seats_note(struct seats *seats, int64_t took_us)
{
    int64_t average = atomic_load(&seats->average_us);

    /* of two at once one may be forgotten */
    atomic_store(&seats->average_us, average + (took_us - average) / WEIGHT);
}

bool seats_are_for_waiting(struct seats *seats)
{
    return atomic_load(&seats->average_us) > LONG_US;
}
