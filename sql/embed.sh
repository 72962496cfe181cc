#!/bin/sh
# Prints a C file that holds the SQL files given as arguments: NAME.sql becomes schema_NAME.
echo '/* made by sql/embed.sh: do not edit */'
echo '#include "store/sqlite/schema.h"'

for file; do
    name=${file##*/}
    echo "const char schema_${name%.sql}[] ="
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"
    echo '    ;'
done
