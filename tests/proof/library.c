/*
 * A program that uses the public library. It creates streams, appends units to them and deletes
 * them, as lines on standard input say, and prints a status after each.
 *
 *     library DATABASE full|normal SEED
 *
 *     C stream        creates            ◀ a line with the status: 0 is DS_OK
 *     A stream unit   appends
 *     D stream        deletes
 *     R               closes the store and opens it again
 */
#include <durable_streams.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "proof.h"

static struct ds_store *store;

static enum ds_status open_store(char **argv)
{
    const struct ds_store_options options = {
        .durability = strcmp(argv[2], "normal") == 0 ? DS_DURABILITY_NORMAL : DS_DURABILITY_FULL,
        .busy_timeout_ms = 30000,
    };

    return ds_store_open(argv[1], &options, &store);
}

static enum ds_status carry_out(char op, unsigned stream, unsigned long long unit)
{
    static char content[UNIT_MOST];
    char path[40];
    size_t len;

    (void)stream_path(stream, path);
    if (op == 'C') {
        const struct ds_create_options options = {.content_type = stream_type(stream)};

        return ds_create(store, path, &options, NULL, NULL);
    }
    if (op == 'A') {
        const struct ds_append_options options = {.content_type = stream_type(stream),
                                                  .producer_id = "proof",
                                                  .producer_seq = (int64_t)unit};

        len = unit_content(stream, unit, content);
        return ds_append(store, path, content, len, &options, NULL);
    }
    return ds_delete(store, path);
}

int main(int argc, char **argv)
{
    char line[80], op;
    unsigned stream = 0;
    unsigned long long unit = 0;
    enum ds_status status;

    if (argc != 4 || open_store(argv) != DS_OK)
        return 1;
    unit_seed = strtoull(argv[3], NULL, 10);
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%c %u %llu", &op, &stream, &unit) > 0) {
        if (op == 'R') {
            ds_store_close(store);
            status = open_store(argv);
        } else {
            status = carry_out(op, stream, unit);
        }
        (void)printf("%d\n", (int)status);
        (void)fflush(stdout);
    }
    ds_store_close(store);
    return 0;
}
