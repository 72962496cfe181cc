/* The lease of a worker: see cli_lease.h. */
#include "cli/cli_lease.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"

static void plan_beat(struct cli_lease *lease)
{
    lease->beat_at = clock_monotonic_ms() + lease->claim->lease_ttl_ms / 3;
}

bool cli_lease_begin(struct cli_lease *lease, struct cli *cli, const char *name,
                     const struct ds_claim *claim)
{
    *lease = (struct cli_lease){.cli = cli, .name = name, .claim = claim};
    lease->acks = arena_alloc(cli->arena, (claim->links + 1) * sizeof *lease->acks);
    plan_beat(lease);
    if (!lease->acks)
        (void)cli_no_memory(cli);
    return lease->acks != NULL;
}

/* Streams are dealt with one after the other, so only the last one can move again. */
bool cli_lease_move(struct cli_lease *lease, const char *path, const char *offset)
{
    struct ds_ack ack = {path, arena_strndup(lease->cli->arena, offset, strlen(offset))};

    if (!ack.offset) {
        (void)cli_no_memory(lease->cli);
        return false;
    }
    if (lease->n > 0 && strcmp(lease->acks[lease->n - 1].path, path) == 0)
        lease->n--;
    lease->acks[lease->n++] = ack;
    return true;
}

static enum cli_exit send_acks(struct cli_lease *lease, const struct ds_ack *acks, size_t n,
                               bool done)
{
    struct cli *cli = lease->cli;
    struct cli_acked acked = {0};
    enum cli_exit exit =
        cli->backend->sub->ack(cli, lease->name, lease->claim, acks, n, done, &acked);

    plan_beat(lease);
    if (exit == CLI_DONE && acked.fenced) {
        lease->is_lost = true;
        cli_note(cli, "%s: the lease was lost: another worker may print the same again",
                 lease->name);
    } else if (exit == CLI_DONE && n > 0) {
        lease->has_moved = true;
    }
    return exit;
}

/*
 * Sends the acks that have gathered. The server refuses all of them if it refuses one, whose stream
 * was deleted meanwhile; then each goes by itself.
 */
static enum cli_exit flush_acks(struct cli_lease *lease, bool done)
{
    size_t n = lease->n;
    enum cli_exit exit = send_acks(lease, lease->acks, n, done);

    if (exit != CLI_CONFLICT || n == 0) {
        lease->n = exit == CLI_DONE ? 0 : n;
        return exit;
    }
    for (size_t i = 0; n > 1 && i < n && !lease->is_lost; i++) {
        exit = send_acks(lease, &lease->acks[i], 1, false);
        if (exit != CLI_DONE && exit != CLI_CONFLICT)
            return exit;
    }
    lease->n = 0;
    return lease->is_lost ? CLI_DONE : send_acks(lease, NULL, 0, done);
}

bool cli_lease_beat(struct cli_lease *lease)
{
    if (!lease->is_lost && cli_lease_until_beat(lease) == 0)
        (void)flush_acks(lease, false); /* the lease may outlast an error */
    return !lease->is_lost;
}

int64_t cli_lease_until_beat(const struct cli_lease *lease)
{
    int64_t ms = lease->beat_at - clock_monotonic_ms();

    return ms > 0 ? ms : 0;
}

enum cli_exit cli_lease_done(struct cli_lease *lease, bool *moved)
{
    enum cli_exit exit = lease->is_lost ? CLI_DONE : flush_acks(lease, true);

    *moved = lease->has_moved;
    return exit;
}

void cli_lease_release(struct cli_lease *lease)
{
    struct cli *cli = lease->cli;
    struct cli_acked acked;

    if (!lease->is_lost && lease->n > 0)
        (void)flush_acks(lease, false);
    if (!lease->is_lost)
        (void)cli->backend->sub->release(cli, lease->name, lease->claim, &acked);
}
