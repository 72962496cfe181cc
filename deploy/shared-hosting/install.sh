#!/bin/sh
# Installs the program into a home folder, for a host that runs CGI scripts. It needs no root.
#
#   sh install.sh [FOLDER]            FOLDER of the web server, default ~/public_html
#   sh install.sh --remove [FOLDER]   removes everything but the database and its settings
#
# The program, its settings and the database go to ~/durable-streams, which the web server does not
# show. To update, run it again: it replaces the program and keeps settings, database and your
# .htaccess. It takes the program beside this script (make dist-hosting), or that of `make STATIC=1` or
# `make`; PROGRAM= names another.
set -eu
unset CDPATH

here=$(cd "$(dirname "$0")" && pwd)
base=$HOME/durable-streams
remove=
if [ "${1-}" = --remove ]; then
    remove=1
    shift
fi
web=${1:-$HOME/public_html}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

# Our part of .htaccess lies between two comments; the rest of the file belongs to the user.
remove_all() {
    if [ -f "$web/.htaccess" ]; then
        sed '/^# begin durable-streams$/,/^# end durable-streams$/d' "$web/.htaccess" >"$web/.htaccess.new"
        if [ -s "$web/.htaccess.new" ]; then
            chmod 644 "$web/.htaccess.new"
            mv "$web/.htaccess.new" "$web/.htaccess"
        else
            rm -f "$web/.htaccess.new" "$web/.htaccess"
        fi
    fi
    rm -f "$web/streams.cgi" "$base/durable-streams.fcgi" "$base/durable-streams-deliver"
    echo "removed; $base still holds the database and its settings"
}

if [ -n "$remove" ]; then
    remove_all
    exit 0
fi

program=${PROGRAM-}
for built in "$here" "$here/../../build/static" "$here/../../build"; do
    [ -n "$program" ] || [ ! -x "$built/durable-streams.fcgi" ] || program=$built/durable-streams.fcgi
done
[ -x "$program" ] || die 'durable-streams.fcgi is missing: run make first'
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
    echo '# DS_NAME=value, one a line; durable-streams.fcgi --help lists them' >"$base/settings"

# Replaces a file by a rename, so that requests in progress keep the old one.
put() {
    cp "$2" "$3.new"
    chmod "$1" "$3.new"
    mv "$3.new" "$3"
}
put 700 "$program" "$base/durable-streams.fcgi"
"$base/durable-streams.fcgi" --version >/dev/null ||
    die 'the program does not run on this machine: build it here, or with make STATIC=1'

# Sends webhooks, by a line of cron. It needs libcurl and OpenSSL of this machine.
for built in "${program%/*}" "${program%/*}/.."; do
    if [ -x "$built/durable-streams-deliver" ]; then
        put 700 "$built/durable-streams-deliver" "$base/durable-streams-deliver"
        "$base/durable-streams-deliver" --version >/dev/null 2>&1 || {
            rm -f "$base/durable-streams-deliver"
            echo 'durable-streams-deliver does not run on this machine: without it there are no webhooks'
        }
        break
    fi
done

sed "s|^base=.*|base='$base'|" "$here/streams.cgi" >"$base/streams.cgi"
put 755 "$base/streams.cgi" "$web/streams.cgi"
rm -f "$base/streams.cgi"

# Apache needs the whole name of the password file.
sed "s|@HOME@|$HOME|" "$here/.htaccess" >"$base/htaccess"
if [ ! -e "$web/.htaccess" ]; then
    put 644 "$base/htaccess" "$web/.htaccess"
elif ! grep -q streams.cgi "$web/.htaccess"; then
    cat "$base/htaccess" >>"$web/.htaccess"
    echo "added to $web/.htaccess"
fi
rm -f "$base/htaccess"

echo "$base holds program, settings and database; the web server runs $web/streams.cgi"
