#!/bin/bash
# The life cycle of two wallets in a terminal, in Kotlin, through the view models of the sample app. Settings: as in `make demo`,
# and NETWORK=…
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
debug=$target/debug

needs=(rust kotlin)
[ -n "${OPERATOR+set}" ] || needs+=(bitcoind)
scripts/prepare.sh "${needs[@]}"
if [ -z "${OPERATOR+set}" ]; then
    BITCOIND=$(scripts/bitcoind.sh)
    export BITCOIND REGTEST=$debug/regtest
fi
cargo build -p virtual-channels -p bindings -p regtest
scripts/bindings.sh --built
echo "kotlin-demo: compiling the Kotlin side …"
mvn -B -ntp -q -f android/pom.xml -Dkotlin.compiler.daemon=false -pl demo -am process-classes

cd android/demo
exec java -Djna.library.path="$debug" -cp "target/classes:$(cat target/classpath)" org.virtualchannels.demo.MainKt
