#!/bin/sh
# Builds the Debian packages, inspects them, and puts them through their life in a clean Debian 12
# system: installed, served through nginx, killed, upgraded under load, removed, installed again,
# purged. The last line is `N passed, N failed`.
#
# Any user can run it. The clean system needs root, debootstrap, systemd-nspawn and a Debian mirror
# (that of this machine's apt). If one of them is missing, the script says so and leaves that part out.
# The clean system runs a real systemd where the machine allows it. Elsewhere, or with BOOT=no, the
# script starts the service by hand, with the settings of the installed unit.
# shellcheck disable=SC2154,SC2317,SC2016 # check and within call the functions; $ in quotes is awk's or dpkg's
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
PATH=$PATH:/usr/sbin:/sbin
version=$(sed -n 's/^VERSION *= *//p' Makefile)

scratch=$(mktemp -d)
root=$scratch/root
writer='' by_hand=''

. tests/debian.sh

say() {
    echo "package: $*"
}

end_processes() {
    for pid in $by_hand $writer; do
        kill "$pid" 2>/dev/null
        within 15 dead "$pid" || kill -9 "$pid" 2>/dev/null
    done
    by_hand='' writer=''
    power_off
}

finish() {
    end_processes
    unmount_root
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' HUP INT QUIT PIPE TERM

close() {
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ] && [ $passed -gt 0 ]
    exit
}

# --- checks that need no root ---

same_settings() {
    settings() {
        grep -oE "$1" | grep -oE 'DS_[A-Z_]+' | sort -u
    }
    build/durable-streams.fcgi --help | settings '^  DS_[A-Z_]+=' >"$scratch/help"
    settings '^\.It Ev DS_[A-Z_]+' <deploy/man/durable-streams.fcgi.8 >"$scratch/man"
    [ -s "$scratch/help" ] && diff "$scratch/help" "$scratch/man"
}

man_is_clean() {
    for page in deploy/man/*.[1-8]; do
        complaints=$(man -l --warnings -Tutf8 "$page" 2>&1 >/dev/null)
        [ -z "$complaints" ] || { echo "$page: $complaints" && return 1; }
    done
}

same_version() {
    [ "$(sed -n '1s/^durable-streams (\(.*\)) .*/\1/p' deploy/debian/changelog)" = "$version" ]
}

# dsctl serve starts the server that was installed beside it
served() {
    "$scratch/tree/opt/ds/bin/dsctl" serve --port 0 --memory --print-url --quiet >"$scratch/url" &
    serving=$!
    within 20 test -s "$scratch/url"
    "$scratch/tree/opt/ds/bin/dsctl" --url "$(cat "$scratch/url")" create x
    created=$?
    kill $serving
    wait $serving && [ $created -eq 0 ]
}

# uninstall removes every file that install made; installed files name the paths of this prefix
install_and_uninstall() {
    rm -rf "$scratch/tree"
    make -s install DESTDIR="$scratch/tree" prefix=/opt/ds || return 1
    grep -q '^ExecStart=/opt/ds/lib/durable-streams/durable-streams.fcgi --listen systemd$' \
        "$scratch/tree/opt/ds/lib/systemd/system/durable-streams.service" || return 1
    "$scratch/tree/opt/ds/lib/durable-streams/durable-streams.fcgi" --version || return 1
    served || return 1
    grep -rlE '/usr/lib/durable-streams|[ "=]/etc/(default/)?durable-streams' "$scratch/tree" &&
        return 1
    edited=$scratch/tree/opt/ds/etc/default/durable-streams
    echo DS_WORKERS=2 >>"$edited"
    make -s install uninstall DESTDIR="$scratch/tree" prefix=/opt/ds || return 1
    left=$(find "$scratch/tree" -type f)
    [ "$left" = "$edited" ] || { echo "left: $left" && false; }
}

units_are_clean() {
    mkdir -p "$scratch/units"
    for unit in durable-streams.service durable-streams.socket durable-streams-deliver.service; do
        sed "s|^ExecStart=/usr/lib/durable-streams|ExecStart=$top/build|" \
            "deploy/systemd/$unit" >"$scratch/units/$unit"
    done
    complaints=$(systemd-analyze verify --man=no "$scratch"/units/durable-streams* 2>&1)
    [ -z "$complaints" ] || { echo "$complaints" && false; }
}

