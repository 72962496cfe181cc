#!/bin/sh
# Searches for inputs that break a parser. Each program of build/fuzzer/fuzz/, or each that is named,
# runs for SECONDS_EACH seconds and starts from its corpus. `make fuzz` calls it.
#
# Inputs that reach new code are kept in build/fuzzer/corpus/, where the next run starts from them. An
# input that breaks something is written to build/fuzzer/found/NAME-*; replay it with
#
#   build/fuzzer/fuzz/NAME build/fuzzer/found/NAME-…
#
# and once the fault is fixed, put it into tests/fuzz/corpus/NAME/ under a name that describes it.
# MINIMISE=1 does not search: it copies the kept inputs into tests/fuzz/corpus/, as few as suffice.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
seconds=${SECONDS_EACH:-30}
bad=0
export ASAN_OPTIONS="detect_stack_use_after_return=0 ${ASAN_OPTIONS-}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1 ${UBSAN_OPTIONS-}"

if [ $# -eq 0 ]; then
    for program in build/fuzzer/fuzz/*; do
        [ -x "$program" ] && set -- "$@" "${program##*/}"
    done
fi
mkdir -p build/fuzzer/found
printf '%-16s %12s %8s %16s %8s\n' target executions a_second edges inputs
for name in "$@"; do
    program=build/fuzzer/fuzz/$name
    gathered=build/fuzzer/corpus/$name
    log=build/fuzzer/$name.log
    mkdir -p "$gathered"
    # -close_fd_mask=2 silences the log of the store, which reports each damaged row
    "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=20000 \
        -print_final_stats=1 -close_fd_mask=2 -artifact_prefix="build/fuzzer/found/$name-" \
        "$gathered" tests/fuzz/corpus/"$name" >"$log" 2>&1
    status=$?
    all=$(sed -n 's/^INFO: Loaded 1 modules *(\([0-9]*\) .*/\1/p' "$log" | head -n 1)
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    printf '%-16s %12s %8s %16s %8s\n' "$name" "${runs:-?}" "${speed:-?}" "${edges:-?} of ${all:-?}" \
        "$(find "$gathered" -type f | wc -l)"
    if [ $status -ne 0 ]; then
        bad=$((bad + 1))
        tail -n 40 "$log"
    elif [ "${MINIMISE-}" = 1 ]; then
        "$program" -merge=1 -close_fd_mask=2 tests/fuzz/corpus/"$name" "$gathered" >>"$log" 2>&1
    fi
done
[ $bad -eq 0 ]
