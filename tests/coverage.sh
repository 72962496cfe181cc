#!/bin/sh
# Prints for each file of src/ how many lines the tests execute, and lists the functions that no test
# calls in build/coverage/uncalled.txt. `make coverage` calls it, after it has built the programs into
# build/coverage/. The arguments are suites of tests/run.sh; without any, it runs unit.
#
# A process that is killed writes no profile, so the crash tests count for little here.
set -u
cd "$(dirname "$0")/.." || exit 1
B=build/coverage
export B
profiles=$(pwd)/$B/profiles
rm -rf "$profiles" && mkdir -p "$profiles" || exit 1

# all processes of a program share four profiles, and add to them
LLVM_PROFILE_FILE="$profiles/%4m.profraw"
export LLVM_PROFILE_FILE
[ $# -gt 0 ] || set -- unit
sh tests/run.sh "$@"
status=$?

objects=
for program in $B/durable-streams.fcgi $B/dsctl $B/hooked/durable-streams.fcgi $B/unit/test_* $B/fuzz/*; do
    [ -f "$program" ] && [ -x "$program" ] && objects="$objects -object $program"
done
llvm-profdata merge -sparse -o $B/all.profdata "$profiles"/*.profraw || exit 1
# shellcheck disable=SC2086 # words are meant to split
set -- -instr-profile=$B/all.profdata -ignore-filename-regex=tests/ $objects
llvm-cov report "$@" 2>/dev/null | awk '
    /^-+$/ || NF < 10 { next }
    /^Filename/ { printf "%-28s %8s %8s %8s\n", "file", "lines", "missed", "covered"; next }
    { printf "%-28s %8s %8s %8s\n", $1, $8, $9, $10 }'
llvm-cov report -show-functions "$@" -sources src 2>/dev/null |
    awk '$4 == "0.00%" && $1 != "TOTAL" { print $1 }' | sort -u >$B/uncalled.txt
exit $status