# exposure UNIT MOST: from 0.0 (confined) to 10.0 (no protection at all)
exposure() {
    systemd-analyze security --offline=true --threshold=10 "$scratch/units/$1" | tail -n 1 | tee "$scratch/exposure"
    awk -v most="$2" '{ for (i = 1; i < NF; i++) if ($i ~ /^[0-9.]+$/ && $i + 0 <= most) ok = 1 } END { exit !ok }' \
        "$scratch/exposure"
}

has_files() {
    dpkg-deb -c "$deb" | awk '{ print $6 }' >"$scratch/list"
    for file in ./usr/lib/durable-streams/durable-streams.fcgi ./usr/lib/durable-streams/serve \
        ./usr/lib/durable-streams/nginx/main.conf ./usr/lib/durable-streams/nginx/site.conf \
        ./lib/systemd/system/durable-streams.service ./lib/systemd/system/durable-streams.socket \
        ./lib/systemd/system/durable-streams-deliver.service \
        ./usr/share/man/man8/durable-streams.fcgi.8.gz \
        ./usr/share/man/man7/durable-streams-protocol.7.gz ./etc/default/durable-streams \
        ./usr/share/doc/durable-streams/copyright ./usr/lib/sysusers.d/durable-streams.conf \
        ./usr/share/doc/durable-streams/examples/nginx/site.conf \
        ./usr/share/doc/durable-streams/examples/operations.md \
        ./usr/share/doc/durable-streams/examples/litestream.yml; do
        grep -qxF "$file" "$scratch/list" || { echo "missing: $file" && return 1; }
    done
    dpkg-deb -c "build/deb/dsctl_${deb#*_}" | awk '{ print $6 }' >"$scratch/list-dsctl"
    for file in ./usr/bin/dsctl ./usr/share/man/man1/dsctl.1.gz \
        ./usr/share/bash-completion/completions/dsctl \
        ./usr/share/fish/vendor_completions.d/dsctl.fish ./usr/share/zsh/vendor-completions/_dsctl; do
        grep -qxF "$file" "$scratch/list-dsctl" || { echo "missing: $file" && return 1; }
    done
    dpkg-deb -c "build/deb/libdurablestreams0_${deb#*_}" | awk '{ print $6 }' >"$scratch/list-lib"
    dpkg-deb -c "build/deb/libdurablestreams-dev_${deb#*_}" | awk '{ print $6 }' >>"$scratch/list-lib"
    libdir=./usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)
    for file in "$libdir/libdurablestreams.so.0" "$libdir/libdurablestreams.so" \
        "$libdir/libdurablestreams.a" "$libdir/pkgconfig/durable-streams.pc" \
        ./usr/include/durable_streams.h ./usr/share/man/man3/durable_streams.3.gz \
        ./usr/share/man/man3/ds_append.3.gz ./usr/share/man/man3/ds_close_stream.3.gz; do
        grep -qxF "$file" "$scratch/list-lib" || { echo "missing: $file" && return 1; }
    done
    # every example and option of the sources
    for file in deploy/nginx/*.conf deploy/lighttpd/*.conf deploy/apache/*.conf \
        deploy/*/options/*.conf deploy/shared-hosting/* deploy/shared-hosting/.htaccess; do
        [ -f "$file" ] || continue
        name=${file#deploy/}
        case $file in
        */main.conf) continue ;;
        */options/*) name=./etc/durable-streams/${name%%/*}/${file##*/} ;;
        *) name=./usr/share/doc/durable-streams/examples/$name ;;
        esac
        grep -qxF "$name" "$scratch/list" || { echo "missing: $name" && return 1; }
    done
    # files that people edit: an upgrade asks before it replaces them
    dpkg-deb -I "$deb" conffiles >"$scratch/conffiles"
    grep '^\./etc/.*[^/]$' "$scratch/list" | sed 's/^\.//' | sort >"$scratch/etc"
    sort "$scratch/conffiles" | diff - "$scratch/etc"
}

