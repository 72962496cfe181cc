#!/bin/sh
# A first half hour with dsctl. Run it in an empty folder, with dsctl on the PATH:
#
#   mkdir /tmp/first && cd /tmp/first && sh .../first-half-hour.sh
#
# first-half-hour.txt beside it has the output, except for times and ports.

# prints a command as a person would type it, and runs it
try() {
    printf '$ %s\n' "$1"
    eval "$1" 2>&1
    status=$?
    [ $status -eq 0 ] || echo "(exit status $status)"
    echo
}

chapter() {
    printf '## %s\n\n' "$1"
}

# waits until a file has a number of lines, ten seconds at most
lines() {
    tries=100
    while [ "$(cat "$1" 2>/dev/null | wc -l)" -lt "$2" ] && [ $((tries -= 1)) -gt 0 ]; do
        sleep 0.1
    done
}

chapter 'What is this?'
try 'dsctl --help | head -n 24'
try 'dsctl show hello'

chapter 'A server to play with'
echo '$ dsctl serve --port 0 --database streams.db --test-endpoints --print-url >url &'
dsctl serve --port 0 --database streams.db --test-endpoints --print-url --quiet >url 2>log &
server=$!
trap 'kill $server 2>/dev/null' EXIT
lines url 1
DS_URL=$(cat url)
export DS_URL
try 'cat url'
try 'export DS_URL=$(cat url)'

chapter 'A first stream'
try 'dsctl create hello --content-type text/plain'
try 'echo "hello, world" | dsctl append hello'
try 'dsctl append hello --data "and goodbye
"'
try 'dsctl tail hello'
try 'dsctl show hello'

chapter 'Messages'
try 'dsctl create events --content-type application/json'
try 'printf "%s\n" "{\"n\":1,\"what\":\"started\"}" "{\"n\":2,\"what\":\"worked\"}" | dsctl append events --json'
try 'seq 3 7 | sed "s/.*/{\"n\":&}/" | dsctl append events --json'
try 'dsctl tail events'
try 'curl -s "$DS_URL/v1/stream/events"; echo'
try 'echo "{n:8}" | dsctl append events --json'

chapter 'Following'
echo '$ dsctl tail -f events --offset now --state offset >seen &'
echo
dsctl tail -f events --offset now --state offset >seen 2>/dev/null &
reader=$!
lines offset 1
try 'cat offset'
try 'dsctl append events --data "{\"n\":8}"'
lines seen 1
try 'cat seen'
try 'kill $!'
wait $reader 2>/dev/null

chapter 'Once, and only once'
try 'seq 1000 | dsctl append events --json --producer loader --batch 100 --resume'
try 'seq 1000 | dsctl append events --json --producer loader --batch 100 --resume'
try 'dsctl tail events | grep -c "^[0-9]*$"'

chapter 'What if?'
try 'dsctl fork events what-if --offset -1 --sub-offset 2'
try 'dsctl append what-if --data "{\"n\":3,\"what\":\"failed\"}"'
try 'dsctl tail what-if'

chapter 'What is there?'
try 'dsctl ls'
try 'dsctl ls --sort created --reverse --names'
try 'dsctl show what-if --json'

chapter 'When the server has a bad day'
try 'dsctl fault add hello --status 503 --count 2'
try 'dsctl fault ls'
try 'dsctl tail hello'
try 'dsctl fault ls'

chapter 'The end of a stream'
try 'dsctl close what-if'
try 'dsctl append what-if --data 1'
try 'dsctl tail -f what-if | tail -n 1'
try 'dsctl rm hello'
try 'dsctl tail hello'

chapter 'Without the server'
kill $server
wait $server
echo '$ kill %1'
echo
try 'dsctl ls'
try 'dsctl --db streams.db ls --sort bytes'
try 'dsctl --db streams.db append events --data "{\"by\":\"hand\"}"'
try 'dsctl --db streams.db tail events | tail -n 1'
try 'sqlite3 streams.db "select path, messages from stream_overview order by 1" 2>/dev/null || echo "no sqlite3 here"'
try 'dsctl --db streams.db check --quiet && echo sound'
try 'dsctl --db streams.db export --output streams.ndjson --quiet && wc -l <streams.ndjson'
try 'dsctl --db copy.db import streams.ndjson --quiet'
try 'dsctl --db copy.db tail events | tail -n 2'
