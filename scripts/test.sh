#!/bin/bash
# Everything that must hold before a change lands; stops at the first thing that does not.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export REGTEST=$CARGO_TARGET_DIR/debug/regtest

now=
logs=
trap '[ $? = 0 ] || echo "test: FAILED at: ${now:-start}"; rm -rf "$logs"' EXIT
# step NAME COMMAND…
step() {
    now=$1; shift
    echo
    echo "test: $now"
    local began=$SECONDS
    "$@"
    echo "test: $now: ok, $((SECONDS - began)) s"
}

# Each language's tests, with what they print in a log beside, from which the tests that ran are counted.
logs=$(mktemp -d)
rust() { cargo test --workspace --no-fail-fast 2>&1 | tee "$logs/rust"; }
kotlin() { mvn -B -ntp -f android/pom.xml -Dkotlin.compiler.daemon=false -Dlibrary.dir="$CARGO_TARGET_DIR/debug" clean test 2>&1 | tee "$logs/kotlin"; }
swift() { scripts/swift-test.sh 2>&1 | tee "$logs/swift"; }

# count LANGUAGE EXPRESSION: the sum of the numbers that sed's expression finds in the log; no tests are a failure.
count() {
    local sum
    sum=$(sed -n "$2" "$logs/$1" | awk '{ sum += $1 } END { print sum + 0 }')
    [ "$sum" -gt 0 ] || { echo "no $1 test ran" >&2; return 1; }
    echo "$sum"
}

# What judges the library must not be made of it: they share the .proto file only.
apart() {
    if cargo tree -p regtest -e normal,build --prefix none | grep '^virtual-channels '; then
        echo "the test operator depends on the library"
        return 1
    fi
}

# They are put into a copy of the sources by `make mutants` only, and must not be forgotten until then.
mutants() { for patch in tests/torture/mutants/*.patch; do git apply --check "$patch" || return 1; done; }

step "what is needed" scripts/prepare.sh rust lint deny bitcoind kotlin swift strace
BITCOIND=$(scripts/bitcoind.sh)
export BITCOIND
step "formatting" cargo fmt --all --check
step "bans, licences, sources, advisories" scripts/deny.sh
step "lints" cargo clippy --workspace --all-targets -- -D warnings
step "the test operator stands alone" apart
step "the deliberate bugs of make mutants still apply" mutants
step "the check of page sizes" scripts/page-size-test.sh
step "page sizes of JNA" scripts/page-size-jna.sh
# Tests start these as child processes.
step "build" cargo build --workspace --all-targets
# The stories mostly wait for sessions of the operator: more of them than cores run side by side.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-6}
step "Rust tests" rust
step "Kotlin and Swift sources" scripts/bindings.sh --built
step "a release of the Swift package" scripts/swiftpm-release-test.sh
step "Kotlin tests" kotlin
step "Swift tests" swift

now="counting the tests"
rust=$(count rust 's/^test result: ok\. \([0-9]*\) passed.*/\1/p')
# Of each module its last line: the sum.
kotlin=$(count kotlin 's/^\[[A-Z]*\] Tests run: \([0-9]*\), Failures: [0-9]*, Errors: [0-9]*, Skipped: [0-9]*$/\1/p')
swift=$(count swift 's/^swift-test: \([0-9]*\) tests$/\1/p')
echo
echo "test: $rust Rust tests, $kotlin Kotlin tests, $swift Swift tests"
echo "test: ok, $SECONDS s"
