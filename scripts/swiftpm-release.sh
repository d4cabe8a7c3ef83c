#!/bin/bash
# What a release of the Swift package says of its XCFramework: where it is, and its checksum, for the line `let release` of
# ios/Package.swift.
#
#   scripts/swiftpm-release.sh ZIP URL                  prints the line
#   scripts/swiftpm-release.sh ZIP URL PACKAGE.SWIFT    writes it into that file
#
# ZIP is what scripts/xcframework.sh made, URL where it will be found. The checksum is that of `swift package compute-checksum`:
# the file's SHA-256.
set -euo pipefail
die() { echo "swiftpm-release: $*" >&2; exit 1; }
[ $# = 2 ] || [ $# = 3 ] || die "usage: scripts/swiftpm-release.sh ZIP URL [PACKAGE.SWIFT]"
zip=$1 url=$2 package=${3:-}
[[ $url =~ ^https://[^\"\\[:space:]]+\.zip$ ]] || die "$url is no https address of a .zip"
command -v unzip >/dev/null || die "unzip is missing"
# One framework at the top, as SwiftPM wants it.
tops=$(unzip -Z1 "$zip" 2>/dev/null | cut -d/ -f1 | sort -u) || die "$zip is no zip"
[ "$tops" = VirtualChannelsFFI.xcframework ] || die "$zip has at its top: ${tops//$'\n'/, }; not VirtualChannelsFFI.xcframework alone"
unzip -Z1 "$zip" VirtualChannelsFFI.xcframework/Info.plist >/dev/null 2>&1 || die "$zip has no VirtualChannelsFFI.xcframework/Info.plist"
if command -v sha256sum >/dev/null; then sum=$(sha256sum "$zip"); else sum=$(shasum -a 256 "$zip"); fi
line="let release: (url: String, checksum: String)? = (\"$url\", \"${sum%% *}\")"
if [ -z "$package" ]; then
    echo "$line"
    exit 0
fi
[ "$(grep -c '^let release:' "$package")" = 1 ] || die "$package has no line that begins with: let release:"
new=$(mktemp)
trap 'rm -f "$new"' EXIT
LINE=$line awk '/^let release:/ { print ENVIRON["LINE"]; next } { print }' "$package" >"$new"
cat "$new" >"$package"
echo "swiftpm-release: $package: $url, ${sum%% *}"
