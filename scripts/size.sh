#!/bin/bash
# Prints how large the library is as it is shipped, without symbols, beside the budget; and what each crate has of its
# code. Fails above the budget.
#
#   scripts/size.sh [x86_64] [aarch64] [ios]     all of them where none is named
#   scripts/size.sh before                       as cargo's profile `release` builds it, without anything that was cut
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/shipped.sh
budget=5000000
die() { echo "size: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
over=0

# row NAME FILE
row() {
    local bytes=$(wc -c <"$2")
    [ "$bytes" -le $budget ] || [ "$1" = before ] || over=1
    printf 'size: %-14s %9d bytes, %d %% of the budget of %d\n' "$1" "$bytes" $((bytes * 100 / budget)) $budget |
        tee -a "$work/rows"
}

linux() {
    local library strip=strip
    library=$(scripts/linux-lib.sh "$1")
    [ "$1" = "$(uname -m)" ] || strip=$1-linux-gnu-strip
    "$strip" -o "$work/$1.so" "$library"
    echo "size: code by crate, $1 Linux"
    scripts/linux-lib.sh "$1" --crates
    row "$1 Linux" "$work/$1.so"
}

ios() {
    scripts/ios-lib.sh
    row "arm64 iOS" "$CARGO_TARGET_DIR/aarch64-apple-ios/release-mobile/stripped.dylib"
}

before() {
    local target
    target=$(uname -m)-unknown-linux-gnu
    env -u LIBSQLITE3_FLAGS cargo build --locked --release --lib --target "$target"
    strip -o "$work/before.so" "$CARGO_TARGET_DIR/$target/release/libvirtual_channels.so"
    row before "$work/before.so"
}

[ $# != 0 ] || set -- x86_64 aarch64 ios
for one in "$@"; do
    case $one in
        x86_64 | aarch64) linux "$one" ;;
        ios | before) "$one" ;;
        *) die "unknown: $one" ;;
    esac
done
echo
cat "$work/rows"
[ $over = 0 ] || die "over the budget"
echo "size: ok"
