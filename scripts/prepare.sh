#!/bin/bash
# Installs what a make target needs, or says plainly what is missing.
#
#   scripts/prepare.sh rust bitcoind …     each word is one of the needs at the end of this file
#
# Debian packages are installed with apt where that is allowed (root, or sudo without a password). What apt does not have is
# built into a cache folder outside the checkout: ${XDG_CACHE_HOME:-~/.cache}/virtual-channels.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels
cargo_deny=0.20.2
cargo_bloat=0.12.1
cargo_fuzz=0.13.2
rust=1.95
java=17
missing=()

say() { echo "prepare: $*" >&2; }

# How apt may be run here: prints the prefix, or fails.
apt_prefix() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then echo env; return; fi
    command -v sudo >/dev/null && sudo -n true 2>/dev/null && echo sudo
}

apt_updated=
# A new machine has no lists, or old ones: once a run.
update_lists() {
    [ -z "$apt_updated" ] || return 0
    $1 apt-get update -qq >&2 || say "apt-get update failed; going on with the lists that are here"
    apt_updated=1
}

# debian WHAT PACKAGE…: the packages that bring WHAT; remembers WHAT as missing where they cannot be installed.
debian() {
    local what=$1 as; shift
    if ! as=$(apt_prefix); then missing+=("$what  (Debian: $*)"); return 0; fi
    say "installing $*"
    update_lists "$as"
    $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        missing+=("$what  (apt-get install $* failed)")
}

have() { command -v "$1" >/dev/null; }
header() { have g++ && echo "#include <$1>" | g++ -E -x c++ - >/dev/null 2>&1; }
# at_least WANTED FOUND: compares versions.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$1" ]; }

need_rust() {
    have cc || debian "a C compiler" gcc libc6-dev
    if ! have cargo; then
        local as
        if as=$(apt_prefix); then update_lists "$as"; fi
        if have apt-cache && apt-cache show rustup >/dev/null 2>&1; then
            debian "rustup" rustup
            if have rustup && ! rustup default stable >&2; then missing+=("Rust $rust (rustup could not install a toolchain)"); fi
        else
            missing+=("Rust $rust or newer: cargo is not on the PATH and this system has no package rustup; see https://rustup.rs")
            return 0
        fi
    fi
    local found
    found=$(cargo --version 2>/dev/null | cut -d' ' -f2) || true
    if [ -n "$found" ] && ! at_least "$rust" "$found"; then missing+=("Rust $rust or newer (found $found; rustup update stable)"); fi
}

need_lint() {
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt >&2 || missing+=("rustfmt (rustup component add rustfmt)")
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy >&2 || missing+=("clippy (rustup component add clippy)")
}

need_deny() {
    local root=$cache/cargo-deny
    [ "$("$root/bin/cargo-deny" --version 2>/dev/null)" = "cargo-deny $cargo_deny" ] && return 0
    have cargo || return 0
    say "building cargo-deny $cargo_deny, once (some minutes), into $root"
    CARGO_TARGET_DIR="$root/build" cargo install --locked --root "$root" --version "$cargo_deny" cargo-deny >&2 ||
        missing+=("cargo-deny $cargo_deny (cargo install failed)")
    rm -rf "$root/build"
}

need_bitcoind() {
    local found
    # Whoever has a bitcoind (≥ 29) or built one before needs no compiler for it.
    if found=$("$here/bitcoind.sh" --find 2>/dev/null) && [ -x "$found" ]; then return 0; fi
    have g++ || debian "a C++ compiler" g++
    have cmake || debian cmake cmake
    have make || debian make make
    have pkg-config || debian pkg-config pkg-config
    header boost/version.hpp || debian "the Boost headers" libboost-dev
    header event2/event.h || debian "libevent" libevent-dev
    [ ${#missing[@]} = 0 ] || return 0
    "$here/bitcoind.sh" >/dev/null || missing+=("bitcoind (building it failed; set BITCOIND to one of version 29 or newer)")
}

need_kotlin() {
    local found=0
    if have java; then found=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1); fi
    at_least "$java" "${found:-0}" || debian "a JDK, $java or newer" default-jdk-headless
    have mvn || debian "Maven" maven
}

need_swift() { "$here/swift.sh" --prepare || missing+=("Swift 6 or newer (why is said above)"); }

need_bloat() {
    local root=$cache/cargo-bloat
    [ -f "$root/.crates.toml" ] && grep -q "\"cargo-bloat $cargo_bloat " "$root/.crates.toml" && return 0
    have cargo || return 0
    say "building cargo-bloat $cargo_bloat, once, into $root"
    CARGO_TARGET_DIR="$root/build" cargo install --locked --root "$root" --version "$cargo_bloat" cargo-bloat >&2 ||
        missing+=("cargo-bloat $cargo_bloat (cargo install failed)")
    rm -rf "$root/build"
}

need_fuzz() {
    # libFuzzer is C++.
    have g++ || have clang++ || debian "a C++ compiler" g++
    local root=$cache/cargo-fuzz
    [ "$("$root/bin/cargo-fuzz" --version 2>/dev/null)" = "cargo-fuzz $cargo_fuzz" ] && return 0
    have cargo || return 0
    say "building cargo-fuzz $cargo_fuzz, once, into $root"
    CARGO_TARGET_DIR="$root/build" cargo install --locked --root "$root" --version "$cargo_fuzz" cargo-fuzz >&2 ||
        missing+=("cargo-fuzz $cargo_fuzz (cargo install failed)")
    rm -rf "$root/build"
}

need_arm64() {
    have aarch64-linux-gnu-gcc || debian "a C compiler for arm64" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
}

need_qemu() { have qemu-aarch64 || have qemu-aarch64-static || debian "qemu for programs" qemu-user; }

# Debian's names; what the scripts accept is said in scripts/clang.sh.
need_clang() { (. "$here/clang.sh") 2>/dev/null || debian "clang with lld and the LLVM tools" clang-19 lld-19 llvm-19; }

need_headers() {
    python3 -m pip --version >/dev/null 2>&1 || debian "Python with pip" python3-pip
    [ ${#missing[@]} = 0 ] || return 0
    "$here/headers.sh" >/dev/null || missing+=("C headers of iOS and Android (why is said above)")
}

need_strace() { have strace || [ "$(uname)" != Linux ] || debian strace strace; }

for need in "$@"; do
    case $need in
        rust | lint | deny | bitcoind | kotlin | swift | strace | bloat | fuzz | arm64 | qemu | clang | headers) "need_$need" ;;
        *) say "unknown need: $need"; exit 2 ;;
    esac
done

if [ ${#missing[@]} != 0 ]; then
    say "missing, and not to be installed from here:"
    printf '  - %s\n' "${missing[@]}" >&2
    exit 1
fi
