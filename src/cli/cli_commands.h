/* The commands of dsctl and their options, for cli_table.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli.h"
#include "durable_streams.h"

struct buf;

enum cli_exit cli_create(struct cli *cli);
enum cli_exit cli_show(struct cli *cli);
enum cli_exit cli_close(struct cli *cli);
enum cli_exit cli_rm(struct cli *cli);
enum cli_exit cli_fork(struct cli *cli);
extern const struct cli_option cli_create_options[], cli_show_options[], cli_close_options[],
    cli_fork_options[];

enum cli_exit cli_append(struct cli *cli);
extern const struct cli_option cli_append_options[];

enum cli_exit cli_tail(struct cli *cli);
extern const struct cli_option cli_tail_options[];

enum cli_exit cli_ls(struct cli *cli);
extern const struct cli_option cli_ls_options[];

enum cli_exit cli_fault_add(struct cli *cli);
enum cli_exit cli_fault_ls(struct cli *cli);
enum cli_exit cli_fault_clear(struct cli *cli);
extern const struct cli_option cli_fault_add_options[], cli_fault_ls_options[];

enum cli_exit cli_sub_ls(struct cli *cli);
enum cli_exit cli_sub_show(struct cli *cli);
enum cli_exit cli_sub_add(struct cli *cli);
enum cli_exit cli_sub_rm(struct cli *cli);
enum cli_exit cli_sub_wake(struct cli *cli);
extern const struct cli_option cli_sub_ls_options[], cli_sub_show_options[], cli_sub_add_options[];

enum cli_exit cli_sub_claim(struct cli *cli);
enum cli_exit cli_sub_ack(struct cli *cli);
enum cli_exit cli_sub_release(struct cli *cli);
enum cli_exit cli_sub_tail(struct cli *cli);
extern const struct cli_option cli_sub_claim_options[], cli_sub_ack_options[],
    cli_sub_release_options[], cli_sub_tail_options[];

enum cli_exit cli_key_ls(struct cli *cli);
enum cli_exit cli_key_rotate(struct cli *cli);
extern const struct cli_option cli_key_ls_options[];

enum cli_exit cli_serve(struct cli *cli);
extern const struct cli_option cli_serve_options[];

enum cli_exit cli_check(struct cli *cli);
enum cli_exit cli_vacuum(struct cli *cli);
enum cli_exit cli_export(struct cli *cli);
enum cli_exit cli_import(struct cli *cli);
extern const struct cli_option cli_check_options[], cli_export_options[], cli_import_options[];

enum cli_exit cli_help(struct cli *cli);
enum cli_exit cli_version(struct cli *cli);

/* Prints one line of JSON, for show and ls, without values that are unknown. */
bool cli_state_print_json(const struct cli *cli, const struct ds_stream *stream);

/* Adds a fault as JSON, in the form that the server accepts. */
void cli_fault_add_json(struct buf *buf, const char *path, const struct ds_fault *fault);

#endif
