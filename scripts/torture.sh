#!/bin/bash
# Torture: SCHEDULES random schedules from SEED on (tests/torture), then KILLS kills of a wallet that pays and of one that
# receives (tests/kill). LANES schedules run at once, each on a chain of its own. MUTANT names a deliberate bug from
# tests/torture/mutants, which is put into a copy of the sources first: then finding it is what is wanted.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/prepare.sh rust bitcoind
export BITCOIND="${BITCOIND:-$(scripts/bitcoind.sh)}"
export SEED="${SEED:-1}" SCHEDULES="${SCHEDULES:-200}" KILLS="${KILLS:-0}" RUST_BACKTRACE=0

if [ -n "${MUTANT:-}" ]; then
    exec scripts/mutant.sh "$MUTANT"
fi
cargo test --locked --test torture schedules -- --nocapture
if [ "$KILLS" -gt 0 ]; then
    cargo test --locked --test kill a_killed -- --nocapture
fi
echo "torture: ok"
