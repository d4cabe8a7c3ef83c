#!/bin/bash
# Checks that a shared library can be loaded where memory pages have 16 KiB, as on Android 15: every part that is loaded
# must be aligned to that much.
#
#   scripts/page-size.sh LIBRARY…      an archive (.aar, .apk) stands for all libraries in it
set -euo pipefail
wanted=16384
[ $# != 0 ] || { echo "usage: scripts/page-size.sh LIBRARY..." >&2; exit 2; }
readelf=$(command -v readelf || command -v llvm-readelf) || { echo "page-size: readelf is missing (Debian: binutils)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

libraries=()
for library in "$@"; do
    case $library in
        *.aar | *.apk)
            folder=$work/${#libraries[@]}
            unzip -q "$library" '*.so' -d "$folder" || { echo "page-size: $library has no libraries" >&2; exit 1; }
            while read -r found; do libraries+=("$found"); done < <(find "$folder" -name '*.so' | sort)
            ;;
        *) libraries+=("$library") ;;
    esac
done

for library in "${libraries[@]}"; do
    name=${library#"$work"/*/}
    # The alignment is the last column of each LOAD line, in hexadecimal.
    alignments=$("$readelf" -lW "$library" | awk '$1 == "LOAD" { print $NF }')
    [ -n "$alignments" ] || { echo "page-size: $name has nothing to load" >&2; exit 1; }
    for alignment in $alignments; do
        if [ $((alignment)) -lt $wanted ]; then
            echo "page-size: $name is aligned to $((alignment)) bytes, not to $wanted (link it with -z max-page-size=$wanted)" >&2
            exit 1
        fi
    done
    echo "page-size: $name: ok"
done
