#!/bin/sh
# `make install` and `make uninstall`, which use the same list of files.
#
#   deploy/install.sh install|uninstall
#
# Takes from the environment: program, deliverer and dsctl (empty: not installed), library (its files without their
# endings), soname, sofile, version, DESTDIR, prefix, bindir, completiondir, fishdir, zshdir,
# includedir, libdir, pkgconfigdir, libexecdir, sysconfdir, mandir, docdir, unitdir, as in the Makefile. The
# files of deploy/ contain the paths of a distribution's package (/usr/lib/durable-streams,
# /etc/durable-streams, /etc/default/durable-streams); this script replaces them with the paths of this installation.
#
# Users edit option files: an edited one is neither overwritten nor removed.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."
action=$1
: "${library:?}" "${soname:?}" "${sofile:?}" "${version:?}" "${prefix?}"
: "${includedir:?}" "${libdir:?}" "${pkgconfigdir:?}"
: "${deliverer?}" "${dsctl?}" "${bindir:?}" "${completiondir:?}" "${fishdir:?}" "${zshdir:?}"
: "${program:?}" "${DESTDIR?}" "${libexecdir:?}" "${sysconfdir:?}" "${mandir:?}" "${docdir:?}" "${unitdir:?}"
# They end up in units, site files and compiler flags, each with other rules of quoting.
case "$prefix$bindir$libexecdir$sysconfdir$mandir$docdir$unitdir$includedir$libdir" in
*[!A-Za-z0-9/._+~@-]*)
    echo "install: a prefix or folder with other characters than A-Za-z0-9/._+~@- works nowhere" >&2
    exit 1
    ;;
esac
name=${program##*/}
scratch=$(mktemp)
trap 'rm -f "$scratch" "$scratch.page"' EXIT
trap 'exit 1' HUP INT QUIT PIPE TERM

# place FILE: copies it with the paths of this installation to $scratch
place() {
    sed -e "s|/usr/lib/durable-streams|$libexecdir|g" \
        -e "s|/etc/durable-streams|$sysconfdir/durable-streams|g" \
        -e "s|/etc/default/durable-streams|$sysconfdir/default/durable-streams|g" \
        -e "s|/usr/share/doc/durable-streams|$docdir|g" \
        -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" \
        -e "s|@LIBDIR@|$libdir|" -e "s|@INCLUDEDIR@|$includedir|" "$1" >"$scratch"
}

# one MODE SOURCE TARGET: installs or removes it
one() {
    target=$DESTDIR$3
    if [ "$action" = uninstall ]; then
        rm -f "$target"
        return
    fi
    install -d "$(dirname "$target")"
    case $2 in
    "$program" | "$deliverer" | "$dsctl" | "$library".*) install -m "$1" "$2" "$target" ;;
    *)
        place "$2"
        install -m "$1" "$scratch" "$target"
        ;;
    esac
}

# The front page, whose links lead into the sources: the guides of deploy/ are installed among the
# examples, and other links become plain text. (A newline marks the links that stay.)
front_page() {
    sed -e '/^!\[.*\](/d' -e 's|](deploy/\([A-Za-z]*\.md\))|]\n(examples/\1)|g' \
        -e 's|](\(https*:\)|]\n(\1|g' -e 's|\[\([^]]*\)\]([^)]*)|\1|g' -e 's|\]\n(|](|g' README.md >"$scratch.page"
}

# link NAME TARGET: a symbolic link
link() {
    if [ "$action" = uninstall ]; then
        rm -f "$DESTDIR$2"
    else
        ln -sf "$1" "$DESTDIR$2"
    fi
}

# edited SOURCE TARGET: the same for a file that users edit
edited() {
    target=$DESTDIR$2
    place "$1"
    if [ -e "$target" ] && ! cmp -s "$scratch" "$target"; then
        echo "$target was edited: it stays as it is" >&2
    elif [ "$action" = uninstall ]; then
        rm -f "$target"
    else
        install -d "$(dirname "$target")"
        install -m 644 "$scratch" "$target"
    fi
}

one 755 "$program" "$libexecdir/$name"
if [ -n "$deliverer" ] || [ "$action" = uninstall ]; then
    one 755 "$deliverer" "$libexecdir/durable-streams-deliver"
fi
one 644 "deploy/man/$name.8" "$mandir/man8/$name.8"
for page in deploy/man/*.7; do
    one 644 "$page" "$mandir/man7/${page##*/}"
done
# dsctl serve starts this.
one 755 deploy/run.sh "$libexecdir/serve"
for conf in main.conf site.conf; do
    one 644 "deploy/nginx/$conf" "$libexecdir/nginx/$conf"
done
if [ -n "$dsctl" ] || [ "$action" = uninstall ]; then
    one 755 "$dsctl" "$bindir/dsctl"
    one 644 deploy/man/dsctl.1 "$mandir/man1/dsctl.1"
    one 644 deploy/completion/dsctl.bash "$completiondir/dsctl"
    one 644 deploy/completion/dsctl.fish "$fishdir/dsctl.fish"
    one 644 deploy/completion/_dsctl "$zshdir/_dsctl"
fi
for unit in durable-streams.service durable-streams.socket durable-streams-deliver.service; do
    one 644 "deploy/systemd/$unit" "$unitdir/$unit"
done
edited deploy/systemd/durable-streams.default "$sysconfdir/default/durable-streams"

one 644 include/durable_streams.h "$includedir/durable_streams.h"
one 644 "$library.a" "$libdir/libdurablestreams.a"
one 644 "${library%/*}/$sofile" "$libdir/$sofile"
link "$sofile" "$libdir/$soname"
link "$soname" "$libdir/libdurablestreams.so"
# a page describes a group of functions, and opens under the name of each
for page in deploy/man/*.3; do
    file=${page##*/}
    one 644 "$page" "$mandir/man3/$file"
    for function in $(sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z_]*\).*/\1/p' "$page"); do
        [ "$function.3" = "$file" ] || link "$file" "$mandir/man3/$function.3"
    done
done
one 644 deploy/durable-streams.pc.in "$pkgconfigdir/durable-streams.pc"
# Otherwise, the loader would not find the library after the first installation.
if [ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ]; then
    PATH=$PATH:/usr/sbin:/sbin ldconfig 2>/dev/null || :
fi

front_page
one 644 "$scratch.page" "$docdir/README.md"
# main.conf files are for `make run` and the tests: with words in them that those fill in
find deploy/nginx deploy/lighttpd deploy/apache deploy/haproxy deploy/caddy deploy/traefik deploy/envoy deploy/shared-hosting deploy/systemd deploy/*.md \
    deploy/litestream.yml -type f ! -name main.conf ! -name '*.service' ! -name '*.socket' \
    ! -name '*.default' 2>/dev/null | sort | while read -r file; do
    case $file in
    deploy/*/options/*.conf)
        server=${file#deploy/}
        server=${server%%/*}
        edited "$file" "$sysconfdir/durable-streams/$server/${file##*/}"
        ;;
    *.cgi | *.sh) one 755 "$file" "$docdir/examples/${file#deploy/}" ;;
    *) one 644 "$file" "$docdir/examples/${file#deploy/}" ;;
    esac
done

if [ "$action" = uninstall ]; then
    for folder in "$docdir" "$sysconfdir/durable-streams" "$libexecdir"; do
        if [ -d "$DESTDIR$folder" ]; then
            find "$DESTDIR$folder" -depth -type d -empty -delete
        fi
    done
fi
