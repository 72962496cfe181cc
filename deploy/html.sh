#!/bin/sh
# Writes the manual pages as HTML, with an index: `make html`.
#
#   deploy/html.sh FOLDER
#
# Links between the pages stay in the folder; links to other manuals lead to Debian's.
set -eu
unset CDPATH
mkdir -p "$1"
out=$(cd "$1" && pwd)
rm -f "$out"/*.html
cd "$(dirname "$0")/man" # mandoc links to the pages that it finds here, and to Debian's otherwise
set -- *.[1-9]

cat >"$out/style.css" <<'CSS'
body { max-width: 46em; margin: 2em auto; padding: 0 1em; font-family: sans-serif; line-height: 1.4; }
pre, code, .Li, .Nm, .Fl, .Cm, .Ic, .Ev, .Pa, .Fn, .Vt, .Va { font-family: monospace; }
pre { padding: 0.5em; overflow-x: auto; background: #f4f4f4; }
table.head, table.foot { width: 100%; color: #666; }
td.head-vol { text-align: center; }
td.head-rtitle, td.foot-os { text-align: right; }
table.Bl-column td { padding-right: 1.5em; vertical-align: top; }
.Bl-compact > dt, .Bl-tag > dt { font-weight: bold; }
a { color: inherit; }
CSS

{
    echo '<!DOCTYPE html>'
    echo '<html lang="en"><head><meta charset="utf-8"><title>Durable Streams: manual pages</title>'
    echo '<link rel="stylesheet" href="style.css"></head><body>'
    echo '<h1>Durable Streams: manual pages</h1><dl>'
    for page in "$@"; do
        mandoc -Thtml -O 'style=style.css,man=%N.%S.html;https://manpages.debian.org/%N.%S' \
            "$page" >"$out/$page.html"
        printf '<dt><a href="%s.html">%s(%s)</a></dt><dd>%s</dd>\n' "$page" "${page%.*}" \
            "${page##*.}" "$(sed -n 's/^\.Nd //p' "$page" | head -n 1)"
    done
    echo '</dl></body></html>'
} >"$out/index.html"
echo "$out/index.html"
