#!/bin/bash
# Puts the generated Swift source and the C module into the Swift package (git ignores them there).
#
#   scripts/swift-sources.sh [FOLDER]    FOLDER is what scripts/bindings.sh wrote: bindings/generated/swift
set -euo pipefail
cd "$(dirname "$0")/.."
from=${1:-bindings/generated/swift}
[ -f "$from/VirtualChannels.swift" ] || { echo "swift-sources: $from has no VirtualChannels.swift; make bindings" >&2; exit 1; }

# A file that is the same stays untouched, so that nothing is built again for it.
place() { mkdir -p "$(dirname "$2")"; cmp -s "$1" "$2" || cp "$1" "$2"; }

place "$from/VirtualChannels.swift" ios/Sources/VirtualChannels/Generated/VirtualChannels.swift
for file in VirtualChannelsFFI.h module.modulemap; do
    place "$from/include/$file" "ios/Sources/VirtualChannelsFFI/$file"
done