check 'the program is built' make -s all || close
check 'the manual page has the settings of --help' same_settings
if command -v man >/dev/null; then
    check 'the manual page is clean' man_is_clean
else
    say 'NOT DONE: a look at the manual page (no man)'
fi
check "the changelog's version is the Makefile's" same_version
check 'make install and make uninstall' install_and_uninstall
if command -v systemd-analyze >/dev/null; then
    check 'the units are clean' units_are_clean
    check 'the service is confined' exposure durable-streams.service 1.0 && sed 's/^/          /' "$scratch/exposure"
    check 'the sender of webhooks has only the network besides' exposure durable-streams-deliver.service 1.5 &&
        sed 's/^/          /' "$scratch/exposure"
else
    say 'NOT DONE: checks of the units (no systemd-analyze)'
fi

if ! command -v dpkg-buildpackage >/dev/null || ! command -v dh >/dev/null; then
    say 'NOT DONE: the package (no dpkg-buildpackage and debhelper)'
    close
fi
check 'the package is built, unit tests included' make deb || close
deb=$(echo build/deb/durable-streams_"$version"_*.deb)
check 'the packages have all files' has_files
if command -v lintian >/dev/null; then
    check 'lintian finds no error and no warning' lintian --allow-root --fail-on error,warning \
        build/deb/durable-streams_"$version"_*.changes
else
    say 'NOT DONE: lintian is not installed'
fi

# --- the life of a package ---

free_port() {
    while :; do
        port=$(shuf -i 10000-29999 -n 1)
        cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
            awk '{ print $2 }' | grep -q "$(printf ':%04X$' "$port")" || break
    done
}

stream() { # PATH CURL-OPTIONS ...
    path=$1
    shift
    curl -s -S -f --noproxy '*' --max-time 20 "http://127.0.0.1:$port$path" "$@"
}

answers() {
    stream /health
}

holds() { # PATH TEXT: the stream has exactly that
    [ "$(stream "$1")" = "$2" ] || { stream "$1" && false; }
}

make_stream() {
    stream "$1" -X PUT -H 'Content-Type: text/plain' &&
        stream "$1" -H 'Content-Type: text/plain' -d "$2" && holds "$1" "$2"
}

main_pid() {
    inside systemctl show -P MainPID durable-streams.service
}

# starts the service by hand, as the unit describes it
start_by_hand() {
    unit=$root/lib/systemd/system/durable-streams.service
    exec_start=$(sed -n 's/^ExecStart=//p' "$unit")
    environment=$(sed -n 's/^Environment=//p' "$unit")
    inside install -d -m 700 -o durable-streams -g durable-streams /var/lib/durable-streams
    inside install -d -m 755 -o durable-streams /run/durable-streams
    rm -f "$root/run/durable-streams/app.sock"
    # shellcheck disable=SC2086 # words
    chroot "$root" setpriv --reuid durable-streams --regid www-data --clear-groups \
        systemd-socket-activate -E "$environment" -l /run/durable-streams/app.sock $exec_start \
        >>"$scratch/console" 2>&1 &
    server=$!
    by_hand="$by_hand $server"
    # systemd-socket-activate makes the socket 0644; set the mode of the socket unit
    within 10 inside test -S /run/durable-streams/app.sock &&
        inside chmod "$(sed -n 's/^SocketMode=//p' "${unit%.service}.socket")" \
            /run/durable-streams/app.sock
}

stop_by_hand() {
    kill "$server"
    within 15 dead "$server"
}

# appends every 50 ms, and repeats each append until it is acknowledged; its number tells retries apart
write_on() {
    number=0
    while [ ! -e "$scratch/enough" ]; do
        until stream /v1/stream/load -o "$scratch/answer" -H 'Content-Type: application/json' \
            -H 'Producer-Id: p' -H 'Producer-Epoch: 0' -H "Producer-Seq: $number" -d "$number" \
            2>>"$scratch/retries"; do
            sleep 0.05
        done
        number=$((number + 1))
        echo "$number" >"$scratch/written.new"
        mv "$scratch/written.new" "$scratch/written"
        sleep 0.05
    done
}

