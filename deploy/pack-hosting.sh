#!/bin/sh
# `make dist-hosting`: packs the program and what installs it for hosts that run CGI scripts.
#
#   deploy/pack-hosting.sh PROGRAM NAME FILE    NAME is the folder in the archive FILE
#
# The archive needs neither make nor a compiler: unpack it in your home folder and run install.sh.
set -eu
unset CDPATH
here=$(cd "$(dirname "$0")/shared-hosting" && pwd)
program=$1 name=$2 file=$3

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT QUIT PIPE TERM

mkdir -p "$scratch/$name"
install -m 755 "$program" "$here/install.sh" "$here/streams.cgi" "$scratch/$name/"
# It is built with the system's libcurl; install.sh tries whether it runs on the host.
for built in "$(dirname "$program")" "$(dirname "$program")/.."; do
    if [ -x "$built/durable-streams-deliver" ] && [ ! -e "$scratch/$name/durable-streams-deliver" ]; then
        install -m 755 "$built/durable-streams-deliver" "$scratch/$name/"
    fi
done
install -m 644 "$here/.htaccess" "$here/README.txt" "$here/../../LICENSE" "$scratch/$name/"
strip "$scratch/$name/durable-streams.fcgi" 2>/dev/null || : # a third of the size
tar -czf "$file" --owner=0 --group=0 -C "$scratch" "$name"
