#!/bin/bash
# Whether scripts/swiftpm-release.sh says of a zipped XCFramework what SwiftPM will look for. Needs Swift and python3.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "swiftpm-release-test: $*" >&2; exit 1; }
url=https://example.org/releases/1.0.0/VirtualChannelsFFI.xcframework.zip
release() { scripts/swiftpm-release.sh "$@"; }

framework=$work/VirtualChannelsFFI.xcframework
mkdir -p "$framework/ios-arm64"
echo '<plist/>' >"$framework/Info.plist"
head -c 100000 /dev/urandom >"$framework/ios-arm64/libvirtual_channels.a"
archive() { (cd "$work" && rm -f "$1" && python3 -m zipfile -c "$@"); }
archive good.zip VirtualChannelsFFI.xcframework
archive two.zip VirtualChannelsFFI.xcframework good.zip
rm "$framework/Info.plist"
archive bare.zip VirtualChannelsFFI.xcframework

mkdir "$work/package"
cp ios/Package.swift "$work/package/"
release "$work/good.zip" "$url" "$work/package/Package.swift" >/dev/null
[ "$(diff ios/Package.swift "$work/package/Package.swift" | grep -c '^>')" = 1 ] || die "more than one line of Package.swift has changed"
# What SwiftPM itself makes of the file and of the zip.
checksum=$(scripts/swift.sh --run swift package --package-path "$work/package" compute-checksum "$work/good.zip")
scripts/swift.sh --run swift package --package-path "$work/package" dump-package >"$work/package.json"
python3 - "$work/package.json" "$url" "$checksum" <<'PYTHON' || die "SwiftPM reads another target than was written"
import json
import sys

targets = {target["name"]: target for target in json.load(open(sys.argv[1]))["targets"]}
ffi = targets["VirtualChannelsFFI"]
sys.exit((ffi["type"], ffi.get("url"), ffi.get("checksum")) != ("binary", sys.argv[2], sys.argv[3]))
PYTHON

for wrong in "$work/two.zip" "$work/bare.zip" "$framework" "$work/none.zip"; do
    ! release "$wrong" "$url" >/dev/null 2>&1 || die "$wrong passes"
done
for wrong in http://example.org/a.zip https://example.org/a.tar 'https://example.org/"a.zip'; do
    ! release "$work/good.zip" "$wrong" >/dev/null 2>&1 || die "$wrong passes"
done
! release "$work/good.zip" "$url" "$work/package.json" >/dev/null 2>&1 || die "a file without the line passes"
echo "swiftpm-release-test: ok"
