#!/bin/sh
# Runs a server in the foreground; Ctrl-C ends it. `make run` uses this script, and it is installed as
# `serve` for `dsctl serve` and the test server of the C library.
#
#   HOST=127.0.0.1 PORT=4437   where to listen; PORT=0: on a free port
#   DATA=data                  folder of the database; DS_DATABASE names the file itself
#   WEB=nginx                  serve through nginx and FastCGI; otherwise the program itself speaks HTTP
#   DS_...                     every setting of the program passes through
#
#   --print-url                print only the URL, once the server answers
#   --temporary                use an empty database and delete it at the end
#   --program FILE             the program (default: the one beside this script, or in build/)
#   --name NAME                the name of this command in messages
#
# Temporary files are in a private folder in $TMPDIR, which is deleted at the end. If the server or nginx ends,
# the script ends the other and exits with status 1. It ends both when nobody reads its output any longer. The
# server keeps a registry, unless DS_REGISTRY=off. It sends webhooks to this machine too, unless
# DS_WEBHOOK_LOCAL=0.
set -u
unset CDPATH
# If one of these were closed, the next opened file would get its number and receive printed lines.
{ true 3<&0; } 2>&- || exec </dev/null
{ true 3>&1; } 2>&- || exec >/dev/null
true 3>&2 || exec 2>/dev/null

