/* Shared by the files of dsctl sub. */
#ifndef CLI_SUB_H
#define CLI_SUB_H

#include "cli/cli_backend.h"

struct buf;

/* The name of a subscription; NULL after reporting that it is empty. */
const char *cli_sub_name(const struct cli *cli, int operand);

/* What the subscription is doing, in words. */
const char *cli_sub_state(const struct ds_subscription *subscription);

/* Print a subscription: as rows, and as one line of JSON in the words of the protocol. */
void cli_sub_print(const struct cli *cli, const struct ds_subscription *subscription);
bool cli_sub_print_json(const struct cli *cli, const struct ds_subscription *subscription);

/* Prints the answer to a claim as one line of JSON. */
bool cli_sub_print_claim_json(const struct cli *cli, const struct ds_claim *claim);

/* Reports that nothing can be claimed. Returns the exit status that stands for it. */
enum cli_exit cli_sub_refuse_claim(const struct cli *cli, const char *name,
                                   const struct cli_claimed *claimed);

/* Reports that the wake is over. Returns CLI_CONFLICT. */
enum cli_exit cli_sub_refuse_fenced(const struct cli *cli, const char *name,
                                    const struct cli_acked *acked);

/* The name of this worker: --worker, else one of this host and process. NULL: no memory. */
const char *cli_sub_worker(const struct cli *cli);

#endif
