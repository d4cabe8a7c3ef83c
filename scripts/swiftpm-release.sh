#!/bin/bash
# A release of the Swift package. SwiftPM wants Package.swift at the root of a repository, so a release is a folder of its own, to be
# pushed and tagged as a repository.
#
#   scripts/swiftpm-release.sh ZIP URL           prints what the release says of its XCFramework: where it is, and its checksum
#   scripts/swiftpm-release.sh ZIP URL FOLDER    makes the folder: Package.swift with that line, the sources of the library (the
#                                                generated ones, too) and of its view models, the privacy manifest, the licence
#
# ZIP is what scripts/xcframework.sh made, which leaves the generated sources of the same build in ios/; URL is where it will be found.
# The checksum is that of `swift package compute-checksum`: the file's SHA-256.
set -euo pipefail
die() { echo "swiftpm-release: $*" >&2; exit 1; }
[ $# = 2 ] || [ $# = 3 ] || die "usage: scripts/swiftpm-release.sh ZIP URL [FOLDER]"
zip=$1 url=$2 folder=${3:-}
[[ $url =~ ^https://[^\"\\[:space:]]+\.zip$ ]] || die "$url is no https address of a .zip"
command -v unzip >/dev/null || die "unzip is missing"
# One framework at the top, as SwiftPM wants it.
tops=$(unzip -Z1 "$zip" 2>/dev/null | cut -d/ -f1 | sort -u) || die "$zip is no zip"
[ "$tops" = VirtualChannelsFFI.xcframework ] || die "$zip has at its top: ${tops//$'\n'/, }; not VirtualChannelsFFI.xcframework alone"
unzip -Z1 "$zip" VirtualChannelsFFI.xcframework/Info.plist >/dev/null 2>&1 || die "$zip has no VirtualChannelsFFI.xcframework/Info.plist"
if command -v sha256sum >/dev/null; then sum=$(sha256sum "$zip"); else sum=$(shasum -a 256 "$zip"); fi
line="let release: (url: String, checksum: String)? = (\"$url\", \"${sum%% *}\")"
if [ -z "$folder" ]; then
    echo "$line"
    exit 0
fi

[ ! -e "$folder" ] || die "$folder is there already"
root=$(cd "$(dirname "$0")/.." && pwd)
generated=$root/ios/Sources/VirtualChannels/Generated/VirtualChannels.swift
[ -f "$generated" ] || die "there is no $generated: scripts/xcframework.sh makes it, with the library"
[ "$(grep -c '^let release:' "$root/ios/Package.swift")" = 1 ] || die "ios/Package.swift has no line that begins with: let release:"
# Beside it, and named in the end: there is no half of a release.
new=$(mktemp -d "$(dirname "$folder")/swiftpm-release.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"
mkdir "$new/Sources"
LINE=$line awk '/^let release:/ { print ENVIRON["LINE"]; next } { print }' "$root/ios/Package.swift" >"$new/Package.swift"
cp -R "$root/ios/Sources/VirtualChannels" "$root/ios/Sources/ViewModel" "$new/Sources/"
cp "$root/LICENSE" "$new/"
cat >"$new/README.md" <<TEXT
# VirtualChannels

Payment channels inside Ark VTXOs: the Swift package of a release, made by \`scripts/swiftpm-release.sh\` of the library's own repository,
which has the guide, the tests and a sample app. Nothing is to be changed here.
TEXT
mv "$new" "$folder"
trap - EXIT
echo "swiftpm-release: $folder: $url, ${sum%% *}"
