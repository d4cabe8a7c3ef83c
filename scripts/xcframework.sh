#!/bin/bash
# On macOS: builds the static libraries for iOS, its simulator and macOS, and makes of them the XCFramework that the Swift
# package takes, with the package's generated sources.
#
#   ios/VirtualChannelsFFI.xcframework          to try: VIRTUAL_CHANNELS_XCFRAMEWORK=VirtualChannelsFFI.xcframework swift test
#   target/VirtualChannelsFFI.xcframework.zip   to release: scripts/swiftpm-release.sh
#
# The libraries keep their line tables: the app's own dSYM then has them, and no second one must be shipped.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/shipped.sh
die() { echo "xcframework: $*" >&2; exit 1; }
[ "$(uname)" = Darwin ] || die "this needs macOS with Xcode; on Linux scripts/ios-lib.sh builds and checks the library for arm64 iOS"
for tool in xcodebuild lipo ditto swift cargo; do command -v $tool >/dev/null || die "$tool is missing (Xcode and Rust are needed)"; done
xcodebuild -version >/dev/null 2>&1 || die "Xcode is missing; its command line tools alone cannot make an XCFramework"
targets=(aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin)
for target in "${targets[@]}"; do has_target "$target"; done

export IPHONEOS_DEPLOYMENT_TARGET=$ios_oldest MACOSX_DEPLOYMENT_TARGET=$macos_oldest
work=$PWD/target/xcframework
rm -rf "$work"
mkdir -p "$work/simulator" "$work/macos" "$work/headers/VirtualChannelsFFI"
for target in "${targets[@]}"; do
    c_flags "$target"
    rust_flags "$target"
    shipped "$target" staticlib >/dev/null
done
built() { echo "$CARGO_TARGET_DIR/$1/release-mobile/libvirtual_channels.a"; }
lipo -create "$(built aarch64-apple-ios-sim)" "$(built x86_64-apple-ios)" -output "$work/simulator/libvirtual_channels.a"
lipo -create "$(built aarch64-apple-darwin)" "$(built x86_64-apple-darwin)" -output "$work/macos/libvirtual_channels.a"

# A folder of its own for the module: the headers of all frameworks of an app land in one folder, and every
# module.modulemap at its top would be the same file.
cargo build --locked -p bindings
"$CARGO_TARGET_DIR/debug/bindings" . "$(built aarch64-apple-ios)" "$work/generated"
scripts/swift-sources.sh "$work/generated/swift"
cp "$work"/generated/swift/include/{VirtualChannelsFFI.h,module.modulemap} "$work/headers/VirtualChannelsFFI/"

framework=ios/VirtualChannelsFFI.xcframework
rm -rf "$framework"
xcodebuild -create-xcframework \
    -library "$(built aarch64-apple-ios)" -headers "$work/headers" \
    -library "$work/simulator/libvirtual_channels.a" -headers "$work/headers" \
    -library "$work/macos/libvirtual_channels.a" -headers "$work/headers" \
    -output "$framework"
rm -f "target/$(basename "$framework").zip"
ditto -c -k --keepParent "$framework" "target/$(basename "$framework").zip"
echo "xcframework: target/$(basename "$framework").zip"
echo "xcframework: scripts/swiftpm-release.sh target/$(basename "$framework").zip URL FOLDER makes a release of the package"
