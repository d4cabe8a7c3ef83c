#!/bin/bash
# Deliberate bugs (tests/torture/mutants): each is put into a copy of the sources, and the schedule of its seed must end in the
# violation that its patch names. NAME…: only these. SEED and SCHEDULES: other schedules than its own, to look for a seed.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/prepare.sh rust bitcoind
BITCOIND=${BITCOIND:-$(scripts/bitcoind.sh)}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels
copy=$cache/mutants
mkdir -p "$copy"
# Not where the sound library is built: nothing else may ever link these.
export BITCOIND RUST_BACKTRACE=0 CARGO_TARGET_DIR=${MUTANTS_TARGET_DIR:-$cache/target-mutants}

header() { sed -n "s/^# $2: //p" "$1"; }

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd tests/torture/mutants && ls -- *.patch | sed 's/\.patch$//')
for name in "${names[@]}"; do
    patch=$PWD/tests/torture/mutants/$name.patch
    rm -rf "$copy/tree"
    mkdir "$copy/tree"
    git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xf - -C "$copy/tree"
    patch -d "$copy/tree" -p1 --quiet <"$patch"
    # What the mutant before this one changed has its old time again.
    touch "$copy/tree/src/lib.rs"
    seed=${SEED:-$(header "$patch" seed)} schedules=${SCHEDULES:-1}
    log=$copy/log
    (cd "$copy/tree" && cargo test --locked --quiet --test torture --no-run)
    # What a killed process has reached differs by moments: the seed gets three tries.
    for try in 1 2 3; do
        (cd "$copy/tree" && SEED=$seed SCHEDULES=$schedules cargo test --locked --quiet --test torture schedules -- --nocapture) >"$log" 2>&1 || break
        [ "$try" -lt 3 ] || {
            echo "mutants: $name: NOT FOUND by SEED=$seed SCHEDULES=$schedules: $(header "$patch" bug)" >&2
            exit 1
        }
    done
    found=$(grep "^SEED=.*$(header "$patch" "found as")" "$log" | head -1) || {
        tail -20 "$log" >&2
        echo "mutants: $name: the run failed for another reason" >&2
        exit 1
    }
    echo "mutants: $name: $(header "$patch" bug): found: $(cut -c1-200 <<<"$found")"
done
echo "mutants: ${#names[@]} of ${#names[@]} found"
