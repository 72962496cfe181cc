/*
 * What identifies dsctl in every request: a name with a password, and headers.
 *
 *     --user NAME:PASSWORD, --user @FILE      else name:password@ in the URL, else DS_USER
 *     --header 'Name: value', --header @FILE  in addition to DS_HEADER, which has one per line
 *
 * A secret in a file or in the environment never appears in the list of processes. A secret on the
 * command line is overwritten as soon as it has been read; until then, others can see it.
 */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

struct cli;

struct cli_login {
    const char *userinfo; /* name:password of the URL, still with %XX; NULL: it has none */
    const char *user;     /* NULL: send no name and password */
    const char *password;
    const char **headers; /* "Name: value" each */
    size_t n_headers;
};

/* Overwrites the secrets in argv; cli->args keeps copies. False after reporting an error. */
bool cli_login_hide(struct cli *cli);

/* Removes "name:password@" from a URL, in place. Returns a copy without the @ in the arena; NULL:
 * the URL has none. */
const char *cli_login_take_userinfo(const struct cli *cli, char *url);

/* Fills cli->login. user and headers come from the environment, or are NULL. If a password is
 * missing and standard input is a terminal, asks for it. False after reporting an error. */
bool cli_login_read(struct cli *cli, const char *user, const char *headers);

#endif
