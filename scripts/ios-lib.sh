#!/bin/bash
# Builds the static library for arm64 iOS on Linux, and checks it: every part of it is for iOS, every function of the
# generated header is in it, it links into a library for iOS with nothing undefined but what Apple's system has, and the
# privacy manifest names what Apple wants a reason for.
#
#   scripts/ios-lib.sh             builds and checks
#   scripts/ios-lib.sh --built     checks what was built before
#
# A check, not a release: it was made with Debian's clang, not with Apple's linker, and ran on no device. Releases are made
# by scripts/xcframework.sh on macOS.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/shipped.sh
target=aarch64-apple-ios
out=$CARGO_TARGET_DIR/$target/release-mobile
library=$out/libvirtual_channels.a
die() { echo "ios-lib: $*" >&2; exit 1; }

[ "$(uname)" != Darwin ] || die "this is for Linux; on macOS scripts/xcframework.sh makes all of them"
. scripts/clang.sh
has_target $target
headers=$(scripts/headers.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "${1:-}" != --built ]; then
    rust_flags $target
    # An empty folder as the SDK: else the build scripts of C code look for Xcode.
    mkdir "$work/sdk"
    c_flags $target "--target=arm64-apple-ios$ios_oldest" -nostdlibinc "-isystem $(printf %q "$headers/include/any-darwin-any")" \
        -Wno-nullability-completeness
    SDKROOT=$work/sdk IPHONEOS_DEPLOYMENT_TARGET=$ios_oldest \
        CC_aarch64_apple_ios=$(llvm_tool clang) AR_aarch64_apple_ios=$(llvm_tool llvm-ar) \
        shipped $target staticlib >/dev/null
fi
echo "ios-lib: $library, $(wc -c <"$library") bytes, clang $llvm"

# Platform 2 is iOS. Objects of assembler code carry no platform; the linker takes them for the one it links for.
"$(llvm_tool llvm-objdump)" --macho --private-headers "$library" >"$work/headers" 2>/dev/null
awk '/LC_BUILD_VERSION/ { inside = 1 }
     inside && $1 == "platform" { platforms[$2]++; n++; if ($2 != "ios" && $2 != "IOS" && $2 != 2) bad++ }
     inside && $1 == "minos" { minos[$2]++; inside = 0 }
     /LC_VERSION_MIN_MACOSX/ { bad++ }
     END { for (p in platforms) print "ios-lib: " platforms[p] " objects for platform " p
           for (m in minos) print "ios-lib: " minos[m] " objects for version " m " and later"
           exit bad || !n }' "$work/headers" || die "not all of it is for iOS"

# What the header declares, the library must define.
cargo build --locked -p bindings
"$CARGO_TARGET_DIR/debug/bindings" . "$library" "$work/generated"
grep -o '\b\(uniffi\|ffi\)_virtual_channels_[a-z0-9_]*' "$work"/generated/swift/include/*.h | sort -u >"$work/declared"
"$(llvm_tool llvm-nm)" --no-llvm-bc --defined-only --extern-only --format=just-symbols "$library" 2>/dev/null | sed -n 's/^_//p' |
    sort -u >"$work/defined"
comm -23 "$work/declared" "$work/defined" >"$work/absent"
[ ! -s "$work/absent" ] || { cat "$work/absent" >&2; die "the header declares what the library does not define"; }
echo "ios-lib: all $(wc -l <"$work/declared") functions of the header are defined"

# The names in Apple's system library. The list is that of macOS, and each of its parts apart; iOS has them under one name.
python3 - "$headers/darwin/libSystem.tbd" >"$work/libSystem.tbd" <<'PYTHON'
import re, sys
lists = re.findall(r"\bsymbols:\s*\[(.*?)\]", open(sys.argv[1]).read(), re.S)
names = sorted({name.strip() for names in lists for name in names.split(",") if name.strip()})
print("--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-ios ]\ninstall-name: /usr/lib/libSystem.B.dylib")
print("exports:\n  - targets: [ arm64-ios ]\n    symbols: [ " + ",\n      ".join(names) + " ]\n...")
PYTHON
link() {
    "$(llvm_tool ld64.lld)" -arch arm64 -platform_version ios "$ios_oldest" "$ios_oldest" -dylib "$work/libSystem.tbd" "$@"
}
link -all_load "$library" -o "$work/whole.dylib" || die "it does not link"
echo "ios-lib: links as a whole; nothing undefined but the system's"

# What an app gets: what can be reached from the functions of the header.
sed 's/^/_/' "$work/declared" >"$work/exported"
link -dead_strip -exported_symbols_list "$work/exported" "$library" -o "$out/stripped.dylib"
"$(llvm_tool llvm-strip)" -x "$out/stripped.dylib"
echo "ios-lib: $(wc -c <"$out/stripped.dylib") bytes in an app"

# The functions that Apple wants a reason for ("required reason API"), by the category they are in.
"$(llvm_tool llvm-nm)" --undefined-only --format=just-symbols "$out/stripped.dylib" | sed 's/^_//' | sort -u >"$work/undefined"
manifest=ios/Sources/VirtualChannels/PrivacyInfo.xcprivacy
while read -r category functions; do
    used=$(tr ' ' '\n' <<<"$functions" | sort | comm -12 - "$work/undefined" | paste -sd ' ')
    if [ -n "$used" ]; then
        grep -q "<string>NSPrivacyAccessedAPICategory$category</string>" $manifest || die "$manifest names no reason for $category: $used"
        echo "ios-lib: the privacy manifest names a reason for $category: $used"
    elif grep -q "<string>NSPrivacyAccessedAPICategory$category</string>" $manifest; then
        die "$manifest names a reason for $category, which nothing needs"
    fi
done <<'FUNCTIONS'
FileTimestamp stat fstat fstatat lstat getattrlist getattrlistbulk fgetattrlist getattrlistat
DiskSpace statfs statvfs fstatfs fstatvfs getfsstat
SystemBootTime mach_absolute_time
FUNCTIONS
echo "ios-lib: ok"
