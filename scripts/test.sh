#!/bin/bash
# Everything that must hold before a change lands; stops at the first thing that does not.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export REGTEST=$CARGO_TARGET_DIR/debug/regtest

now=
trap '[ $? = 0 ] || echo "test: FAILED at: ${now:-start}"' EXIT
# step NAME COMMAND…
step() {
    now=$1; shift
    echo
    echo "test: $now"
    local began=$SECONDS
    "$@"
    echo "test: $now: ok, $((SECONDS - began)) s"
}

kotlin() {
    scripts/bindings.sh --built
    mvn -B -ntp -f android/pom.xml -Dkotlin.compiler.daemon=false -Dlibrary.dir="$CARGO_TARGET_DIR/debug" clean test
}

swift() {
    scripts/bindings.sh --built
    scripts/swift-test.sh
}

# What judges the library must not be made of it: they share the .proto file only.
apart() {
    if cargo tree -p regtest -e normal,build --prefix none | grep '^virtual-channels '; then
        echo "the test operator depends on the library"
        return 1
    fi
}

step "what is needed" scripts/prepare.sh rust lint deny bitcoind kotlin swift strace
BITCOIND=$(scripts/bitcoind.sh)
export BITCOIND
step "formatting" cargo fmt --all --check
step "bans, licences, sources, advisories" scripts/deny.sh
step "lints" cargo clippy --workspace --all-targets -- -D warnings
step "the test operator stands alone" apart
# Tests start these as child processes.
step "build" cargo build --workspace --all-targets
# The stories mostly wait for sessions of the operator: more of them than cores run side by side.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-6}
step "Rust tests" cargo test --workspace --no-fail-fast
step "Kotlin test" kotlin
step "Swift tests" swift
echo
echo "test: ok, $SECONDS s"