wrote() {
    [ "$(cat "$scratch/written")" -gt "$1" ]
}

install_package() {
    cp "$1" "$root/var/cache/package.deb" || return 1
    inside apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold \
        /var/cache/package.deb || return 1
    if [ -z "$leader" ]; then
        start_by_hand
    fi
    within 20 answers && return
    [ -n "$leader" ] && inside journalctl -q -n 30 -u 'durable-streams.*'
    return 1
}

# the next version: the same files with a higher version number
next_version() {
    dpkg-deb -R "$deb" "$scratch/next" &&
        sed -i "s/^Version: .*/Version: $version+1/" "$scratch/next/DEBIAN/control" &&
        dpkg-deb --root-owner-group -b "$scratch/next" "$scratch/next.deb"
}

front() {
    site=$root/etc/nginx/sites-available/durable-streams
    inside cp /usr/share/doc/durable-streams/examples/nginx/site.conf \
        /etc/nginx/sites-available/durable-streams
    grep -q '^ *listen 80;' "$site" || return 1
    sed -i -e "s/^\( *\)listen 80;/\1listen 127.0.0.1:$port;/" -e '/listen \[::\]:80;/d' "$site"
    inside ln -s ../sites-available/durable-streams /etc/nginx/sites-enabled/durable-streams
    inside nginx -t || return 1
    if [ -n "$leader" ]; then
        inside systemctl reload-or-restart nginx
    else
        chroot "$root" nginx -g 'daemon off;' >>"$scratch/console" 2>&1 &
        by_hand="$by_hand $!"
    fi
    within 20 answers || { tail -n 10 "$scratch/console" && false; }
}

door_is_right() {
    [ "$(inside stat -c '%a %G' /run/durable-streams/app.sock)" = '660 www-data' ]
}

is_enabled() {
    inside systemctl is-active durable-streams.service durable-streams.socket durable-streams-deliver.service &&
        inside systemctl is-enabled durable-streams.service durable-streams.socket durable-streams-deliver.service
}

runs_as_user() {
    pid=$(main_pid)
    [ "$(inside stat -c %U "/proc/$pid")" = durable-streams ] &&
        [ "$(inside awk '/^NoNewPrivs:/ { print $2 }' "/proc/$pid/status")" = 1 ] &&
        [ "$(inside awk '/^CapBnd:/ { print $2 }' "/proc/$pid/status")" = 0000000000000000 ]
}

survives_kill() {
    before=$(main_pid)
    inside sh -c "kill -9 $before"
    within 20 answers && [ "$(main_pid)" != "$before" ] && holds /v1/stream/first hello
}

in_memory() {
    echo DS_DURABILITY=memory >>"$root/etc/default/durable-streams"
    inside systemctl restart durable-streams && within 20 answers &&
        make_stream /v1/stream/fleeting gone || return 1
    sed -i '/^DS_DURABILITY=memory$/d' "$root/etc/default/durable-streams"
    inside systemctl restart durable-streams && holds /v1/stream/first hello
}

without_socket() {
    drop=/etc/systemd/system/durable-streams.service.d
    inside systemctl mask --now durable-streams.socket
    inside mkdir -p "$drop"
    inside cp /usr/share/doc/durable-streams/examples/systemd/without-socket.conf "$drop/"
    inside systemctl daemon-reload
    inside systemctl restart durable-streams || { inside journalctl -n 20 -u durable-streams && return 1; }
    within 20 answers && door_is_right && runs_as_user && holds /v1/stream/first hello || return 1
    webhook_arrives four 15 || return 1
    inside rm -r "$drop"
    inside systemctl stop durable-streams
    inside systemctl unmask durable-streams.socket
    inside systemctl daemon-reload
    inside systemctl start durable-streams.socket durable-streams.service
    within 20 answers && is_enabled
}

subscribe() { # PORT: at least the sender of webhooks must be there
    stream /v1/stream/__ds/subscriptions/package -X PUT -H 'Content-Type: application/json' \
        -d '{"type":"webhook","streams":["hooked"],"webhook":{"url":"http://127.0.0.1:'"$1"'/"}}'
}

