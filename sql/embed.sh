#!/bin/sh
# Prints a C file that holds the migrations given as arguments, in that order.
echo '/* made by sql/embed.sh: do not edit */'
echo '#include "schema.h"'
echo 'const char *const schema_migrations[] = {'
for file; do
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"
    echo '    ,'
done
echo '};'
echo 'const int schema_version = sizeof schema_migrations / sizeof schema_migrations[0];'
