#!/bin/sh
# Walks through the pages as a newcomer does: types the commands that a page marks for a walk into a
# clean Debian 12, in their order, and checks their output. tests/walk.sh NAME... runs some walks.
#
# A block of commands belongs to a walk if this line stands before it:
#
#     <!-- walk: NAME [user] [background] -->
#
# user: an ordinary user types it, else root. background: it blocks, so it gets a terminal of its own.
# All other blocks of one user are typed into one terminal, which keeps its folder and variables.
#
# Needs root, debootstrap and the Debian mirror of this machine's apt, and free ports 80, 443, 4437.
# The clean system runs systemd where the machine allows it. The last line is `N passed, N failed`.
# shellcheck disable=SC2154,SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin

scratch=$(mktemp -d)
root=$scratch/root
background=

. tests/debian.sh

# the processes whose root or container is the clean system
end_system() {
    for pid in $background; do
        kill "$pid" 2>/dev/null
    done
    background=
    power_off
    for pid in /proc/[0-9]*; do
        [ "$(readlink "$pid/root" 2>/dev/null)" = "$root" ] && kill -9 "${pid#/proc/}" 2>/dev/null
    done
    unmount_root
    rm -rf "$root"
}

trap 'end_system; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT QUIT PIPE TERM

base_system() {
    make_root "$scratch/base" ca-certificates || return 1
    git clone -q --bare . "$scratch/base/srv/durable-streams.git"
}

clean_system() {
    cp -a "$scratch/base" "$root"
    if command -v systemd-nspawn >/dev/null && boot; then
        return
    fi
    end_system
    cp -a "$scratch/base" "$root"
    without_systemd
}

# blocks NAME: the blocks of a walk, into $scratch/NAME.1, .2, …; their words into NAME.1.who, …
blocks() {
    cat README.md deploy/README.md | awk -v name="$1" -v out="$scratch/$1" '
        /^<!-- walk: / { words = $0; sub(/^<!-- walk: */, "", words); sub(/ *-->$/, "", words)
                         n = split(words, word, " "); here = word[1] == name; next }
        /^```/ && inside { inside = 0; here = 0; close(file); next }
        /^```sh/ && here { inside = 1; file = out "." ++count; print words >(file ".who"); close(file ".who")
                           printf "" >file; next }
        inside { print >file }'
}

# quiet FILE: no line was added to it for 12 seconds; an SSE reader gets a comment every 15 seconds
quiet() {
    size=-1 same=0
    for _ in $(seq 150); do
        sleep 6
        now=$(wc -l <"$1")
        same=$((now == size ? same + 1 : 0))
        [ $same = 2 ] && return
        size=$now
    done
    return 1
}

# type_block NUMBER: types a block; its output is $scratch/NAME.NUMBER.out
type_block() {
    block=$scratch/$walk.$1
    who=root home=/root
    grep -qw user "$block.who" && who=ann home=/home/ann
    terminal=/var/tmp/terminal.$who
    [ -e "$root$terminal" ] || echo "cd $home; REPOSITORY=/srv/durable-streams.git" >"$root$terminal"
    {
        echo "set -a; . $terminal; set -e"
        cat "$block"
        echo "set +e; { export -p; echo \"cd '\$PWD'\"; } >$terminal"
    } >"$root/var/tmp/block.$1"
    chmod 666 "$root$terminal" "$root/var/tmp/block.$1"
    set -- sh "/var/tmp/block.$1"
    [ $who = ann ] && set -- su ann -c "$*"
    if grep -qw background "$block.who"; then
        (inside "$@") </dev/null >"$block.out" 2>&1 &
        background="$background $!"
        quiet "$block.out"
        return
    fi
    inside "$@" </dev/null >"$block.out" 2>&1 || { cat "$block.out" && false; }
}

said() { # PATTERN: some block of the walk has printed it
    cat "$scratch/$walk".*.out | grep -qE "$1" || { tail -n 5 "$scratch/$walk".*.out && false; }
}

# what the pages say is there already: sources, and what another machine has built
prepare() {
    case $walk in
    nginx-tls)
        make -s deb && git clone -q . "$root/root/durable-streams-fcgi" &&
            mkdir -p "$root/root/durable-streams-fcgi/build/deb" &&
            cp build/deb/*.deb "$root/root/durable-streams-fcgi/build/deb/" &&
            echo 'cd /root/durable-streams-fcgi' >"$root/var/tmp/terminal.root"
        ;;
    shared-hosting) make -s dist-hosting && cp build/durable-streams-hosting-*.tar.gz "$root/home/ann/" ;;
    esac
}

refused() { # CURL-OPTIONS ...: the answer is 401
    [ "$(inside curl -s -o /dev/null -w '%{http_code}' "$@")" = 401 ]
}

take_walk() {
    walk=$1
    blocks "$walk"
    if [ ! -e "$scratch/$walk.1" ]; then
        check "the pages have commands for the walk $walk" false
        return
    fi
    check "$walk: a clean Debian 12" clean_system || return
    [ -n "$leader" ] && echo '  systemd runs in it'
    inside useradd -m -s /bin/sh ann
    check "$walk: what the pages ask for" prepare || return
    number=1
    while [ -e "$scratch/$walk.$number" ]; do
        check "$walk: $(head -n 1 "$scratch/$walk.$number")" type_block $number || break
        number=$((number + 1))
    done
    case $walk in
    first)
        check "$walk: the stream is created" said '^HTTP/1.1 201 '
        check "$walk: its message is read back" said 'hello, world'
        check "$walk: an SSE reader gets an event" said '^data:.*hello, world'
        check "$walk: the next append appears there" said '^data:.*and once more'
        ;;
    nginx-tls)
        check "$walk: a stream is created over TLS" said '^HTTP/[0-9.]* 201'
        check "$walk: its message is read back" said '^hello, world'
        check "$walk: an SSE reader gets it" said '^data:.*hello, world'
        check "$walk: without the password it is refused" refused -k \
            --resolve streams.example.org:443:127.0.0.1 https://streams.example.org/v1/stream/hello
        ;;
    shared-hosting)
        check "$walk: a stream is created" said '^HTTP/[0-9.]* 201'
        check "$walk: its message is read back" said '^hello, world'
        ;;
    esac
    end_system
}

missing=
[ "$(id -u)" = 0 ] || missing="$missing root"
for command in debootstrap chroot nsenter git; do
    command -v $command >/dev/null || missing="$missing $command"
done
if [ -n "$missing" ]; then
    echo "walk: NOT DONE (missing:$missing)"
    exit 1
fi
if [ -z "$(mirror)" ]; then
    echo "walk: NOT DONE (no mirror of $suite in this machine's apt)"
    exit 1
fi
[ $# -gt 0 ] || set -- first nginx-tls shared-hosting
check 'a Debian 12 root' base_system && for name; do
    take_walk "$name"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
