#!/bin/bash
# mutant.sh NAME: puts a deliberate bug (tests/torture/mutants/NAME.patch) into a copy of the sources and tortures that copy.
# Ends well only when the bug is found. The first line of the patch says what it breaks and which run finds it.
set -euo pipefail
cd "$(dirname "$0")/.."
patch=$PWD/tests/torture/mutants/$1.patch
[ -f "$patch" ] || { echo "mutant: no $1 among: $(cd tests/torture/mutants && ls | sed 's/.patch$//' | tr '\n' ' ')" >&2; exit 1; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels
copy=$cache/mutant
rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xf - -C "$copy"
(cd "$copy" && patch -p1 --quiet <"$patch")
head -1 "$patch"
export CARGO_TARGET_DIR=$cache/target-mutants
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cd "$copy"
run=${MUTANT_RUN:-$(sed -n 's/^# found by: //p' "$patch")}
if eval "$run" >"$log" 2>&1; then
    tail -3 "$log"
    echo "mutant $1: NOT FOUND by: $run"
    exit 1
fi
grep -E "^SEED=|violations: [1-9]|was forgotten|panicked" "$log" | cut -c1-300 | head -5
grep -qE "violations: [1-9]|was forgotten|is stored" "$log" || { tail -20 "$log"; echo "mutant $1: the run failed for another reason"; exit 1; }
echo "mutant $1: found"
