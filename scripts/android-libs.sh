#!/bin/bash
# Builds the library for the three Android ABIs with Android's NDK and lays it where Gradle packs it into the AAR:
# android/library/src/main/jniLibs. The symbols, for crash reports, go to target/android-symbols.
#
#   ANDROID_NDK_HOME=/path/to/ndk scripts/android-libs.sh
#
# cargo-ndk is not used: it calls `cargo build`, which makes all types of the library in one call, and so without
# link-time optimisation.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/shipped.sh
die() { echo "android-libs: $*" >&2; exit 1; }

ndk=${ANDROID_NDK_HOME:-${ANDROID_NDK_ROOT:-}}
[ -n "$ndk" ] || die "Android's NDK is missing: set ANDROID_NDK_HOME to its folder (version 27 or newer; sdkmanager installs it)"
case $(uname) in Darwin) prebuilt=darwin-x86_64 ;; *) prebuilt=linux-x86_64 ;; esac
tools=$ndk/toolchains/llvm/prebuilt/$prebuilt/bin
[ -x "$tools/llvm-ar" ] || die "$ndk is no NDK: $tools/llvm-ar is not there"
command -v cargo >/dev/null || die "cargo is missing"
for target in aarch64-linux-android armv7-linux-androideabi x86_64-linux-android; do has_target $target; done
[ "$(uname)" = Linux ] || PATH=$PATH:$tools
libraries=$PWD/android/library/src/main/jniLibs
symbols=$PWD/target/android-symbols

# abi NAME TARGET ITS-NAME-FOR-CLANG
abi() {
    local clang=$tools/$3$android_api-clang built
    c_flags "$2"
    export "$(c_variable "$2" CC)=$clang" "$(c_variable "$2" AR)=$tools/llvm-ar"
    linked_with "$2" "$clang"
    # Pages of 16 KiB, and a build id by which a crash report finds its symbols.
    rust_flags "$2" -C link-arg=-Wl,-z,max-page-size=16384 -C link-arg=-Wl,--pack-dyn-relocs=android -C link-arg=-Wl,--build-id=sha1
    built=$(shipped "$2" cdylib)/libvirtual_channels.so
    mkdir -p "$libraries/$1" "$symbols/$1"
    cp "$built" "$symbols/$1/libvirtual_channels.so"
    "$tools/llvm-strip" -o "$libraries/$1/libvirtual_channels.so" "$built"
    scripts/page-size.sh "$libraries/$1/libvirtual_channels.so"
    echo "android-libs: $1: $(wc -c <"$libraries/$1/libvirtual_channels.so") bytes"
}

abi arm64-v8a aarch64-linux-android aarch64-linux-android
abi armeabi-v7a armv7-linux-androideabi armv7a-linux-androideabi
abi x86_64 x86_64-linux-android x86_64-linux-android
echo "android-libs: ok, in $libraries; symbols in $symbols"
