#!/bin/sh
# Keeps the settings in durable-streams.fcgi.8 the same as in src/config/config.c: the program prints
# that section of the page with --help=man.
#
#   settings.sh update PROGRAM    writes the section anew, between its two comments
#   settings.sh check PROGRAM     prints the difference, and the command that removes it; status 1
set -u

page=$(dirname "$0")/durable-streams.fcgi.8
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT QUIT PIPE TERM

usage() {
    echo "usage: $0 update|check PROGRAM" >&2
    exit 2
}

[ $# -eq 2 ] || usage
"$2" --help=man >"$scratch/settings" || exit 1
awk -v settings="$scratch/settings" '
    /^\.\\" SETTINGS END/ { inside = 0; ends++ }
    !inside { print }
    /^\.\\" SETTINGS BEGIN/ {
        inside = 1
        begins++
        while ((getline line <settings) > 0)
            print line
    }
    END { exit begins != 1 || ends != 1 }' "$page" >"$scratch/page" || {
    echo "$page lacks its comments SETTINGS BEGIN and SETTINGS END" >&2
    exit 1
}

case $1 in
check)
    diff -u "$page" "$scratch/page" && exit
    echo "$page differs from src/config/config.c: run \`make man-settings\`"
    exit 1
    ;;
update) cmp -s "$page" "$scratch/page" || cat "$scratch/page" >"$page" ;;
*) usage ;;
esac
