# Finds one LLVM whose parts belong together; sourced. Sets llvm (its version) and defines llvm_tool NAME, which prints
# the tool's path.
llvm=
for found in 21 20 19 18 17 16; do
    if command -v "clang-$found" >/dev/null && [ -x "/usr/lib/llvm-$found/bin/ld64.lld" ] &&
        [ -x "/usr/lib/llvm-$found/bin/llvm-nm" ]; then
        llvm=$found
        break
    fi
done
llvm_tool() { echo "/usr/lib/llvm-$llvm/bin/$1"; }
[ -n "$llvm" ] || { echo "$(basename "$0"): clang with lld and the LLVM tools is missing (Debian: clang-19 lld-19 llvm-19)" >&2; exit 1; }
