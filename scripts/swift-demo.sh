#!/bin/bash
# Builds and runs the Swift demo: two wallets in a terminal, against the program `regtest` (REGTEST, with BITCOIND), or with
# OPERATOR and ESPLORA (and FAUCET) against any arkd.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${OPERATOR+set}" ]; then
    BITCOIND=${BITCOIND:-$(scripts/bitcoind.sh)}
    export REGTEST=${REGTEST:-${CARGO_TARGET_DIR:-$PWD/target}/debug/regtest} BITCOIND
    [ -x "$REGTEST" ] || { echo "swift-demo: there is no $REGTEST; cargo build -p regtest builds it" >&2; exit 1; }
fi
scripts/swift-package.sh build --product swift-demo >&2
program=$(scripts/swift-package.sh build --show-bin-path 2>/dev/null | tail -1)/swift-demo
exec scripts/swift.sh --run "$program"
