#!/bin/bash
# The public symbols of the Swift library and of its view models, and a check that each has a text.
#
#   scripts/swift-docs.sh [FOLDER]    writes MODULE.symbols.json for both there; target/swift-docs unless given
#
# The symbols come from the compiler. Needs what scripts/swift-package.sh needs, and python3. Where docc is (it comes with Swift) it makes
# MODULE.doccarchive of them and of the library's articles, and a link that leads nowhere is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-$PWD/target/swift-docs}
mkdir -p "$out"
out=$(cd "$out" && pwd)
command -v python3 >/dev/null || { echo "swift-docs: python3 is missing" >&2; exit 1; }

# A scratch folder of its own: what is built already would not say its symbols again.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
scripts/swift-package.sh build --target VirtualChannelsModel --scratch-path "$scratch/build" \
    -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir -Xswiftc "$scratch/symbols" >"$scratch/log" 2>&1 ||
    { tail -20 "$scratch/log" >&2; exit 1; }

# The module, and how many symbols it has at least: fewer, and it was not the whole that was looked at.
check() {
    cp "$scratch/symbols/$1.symbols.json" "$out/"
    python3 - "$out/$1.symbols.json" "$1" "$2" <<'PYTHON'
import json
import sys

# Made by UniFFI for itself, or written by the compiler: nobody calls them by hand.
INTERNAL = ("FfiConverter", "uniffi")
symbols = json.load(open(sys.argv[1]))["symbols"]
checked, without = 0, []
for symbol in symbols:
    path = ".".join(symbol["pathComponents"])
    generated = "/Generated/" in symbol.get("location", {}).get("uri", "")
    if symbol["accessLevel"] not in ("public", "open") or "location" not in symbol:
        continue
    if any(part in path for part in INTERNAL):
        continue
    # A record's initialiser takes its fields, and they have texts.
    if generated and symbol["kind"]["identifier"] == "swift.init":
        continue
    checked += 1
    if not symbol.get("docComment", {}).get("lines"):
        without.append(f"{symbol['kind']['identifier']} {path}")
print(f"swift-docs: {sys.argv[2]}: {checked} public symbols, {len(without)} without a text")
for line in sorted(without):
    print(f"  {line}")
sys.exit(1 if without or checked < int(sys.argv[3]) else 0)
PYTHON
}
check VirtualChannels 200
check VirtualChannelsModel 60

docc=$(scripts/swift.sh --run bash -c 'PATH=$PATH:/usr/libexec/swift/bin; command -v docc || xcrun --find docc' 2>/dev/null) || docc=
if [ -z "$docc" ]; then
    echo "swift-docs: no docc here: the articles and the links are not looked at"
    exit 0
fi
# The module, and the folder of its articles where it has one.
archive() {
    mkdir "$scratch/graph-$1"
    cp "$out/$1.symbols.json" "$scratch/graph-$1/"
    rm -rf "$out/$1.doccarchive"
    scripts/swift.sh --run "$docc" convert ${2:+"$2"} --additional-symbol-graph-dir "$scratch/graph-$1" \
        --fallback-display-name "$1" --fallback-bundle-identifier "org.virtualchannels.$1" --warnings-as-errors \
        --output-path "$out/$1.doccarchive"
    echo "swift-docs: $out/$1.doccarchive"
}
archive VirtualChannels ios/Sources/VirtualChannels/VirtualChannels.docc
archive VirtualChannelsModel
