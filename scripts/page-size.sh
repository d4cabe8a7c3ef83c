#!/bin/bash
# Checks that a shared library can be loaded where memory pages have 16 KiB, as on Android 15: every part that is loaded
# must be aligned to that much.
#
#   scripts/page-size.sh LIBRARY…
set -euo pipefail
wanted=16384
[ $# != 0 ] || { echo "usage: scripts/page-size.sh LIBRARY..." >&2; exit 2; }
readelf=$(command -v readelf || command -v llvm-readelf) || { echo "page-size: readelf is missing (Debian: binutils)" >&2; exit 1; }
for library in "$@"; do
    # The alignment is the last column of each LOAD line, in hexadecimal.
    alignments=$("$readelf" -lW "$library" | awk '$1 == "LOAD" { print $NF }')
    [ -n "$alignments" ] || { echo "page-size: $library has nothing to load" >&2; exit 1; }
    for alignment in $alignments; do
        if [ $((alignment)) -lt $wanted ]; then
            echo "page-size: $library is aligned to $((alignment)) bytes, not to $wanted (link it with -z max-page-size=$wanted)" >&2
            exit 1
        fi
    done
    echo "page-size: $library: ok"
done
