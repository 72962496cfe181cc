/*
 * What dsctl sends with every request to say who it is: a name with a password, and headers.
 *
 *     --user NAME:PASSWORD, --user @FILE      else the URL's name:password@, else DS_USER
 *     --header 'Name: value', --header @FILE  after those of DS_HEADER, which are one a line
 *
 * A file or the environment keeps a secret out of the list of processes. Secrets on the command
 * line are overwritten there as soon as they have been read; until then others can see them.
 */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

struct cli;

struct cli_login {
    const char *userinfo; /* of the URL, with its %XX; NULL: it has none */
    const char *user;     /* NULL: no name and password are sent */
    const char *password;
    const char **headers; /* n_headers of them, "Name: value" each */
    size_t n_headers;
};

/* Overwrites the secrets in argv, of which cli->args keeps copies. False: no memory, said. */
bool cli_login_hide(struct cli *cli);

/* Removes "name:password@" from a URL, in place. A copy of it in the arena; NULL: it has none. */
const char *cli_login_take_userinfo(const struct cli *cli, char *url);

/* Fills cli->login. user and headers are those of the environment, or NULL. Asks for a password
   that is missing if standard input is a terminal. False after saying why. */
bool cli_login_read(struct cli *cli, const char *user, const char *headers);

#endif