acknowledged() { # OFFSET
    stream /v1/stream/__ds/subscriptions/package >"$scratch/subscription" &&
        grep -q "\"acked_offset\":\"0*_0*$1\"" "$scratch/subscription"
}

# the stream gets this text, and the receiver learns of it
webhook_arrives() { # TEXT OFFSET
    stream /v1/stream/hooked -H 'Content-Type: text/plain' -d "$1" && within 20 acknowledged "$2" || {
        cat "$scratch/subscription"
        inside journalctl -q -n 30 -u 'durable-streams*'
        return 1
    }
}

# nginx is the receiver, which says at once that the work is done
sends_webhooks() {
    served=$port
    free_port
    receiver=$port
    port=$served
    cat >"$root/etc/nginx/conf.d/receiver.conf" <<END
server {
    listen 127.0.0.1:$receiver;
    location / { default_type application/json; return 200 '{"done":true}'; }
}
END
    echo DS_WEBHOOK_LOCAL=1 >>"$root/etc/default/durable-streams"
    inside systemctl reload nginx && inside systemctl restart durable-streams && within 20 answers || return 1
    within 20 subscribe "$receiver" && make_stream /v1/stream/hooked one && webhook_arrives two 6 || return 1
    [ "$(inside systemctl show -P PrivateNetwork durable-streams.service)" = yes ] || return 1
    # the sender is killed, and starts again
    inside sh -c 'kill -9 $(systemctl show -P MainPID durable-streams-deliver.service)'
    webhook_arrives three 11 || return 1
    # both stop together
    inside systemctl stop durable-streams.socket durable-streams.service
    ! inside systemctl is-active durable-streams-deliver.service || return 1
    inside systemctl start durable-streams.socket durable-streams.service && within 20 answers && is_enabled
}

