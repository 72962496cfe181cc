/*
 * The lease of a worker on a wake: what it has dealt with, and heartbeats.
 *
 *     begin ──▶ move, beat ──▶ move, beat ──▶ … ──▶ done: acks, ends the wake
 *                                              └──▶ release: acks, gives the rest back
 *
 * A heartbeat carries the acks that have gathered. If the lease is lost, another worker may deal
 * with the same streams, and nothing is sent any more.
 */
#ifndef CLI_LEASE_H
#define CLI_LEASE_H

#include "cli/cli_backend.h"

struct cli_lease {
    struct cli *cli;
    const char *name; /* of the subscription */
    const struct ds_claim *claim;
    bool is_lost;
    /* private */
    struct ds_ack *acks; /* that are still to be sent, one a stream; in the arena */
    size_t n;
    bool has_moved;
    int64_t beat_at; /* monotonic */
};

/* The claim must outlive the lease. False after reporting that there is no memory. */
bool cli_lease_begin(struct cli_lease *lease, struct cli *cli, const char *name,
                     const struct ds_claim *claim);

/* Everything in the stream before the offset has been dealt with. */
bool cli_lease_move(struct cli_lease *lease, const char *path, const char *offset);

/* Sends a heartbeat if one is due. False: the lease is lost. */
bool cli_lease_beat(struct cli_lease *lease);

/* Milliseconds until a heartbeat is due; 0 or more. */
int64_t cli_lease_until_beat(const struct cli_lease *lease);

/* Acks, and ends the wake. *moved: at least one cursor has moved since the claim. */
enum cli_exit cli_lease_done(struct cli_lease *lease, bool *moved);

/* Acks, and gives back what is not dealt with. Errors are reported. */
void cli_lease_release(struct cli_lease *lease);

#endif
