#!/bin/sh
# The program as a CGI script in a home folder. Belongs into public_html (mode 755), beside .htaccess;
# program, settings and database lie in a folder that no URL reaches. install.sh writes its name here,
# since web servers seldom say where HOME is.
base=${0%/*}/../durable-streams

refuse() {
    # a page of another origin would see a network error, and ask for ever
    printf 'Status: 500 Internal Server Error\r\nAccess-Control-Allow-Origin: *\r\n'
    printf 'Access-Control-Expose-Headers: Retry-After\r\nContent-Type: text/plain\r\n\r\n%s' "$1"
    echo "streams.cgi: $1" >&2
    exit 1
}

# only you may read what is stored
umask 077
if [ ! -d "$base/data" ]; then
    mkdir -p "$base/data" || refuse 'cannot make the folder of the database'
fi
[ -w "$base/data" ] || refuse 'the web server runs scripts as a user who may not write here'
[ -x "$base/durable-streams.fcgi" ] || refuse 'the program is missing'

# DS_NAME=value, a line each: durable-streams.fcgi --help names them
export DS_DATABASE="$base/data/streams.db"
set -a
# shellcheck source=/dev/null
[ ! -r "$base/settings" ] || . "$base/settings"

exec "$base/durable-streams.fcgi"
