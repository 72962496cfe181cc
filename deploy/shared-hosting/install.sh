#!/bin/sh
# Installs the program into a home folder, for a host that runs CGI scripts. No root is needed.
#
#   sh deploy/shared-hosting/install.sh [FOLDER]      the web server's folder, ~/public_html
#
# The program, its settings and the database go to ~/durable-streams, outside of what the web server
# shows. Run it again after an update: the program is replaced, settings and database stay.
# PROGRAM= names another one than that of `make STATIC=1` or `make`.
set -eu
unset CDPATH

here=$(cd "$(dirname "$0")" && pwd)
built=$here/../../build/static/durable-streams.fcgi
[ -x "$built" ] || built=$here/../../build/durable-streams.fcgi
program=${PROGRAM:-$built}
base=$HOME/durable-streams
web=${1:-$HOME/public_html}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

[ -x "$program" ] || die "$program is missing: run make first"
mkdir -p "$web"
web=$(cd "$web" && pwd)
case $base/ in
"$web"/*) die "the database would lie in $web, where everybody could fetch it: name a folder below it" ;;
*[\'\|\&\\]*) die "a path with one of ' | & \\ is more than this script can write down" ;;
esac

umask 077
mkdir -p "$base/data"
chmod 700 "$base" "$base/data"
[ -e "$base/settings" ] ||
    echo '# DS_NAME=value, a line each; durable-streams.fcgi --help names them' >"$base/settings"

# under another name first: requests that are being answered keep the old one
put() {
    cp "$2" "$3.new"
    chmod "$1" "$3.new"
    mv "$3.new" "$3"
}
put 700 "$program" "$base/durable-streams.fcgi"
"$base/durable-streams.fcgi" --version >/dev/null ||
    die 'the program does not run on this machine: build it here, or with make STATIC=1'

sed "s|^base=.*|base='$base'|" "$here/streams.cgi" >"$base/streams.cgi"
put 755 "$base/streams.cgi" "$web/streams.cgi"
rm -f "$base/streams.cgi"

if [ ! -e "$web/.htaccess" ]; then
    put 644 "$here/.htaccess" "$web/.htaccess"
elif ! grep -q streams.cgi "$web/.htaccess"; then
    cat "$here/.htaccess" >>"$web/.htaccess"
    echo "added to $web/.htaccess"
fi

echo "$base holds program, settings and database; $web/streams.cgi is what the web server runs"