HOST=${HOST:-127.0.0.1}
PORT=${PORT:-4437}
DATA=${DATA:-data}
WEB=${WEB-}
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(cd "$here/" && pwd) # has nginx/, in the sources and where it is installed
program=$here/durable-streams.fcgi
[ -e "$program" ] || program=${here%/*}/${B:-build}/durable-streams.fcgi
DS_REGISTRY=${DS_REGISTRY-/v1/stream/__registry__}
DS_WEBHOOK_LOCAL=${DS_WEBHOOK_LOCAL-1} # receivers that somebody tries out run on this machine
export DS_REGISTRY DS_WEBHOOK_LOCAL

run='' app='' web='' workers='' nap='' print_url='' temporary='' name='make run'

say() {
    echo "$name: $*" >&2
}

die() {
    say "$@"
    finish 1
}

# alive PID: true while the process exists and is not a zombie
alive() {
    [ -n "$1" ] && read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" && [ "$state" != Z ]
}

# gone PID SECONDS: waits so long for the process to end
gone() {
    tries=$(($2 * 20))
    while alive "$1"; do
        [ $tries -gt 0 ] || return 1
        sleep 0.05
        tries=$((tries - 1))
    done
}

# end_one PID SIGNAL SECONDS ...: sends each signal in turn and waits so long for the process to end
end_one() {
    pid=$1
    shift
    while [ $# -gt 1 ] && alive "$pid"; do
        kill -"$1" "$pid" 2>/dev/null
        gone "$pid" "$2" && return
        shift 2
    done
}

# Ends the server first: it still answers accepted requests and releases waiting readers through nginx.
finish() {
    trap '' HUP INT QUIT PIPE TERM
    [ -n "$nap" ] && kill "$nap" 2>/dev/null
    end_one "$app" TERM 15 KILL 5
    end_one "$web" QUIT 2 TERM 2 KILL 5
    for worker in $workers; do # ends with its master, unless that was killed
        end_one "$worker" TERM 2 KILL 5
    done
    wait
    [ -n "$run" ] && rm -rf "$run"
    exit "$1"
}

# The program speaks HTTP itself, and prints its URL as soon as it answers.
start_alone() {
    mkfifo -m 600 "$run/url" || die "cannot make a file in $run"
    "$program" --listen "http:$HOST:$PORT" --print-url >"$run/url" &
    app=$!
    read -r url <"$run/url" && return
    gone $app 2 && finish 1 # it has logged the reason
    die 'the server does not answer'
}

# port_taken: true if a process listens on the port. This reads the kernel's table, because nginx would try
# for three seconds and then print six lines.
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

# A waiting reader costs nginx two descriptors and the responder one, so use all that are allowed.
# shellcheck disable=SC3045 # every current sh has ulimit -n
raise_limit() {
    files=$(ulimit -H -n)
    if [ "$files" = unlimited ] || [ "$files" -gt 1048576 ]; then
        files=1048576
    fi
    ulimit -n "$files" 2>/dev/null || files=$(ulimit -n)
    connections=$((files > 33000 ? 32768 : files - 100))
    [ "$files" -lt 4096 ] &&
        say "only $files descriptors (ulimit -n): $((connections / 2)) waiting readers at most"
}

configure_nginx() {
    # nginx runs in the folder with relative file names, so that no character of $TMPDIR gets into a
    # configuration, where it might have a meaning.
    user=
    [ "$(id -u)" = 0 ] && user='user root;'
    sed -e "s|@USER@|$user|" -e "s|@FILES@|$files|" -e "s|@CONNECTIONS@|$connections|" \
        -e "s|@RUN@|.|g" -e "/^ *#/!s|@SITE@|site.conf|" \
        "$here/nginx/main.conf" >"$run/nginx.conf"
}

# Below the ports that the kernel gives to clients, which might be taken a moment later.
choose_port() {
    while :; do
        PORT=$((10000 + $(od -An -N4 -tu4 /dev/urandom) % 20000))
        port_taken || break
    done
}

start_nginx() {
    # The site that users copy, with the socket, address and port of this run.
    sed -e '/^ *#/d' -e '/listen \[::\]:80;/d' -e "s|listen 80;|listen $HOST:$PORT;|" \
        -e "s|server_name streams.example.org;|server_name $HOST;|" \
        -e "s|unix:/run/durable-streams/app.sock|unix:app.sock|" \
        "$here/nginx/site.conf" >"$run/site.conf"
    # Without -e, nginx first opens the system's log, which only root may do.
    (cd "$run" && exec nginx -e stderr -p "$run/" -c "$run/nginx.conf") &
    web=$!
    case $HOST in
    0.0.0.0) url=http://127.0.0.1:$PORT ;;
    *) url=http://$HOST:$PORT ;;
    esac
}

# answers: waits for /health; status 1 if nginx ended because its port was taken meanwhile
answers() {
    tries=100
    until curl -s -f -g -o "$run/health" --max-time 5 --noproxy '*' "$url/health"; do
        alive $app || die 'the responder ended'
        alive $web || return 1
        tries=$((tries - 1))
        [ $tries -gt 0 ] || die "$url/health does not answer"
        sleep 0.1
    done
    alive $web # otherwise another server answered there
}

# The site that users copy, on a unix socket in the private folder.
start_behind_nginx() {
    PATH=$PATH:/usr/sbin:/sbin # Debian keeps nginx outside the PATH of ordinary users
    for command in nginx curl; do
        command -v $command >/dev/null ||
            die "$command is missing: install it (in the sources: deploy/packages.sh nginx)"
    done
    free=
    [ "$PORT" = 0 ] && free=10 # number of attempts
    [ -z "$free" ] && port_taken && die "port $PORT on $HOST is taken: choose another"
    raise_limit
    configure_nginx
    "$program" --listen "unix:$run/app.sock" &
    app=$!
    tries=300
    until [ -S "$run/app.sock" ]; do
        alive $app || finish 1 # it has logged the reason
        tries=$((tries - 1))
        [ $tries -gt 0 ] || die 'the responder does not listen'
        sleep 0.1
    done
    [ -n "$free" ] && choose_port
    start_nginx
    until answers; do
        [ -n "$free" ] && [ $((free -= 1)) -gt 0 ] || die 'nginx did not start'
        choose_port
        start_nginx
    done
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
case $WEB in
'' | nginx) ;;
*)
    [ "$name" != 'make run' ] || die "WEB=$WEB is neither nginx nor empty"
    WEB= # another program's variable
    ;;
esac

trap 'finish 0' HUP INT QUIT TERM
trap 'finish 141' PIPE # as if SIGPIPE had ended this shell
place=${TMPDIR:-/tmp}
case $place in /*) ;; *) place=$(pwd)/$place ;; esac
if [ "$WEB" = nginx ] && [ "$(printf %s "$place" | wc -c)" -gt 75 ]; then
    place=/tmp # a socket's name may have 107 bytes
fi
run=$(mktemp -d "$place/durable-streams.XXXXXX") || die "cannot make a temporary folder"

if [ -n "$temporary" ]; then
    DS_DATABASE=$run/streams.db
elif [ -z "${DS_DATABASE-}" ]; then
    DS_DATABASE=${DATA%/}/streams.db
fi
export DS_DATABASE
case $DS_DATABASE in */*) folder=${DS_DATABASE%/*}/ ;; *) folder=. ;; esac
[ -d "$folder" ] || mkdir -p -- "$folder" 2>/dev/null
if [ ! -d "$folder" ] || [ ! -w "$folder" ]; then
    die "cannot write to the folder $folder"
fi
if [ "$WEB" = nginx ]; then
    start_behind_nginx
else
    start_alone
fi

# word TEXT: quoted so that a shell reads one word
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

if [ -n "$print_url" ]; then
    echo "$url" || finish 1
else
    database=$("$program" --database)
    introduce || finish $? # SIGPIPE, which only cat received
fi

# The shell runs a trap at once only during `wait`.
if [ -z "$web" ]; then
    wait $app
    die 'the server ended'
fi
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