# runs the commands of the page as they are printed there
page() {
    awk -v heading="## $1" '$0 == heading { here = 1; next } here && /^```sh/ { code = 1; next }
        code && /^```/ { exit } code' deploy/operations.md >"$root/var/cache/page.sh"
    [ -s "$root/var/cache/page.sh" ] && inside sh -e /var/cache/page.sh
}

backup_and_restore() {
    page 'Copy while clients write' || return 1
    stream /v1/stream/first -H 'Content-Type: text/plain' -d ' and more' || return 1
    holds /v1/stream/first 'hello and more' || return 1
    page Restore || return 1
    within 20 answers && holds /v1/stream/first hello &&
        [ "$(inside stat -c '%a %U' /var/lib/durable-streams/streams.db)" = '600 durable-streams' ]
}

upgrade() {
    stream /v1/stream/load -X PUT -H 'Content-Type: application/json' || return 1
    echo '#DS_WORKERS=8 edited' >>"$root/etc/default/durable-streams"
    write_on &
    writer=$!
    within 20 wrote 20 || return 1
    [ -n "$leader" ] && before=$(main_pid)
    [ -z "$leader" ] && stop_by_hand
    install_package "$scratch/next.deb" || return 1
    within 20 wrote $(($(cat "$scratch/written") + 20)) || return 1
    : >"$scratch/enough"
    wait "$writer"
    writer=
    echo "$(cat "$scratch/written") appends, of which $(grep -c . "$scratch/retries") were repeated" |
        tee "$scratch/upgrade"
    [ "$(inside dpkg-query -W -f '${Version}' durable-streams)" = "$version+1" ] || return 1
    if [ -n "$leader" ] && [ "$(main_pid)" = "$before" ]; then
        echo 'the service was not restarted'
        return 1
    fi
    grep -q 'DS_WORKERS=8 edited' "$root/etc/default/durable-streams"
}

all_there_once() {
    count=$(cat "$scratch/written")
    expected=$(seq -s , 0 $((count - 1)))
    holds /v1/stream/load "[$expected]" && holds /v1/stream/first hello
}

remove() {
    [ -z "$leader" ] && stop_by_hand
    inside apt-get remove -y -q durable-streams || return 1
    ! inside test -e /usr/lib/durable-streams/durable-streams.fcgi || return 1
    if [ -n "$leader" ] && inside systemctl is-active durable-streams.service; then
        return 1
    fi
    inside test -s /var/lib/durable-streams/streams.db && inside getent passwd durable-streams
}

purge() {
    [ -z "$leader" ] && stop_by_hand
    inside apt-get purge -y -q durable-streams || return 1
    for path in /var/lib/durable-streams /var/lib/private/durable-streams /etc/durable-streams \
        /etc/default/durable-streams /run/durable-streams /usr/lib/durable-streams; do
        if inside test -e "$path" || inside test -L "$path"; then
            echo "left: $path"
            return 1
        fi
    done
    ! inside getent passwd durable-streams && ! inside getent group durable-streams
}

# builds and runs a program with the packaged C library, its test server included
uses_library() {
    for package in libdurablestreams0 libdurablestreams-dev; do
        cp "build/deb/${package}_${deb#*_}" "$root/var/cache/$package.deb" || return 1
    done
    cp tests/system/library/user.c "$root/var/cache/user.c"
    inside apt-get install -y -q --no-install-recommends /var/cache/libdurablestreams0.deb \
        /var/cache/libdurablestreams-dev.deb gcc libc6-dev pkg-config || return 1
    inside sh -ec 'cd /var/cache
        cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o user user.c \
            $(pkg-config --cflags --libs durable-streams)
        ./user tour
        ./user serve </dev/null' >"$scratch/library" 2>&1 || { cat "$scratch/library" && return 1; }
    grep -qx "$version" "$scratch/library" && grep -q '^http://127.0.0.1:' "$scratch/library"
}

missing=
[ "$(id -u)" = 0 ] || missing="$missing root"
for command in debootstrap curl nsenter; do
    command -v $command >/dev/null || missing="$missing $command"
done
[ -n "$(mirror)" ] || missing="$missing an-apt-mirror-for-$suite"
if [ -n "$missing" ]; then
    say "NOT DONE: install, upgrade, removal and purge in a clean Debian (missing:$missing)"
    close
fi

clean_root() {
    make_root "$root" nginx-light,sqlite3 || return 1
    # the container must not take port 80 of this machine
    rm -f "$root/etc/nginx/sites-enabled/default"
    chroot "$root" apt-get update -q
}
check 'a clean Debian 12 root' clean_root || close
free_port

if [ "${BOOT-}" = no ] || ! command -v systemd-nspawn >/dev/null; then
    say 'NOT DONE: systemd in that root; the service is started by hand'
elif boot >"$scratch/output" 2>&1; then
    say 'systemd runs in that root'
else
    sed 's/^/          /' "$scratch/output"
    say 'NOT DONE: systemd does not start in that root; the service is started by hand'
fi
if [ -z "$leader" ]; then
    without_systemd
fi

first_install() {
    cp "$deb" "$root/var/cache/package.deb"
    inside apt-get install -y -q --no-install-recommends /var/cache/package.deb || return 1
    if [ -z "$leader" ]; then
        start_by_hand
    fi
}
check 'installed' first_install || close
check 'its user exists' inside getent passwd durable-streams
check 'only the web server can use its socket' door_is_right
check 'nginx serves it with the example site' front || close
check 'a stream can be created' make_stream /v1/stream/first hello
check 'a C program works with the library and its test server' uses_library
if [ -n "$leader" ]; then
    check 'service and socket are active and enabled' is_enabled
    check 'it runs as its user and can become nobody else' runs_as_user
    check 'it restarts with its data after kill -9' survives_kill
    check 'it runs in memory mode' in_memory
    check 'webhooks are sent by the service that has a network' sends_webhooks
    check 'it runs without socket activation' without_socket
    check 'backup and restore work as the page describes' backup_and_restore
fi
check 'the next version is built' next_version
check 'an upgrade under load keeps edited settings' upgrade &&
    sed 's/^/          /' "$scratch/upgrade"
check 'every append is stored once' all_there_once
check 'removal keeps data and user' remove
check 'installed again' install_package "$scratch/next.deb"
check 'the data is still there' all_there_once
check 'purge removes data, settings and user' purge
close
