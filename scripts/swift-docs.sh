#!/bin/bash
# The Swift library's public symbols, and a check that each has a text.
#
#   scripts/swift-docs.sh [FOLDER]    writes VirtualChannels.symbols.json there; target/swift-docs unless given
#
# The symbols come from the compiler. Needs what scripts/swift-package.sh needs, and python3. Where docc is (Xcode, or beside swift),
# `docc convert` makes pages of FOLDER and ios/Sources/VirtualChannels/VirtualChannels.docc.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-$PWD/target/swift-docs}
mkdir -p "$out"
out=$(cd "$out" && pwd)

# A scratch folder of its own: what is built already would not say its symbols again.
scripts/swift-package.sh build --target VirtualChannels --scratch-path "$out/build" \
    -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir -Xswiftc "$out/symbols"
cp "$out/symbols/VirtualChannels.symbols.json" "$out/"

python3 - "$out/VirtualChannels.symbols.json" <<'PYTHON'
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
print(f"swift-docs: {checked} public symbols, {len(without)} without a text")
for line in sorted(without):
    print(f"  {line}")
sys.exit(1 if without or checked < 200 else 0)
PYTHON
