#!/bin/bash
# Type-checks the library for the three Android ABIs and compiles all its C code for them, on any Linux.
#
# It is a check, not a build: the C headers are those of musl, nothing is linked, nothing runs. Libraries to ship need
# Android's NDK: scripts/android-libs.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/shipped.sh
. scripts/clang.sh
headers=$(scripts/headers.sh)/include
for target in aarch64-linux-android armv7-linux-androideabi x86_64-linux-android; do has_target $target; done

# check TARGET ITS-NAME-FOR-CLANG ITS-NAME-IN-THE-HEADERS NAME-IN-THE-KERNEL'S
check() {
    local folder flags=()
    for folder in "$3-linux-musl" generic-musl "$4-linux-any" any-linux-any; do
        flags+=("-isystem $(printf %q "$headers/$folder")")
    done
    c_flags "$1" "--target=$2$android_api" -nostdlibinc "${flags[@]}"
    export "$(c_variable "$1" CC)=$(llvm_tool clang)" "$(c_variable "$1" AR)=$(llvm_tool llvm-ar)"
    cargo check --locked --lib --profile release-mobile --target "$1"
    echo "android-check: $1: ok"
}

check aarch64-linux-android aarch64-linux-android aarch64 aarch64
check armv7-linux-androideabi armv7a-linux-androideabi arm arm
check x86_64-linux-android x86_64-linux-android x86_64 x86
echo "android-check: ok (a check only: libraries to ship need the NDK, scripts/android-libs.sh)"
