#!/bin/sh
# Runs tests. The last line is `N passed, N failed`; the exit status is 1 unless all passed.
#
#   tests/run.sh                    everything
#   tests/run.sh unit               the Check programs and the replay of the fuzz corpora
#   tests/run.sh unit:wake fuzz:json    only tests/unit/test_wake.c and tests/fuzz/corpus/json/
#   tests/run.sh floors             the includes of src/ against its floors: tests/floors.sh
#   tests/run.sh pages              the links and names in the Markdown pages: tests/pages.sh
#   tests/run.sh proof              the proofs of tests/proof, each for some seconds
#   tests/run.sh system             the system tests
#   tests/run.sh doors              the conformance suite, the cases of subscriptions and the gateway
#                                   cases behind every web server (a "door" is one web server and its
#                                   way to the program)
#   tests/run.sh wire conformance:lighttpd-cgi crash     only these system tests
#
# A system test is tests/system/NAME.test.mjs; NAME:SETUP runs it in a setup of harness.mjs.
#   JOBS=4                          how many suites run at a time
#   B=build/address-undefined       test the programs of that build; SANITIZE= means the same
#   FULL=1                          run longer those tests that need time to find a fault
#   DS_TEST_KEEP=1                  keep the servers' folders, with their logs
# A suite that executes no test counts as a failure. At the end, each failed test is named again.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
if [ -z "${B-}" ]; then
    B=build
    [ -n "${SANITIZE-}" ] && B=build/$(echo "$SANITIZE" | tr , -)
fi
export B
# that file lists the false reports of ThreadSanitizer, with the reasons
export TSAN_OPTIONS="suppressions=$root/tests/tsan.supp ${TSAN_OPTIONS-}"
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS-}"

# Suites that mostly wait, the longest first: several run at a time. Suites that measure, or need the
# whole machine, run alone.
waiting='faults crash http conformance:three subscriptions:three dsctl hook front front-apache
    front-subscriptions wire:lighttpd-cgi registry wire:nginx export program run gateway library
    subscribers space replaced damage hosting location client browser gzip'
measuring='contention parked upkeep scaling instructions'
# the rows of doors/list.mjs
doors='http nginx-http haproxy caddy nginx nginx-activated lighttpd lighttpd-spawn apache-proxy apache-fcgid
    apache-cgi lighttpd-cgi hosting mixed'

passed=0
failed=0
scratch=$(mktemp -d)
: >"$scratch/failed"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT QUIT PIPE TERM

# count NAME PASSED FAILED: adds one suite to the totals
count() {
    if [ "$2" -eq 0 ] && [ "$3" -eq 0 ]; then
        echo "  $1: no test was executed" >&2
        set -- "$1" 0 1
    fi
    passed=$((passed + $2))
    failed=$((failed + $3))
    printf '  %-24s %5d passed %5d failed\n' "$1" "$2" "$3"
}

# fail SUITE: its failed tests are on stdin, one a line
fail() {
    sed "s|^|failed: $1: |" | cut -c 1-400 >>"$scratch/failed"
}

# Check ends each program's output with `100%: Checks: 12, Failures: 0, Errors: 0`.
unit_program() {
    name=$(basename "$1")
    timeout -k 5 300 "$1" >"$scratch/unit" 2>&1
    status=$?
    totals=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
        "$scratch/unit" | awk '{ c += $1; f += $2 + $3 } END { print c + 0, f + 0 }')
    checks=${totals% *}
    bad=${totals#* }
    # a program that died, or that a sanitizer ended, does not report the rest of its checks
    [ $status -ne 0 ] && [ "$bad" -eq 0 ] && bad=1 && checks=$((checks + 1))
    if [ "$bad" -ne 0 ]; then
        sed 's/^/    /' "$scratch/unit"
        { grep -E '^[^ ]+:[0-9]+:[FE]:' "$scratch/unit" || echo "ended with status $status"; } |
            fail "$name"
    fi
    count "$name" $((checks - bad)) "$bad"
}

# Every program. Several at a time, because half of them mostly wait.
unit() {
    suites=
    for program in "$B"/unit/test_*; do
        case $program in
        *.d) ;;
        *'*') count unit 0 0 ;;
        *) suites="$suites unit:${program##*/test_}" ;;
        esac
    done
    for program in "$B"/fuzz/*; do
        if [ -f "$program" ] && [ -x "$program" ]; then
            suites="$suites fuzz:${program##*/}"
        fi
    done
    run_together "$suites"
}

