#!/bin/bash
# The API reference, in target/docs: Rust (cargo doc), Kotlin (Dokka), and Swift's symbols where Swift is. Fails where a public item
# has no text, or a text names something that is not there.
#
#   scripts/docs.sh              builds the library first
#   scripts/docs.sh --built      takes the one that is there
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/target/docs
mkdir -p "$out"
die() { echo "docs: $*" >&2; exit 1; }

scripts/bindings.sh "$@"

echo "docs: Rust"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps -p virtual-channels
rm -rf "$out/rust"
cp -r "${CARGO_TARGET_DIR:-target}/doc" "$out/rust"

echo "docs: Kotlin"
log=$out/dokka.log
mvn -B -ntp -f android/docs/pom.xml dokka:dokka >"$log" 2>&1 || { tail -30 "$log" >&2; die "Dokka failed; its output is in $log"; }
# The last line of a run that looked at everything: a Dokka that says it otherwise is noticed.
summary=$(grep -o 'Generation completed with .*' "$log") || die "Dokka did not say how many warnings it has; see $log"
# What UniFFI makes for itself, and what Kotlin makes of an enum, no one can describe.
if sed -n 's/^\[WARNING\] //p' "$log" | sed 's/^Undocumented: \(.*\)(JVM)$/Undocumented: \1/' | grep -vE -f android/docs/uniffi.txt >"$out/kotlin-missing.txt"; then
    cat "$out/kotlin-missing.txt" >&2
    die "Kotlin: $(wc -l <"$out/kotlin-missing.txt") of the above are to be written"
fi
rm -rf "$out/kotlin" "$out/kotlin-missing.txt"
cp -r android/docs/target/kdoc "$out/kotlin"
echo "docs: Kotlin: $(find "$out/kotlin" -name '*.html' | wc -l) pages (Dokka: ${summary#Generation completed with })"

if scripts/swift.sh --find >/dev/null; then
    echo "docs: Swift"
    scripts/swift-docs.sh "$out/swift"
else
    echo "docs: Swift: not made, there is no Swift here"
fi
echo "docs: $out"
