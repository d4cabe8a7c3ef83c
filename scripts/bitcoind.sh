#!/bin/bash
# Prints the path of a Bitcoin Core daemon to test against; progress goes to stderr.
#
#   scripts/bitcoind.sh           finds one, or builds it once (five minutes on two cores)
#   scripts/bitcoind.sh --find    only looks, and fails where there is none
#
# In this order: $BITCOIND, bitcoind ≥ 29 on the PATH (zero-sat P2A outputs need its ephemeral dust policy), the one built before.
# The sources come with a crate of the kernel library, so a package registry is all that is needed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
oldest=29
crate=libbitcoinkernel-sys
crate_version=0.4.1
crate_sha256=345d18a1ce19a1becfcaaa066e3a60e9c7813ef5c23ea8c20704ca4ba1a46339
core_version=31.99
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels
home=$cache/bitcoind-$core_version

say() { echo "bitcoind: $*" >&2; }
die() { say "$*"; exit 1; }

major() { "$1" --version 2>/dev/null | sed -n '1s/.* version v\([0-9]*\).*/\1/p'; }

find_one() {
    local found
    if [ -n "${BITCOIND:-}" ]; then
        [ -x "$BITCOIND" ] || die "\$BITCOIND is $BITCOIND, which cannot be run"
        echo "$BITCOIND"
        return
    fi
    if found=$(command -v bitcoind) && [ "$(major "$found")" -ge $oldest ] 2>/dev/null; then
        echo "$found"
        return
    fi
    [ -x "$home/bin/bitcoind" ] && echo "$home/bin/bitcoind"
}

# The tools and headers that are not here, as Debian calls their packages.
missing() {
    local tool
    for tool in cmake make g++ pkg-config; do command -v $tool >/dev/null || echo $tool; done
    if command -v g++ >/dev/null && [ "$(uname)" = Linux ]; then
        echo '#include <boost/version.hpp>' | g++ -E -x c++ - >/dev/null 2>&1 || echo libboost-dev
        echo '#include <event2/event.h>' | g++ -E -x c++ - >/dev/null 2>&1 || echo libevent-dev
    fi
}

# fetch FOLDER: has cargo download the crate into its registry, and prints where Bitcoin Core's sources lie.
fetch() {
    local manifest sha
    mkdir -p "$1/src"
    : >"$1/src/lib.rs"
    printf '%s\n' '[package]' 'name = "sources"' 'version = "0.0.0"' 'edition = "2021"' '[workspace]' \
        '[dependencies]' "$crate = \"=$crate_version\"" >"$1/Cargo.toml"
    cargo generate-lockfile --manifest-path "$1/Cargo.toml" >&2
    sha=$(sed -n "/^name = \"$crate\"/,/^checksum/s/^checksum = \"\(.*\)\"/\1/p" "$1/Cargo.lock")
    [ "$sha" = $crate_sha256 ] || die "$crate $crate_version has the checksum $sha, not $crate_sha256"
    manifest=$(cargo metadata --locked --format-version 1 --manifest-path "$1/Cargo.toml" |
        grep -o "\"manifest_path\":\"[^\"]*/$crate-$crate_version/Cargo.toml\"" | head -1 | cut -d'"' -f4)
    [ -f "$(dirname "$manifest")/bitcoin/CMakeLists.txt" ] || die "no sources in ${manifest:-the crate $crate}"
    echo "$(dirname "$manifest")/bitcoin"
}

# Shortens the compiler's progress to a line for every ten per cent.
progress() {
    awk '/^\[ *[0-9]+%\]/ { sub(/^\[ */, ""); p = int(int($0) / 10) * 10
             if (p > last) { last = p; printf "bitcoind: %d %%\n", p > "/dev/stderr" } }'
}

build() {
    local work source log jobs
    command -v cargo >/dev/null || die "cargo is not on the PATH; it fetches the sources"
    work=$home.build
    log=$work/log
    rm -rf "$work"
    mkdir -p "$work"
    say "building Bitcoin Core $core_version into $home, once (some minutes)"
    source=$(fetch "$work/fetch")
    cmake -S "$source" -B "$work/out" -DCMAKE_BUILD_TYPE=Release -DBUILD_DAEMON=ON -DBUILD_CLI=ON -DENABLE_WALLET=OFF \
        -DENABLE_IPC=OFF -DWITH_ZMQ=OFF -DWITH_EMBEDDED_ASMAP=OFF -DBUILD_TESTS=OFF -DBUILD_TX=OFF -DBUILD_UTIL=OFF \
        -DBUILD_WALLET_TOOL=OFF -DBUILD_BENCH=OFF -DBUILD_GUI=OFF -DBUILD_KERNEL_LIB=OFF -DINSTALL_MAN=OFF >"$log" 2>&1 ||
        { tail -20 "$log" >&2; die "cmake failed; its whole output is in $log"; }
    jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
    cmake --build "$work/out" --target bitcoind bitcoin-cli -j "$jobs" 2>&1 | tee -a "$log" | progress ||
        { tail -20 "$log" >&2; die "the build failed; its whole output is in $log"; }
    mkdir -p "$work/bin"
    mv "$work/out/bin/bitcoind" "$work/out/bin/bitcoin-cli" "$work/bin/"
    rm -rf "$work/out" "$work/fetch" "$home"
    # The last step: whoever sees the folder sees it whole.
    mv "$work" "$home"
}

find_one && exit 0
[ "${1:-}" != --find ] || exit 1

lacking=$(missing | tr '\n' ' ')
if [ -n "$lacking" ]; then
    # It installs them where that is allowed, and comes back here.
    [ -z "${BITCOIND_PREPARED:-}" ] || die "missing: $lacking"
    BITCOIND_PREPARED=1 "$here/prepare.sh" bitcoind
fi
mkdir -p "$cache"
if command -v flock >/dev/null; then
    exec 9>"$home.lock"
    flock 9
fi
if ! find_one; then
    build >&2
    find_one
fi
