#!/bin/bash
# Runs `swift build`, `swift test` or `swift run` in ios/ with what the package needs to find the built library.
#
#   scripts/swift-package.sh test [ARGUMENT…]
#
# LIBRARY_DIR    the folder of libvirtual_channels; else the debug folder of cargo's target folder
# BINDINGS_DIR   the generated Swift; else bindings/generated/swift (scripts/bindings.sh makes it)
# Warnings of the compiler are errors.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
library=${LIBRARY_DIR:-$target/debug}
command=$1; shift

ls "$library"/libvirtual_channels.* >/dev/null 2>&1 || { echo "swift-package: no library in $library; make bindings builds it" >&2; exit 1; }
scripts/swift-sources.sh ${BINDINGS_DIR:+"$BINDINGS_DIR"}
exec scripts/swift.sh "$command" --package-path ios \
    -Xswiftc -strict-concurrency=complete -Xswiftc -warnings-as-errors \
    -Xlinker "-L$library" -Xlinker -rpath -Xlinker "$library" "$@"
