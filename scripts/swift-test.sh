#!/bin/bash
# Runs the Swift tests against the built library and the program `regtest` (REGTEST), and ends with a line that says how many ran:
#
#   swift-test: 42 tests
#
# Arguments go to `swift test`: --filter LifeCycleTests, for example.
set -euo pipefail
cd "$(dirname "$0")/.."
BITCOIND=${BITCOIND:-$(scripts/bitcoind.sh)}
export REGTEST=${REGTEST:-${CARGO_TARGET_DIR:-$PWD/target}/debug/regtest} BITCOIND
[ -x "$REGTEST" ] || { echo "swift-test: there is no $REGTEST; cargo build -p regtest builds it" >&2; exit 1; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
scripts/swift-package.sh test --disable-swift-testing "$@" 2>&1 | tee "$log"
# The last such line is the whole run's.
ran=$(sed -n 's/.*Executed \([0-9]*\) tests\{0,1\}, with 0 failures.*/\1/p' "$log" | tail -1)
[ "${ran:-0}" -gt 0 ] || { echo "swift-test: no test ran" >&2; exit 1; }
echo "swift-test: $ran tests"
