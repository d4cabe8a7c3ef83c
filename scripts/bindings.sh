#!/bin/bash
# Builds the library and makes the Kotlin and Swift sources from it, in bindings/generated.
# With --built it takes the library that is there.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

[ "${1:-}" = --built ] || cargo build -p virtual-channels -p bindings
case $(uname) in Darwin) library=libvirtual_channels.dylib ;; *) library=libvirtual_channels.so ;; esac
"$target/debug/bindings" . "$target/debug/$library" bindings/generated
