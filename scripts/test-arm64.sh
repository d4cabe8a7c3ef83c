#!/bin/bash
# The protocol, the store and the payment path as arm64 Linux programs under qemu: the processor of nearly all phones.
#
# Not among them: tests/store_processes.rs, tests/kill, tests/security and the story of a full disk, whose programs start
# themselves again. The kernel starts no arm64 program by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/shipped.sh
target=aarch64-unknown-linux-gnu
linker=aarch64-linux-gnu-gcc
die() { echo "test-arm64: $*" >&2; exit 1; }
command -v $linker >/dev/null || die "$linker is missing (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross)"
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || die "qemu-aarch64 is missing (Debian: qemu-user)"
has_target $target
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$linker
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$qemu -L /usr/aarch64-linux-gnu"
export CC_aarch64_unknown_linux_gnu=$linker
c_flags $target
# Emulated code is slow, and every line that is compiled runs often.
export CARGO_PROFILE_DEV_OPT_LEVEL=${CARGO_PROFILE_DEV_OPT_LEVEL:-1}
export CARGO_PROFILE_DEV_DEBUG=${CARGO_PROFILE_DEV_DEBUG:-line-tables-only}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() { cargo test --locked --target $target "$@" 2>&1 | tee -a "$log"; }

run --no-fail-fast --lib --test 'channel_*' --test store_files
# The stories that need neither a chain nor an operator.
run --no-fail-fast --test stories -- paying receiving --skip paying_files::a_full_disk

awk '/^test result:/ { passed += $4; failed += $6 }
     END { print "test-arm64: " passed + 0 " passed, " failed + 0 " failed"; exit !passed }' "$log"
echo "test-arm64: ok"
