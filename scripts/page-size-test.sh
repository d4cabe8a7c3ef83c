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
echo "page-size-test: ok"
