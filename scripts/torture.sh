#!/bin/bash
# Torture: SCHEDULES random schedules from SEED on (tests/torture), then KILLS kills of a wallet that pays and of one that
# receives (tests/kill). LANES schedules run at once, each on a chain of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/prepare.sh rust bitcoind
export BITCOIND="${BITCOIND:-$(scripts/bitcoind.sh)}"
export SEED="${SEED:-1}" SCHEDULES="${SCHEDULES:-200}" KILLS="${KILLS:-0}" RUST_BACKTRACE=0

cargo test --locked --test torture schedules -- --nocapture
if [ "$KILLS" -gt 0 ]; then
    cargo test --locked --test kill a_killed -- --nocapture
fi
echo "torture: ok"
