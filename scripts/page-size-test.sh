#!/bin/bash
# Whether scripts/page-size.sh tells libraries for 16 KiB pages from others.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "page-size-test: $*" >&2; exit 1; }

echo 'int counter; int count(void) { return ++counter; }' >"$work/count.c"
for size in 4096 16384; do
    cc -shared -fPIC -Wl,-z,max-page-size=$size -o "$work/$size.so" "$work/count.c"
done
scripts/page-size.sh "$work/16384.so" >/dev/null || die "a library for 16 KiB pages is refused"
! scripts/page-size.sh "$work/4096.so" 2>/dev/null || die "a library for 4 KiB pages passes"
! scripts/page-size.sh "$work/16384.so" "$work/4096.so" >/dev/null 2>&1 || die "the second library is not looked at"
! scripts/page-size.sh "$work/count.c" 2>/dev/null || die "what is no library passes"
mkdir -p "$work/jni/arm64-v8a" "$work/jni/x86_64"
cp "$work/16384.so" "$work/jni/arm64-v8a/libcount.so"
cp "$work/16384.so" "$work/jni/x86_64/libcount.so"
archive() { rm -f "$work/count.aar"; (cd "$work" && python3 -m zipfile -c count.aar "$1"); }
archive jni
[ "$(scripts/page-size.sh "$work/count.aar" | grep -c ': ok$')" = 2 ] || die "not each library of an archive is looked at"
cp "$work/4096.so" "$work/jni/x86_64/libcount.so"
archive jni
! scripts/page-size.sh "$work/count.aar" >/dev/null 2>&1 || die "an archive with a library for 4 KiB pages passes"
archive count.c
! scripts/page-size.sh "$work/count.aar" >/dev/null 2>&1 || die "an archive without libraries passes"
echo "page-size-test: ok"
