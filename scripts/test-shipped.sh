#!/bin/bash
# The Kotlin tests over the library as it is shipped: the flags of scripts/shipped.sh, some of which are not stable, and
# SQLite without the parts that are left out (docs/adr/0008-size.md). `make test` runs the same tests over a build for tests.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export REGTEST=$CARGO_TARGET_DIR/debug/regtest
BITCOIND=$(scripts/bitcoind.sh)
export BITCOIND
log=$(mktemp)
trap 'rm -f "$log"' EXIT

library=$(scripts/linux-lib.sh "$(uname -m)")
echo "test-shipped: $library, $(wc -c <"$library") bytes with its symbols"
cargo build --locked --workspace
scripts/bindings.sh --built
mvn -B -ntp -f android/pom.xml -Dkotlin.compiler.daemon=false -Dlibrary.dir="$(dirname "$library")" clean test 2>&1 | tee "$log"
awk '/^\[[A-Z]*\] Tests run: [0-9]+, Failures: [0-9]+, Errors: [0-9]+, Skipped: [0-9]+$/ { ran += $4 }
     END { print "test-shipped: " ran + 0 " Kotlin tests"; exit !ran }' "$log"
echo "test-shipped: ok"
