#!/bin/bash
# Coverage-guided fuzzing with libFuzzer, on stable Rust (docs/fuzzing.md).
#
#   scripts/fuzz.sh MINUTES [TARGET…]      each target for so long, one after the other; all of them when none is named
#
# What it finds beyond the corpus of the repository is kept in the cache, and is where the next run goes on. Inputs that
# break a promise are kept there, too, and named at the end, which then is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels
export PATH="$cache/cargo-fuzz/bin:$PATH"
# Everything here is built with libFuzzer's eyes, so it shares nothing with other builds.
built=${FUZZ_TARGET_DIR:-$cache/fuzz/target}
unset CARGO_TARGET_DIR CARGO_INCREMENTAL CARGO_PROFILE_DEV_DEBUG
# Stores are made and thrown away all the time: in memory where there is a place for it.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi

minutes=${1:?minutes}; shift
targets=("$@")
[ ${#targets[@]} != 0 ] || mapfile -t targets < <(cargo fuzz list)

cargo fuzz build --sanitizer none --target-dir "$built"
failed=()
for target in "${targets[@]}"; do
    own=$cache/fuzz/corpus/$target
    broken=$cache/fuzz/broken/$target
    log=$cache/fuzz/$target.log
    mkdir -p "$own" "$broken"
    began=$SECONDS
    # The length is bounded as in `make test`: larger inputs only repeat what smaller ones say.
    cargo fuzz run --sanitizer none --target-dir "$built" "$target" "$own" "fuzz/corpus/$target" -- \
        -max_total_time=$((minutes * 60)) -max_len=8192 -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$broken/" >"$log" 2>&1 || failed+=("$target")
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    seen=$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -1)
    of=$(sed -n 's/.*(\([0-9]*\) inline 8-bit counters).*/\1/p' "$log" | head -1)
    echo "fuzz: $target: $((SECONDS - began)) s, ${runs:-no} executions, ${seen:-no coverage} (of ${of:-?} edges)"
done
if [ ${#failed[@]} != 0 ]; then
    echo "fuzz: FAILED: ${failed[*]} (inputs in $cache/fuzz/broken, logs in $cache/fuzz)"
    exit 1
fi
echo "fuzz: ok"
