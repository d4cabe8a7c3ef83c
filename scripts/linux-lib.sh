#!/bin/bash
# Builds the shared library as it is shipped, for x86_64 or arm64 Linux, and prints its path. Its symbols are still in it.
#
#   scripts/linux-lib.sh x86_64|aarch64
#   scripts/linux-lib.sh x86_64|aarch64 --crates     prints instead what each crate has of its code
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/shipped.sh
target=$1-unknown-linux-gnu
host=$(rustc -vV | sed -n 's/^host: //p')
die() { echo "linux-lib: $*" >&2; exit 1; }
has_target "$target"
cc=cc
if [ "$target" != "$host" ]; then
    cc=$1-linux-gnu-gcc
    command -v "$cc" >/dev/null || die "$cc is missing (Debian: gcc-${1/_/-}-linux-gnu libc6-dev-${1/aarch64/arm64}-cross)"
    export "$(c_variable "$target" CC)=$cc"
fi
linked_with "$target" "$cc"
c_flags "$target"
# The linker that comes with Rust, for both, and addresses packed as on Android (there in its own older format).
lld=$(rustc --print sysroot)/lib/rustlib/$host/bin/gcc-ld
rust_flags "$target" -C "link-arg=-B$lld" -C link-arg=-fuse-ld=lld -C link-arg=-Wl,-z,pack-relative-relocs

if [ "${2:-}" = --crates ]; then
    bloat=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels/cargo-bloat/bin/cargo-bloat
    [ -x "$bloat" ] || die "cargo-bloat is missing (scripts/prepare.sh bloat builds it)"
    # It calls `cargo build`, which would make all types of the library at once, without link-time optimisation.
    front=$(mktemp -d)
    trap 'rm -rf "$front"' EXIT
    cat >"$front/cargo" <<FRONT
#!/bin/bash
[ "\$1" = build ] || exec "$(command -v cargo)" "\$@"
shift
exec "$(command -v cargo)" rustc ${standard_library[*]} --crate-type cdylib "\$@"
FRONT
    chmod +x "$front/cargo"
    has_sources
    RUSTC_BOOTSTRAP=1 PATH=$front:$PATH "$bloat" bloat --lib --profile release-mobile --target "$target" --crates -n 25 2>/dev/null
else
    folder=$(shipped "$target" cdylib)
    echo "$folder/libvirtual_channels.so"
fi
