#!/bin/sh
# Compares the includes of src/ with the rows below, and the drawing in src/README.md with the
# includes. Prints a line for each violation, and exits with 1 if there is one.
#
# A folder may include from the folders in its row. All of these have rows above its own, so the
# includes cannot form a circle. main.c, deliver.c and dsctl.c, which are in src/ itself, may include from every
# folder.
set -u
cd "$(dirname "$0")/.." || exit 1

floors='
base
protocol      base
config        base protocol
hints         base protocol
dump          base protocol
store         base protocol
store/sqlite  base protocol config hints store
store/tools   base protocol config hints store store/sqlite dump
engine        base protocol config hints store
http          base protocol config
exchange      base protocol config http
live          base protocol config hints store engine http exchange
server        base protocol config hints store engine http exchange live
gateway       base protocol config hints store engine http exchange live server
lib           base protocol config hints store engine
deliver       base protocol config hints store engine
cli           base protocol config store store/tools
'

# includes ROOT: what includes what in a tree, as lines `folder folder`
includes() {
    find "$1" -name '*.[ch]' | sort | while read -r file; do
        folder=$(dirname "${file#"$1"/}")
        [ "$folder" = . ] && continue
        sed -nE 's|^ *# *include *"(.*)/[^/"]*".*|\1|p' "$file" | sed "s|^|$folder |"
    done | awk '$1 != $2' | sort -u
}

# check_floors ROOT: a line for each folder without a row, or with an include that its row lacks
check_floors() {
    includes "$1" | awk -v floors="$floors" '
        BEGIN {
            rows = split(floors, row, "\n")
            for (i = 1; i <= rows; i++) {
                fields = split(row[i], field, " ")
                if (fields == 0)
                    continue
                for (j = 2; j <= fields; j++) {
                    if (!(field[j] in known))
                        print "tests/floors.sh: " field[1] " must not stand above " field[j]
                    may[field[1], field[j]] = 1
                }
                known[field[1]] = 1
            }
        }
        !($1 in known) { print "src/" $1 " is not a floor: see tests/floors.sh"; next }
        !(($1, $2) in may) { print "src/" $1 " must not include from src/" $2 }'
}

# The rows of the drawing: │ folder │ what it knows │ folders that it includes │
drawn() {
    sed -n 's/^│ *\([a-z/]*\) *│.*│ *\([a-z/ ]*\) *│$/\1 \2/p' src/README.md |
        awk '$1 != "folder" { for (i = 2; i <= NF; i++) print $1, $i }' | sort -u
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
bad=0

check_floors src >"$scratch/found"
[ -s "$scratch/found" ] && bad=1 && cat "$scratch/found"

includes src >"$scratch/real"
drawn >"$scratch/drawn"
if ! diff "$scratch/drawn" "$scratch/real" >"$scratch/difference"; then
    bad=1
    sed -n 's/^< /src\/README.md draws an include that does not exist: /p
        s/^> /src\/README.md does not draw this include: /p' "$scratch/difference"
fi

# the check itself must find a wrong include
mkdir -p "$scratch/src/base"
echo '#include "store/store.h"' >"$scratch/src/base/wrong.c"
if [ "$(check_floors "$scratch/src")" != 'src/base must not include from src/store' ]; then
    bad=1
    echo 'tests/floors.sh does not see a wrong include'
fi

exit $bad
