#!/bin/sh
# Proofs: random, long-running attempts to break the promises about stored data. README.md says what
# each part does. The last line is `N passed, N failed`; the exit status is 1 unless all passed.
#
#   tests/proof/run.sh                     every part for PROVE_MINUTES (20)
#   tests/proof/run.sh power crash         only these parts
#   tests/proof/run.sh --short             every part for some seconds, as `make test` does
#
#   PROVE_SEED=N                           the first seed; by default 1 in a short run, and the time
#                                          of day in a long one
#   B=build/address-undefined              the programs of that build
#
# To add a part: one line at the end of this file. Its program prints what it covered, ends with a line
# that says `0 failed`, and exits with 0. When it fails, it prints how to repeat the failure.
set -u

cd "$(dirname "$0")/../.." || exit 1
B=${B-build}
export B
short=
if [ "${1-}" = --short ]; then
    short=1
    shift
fi
wanted=" $* "
seconds=$((${PROVE_MINUTES-20} * 60))
seed=${PROVE_SEED-$(date +%s)000}
[ -n "$short" ] && seed=${PROVE_SEED-1}
small=$((seed % 1000000000)) # of programs that compute with 32 bits
passed=0
failed=0

# part NAME 'COMMAND for a short run' 'COMMAND for a long run'
part() {
    case $wanted in
    *" $1 "* | '  ') ;;
    *) return ;;
    esac
    command=$3
    [ -n "$short" ] && command=$2
    echo "$1"
    # shellcheck disable=SC2086 # a command and its arguments
    if $command 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $1: $command"
    fi
}

proof=$B/proof
part vfs_same "$proof/vfs_same --seed $seed --rounds 2" "$proof/vfs_same --seed $seed --seconds $seconds"
part vfs_cut "$proof/vfs_cut --seed $seed --rounds 12" "$proof/vfs_cut --seed $seed --seconds $seconds"
part power "$proof/power --seed $seed --rounds 6" "$proof/power --seed $seed --rounds 20 --seconds $seconds"
part crash "$proof/crash --seed $seed --rounds 1" "$proof/crash --seed $seed --rounds 8 --seconds $seconds"

part claims "node tests/proof/claims.mjs --rounds 40 --cgi 20" "node tests/proof/claims.mjs --rounds 1000"
part subscriptions "node tests/proof/subscriptions.mjs --seed $small --kills 90" \
    "node tests/proof/subscriptions.mjs --seed $small --seconds $seconds"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
