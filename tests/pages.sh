#!/bin/sh
# Checks that everything exists that the pages name: the targets of relative links in the Markdown
# pages; files, functions, make targets and test suites that these name between backquotes or in a
# block of commands; and our own manual pages that others refer to. Also checks `make help` against
# the targets of the Makefile. Prints a line for each name that leads nowhere, and exits with 1 if
# there is one.
set -u
cd "$(dirname "$0")/.." || exit 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT QUIT PIPE TERM

sed -n 's/^\.PHONY: *//p' Makefile | tr ' ' '\n' | sort -u >"$scratch/targets"
pages=$(find . \( -name node_modules -o -name build -o -name .git \) -prune -o -name '*.md' -print |
    sed 's|^\./||' | sort)

wrong() {
    echo "$*"
    : >"$scratch/wrong"
}

# code PAGE: prints its blocks of shell commands, and its spans between backquotes, one a line
code() {
    awk '
        /^```/ { shell = !inside && /^```sh/; inside = !inside; next }
        inside { if (shell) { sub(/(^|[ \t])#.*/, ""); print }; next }
        { n = split($0, span, "`"); for (i = 2; i <= n; i += 2) print span[i] }' "$1"
}

# anchors PAGE: prints the anchors that GitHub makes of its headings
anchors() {
    awk '/^```/ { inside = !inside } !inside && sub(/^#+ +/, "")' "$1" | tr '[:upper:]' '[:lower:]' |
        sed 's/[][`~!@#$%^&*()+={}|;:",.<>/?\\]//g; s/'"'"'//g; s/ /-/g'
}

check_links() {
    folder=$(dirname "$1")
    awk '/^```/ { inside = !inside } !inside' "$1" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//' |
        sort -u | while read -r link; do
        case $link in
        *://* | mailto:*) continue ;;
        esac
        file=$folder/${link%%#*}
        [ "${link%%#*}" = '' ] && file=$1
        if [ ! -e "$file" ]; then
            wrong "$1: the link $link leads nowhere"
            continue
        fi
        case $link in
        *.md\#* | \#*)
            anchors "$file" | grep -qxF -- "${link#*#}" || wrong "$1: no heading for the link $link"
            ;;
        esac
    done
}

is_suite() {
    case $1 in
    unit | proof | system | doors | modules | floors | pages | wire | conformance) ;;
    unit:*) [ -f "tests/unit/test_${1#*:}.c" ] ;;
    fuzz:*) [ -f "tests/fuzz/fuzz_${1#*:}.c" ] ;;
    *) [ -f "tests/system/${1%%:*}.test.mjs" ] ;;
    esac
}

# Names in capitals stand for others: sh tests/run.sh SUITE, unit/test_NAME.c
check_commands() {
    code "$1" >"$scratch/code"
    # the words that follow make, up to what ends the command
    sed "s/'[^']*'//g" "$scratch/code" | sed -nE 's/.*(^|[ (;&|])make ([^|;&)]*).*/\2/p' | tr ' ' '\n' |
        grep -E '^[a-z][a-z-]*$' | sort -u | while read -r target; do
        grep -qxF -- "$target" "$scratch/targets" || wrong "$1: there is no make $target"
    done
    sed -n 's|.*tests/run\.sh ||p' "$scratch/code" | sed 's/[;&|].*//' | tr ' ' '\n' |
        grep -E '^[a-z][a-z0-9_:-]*$' | sort -u | while read -r suite; do
        is_suite "$suite" || wrong "$1: there is no suite $suite"
    done
}

# A name with a slash is a file if its first part is a folder of the tree, or one beside the page.
check_files() {
    folder=$(dirname "$1")
    tr ' ' '\n' <"$scratch/code" | sed 's/[:,]*$//' | grep -E '^[A-Za-z0-9_.*/-]+$' | sort -u |
        while read -r name; do
            case $name in
            *NAME* | *SUITE* | *...*) continue ;;
            test_*.*) continue ;;
            test_*) [ -f "tests/unit/$name.c" ] || wrong "$1: there is no tests/unit/$name.c" ;;
            build/* | ./build/* | ../* | data/* | /* | */node_modules/*) continue ;;
            */*)
                [ -d "${name%%/*}" ] || [ -d "$folder/${name%%/*}" ] || continue
                # shellcheck disable=SC2086 # a name may be a pattern
                ls -d $name >/dev/null 2>&1 || (cd "$folder" && ls -d $name) >/dev/null 2>&1 ||
                    wrong "$1: there is no $name"
                ;;
            esac
        done
}

# On one line, `name()` behind the name of a file is a function of that file.
check_functions() {
    awk '
        /^```/ { inside = !inside; next }
        !inside {
            file = ""
            n = split($0, span, "`")
            for (i = 2; i <= n; i += 2)
                if (span[i] ~ /^[a-z]+\/.*\.[ch]$/)
                    file = span[i]
                else if (file != "" && span[i] ~ /^[a-z_]+\(\)$/)
                    print file, substr(span[i], 1, length(span[i]) - 2)
        }' "$1" | while read -r file name; do
        grep -qsE "\\b$name\(" "$file" "${1%/*}/$file" || wrong "$1: there is no $name() in $file"
    done
}

for page in $pages; do
    check_functions "$page"
    check_links "$page"
    check_commands "$page"
    check_files "$page"
done

for page in deploy/man/*.[1-9]; do
    sed -nE 's/^\.Xr ((dsctl|ds_|durable)[^ ]*) ([1-9]).*/\1.\3/p' "$page" | sort -u | while read -r name; do
        [ -e "deploy/man/$name" ] || grep -rqsF ".Nm ${name%.*}" deploy/man/*."${name##*.}" ||
            wrong "$page: there is no deploy/man/$name"
    done
done

# these only serve other targets
grep -vxE 'always|fuzzers|pack-hosting|store-tests' "$scratch/targets" | sed 's/^all$/build/' >"$scratch/expected"
make -s help >"$scratch/help"
while read -r target; do
    grep -qE "(^|[ ;])(make )?$target([ ;,.]|\$)" "$scratch/help" || wrong "make help does not name $target"
done <"$scratch/expected"
sed -nE 's/^ +make ([a-z][a-z-]*) .*/\1/p' "$scratch/help" | while read -r target; do
    grep -qxF -- "$target" "$scratch/targets" || wrong "make help names $target, which is no target"
done

[ ! -e "$scratch/wrong" ]
