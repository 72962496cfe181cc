#!/bin/sh
# Runs the program as a CGI script of a home folder. install.sh puts it into public_html (mode 755),
# beside .htaccess, and writes the folder of program, settings and database here, because web servers
# seldom set HOME. No URL reaches that folder.
base=${0%/*}/../durable-streams

refuse() {
    # Without CORS headers, a page of another origin would see a network error and retry for ever.
    printf 'Status: 500 Internal Server Error\r\nAccess-Control-Allow-Origin: *\r\n'
    printf 'Access-Control-Expose-Headers: Retry-After\r\nContent-Type: text/plain\r\n\r\n%s' "$1"
    echo "streams.cgi: $1" >&2
    exit 1
}

# Only the owner may read what the streams hold.
umask 077
if [ ! -d "$base/data" ]; then
    mkdir -p "$base/data" || refuse 'cannot make the folder of the database'
fi
[ -w "$base/data" ] || refuse 'the web server runs scripts as a user who may not write here'
[ -x "$base/durable-streams.fcgi" ] || refuse 'the program is missing'

# Each line is DS_NAME=value; durable-streams.fcgi --help lists the names.
export DS_DATABASE="$base/data/streams.db"
set -a
# shellcheck source=/dev/null
[ ! -r "$base/settings" ] || . "$base/settings"

exec "$base/durable-streams.fcgi"
