#!/bin/sh
# Prints a C file that holds the SQL files given as arguments: those that begin with a number are
# migrations, in that order; any other is a string of its own, schema_NAME.
echo '/* made by sql/embed.sh: do not edit */'
echo '#include "schema.h"'

lines() {
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$1"
}

echo 'const char *const schema_migrations[] = {'
for file; do
    case ${file##*/} in [0-9]*) lines "$file" && echo '    ,' ;; esac
done
echo '};'
echo 'const int schema_version = sizeof schema_migrations / sizeof schema_migrations[0];'
for file; do
    name=${file##*/}
    case $name in
    [0-9]*) ;;
    *) echo "const char schema_${name%.sql}[] =" && lines "$file" && echo '    ;' ;;
    esac
done
