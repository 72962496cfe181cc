#!/bin/sh
# Installs the Debian packages that a make target needs, and only those that are missing.
#
#   deploy/packages.sh run     what building and `make run` need
#   deploy/packages.sh nginx   that, and what `make run WEB=nginx` needs
#   deploy/packages.sh test    that, and what the tests need
#   deploy/packages.sh bench   that, and what `make bench` needs
#   deploy/packages.sh lint    what `make lint` needs
#   deploy/packages.sh clang   what `make clang` needs
#   deploy/packages.sh fuzz    what `make fuzz` and `make coverage` need
#   deploy/packages.sh deb     what `make deb` needs
#   deploy/packages.sh html    what `make html` needs
#   deploy/packages.sh package what `make test-package` needs, which builds the package first
#
# Prints nothing if nothing is missing. Exits with status 1 and one line on stderr if something is missing and
# the user is neither root nor able to use sudo.
set -u

# A word is a Debian package, or package:command where any such command on the PATH suffices. gcc only
# recommends libc6-dev, and recommendations are not installed, so it is listed.
build='gcc:cc libc6-dev make:make libfcgi-dev libsqlite3-dev libcurl4-openssl-dev libssl-dev libmd-dev zlib1g-dev'
run="$build sqlite3:sqlite3 curl:curl"
nginx="$run nginx-light:nginx"
# apache2-bin is Apache without a system service.
servers='lighttpd:lighttpd apache2-bin:apache2 libapache2-mod-fcgid apache2-utils:htpasswd
    lighttpd-mod-deflate lighttpd-mod-openssl libapache2-mod-qos openssl:openssl haproxy:haproxy caddy:caddy'
test="$nginx check libsubunit-dev libhttp-parser-dev g++:c++ pkg-config:pkg-config valgrind:valgrind procps:ps ca-certificates chromium:chromium fish:fish zsh:zsh $servers"
# dpkg-buildpackage asks for build-essential, whatever the package says; the unit tests run sqlite3
deb="$build build-essential dpkg-dev:dpkg-buildpackage debhelper:dh check libsubunit-dev
    libhttp-parser-dev sqlite3:sqlite3"
clang="$build clang:clang check libsubunit-dev libhttp-parser-dev"
# The run-time package of sanitizers and libFuzzer has clang's version in its name; Debian 12 has 14.
version=$(clang -dumpversion 2>/dev/null | cut -d. -f1)
fuzz="$clang llvm:llvm-cov libclang-rt-${version:-14}-dev"
lint="$build clang-format:clang-format clang-tidy:clang-tidy cppcheck:cppcheck shellcheck:shellcheck mandoc:mandoc"

case ${1-} in
run) wanted=$run ;;
nginx) wanted=$nginx ;;
test | bench)
    wanted=$test
    [ "$1" = bench ] && wanted="$wanted wrk:wrk"
    # Any node from version 18 on suffices.
    node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' 2>/dev/null ||
        wanted="$wanted nodejs"
    command -v npm >/dev/null || wanted="$wanted npm"
    ;;
lint) wanted=$lint ;;
clang) wanted=$clang ;;
fuzz) wanted=$fuzz ;;
deb) wanted=$deb ;;
html) wanted=mandoc:mandoc ;;
package) wanted="$deb debootstrap:debootstrap systemd-container:systemd-nspawn
        lintian:lintian curl:curl" ;;
*)
    echo "usage: $0 run|nginx|test|bench|lint|clang|fuzz|deb|html|package" >&2
    exit 2
    ;;
esac

# Web servers are there, outside the PATH of ordinary users.
PATH=$PATH:/usr/sbin:/sbin

missing=
for word in $wanted; do
    package=${word%%:*}
    command=${word#"$package"}
    command=${command#:}
    [ -n "$command" ] && command -v "$command" >/dev/null && continue
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
    *' installed') ;;
    *) missing="$missing $package" ;;
    esac
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "packages.sh: no apt-get here; what Debian calls these may be missing:$missing" >&2
    exit 0 # another system: the build will show what is missing
fi

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as_root=sudo
else
    echo "packages.sh: missing packages, and neither root nor sudo to install them:$missing" >&2
    exit 1
fi

# Without this file, Debian starts each web server on port 80 as soon as it is installed. Where the file
# exists or cannot be written, the servers start; that is unwanted, but not a failure.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ] &&
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null 2>&1; then
    # shellcheck disable=SC2064 # as_root is to be expanded now
    trap "$as_root rm -f $policy" EXIT
    trap 'exit 1' HUP INT QUIT PIPE TERM
    $as_root chmod 755 $policy
fi

echo "installing$missing"
log=$(mktemp)
install() {
    # shellcheck disable=SC2086 # words must split
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1
}
# On a new machine, or one with old package lists, fetch the lists and try again.
if ! install; then
    $as_root apt-get update -q >"$log" 2>&1
    if ! install; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "packages.sh: apt-get could not install:$missing" >&2
        exit 1
    fi
fi
rm -f "$log"

# A server that was installed only for this project must not take port 80 at the next boot either.
for service in nginx lighttpd haproxy caddy; do
    case $missing in
    *" $service"*) $as_root systemctl disable "$service" >/dev/null 2>&1 ;;
    esac
done
exit 0
