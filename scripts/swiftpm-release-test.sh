#!/bin/bash
# Whether scripts/swiftpm-release.sh makes a package of which SwiftPM reads what it is to read: at the root of a repository, complete,
# and with the checksum of the zipped XCFramework. Needs Swift, python3, and the generated sources (scripts/bindings.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "swiftpm-release-test: $*" >&2; exit 1; }
url=https://example.org/releases/1.0.0/VirtualChannelsFFI.xcframework.zip
release() { scripts/swiftpm-release.sh "$@"; }
scripts/swift-sources.sh ${BINDINGS_DIR:+"$BINDINGS_DIR"}

framework=$work/VirtualChannelsFFI.xcframework
mkdir -p "$framework/ios-arm64"
echo '<plist/>' >"$framework/Info.plist"
head -c 100000 /dev/urandom >"$framework/ios-arm64/libvirtual_channels.a"
archive() { (cd "$work" && rm -f "$1" && python3 -m zipfile -c "$@"); }
archive good.zip VirtualChannelsFFI.xcframework
archive two.zip VirtualChannelsFFI.xcframework good.zip
rm "$framework/Info.plist"
archive bare.zip VirtualChannelsFFI.xcframework

package=$work/package
release "$work/good.zip" "$url" "$package" >/dev/null
[ "$(diff ios/Package.swift "$package/Package.swift" | grep -c '^>')" = 1 ] || die "more than one line of Package.swift has changed"
for file in LICENSE Sources/VirtualChannels/{PrivacyInfo.xcprivacy,Generated/VirtualChannels.swift} Sources/ViewModel/WalletModel.swift; do
    [ -s "$package/$file" ] || die "the package has no $file"
done
swift_package() { scripts/swift.sh --run swift package --package-path "$package" "$@"; }
# What SwiftPM itself makes of the file and of the zip.
checksum=$(swift_package compute-checksum "$work/good.zip")
swift_package dump-package >"$work/package.json"
python3 - "$work/package.json" "$url" "$checksum" <<'PYTHON' || die "SwiftPM reads another package than was written"
import json
import sys

package = json.load(open(sys.argv[1]))
targets = {target["name"]: target for target in package["targets"]}
assert set(targets) == {"VirtualChannelsFFI", "VirtualChannels", "VirtualChannelsModel"}, sorted(targets)
ffi = targets["VirtualChannelsFFI"]
assert (ffi["type"], ffi.get("url"), ffi.get("checksum")) == ("binary", sys.argv[2], sys.argv[3]), ffi
assert {name for product in package["products"] for name in product["targets"]} == {"VirtualChannels", "VirtualChannelsModel"}
PYTHON

# An app that uses it. The XCFramework is on no server: the C module stands in for it.
mkdir "$package/Sources/VirtualChannelsFFI"
cp ios/Sources/VirtualChannelsFFI/{VirtualChannelsFFI.h,module.modulemap} "$package/Sources/VirtualChannelsFFI/"
python3 - "$package/Package.swift" <<'PYTHON'
import re
import sys

text = open(sys.argv[1]).read()
text, count = re.subn(r"\.binaryTarget\(name: (\"\w+\"), url: [^\n]*\)", r'.systemLibrary(name: \1, path: "Sources/VirtualChannelsFFI")', text)
assert count == 1
open(sys.argv[1], "w").write(text)
PYTHON
mkdir -p "$work/app/Sources/App"
cat >"$work/app/Package.swift" <<SWIFT
// swift-tools-version: 6.0
import PackageDescription
let package = Package(
    name: "App", platforms: [.iOS(.v15), .macOS(.v12)],
    dependencies: [.package(path: "$package")],
    targets: [.target(name: "App", dependencies: [.product(name: "VirtualChannelsModel", package: "package")])])
SWIFT
cat >"$work/app/Sources/App/App.swift" <<'SWIFT'
import VirtualChannels
import VirtualChannelsModel
@MainActor func model(_ config: WalletConfig, _ words: any MnemonicSource) -> WalletModel { WalletModel(config: config, mnemonics: words) }
SWIFT
scripts/swift.sh --run swift build --package-path "$work/app" --target App >"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; die "an app that uses the package does not build"; }

for wrong in "$work/two.zip" "$work/bare.zip" "$framework" "$work/none.zip"; do
    ! release "$wrong" "$url" >/dev/null 2>&1 || die "$wrong passes"
done
for wrong in http://example.org/a.zip https://example.org/a.tar 'https://example.org/"a.zip'; do
    ! release "$work/good.zip" "$wrong" >/dev/null 2>&1 || die "$wrong passes"
done
! release "$work/good.zip" "$url" "$package" >/dev/null 2>&1 || die "a folder that is there is written over"
echo "swiftpm-release-test: ok"
