#!/bin/sh
# A clean Debian 12 for tests/package.sh and tests/walk.sh, which read this file. They set $scratch,
# a folder of their own, and $root, in which the system will be. nspawn and leader are the process of
# systemd-nspawn and the first process in its container, both empty without systemd.
# shellcheck disable=SC2034,SC2154 # variables of those scripts
suite=bookworm
passed=0 failed=0 nspawn='' leader=''

# check WHAT COMMAND ...: one test
check() {
    what=$1
    shift
    if "$@" >"$scratch/output" 2>&1; then
        passed=$((passed + 1))
        echo "  passed  $what"
    else
        failed=$((failed + 1))
        echo "  FAILED  $what"
        tail -n 30 "$scratch/output" | sed 's/^/          /'
        return 1
    fi
}

alive() {
    [ -n "$1" ] && read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" && [ "$state" != Z ]
}

dead() {
    ! alive "$1"
}

# within SECONDS COMMAND ...: repeats the command until it succeeds
within() {
    tries=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}

# the Debian 12 mirror of this machine's apt
mirror() {
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        sed -n "s/^deb  *\(\[[^]]*\]  *\)\{0,1\}\([^ ]*\)  *$suite  *main.*/\2/p" "$file"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        awk -v suite="$suite" 'BEGIN { RS = ""; FS = "\n" } {
            uri = ""; has = 0
            for (i = 1; i <= NF; i++) {
                n = split($i, word, " ")
                if (word[1] == "URIs:") uri = word[2]
                if (word[1] == "Suites:") for (j = 2; j <= n; j++) if (word[j] == suite) has = 1
            }
            if (has && uri) print uri }' "$file"
    done
}

# make_root FOLDER PACKAGES: a system with systemd and these packages, a comma between each two
make_root() {
    debootstrap --variant=minbase --include="systemd,systemd-sysv,dbus,$2" "$suite" "$1" \
        "$(mirror | head -n 1)" || return 1
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    # reach the mirror as this machine does: by its proxy, for example
    grep -hsiE '^ *Acquire::' /etc/apt/apt.conf /etc/apt/apt.conf.d/* >"$1/etc/apt/apt.conf.d/90machine"
    true
}

# inside COMMAND ...: runs it in the clean system, as root
inside() {
    if [ -n "$leader" ]; then
        nsenter -t "$leader" -m -u -i -p -- env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
    else
        chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# the first process of the container, by its id on this machine
find_leader() {
    leader=
    for status in /proc/[0-9]*/status; do
        pid=${status#/proc/}
        pid=${pid%/status}
        if [ "$(awk '/^NSpid:/ { print NF, $NF }' "$status" 2>/dev/null)" = '3 1' ] &&
            [ "$(awk '/^PPid:/ { print $2 }' "$status" 2>/dev/null)" = "$nspawn" ]; then
            leader=$pid
            return 0
        fi
    done
    return 1
}

booted() {
    find_leader && inside systemctl is-active multi-user.target
}

# starts systemd in the root; the container shares this machine's network
boot() {
    keep=
    [ -d /run/systemd/system ] || keep=--keep-unit # without a systemd here, nspawn cannot get a scope of its own
    # shellcheck disable=SC2086 # one word or none
    systemd-nspawn -q -b -D "$root" --private-users=no --register=no $keep --console=pipe \
        </dev/null >"$scratch/console" 2>&1 &
    nspawn=$!
    within 60 booted && return
    tail -n 5 "$scratch/console"
    find_leader
    power_off
    return 1
}

power_off() {
    if alive "$nspawn"; then
        [ -n "$leader" ] && inside systemctl poweroff >/dev/null 2>&1
        within 30 dead "$nspawn" || kill "$nspawn" 2>/dev/null
        within 10 dead "$nspawn" || kill -9 "$nspawn" 2>/dev/null
    fi
    nspawn='' leader=''
}

# prepares the root for commands without systemd: packages must not start services
without_systemd() {
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"
}

unmount_root() {
    for mounted in proc sys dev; do
        if mountpoint -q "$root/$mounted" 2>/dev/null; then
            umount -l "$root/$mounted"
        fi
    done
}
