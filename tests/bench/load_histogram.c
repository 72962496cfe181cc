/* Latencies, counted in buckets that are 1/32 of their value wide. */
#include <stdio.h>

#include "load.h"

static int bucket_of(int64_t us)
{
    int power = 0;

    while (us >> power >= 2 * FINE)
        power++;
    return power * FINE + (int)(us >> power);
}

static double bucket_us(int bucket)
{
    int power = bucket / FINE - 1;

    return bucket < 2 * FINE ? bucket : (double)((int64_t)(bucket - power * FINE) << power);
}

void histogram_note(struct histogram *histogram, int64_t ns)
{
    int bucket = bucket_of(ns / 1000);

    histogram->bucket[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    histogram->count++;
    histogram->sum_us += (double)ns / 1000;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
}

static double percentile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;

    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen > wanted)
            return bucket_us(i);
    }
    return (double)histogram->max_ns / 1000;
}

void histogram_print(const char *name, const struct histogram *histogram)
{
    (void)printf(",\"%s\":{\"count\":%llu,\"mean_us\":%.1f,\"p50_us\":%.0f,\"p90_us\":%.0f,"
                 "\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f}",
                 name, (unsigned long long)histogram->count,
                 histogram->count ? histogram->sum_us / (double)histogram->count : 0.0,
                 percentile(histogram, 0.5), percentile(histogram, 0.9),
                 percentile(histogram, 0.99), percentile(histogram, 0.999),
                 (double)histogram->max_ns / 1000);
}
