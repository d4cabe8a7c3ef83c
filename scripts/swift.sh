#!/bin/bash
# Runs Swift, 6 or newer: the one on the PATH, or the one of Debian 13 in a folder of its own.
#
#   scripts/swift.sh test --package-path ios    runs `swift test --package-path ios`
#   scripts/swift.sh --run PROGRAM …            runs a program where Swift's libraries are
#   scripts/swift.sh --find                     prints which one is taken, and fails where there is none
#   scripts/swift.sh --prepare                  makes the folder, once (two minutes, 2 GB), where there is none
#
# The folder is a Debian made by debootstrap in the cache, entered with chroot; it needs root on a Debian. All of this machine's
# own paths (the checkout, the home, /tmp, …) are the same in it. What is mounted for that is mounted in a name space that
# ends with the command: nothing stays behind, also after a kill.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(dirname "$here")
suite=trixie
packages="swiftlang libc6-dev libstdc++-14-dev libgcc-14-dev libevent-2.1-7t64 libevent-extra-2.1-7t64 libevent-pthreads-2.1-7t64"
# Counts up when the list of packages changes.
edition=1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels
folder=$cache/swift-$suite-$edition

say() { echo "swift: $*" >&2; }
die() { say "$*"; exit 1; }

# Which Swift: prints `path` or the folder.
find_one() {
    local major
    if command -v swift >/dev/null; then
        major=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\).*/\1/p' | head -1)
        if [ "${major:-0}" -ge 6 ]; then echo path; return; fi
    fi
    [ -d "$folder" ] && [ "$(id -u)" = 0 ] && echo "$folder"
}

# Where this machine's apt gets Debian from.
mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 2>/dev/null |
        sed -n 's/^Debian|Debian|main|//p' | head -1
}

# Runs in a mount name space of its own: debootstrap and apt mount and unmount as they like.
build() {
    local root=$1 from=$2 proxy
    proxy=$(apt-config dump Acquire::http::Proxy | sed -n 's/.*"\(.*\)";/\1/p')
    [ -z "$proxy" ] || export http_proxy=$proxy
    debootstrap --variant=minbase "$suite" "$root" "$from"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    # Documentation is a third of the download's files, and nobody reads it here.
    printf 'path-exclude=/usr/share/%s/*\n' doc man locale >"$root/etc/dpkg/dpkg.cfg.d/slim"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
    chroot "$root" apt-get clean
    chroot "$root" swift --version
}

prepare() {
    local from log=$folder.log
    ! find_one >/dev/null || return 0
    command -v apt-get >/dev/null || die "no Swift 6 on the PATH, and this is no Debian: install Swift from https://www.swift.org/install"
    [ "$(id -u)" = 0 ] || die "no Swift 6 on the PATH; only root can make a Debian $suite for it (https://www.swift.org/install has others)"
    unshare -m true 2>/dev/null || die "no Swift 6 on the PATH, and this machine allows no mount name space (unshare -m) for one of its own"
    mkdir -p "$cache"
    exec 9>"$folder.lock"
    flock 9
    ! find_one >/dev/null || return 0
    PATH=$PATH:/usr/sbin:/sbin
    command -v debootstrap >/dev/null || { apt-get update -qq >&2 || true; apt-get install -y -qq debootstrap >&2; } ||
        die "no Swift 6 on the PATH, and debootstrap cannot be installed"
    from=$(mirror)
    [ -n "$from" ] || die "no Swift 6 on the PATH, and apt's sources name no Debian to take it from"
    say "making a Debian $suite with Swift in $folder, once (two minutes)"
    rm -rf --one-file-system "$folder.build"
    unshare -m bash -euo pipefail -c "$(declare -f build); suite=$suite packages='$packages'; build \"\$@\"" - "$folder.build" "$from" \
        >"$log" 2>&1 || { tail -20 "$log" >&2; die "that failed; the whole output is in $log"; }
    # The last step: whoever sees the folder sees it whole.
    mv "$folder.build" "$folder"
    exec 9>&-
}

# enter FOLDER PROGRAM…: runs a program in the folder. Already in a name space of its own.
enter() {
    local root=$1 path; shift
    share() { mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; }
    for path in /*; do
        case $path in
            # What a system consists of: the folder has its own.
            /bin | /sbin | /lib* | /usr | /etc | /var | /boot | /lost+found) ;;
            *) if [ -d "$path" ] && [ ! -L "$path" ]; then share "$path"; fi ;;
        esac
    done
    for path in "$checkout" "${CARGO_TARGET_DIR:-}" "${TMPDIR:-}" "${REGTEST:+${REGTEST%/*}}" "${BITCOIND:+${BITCOIND%/*}}" "$PWD"; do
        case $path in
            /usr/bin | /bin) ;;
            /lib* | /usr/* | /etc/* | /var/*) if [ -d "$path" ]; then share "$path"; fi ;;
        esac
    done
    # The PATH of this machine may lead to programs that do not run there.
    # shellcheck disable=SC2016 # for the inner shell
    exec chroot "$root" /usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 bash -c 'cd "$1" && shift && exec "$@"' - "$PWD" "$@"
}

# run PROGRAM…: where Swift is.
run() {
    local where
    where=$(find_one) || die "there is no Swift here yet: scripts/swift.sh --prepare"
    [ "$where" != path ] || exec "$@"
    # shellcheck disable=SC2016 # for the inner shell
    exec unshare -m bash -euo pipefail -c "$(declare -f enter)"'; PATH=$PATH:/usr/sbin:/sbin checkout=$1; shift; enter "$@"' - "$checkout" "$where" "$@"
}

case ${1:-} in
    --find) find_one ;;
    --prepare) prepare ;;
    --run) shift; run "$@" ;;
    *) run swift "$@" ;;
esac
