#!/bin/bash
# Runs the tests that need a phone, on the emulator or phone that adb sees, against a regtest on this machine.
#
#   scripts/android-emulator.sh scripts/android-test.sh
#
# Needs what scripts/aar.sh needs; the libraries must have been built (scripts/android-libs.sh). $REGTEST is the program
# regtest, $BITCOIND the bitcoind that it starts.
set -euo pipefail
cd "$(dirname "$0")/.."
REGTEST=${REGTEST:-${CARGO_TARGET_DIR:-$PWD/target}/debug/regtest}
export BITCOIND=${BITCOIND:-$(scripts/bitcoind.sh)}
[ -x "$REGTEST" ] || { echo "android-test: there is no $REGTEST; cargo build -p regtest builds it" >&2; exit 1; }

# It ends when its standard input does, which is with this script.
coproc regtest { exec "$REGTEST" --with-parent --unit second --session 3; }
read -r ready <&"${regtest[0]}"
address() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" <<<"$ready"; }
ports=()
for name in operator esplora; do
    port=$(address $name | sed 's/.*:\([0-9]*\).*/\1/')
    [ -n "$port" ] || { echo "android-test: regtest said no address of its $name: $ready" >&2; exit 1; }
    # So that 127.0.0.1 on the phone is this machine.
    adb reverse "tcp:$port" "tcp:$port"
    ports+=("-P$name=$(address $name)")
done
gradle --no-daemon -p android :library:connectedDebugAndroidTest "${ports[@]}"
