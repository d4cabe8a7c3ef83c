# What every library that is shipped is built with, whatever it is built for; sourced by the scripts that build one.
# Why each of these is there: docs/adr/0008-size.md.
export CARGO_INCREMENTAL=0
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
# The oldest systems the libraries run on.
android_api=24
ios_oldest=15.0
macos_oldest=12.0

# Parts of SQLite that the store has no use for.
LIBSQLITE3_FLAGS="-USQLITE_SOUNDEX -USQLITE_ENABLE_LOAD_EXTENSION"
for part in FTS3 FTS3_PARENTHESIS FTS5 RTREE DBSTAT_VTAB STAT4; do LIBSQLITE3_FLAGS+=" -USQLITE_ENABLE_$part"; done
for part in DEPRECATED JSON LOAD_EXTENSION SHARED_CACHE; do LIBSQLITE3_FLAGS+=" -DSQLITE_OMIT_$part"; done
export LIBSQLITE3_FLAGS

# The names of the variables that cargo and the cc crate read for a target.
cargo_variable() { echo "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$1")_$2"; }
c_variable() { echo "$2_${1//-/_}"; }

# The folders of this machine that would stand in panic messages and line tables, and what stands there instead: whoever
# builds the same sources elsewhere gets the same library.
crates=${CARGO_HOME:-$HOME/.cargo}/registry/src
renamed() { printf '%s\n' "$CARGO_TARGET_DIR=target" "$crates=crates" "$PWD=virtual-channels"; }

# rust_flags TARGET [FLAG…]: what Rust code is compiled and linked with. With frame pointers crash reports can be read
# without unwind tables, and those tables are smaller.
rust_flags() {
    local target=$1 one flags="-C force-frame-pointers=yes"
    shift
    # Cargo takes them apart at spaces.
    while read -r one; do [[ $one == *" "* ]] || flags+=" --remap-path-prefix=$one"; done < <(renamed)
    export "$(cargo_variable "$target" RUSTFLAGS)=$flags $*"
}

# c_flags TARGET [FLAG…]: what C code is compiled with. No panic unwinds through it: frame pointers instead of tables.
export CC_SHELL_ESCAPED_FLAGS=1
c_flags() {
    local target=$1 header one flags=
    header=$(printf %q "$PWD/scripts/shipped.h")
    while read -r one; do flags+=" -ffile-prefix-map=$(printf %q "$one")"; done < <(renamed)
    shift
    export "$(c_variable "$target" CFLAGS)=$*$flags -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-omit-frame-pointer -include $header"
}

# shipped TARGET cdylib|staticlib: builds it and prints the folder it is in. The type is named since cargo leaves
# link-time optimisation out where a library for other Rust crates is made in the same call.
shipped() {
    cargo rustc --locked --lib --crate-type "$2" --profile release-mobile --target "$1" >&2
    echo "$CARGO_TARGET_DIR/$1/release-mobile"
}

# has_target TARGET: whether Rust's standard library for it is here, or can be had from rustup.
has_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ] ||
        { command -v rustup >/dev/null && rustup target add "$1" >&2; } ||
        { echo "$(basename "$0"): Rust's standard library for $1 is missing (rustup target add $1)" >&2; return 1; }
}
