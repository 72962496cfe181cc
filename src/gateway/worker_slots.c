/* Limits how many workers wait for requests at the same time: see worker_slots.h. */
#include "gateway/worker_slots.h"

/*
 * SLOW_US: an ordinary request takes 10 to 50 microseconds. WEIGHT: the average moves by a 16th of
 * the difference, so that one request that loses its CPU for a while does not make it slow.
 */
enum { SLOW_US = 300, WEIGHT = 16 };

int64_t worker_slots_for(int64_t cpus)
{
    return cpus > 3 ? cpus / 2 : 1;
}

void worker_slots_open(struct worker_slots *slots, int64_t cpus)
{
    (void)pthread_mutex_init(&slots->lock, NULL);
    (void)pthread_cond_init(&slots->released, NULL);
    slots->free = worker_slots_for(cpus);
    atomic_init(&slots->average_us, 0);
}

void worker_slots_close(struct worker_slots *slots)
{
    (void)pthread_cond_destroy(&slots->released);
    (void)pthread_mutex_destroy(&slots->lock);
}

void worker_slots_acquire(struct worker_slots *slots)
{
    (void)pthread_mutex_lock(&slots->lock);
    while (slots->free == 0)
        (void)pthread_cond_wait(&slots->released, &slots->lock);
    slots->free--;
    (void)pthread_mutex_unlock(&slots->lock);
}

void worker_slots_release(struct worker_slots *slots)
{
    (void)pthread_mutex_lock(&slots->lock);
    slots->free++;
    (void)pthread_cond_signal(&slots->released);
    (void)pthread_mutex_unlock(&slots->lock);
}

void worker_slots_note(struct worker_slots *slots, int64_t took_us)
{
    int64_t average = atomic_load(&slots->average_us);

    /* if two threads note a request at the same time, one of the two may get lost */
    atomic_store(&slots->average_us, average + (took_us - average) / WEIGHT);
}

bool worker_slots_requests_are_slow(struct worker_slots *slots)
{
    return atomic_load(&slots->average_us) > SLOW_US;
}
