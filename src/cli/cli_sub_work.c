/* dsctl sub claim, ack and release: the steps of a worker, for scripts. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digits.h"
#include "cli/cli_commands.h"
#include "cli/cli_sub.h"
#include "protocol/producer.h"

#define WAKE                                                                                       \
    {"token", 't', "TOKEN", "as claim printed it; default: DS_SUB_TOKEN"},                         \
        {"wake", 0, "WAKE", "the wake that was claimed; default: DS_SUB_WAKE"},                    \
    {                                                                                              \
        "generation", 'g', "N", "and its generation; default: DS_SUB_GENERATION"                   \
    }

const struct cli_option cli_sub_claim_options[] = {
    {"worker", 'w', "NAME", "name of this worker, for people (default: host and process)"},
    {"json", 'j', NULL, "print one JSON object on one line"},
    {0},
};

const struct cli_option cli_sub_ack_options[] = {
    WAKE,
    {"done", 'd', NULL, "end the wake and give the lease back"},
    {0},
};

const struct cli_option cli_sub_release_options[] = {
    WAKE,
    {0},
};

const char *cli_sub_worker(const struct cli *cli)
{
    const char *worker = cli_value(cli, "worker");
    char host[64] = "";

    if (worker)
        return worker;
    if (gethostname(host, sizeof host - 1) != 0 || !host[0])
        (void)snprintf(host, sizeof host, "dsctl");
    worker = arena_printf(cli->arena, "%s-%ld", host, (long)getpid());
    if (!worker)
        (void)cli_no_memory(cli);
    return worker;
}

enum cli_exit cli_sub_refuse_claim(const struct cli *cli, const char *name,
                                   const struct cli_claimed *claimed)
{
    if (claimed->status == DS_IDLE)
        return cli_fail(cli, CLI_IDLE, "%s: nothing is pending", name);
    return cli_fail(cli, CLI_CONFLICT, "%s: %s has claimed it", name,
                    claimed->holder ? claimed->holder : "another worker");
}

enum cli_exit cli_sub_refuse_fenced(const struct cli *cli, const char *name,
                                    const struct cli_acked *acked)
{
    return cli_fail(cli, CLI_CONFLICT, "%s: the lease is over%s%s", name,
                    acked->refusal ? ": " : "", acked->refusal ? acked->refusal : "");
}

static void print_claim(const struct cli *cli, const struct ds_claim *claim)
{
    cli_row(cli, "wake", "%s", cli_shown(cli, claim->wake_id));
    cli_row(cli, "generation", "%lld", (long long)claim->generation);
    cli_row(cli, "token", "%s", cli_shown(cli, claim->token));
    cli_row(cli, "lease", "%lld ms", (long long)claim->lease_ttl_ms);
    for (size_t i = 0; i < claim->links; i++)
        if (claim->link[i].pending)
            cli_row(cli, "pending", "%s %s %s", cli_shown(cli, claim->link[i].path),
                    cli_shown(cli, claim->link[i].acked_offset),
                    cli_shown(cli, claim->link[i].tail_offset));
}

enum cli_exit cli_sub_claim(struct cli *cli)
{
    const char *name = cli_sub_name(cli, 0), *worker = cli_sub_worker(cli);
    struct cli_claimed claimed;
    enum cli_exit exit;

    if (!name || !worker)
        return CLI_USAGE;
    exit = cli->backend->sub->claim(cli, name, worker, false, &claimed);
    if (exit != CLI_DONE)
        return exit;
    if (claimed.status != DS_OK)
        return cli_sub_refuse_claim(cli, name, &claimed);
    if (!cli_has(cli, "json"))
        print_claim(cli, &claimed.claim);
    else if (!cli_sub_print_claim_json(cli, &claimed.claim))
        exit = CLI_FAILED;
    return exit;
}

/* --------------------------------------------------------------------------- ack, release -- */

/* An option, else the variable that `sub tail --exec` sets. NULL after reporting that there is
 * neither. */
static const char *read_text(const struct cli *cli, const char *option, const char *variable)
{
    const char *value = cli_value(cli, option);

    if (!value)
        value = cli_variable(variable);
    if (value && value[0] && !strpbrk(value, "\r\n"))
        return value;
    (void)cli_fail(cli, CLI_USAGE, "--%s is missing: what did dsctl sub claim print?", option);
    return NULL;
}

static bool read_wake(const struct cli *cli, struct ds_claim *claim)
{
    const char *generation;

    claim->token = read_text(cli, "token", "DS_SUB_TOKEN");
    claim->wake_id = claim->token ? read_text(cli, "wake", "DS_SUB_WAKE") : NULL;
    generation = claim->wake_id ? read_text(cli, "generation", "DS_SUB_GENERATION") : NULL;
    if (!generation)
        return false;
    if (digits_parse(generation, strlen(generation), PRODUCER_NUMBER_MAX, &claim->generation))
        return true;
    (void)cli_fail(cli, CLI_USAGE, "--generation takes a whole number");
    return false;
}

/* Reads "STREAM=OFFSET". False after reporting an error. */
static bool read_ack(const struct cli *cli, const char *word, struct ds_ack *ack)
{
    const char *sign = strrchr(word, '=');
    const char *stream = sign ? arena_strndup(cli->arena, word, (size_t)(sign - word)) : NULL;

    if (!sign || !sign[1]) {
        (void)cli_fail(cli, CLI_USAGE, "%s is not STREAM=OFFSET", word);
        return false;
    }
    ack->path = stream ? cli_path(cli, stream) : NULL;
    ack->offset = sign + 1;
    return ack->path != NULL;
}

enum cli_exit cli_sub_ack(struct cli *cli)
{
    const char *name = cli_sub_name(cli, 0);
    size_t n = (size_t)cli->args.n_operands - 1;
    struct ds_ack *acks = arena_alloc(cli->arena, (n + 1) * sizeof *acks);
    struct ds_claim claim = {0};
    struct cli_acked acked;
    enum cli_exit exit;

    if (!acks)
        return cli_no_memory(cli);
    if (!name || !read_wake(cli, &claim))
        return CLI_USAGE;
    for (size_t i = 0; i < n; i++)
        if (!read_ack(cli, cli_operand(cli, (int)i + 1), &acks[i]))
            return CLI_USAGE;
    exit = cli->backend->sub->ack(cli, name, &claim, acks, n, cli_has(cli, "done"), &acked);
    if (exit == CLI_DONE && acked.fenced)
        return cli_sub_refuse_fenced(cli, name, &acked);
    if (exit == CLI_DONE && acked.next_wake)
        cli_note(cli, "%s: more is pending", name);
    return exit;
}

enum cli_exit cli_sub_release(struct cli *cli)
{
    const char *name = cli_sub_name(cli, 0);
    struct ds_claim claim = {0};
    struct cli_acked acked;
    enum cli_exit exit;

    if (!name || !read_wake(cli, &claim))
        return CLI_USAGE;
    exit = cli->backend->sub->release(cli, name, &claim, &acked);
    if (exit == CLI_DONE && acked.fenced)
        exit = cli_sub_refuse_fenced(cli, name, &acked);
    return exit;
}
