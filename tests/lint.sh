#!/bin/sh
# Style, static analysis, and the floors of src/. Prints only faults.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0

# complain TEXT: reports a fault
complain() {
    echo "$1" >&2
    bad=1
}

sources=$(find include src tests -name node_modules -prune -o \( -name '*.c' -o -name '*.h' \) -print | sort)

# shellcheck disable=SC2086 # a list of files
clang-format --dry-run -Werror $sources || bad=1

code=$(find src -name '*.[ch]' | sort)

# Each floor includes from lower ones only.
sh tests/floors.sh >&2 || bad=1

# The pages name only things that exist.
sh tests/pages.sh >&2 || bad=1

# Only one folder uses each outside interface.
only_in() { # pattern of a header, files that may include it, its name
    found=$(grep -lE "^ *# *include *[<\"]$1[>\"]" $code | grep -vE "^src/($2)\$")
    [ -z "$found" ] || complain "$3 outside its folder: $(echo "$found" | tr '\n' ' ')"
}
only_in '(fcgiapp|fcgi_stdio|fastcgi|fcgi_config)\.h' 'gateway/gateway\.c' 'libfcgi'
only_in 'sqlite3\.h' 'store/(sqlite|tools)/[a-z_]*\.[ch]' 'SQLite'
only_in 'zlib\.h' 'http/http_gzip\.c' 'zlib'
only_in 'curl/curl\.h' '(cli/cli_http\.c|deliver/[a-z_]*\.[ch])' 'libcurl'
only_in 'openssl/[a-z0-9]*\.h' 'deliver/deliver_sign\.c' 'libcrypto'

found=$(grep -lwE 'environ|getenv|secure_getenv' $code | grep -vE '^src/(gateway/gateway_[a-z_]*|config/[a-z_]*|cli/cli)\.[ch]$')
[ -z "$found" ] || complain "only gateways, configuration and cli.c read the environment: $(echo "$found" | tr '\n' ' ')"

# No SQL by printf: statements are prepared from constants.
found=$(grep -nE 'sqlite3_(v?mprintf|v?snprintf)|printf[^;]*"(SELECT|INSERT|UPDATE|DELETE) ' $code)
[ -z "$found" ] || complain "SQL by printf: $found"

# A file is short enough to be read at once.
found=$(wc -l $code | awk '$2 != "total" && $1 > 700 { print $2, $1 }')
[ -z "$found" ] || complain "longer than 700 lines: $found"

for script in .ci/run deploy/*.sh deploy/*/*.sh deploy/*/*.cgi tests/*.sh tests/fuzz/*.sh tests/proof/*.sh tests/system/*/*.sh sql/*.sh; do
    [ -f "$script" ] || continue
    sh -n "$script" || bad=1
    if command -v shellcheck >/dev/null; then
        shellcheck -s sh -S warning "$script" || bad=1
    fi
done

# warnings of the manual pages; style (a line of 81 characters) is left to their writers
mandoc -Tlint -W warning deploy/man/*.[1-9] || bad=1

# the lock file names packages, not the server they were downloaded from
if grep -q '"resolved"' tests/package-lock.json; then
    complain 'tests/package-lock.json holds download addresses'
fi

# cppcheck reads no headers of the system, but cannot parse code without the macros of this one
queue=$(echo '#include <sys/queue.h>' | cc -E -x c - | sed -n 's/^# 1 "\(.*sys\/queue\.h\)".*/\1/p')
cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --std=c11 --suppress=missingIncludeSystem --include="$queue" -D_GNU_SOURCE -Iinclude -Isrc src || bad=1

# the slowest check last, on two cores
# shellcheck disable=SC2016 # "$@" is meant for the inner shell
printf '%s\n' $code | grep '\.c$' | xargs -P 2 -n 3 sh -c '
    clang-tidy --quiet "$@" -- -std=c11 -D_GNU_SOURCE -Iinclude -Isrc 2>/dev/null' sh || bad=1

exit $bad