# A fuzz entry point replays its corpus in one process, which ends at the first bad input. Only then
# does each input get a process of its own.
fuzz_program() {
    name=$(basename "$1")
    corpus=tests/fuzz/corpus/$name
    files=$(find "$corpus" -type f 2>/dev/null | wc -l)
    bad=0
    if [ "$files" -gt 0 ] && ! timeout 120 "$1" "$corpus" >"$scratch/fuzz" 2>&1; then
        for input in "$corpus"/*; do
            timeout 20 "$1" "$input" >"$scratch/fuzz-one" 2>&1 && continue
            bad=$((bad + 1))
            echo "$input" | fail "fuzz $name"
            sed 's/^/    /' "$scratch/fuzz-one"
        done
        if [ $bad -eq 0 ]; then # only all of them together fail
            bad=1
            tail -n 1 "$scratch/fuzz" | fail "fuzz $name"
            sed 's/^/    /' "$scratch/fuzz"
        fi
    fi
    count "fuzz $name" $((files - bad)) $bad
}

# script NAME: runs tests/NAME.sh, which prints a line for each fault that it finds.
script() {
    sh "tests/$1.sh" >"$scratch/script" 2>&1 </dev/null
    status=$?
    bad=$(wc -l <"$scratch/script")
    [ $status -ne 0 ] && [ "$bad" -eq 0 ] && bad=1 && echo "ended with status $status" >"$scratch/script"
    if [ "$bad" -ne 0 ]; then
        sed 's/^/    /' "$scratch/script"
        fail "$1" <"$scratch/script"
        count "$1" 0 "$bad"
    else
        count "$1" 1 0
    fi
}

# The output of the proofs ends with `N passed, N failed`; above that, a line says what each covered.
proof() {
    sh tests/proof/run.sh --short >"$scratch/proof" 2>&1 </dev/null
    totals=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$scratch/proof")
    [ -n "$totals" ] || totals='0 1'
    if [ "${totals#* }" -eq 0 ]; then
        grep '^proof: .* failed$' "$scratch/proof" | sed 's/^/    /'
    else
        sed 's/^/    /' "$scratch/proof"
        grep -E '^(proof: .*: seed|failed:)' "$scratch/proof" | fail proof
    fi
    count proof "${totals% *}" "${totals#* }"
}

modules() {
    have=tests/node_modules/.package-lock.json
    if [ ! -e $have ] || [ -n "$(find tests/package-lock.json -newer $have)" ]; then
        echo 'installing the packages of tests/package-lock.json'
        (cd tests && npm ci --ignore-scripts --no-progress) >"$scratch/npm" 2>&1 || {
            cat "$scratch/npm" >&2
            return 1
        }
        touch $have
    fi
}

# Adds up vitest's JSON. A skipped test is a failure unless it is one of the known ones: valgrind where
# it is not installed, and valgrind and preloaded libraries where a sanitizer takes their place. Prints
# the failures on stderr, one a line.
tally() {
    node -e '
        const { testResults = [] } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))
        const known = /^(valgrind|without memory|no connection is opened (by a resolver|to addresses))/
        let passed = 0, failed = 0
        for (const file of testResults) {
            let bad = 0
            for (const test of file.assertionResults) {
                const name = [...test.ancestorTitles, test.title].filter(Boolean).join(" ")
                if (test.status === "passed") passed++
                else if (test.status === "failed") {
                    bad++
                    console.error(name + ": " + (test.failureMessages[0] ?? "").split("\n")[0])
                } else if (!known.test(name)) {
                    bad++
                    console.error(name + ": not run")
                }
            }
            // a failed hook: a server that did not start, or the report of a sanitizer at its end
            if (file.status === "failed" && bad === 0) {
                bad = 1
                console.error((file.message ?? "").split("\n")[0])
            }
            failed += bad
        }
        console.log(passed, failed)' "$1"
}

one_system() {
    file=system/${1%%:*}.test.mjs
    if [ ! -f "tests/$file" ]; then
        echo "no such suite: $1" >&2
        count "$1" 0 0
        return
    fi
    SETUP=
    case $1 in *:*) SETUP=${1#*:} ;; esac
    export SETUP
    rm -f "$scratch/result"
    echo "$1"
    (cd tests && timeout -k 20 900 node node_modules/vitest/vitest.mjs run "$file" \
        --reporter=json --outputFile.json="$scratch/result" --reporter=default) \
        >"$scratch/output" 2>&1 </dev/null
    status=$?
    totals='0 0'
    : >"$scratch/notes"
    [ -f "$scratch/result" ] && totals=$(tally "$scratch/result" 2>"$scratch/notes")
    good=${totals% *}
    bad=${totals#* }
    [ $status -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    if [ "$bad" -ne 0 ]; then
        [ -s "$scratch/notes" ] || echo "ended with status $status" >"$scratch/notes"
        cat "$scratch/output"
        fail "$1" <"$scratch/notes"
    else # the figures that the tests measured
        grep -E '^(export|scaling|conformance|crash|parked|contention|upkeep|faults|instructions): ' "$scratch/output" | sed 's/^/    /'
    fi
    case $1 in
    faults) # what a client's socket saw behind every web server
        [ "$bad" -eq 0 ] && sed 's/^/    /' "$B/faults.md"
        ;;
    conformance:* | subscriptions:*) # for the matrix
        mkdir -p "$B/doors"
        echo "$good $bad" >"$B/doors/${1%%:*}-$SETUP"
        ;;
    esac
    count "$1" "$good" "$bad"
}

# Runs JOBS suites at a time, in the order given: they mostly wait.
run_together() {
    # each suite is a run of this script, whose last line has its counts
    # shellcheck disable=SC2016,SC2086 # that sh expands them; words are meant to split
    printf '%s\n' $1 | xargs -P "${JOBS:-4}" -I{} sh -c '
        sh tests/run.sh "$1" >"$2/suite-$1" 2>&1 </dev/null
        sed -e "\$d" -e "/^failed: /d" "$2/suite-$1"' - {} "$scratch"
    for suite in $1; do
        totals=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$scratch/suite-$suite")
        [ -n "$totals" ] || totals='0 1'
        grep '^failed: ' "$scratch/suite-$suite" >>"$scratch/failed"
        passed=$((passed + ${totals% *}))
        failed=$((failed + ${totals#* }))
    done
}

# The longest first; doors:idle waits for a minute and a half.
door_suites() {
    printf 'doors:idle'
    for door in $doors; do printf ' subscriptions:%s' "$door"; done
    for door in $doors; do printf ' conformance:%s' "$door"; done
    for door in $doors; do printf ' doors:%s' "$door"; done
}

matrix() {
    echo
    node tests/system/doors/matrix.mjs
    echo
}

# together SUITES…: installs the npm packages, once, and runs the suites
together() {
    if modules; then
        run_together "$*"
    else
        count "$1" 0 1
    fi
}

run_suite() {
    case $1 in
    all)
        script floors
        script pages
        unit
        proof
        rm -rf "$B/doors" "$B/doors.md"
        # shellcheck disable=SC2046,SC2086 # words are meant to split
        together $(door_suites) $waiting
        for suite in $measuring; do run_suite "$suite"; done
        matrix
        ;;
    unit) unit ;;
    unit:*) unit_program "$B/unit/test_${1#*:}" ;;
    fuzz:*) fuzz_program "$B/fuzz/${1#*:}" ;;
    floors | pages) script "$1" ;;
    proof) proof ;;
    system)
        # shellcheck disable=SC2086 # words are meant to split
        together $waiting
        for suite in $measuring; do run_suite "$suite"; done
        ;;
    doors)
        rm -rf "$B/doors" "$B/doors.md"
        # shellcheck disable=SC2046 # words are meant to split
        together $(door_suites)
        matrix
        ;;
    modules) modules || exit 1; exit 0 ;;
    conformance | subscriptions) for setup in three $doors; do run_suite "$1:$setup"; done ;;
    wire) for setup in nginx lighttpd-cgi; do run_suite wire:$setup; done ;;
    *)
        if modules; then
            one_system "$1"
        else
            count "$1" 0 1
        fi
        ;;
    esac
}

[ $# -eq 0 ] && set -- all
for suite in "$@"; do
    run_suite "$suite"
done

cat "$scratch/failed"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
