#!/bin/sh
# `make run`, and installed as `serve` for `dsctl serve` and the test server of the C library: nginx
# and the responder in the foreground, both ended by Ctrl-C.
#
#   HOST=127.0.0.1 PORT=4437   where to listen; PORT=0: on a free port
#   DATA=data                  folder of the database; DS_DATABASE names the file itself
#   DS_...                     every setting of the responder passes through
#
#   --print-url                print one line, the URL, once it answers, and nothing else
#   --temporary                an empty database, gone at the end
#   --program FILE             the responder (else the one beside this script, or of build/)
#   --name NAME                what this is called in messages
#
# The two talk over a socket in a private folder that goes away at the end, in $TMPDIR, or in /tmp where
# the socket's name would get too long. If one of the two ends, the other is ended as
# well and the exit status is 1. If the reader of this script's output goes away, both are ended, too. The
# registry is kept, unless DS_REGISTRY=off.
set -u
unset CDPATH
# if one of these were closed, the next file would get its number, and printed lines would go there
(: 3<&0) 2>&- || exec </dev/null
(: 3>&1) 2>&- || exec >/dev/null
(: 3>&2) || exec 2>/dev/null

HOST=${HOST:-127.0.0.1}
PORT=${PORT:-4437}
DATA=${DATA:-data}
here=$(cd "$(dirname "$0")" && pwd) # nginx/ is there, in the sources and where it is installed
program=$here/durable-streams.fcgi
[ -e "$program" ] || program=${here%/*}/${B:-build}/durable-streams.fcgi
DS_REGISTRY=${DS_REGISTRY-/v1/stream/__registry__}
export DS_REGISTRY
PATH=$PATH:/usr/sbin:/sbin # Debian keeps nginx where an ordinary user does not look

run='' app='' web='' workers='' nap='' print_url='' temporary='' name='make run'

say() {
    echo "$name: $*" >&2
}

die() {
    say "$@"
    finish 1
}

# true while the process is there and is no zombie
alive() {
    [ -n "$1" ] && read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" && [ "$state" != Z ]
}

# gone pid seconds: waits that long for it to end
gone() {
    tries=$(($2 * 10))
    while alive "$1"; do
        [ $tries -gt 0 ] || return 1
        sleep 0.1
        tries=$((tries - 1))
    done
}

# end_one pid signal seconds ...: asks with each of the signals in turn, waits as long as told
end_one() {
    pid=$1
    shift
    while [ $# -gt 1 ] && alive "$pid"; do
        kill -"$1" "$pid" 2>/dev/null
        gone "$pid" "$2" && return
        shift 2
    done
}

# The responder first: it answers what it accepted and lets waiting readers go, through nginx.
finish() {
    trap '' HUP INT QUIT PIPE TERM
    [ -n "$nap" ] && kill "$nap" 2>/dev/null
    end_one "$app" TERM 15 KILL 5
    end_one "$web" QUIT 2 TERM 2 KILL 5
    for worker in $workers; do # has ended with its master, unless that was killed
        end_one "$worker" TERM 2 KILL 5
    done
    wait
    [ -n "$run" ] && rm -rf "$run"
    exit "$1"
}

# port_taken: is anybody listening there? From the kernel's table, because nginx would try for
# three seconds and then say it in six lines.
port_taken() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v host="$HOST" -v port="$PORT" '
        BEGIN {
            if (host == "localhost")
                host = "127.0.0.1"
            plain = split(host, part, ".") == 4
            # the table has the bytes of an address in the order of the machine
            little = sprintf("%02X%02X%02X%02X", part[4], part[3], part[2], part[1])
            big = sprintf("%02X%02X%02X%02X", part[1], part[2], part[3], part[4])
            port = sprintf("%04X", port)
        }
        $4 == "0A" {
            split($2, local, ":")
            if (local[2] == port && (!plain || host == "0.0.0.0" || local[1] ~ /^0+$/ ||
                                     local[1] ~ little "$" || local[1] ~ big "$"))
                taken = 1
        }
        END { exit !taken }'
}

while [ $# -gt 0 ]; do
    case $1 in
    --print-url) print_url=1 ;;
    --temporary) temporary=1 ;;
    --program | --name)
        [ $# -gt 1 ] || die "$1 needs a value"
        if [ "$1" = --name ]; then name=$2; else program=$2; fi
        shift
        ;;
    *) die "unknown argument $1" ;;
    esac
    shift
done

case $PORT in '' | *[!0-9]*) die "PORT=$PORT is not a number" ;; esac
if [ "$PORT" -gt 65535 ]; then
    die "PORT=$PORT is not between 1 and 65535, nor 0"
fi
case $HOST in
*[!]A-Za-z0-9.:_[-]*) die "HOST=$HOST is not a host name or address" ;;
[!\[]*:*) HOST="[$HOST]" ;; # an IPv6 address, as a URL has it
esac
[ -x "$program" ] || die "$program is missing: run make first"
for command in nginx curl; do
    command -v $command >/dev/null || die "$command is missing: install it (in the sources: deploy/packages.sh run)"
done

trap 'finish 0' HUP INT QUIT TERM
trap 'finish 141' PIPE # as if it had ended us
place=${TMPDIR:-/tmp}
case $place in /*) ;; *) place=$(pwd)/$place ;; esac
[ "$(printf %s "$place" | wc -c)" -le 75 ] || place=/tmp # 107 with the rest of the socket's name
run=$(mktemp -d "$place/durable-streams.XXXXXX") || die "cannot make a temporary folder"

if [ -n "$temporary" ]; then
    DS_DATABASE=$run/streams.db
elif [ -z "${DS_DATABASE-}" ]; then
    DS_DATABASE=${DATA%/}/streams.db
fi
export DS_DATABASE
folder=$(dirname -- "$DS_DATABASE")
mkdir -p -- "$folder" 2>/dev/null
if [ ! -d "$folder" ] || [ ! -w "$folder" ]; then
    die "cannot write to the folder $folder"
fi
free=''
[ "$PORT" = 0 ] && free=10 # so many are tried
[ -z "$free" ] && port_taken && die "port $PORT on $HOST is taken: choose another"

# A waiting reader costs nginx two descriptors and the responder one: take what we may have.
# shellcheck disable=SC3045 # every sh of today has ulimit -n
{
    files=$(ulimit -H -n)
    if [ "$files" = unlimited ] || [ "$files" -gt 1048576 ]; then
        files=1048576
    fi
    ulimit -n "$files" 2>/dev/null || files=$(ulimit -n)
}
connections=$((files > 33000 ? 32768 : files - 100))
[ "$files" -lt 4096 ] &&
    say "only $files descriptors (ulimit -n): $((connections / 2)) waiting readers at most"

# nginx is started in the folder, and its files have names from there: no character of $TMPDIR gets into
# a configuration, where it might mean something.
user=
[ "$(id -u)" = 0 ] && user='user root;'
sed -e "s|@USER@|$user|" -e "s|@FILES@|$files|" -e "s|@CONNECTIONS@|$connections|" \
    -e "s|@RUN@|.|g" -e "/^ *#/!s|@SITE@|site.conf|" \
    "$here/nginx/main.conf" >"$run/nginx.conf"
"$program" --listen "unix:$run/app.sock" &
app=$!
tries=300
until [ -S "$run/app.sock" ]; do
    alive $app || finish 1 # and has said why
    tries=$((tries - 1))
    [ $tries -gt 0 ] || die 'the responder does not listen'
    sleep 0.1
done

# Below those that the kernel gives to clients: they are not taken a moment later.
choose_port() {
    while :; do
        PORT=$((10000 + $(od -An -N4 -tu4 /dev/urandom) % 20000))
        port_taken || break
    done
}

start_nginx() {
    # the site that people copy, with our own socket, address and port
    sed -e '/^ *#/d' -e '/listen \[::\]:80;/d' -e "s|listen 80;|listen $HOST:$PORT;|" \
        -e "s|server_name streams.example.org;|server_name $HOST;|" \
        -e "s|unix:/run/durable-streams/app.sock|unix:app.sock|" \
        "$here/nginx/site.conf" >"$run/site.conf"
    # -e: else it opens the system's log first, which only root may
    (cd "$run" && exec nginx -e stderr -p "$run/" -c "$run/nginx.conf") &
    web=$!
    case $HOST in
    0.0.0.0) url=http://127.0.0.1:$PORT ;;
    *) url=http://$HOST:$PORT ;;
    esac
}

# answers: 1 when nginx ended, because its port was taken meanwhile
answers() {
    tries=100
    until curl -s -f -g -o "$run/health" --max-time 5 --noproxy '*' "$url/health"; do
        alive $app || die 'the responder ended'
        alive $web || return 1
        tries=$((tries - 1))
        [ $tries -gt 0 ] || die "$url/health does not answer"
        sleep 0.1
    done
    alive $web # else another one has answered there
}

[ -n "$free" ] && choose_port
start_nginx
until answers; do
    [ -n "$free" ] && [ $((free -= 1)) -gt 0 ] || die 'nginx did not start'
    choose_port
    start_nginx
done

# word TEXT: as a shell takes it for one
word() {
    case $1 in
    *[!A-Za-z0-9/._+~@:=-]*) printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf %s "$1" ;;
    esac
}

introduce() {
    cat <<TEXT

Durable Streams on $url   (Ctrl-C ends it)
database: $database

TEXT
    if [ "$name" = 'make run' ]; then
        cat <<TEXT
create   curl -i -X PUT $url/v1/stream/hello -H 'Content-Type: text/plain'
append   curl -i $url/v1/stream/hello -H 'Content-Type: text/plain' -d 'hello, world'
tail     curl -N '$url/v1/stream/hello?offset=-1&live=sse'
TEXT
    else
        [ "$url" = http://127.0.0.1:4437 ] || echo "first    export DS_URL=$url"
        cat <<TEXT
create   dsctl create hello --content-type text/plain
append   echo 'hello, world' | dsctl append hello
tail     dsctl tail -f hello
TEXT
    fi
    cat <<TEXT
look     sqlite3 $(word "$database") 'select * from stream_overview'

TEXT
}

database=$("$program" --database)
if [ -n "$print_url" ]; then
    echo "$url" || finish 1
else
    introduce || finish $? # by SIGPIPE, which only cat has got
fi

# the shell runs a trap at once only while it waits
while alive $app && alive $web; do
    read -r workers 2>/dev/null <"/proc/$web/task/$web/children"
    sleep 1 &
    nap=$!
    wait $nap
done
nap=
if alive $app; then
    die 'nginx ended'
else
    die 'the responder ended'
fi
