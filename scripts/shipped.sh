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
for part in API_ARMOR COLUMN_METADATA DBSTAT_VTAB FTS3 FTS3_PARENTHESIS FTS5 MEMORY_MANAGEMENT RTREE STAT4; do
    LIBSQLITE3_FLAGS+=" -USQLITE_ENABLE_$part"
done
for part in AUTHORIZATION COMPILEOPTION_DIAGS COMPLETE DATETIME_FUNCS DECLTYPE DEPRECATED DESERIALIZE GET_TABLE INCRBLOB JSON \
    LOAD_EXTENSION PROGRESS_CALLBACK SHARED_CACHE TCL_VARIABLE TRACE UTF16; do
    LIBSQLITE3_FLAGS+=" -DSQLITE_OMIT_$part"
done
export LIBSQLITE3_FLAGS

# The names of the variables that cargo and the cc crate read for a target.
cargo_variable() { echo "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$1")_$2"; }
c_variable() { echo "$2_${1//-/_}"; }

# The folders of this machine that would stand in panic messages and line tables, and what stands there instead: whoever
# builds the same sources elsewhere gets the same library.
crates=${CARGO_HOME:-$HOME/.cargo}/registry/src
sources=$(rustc --print sysroot)/lib/rustlib/src/rust
renamed() { printf '%s\n' "$CARGO_TARGET_DIR=target" "$crates=crates" "$sources=rust" "$PWD=virtual-channels"; }

# linked_with TARGET LINKER
linked_with() {
    export "$(cargo_variable "$1" LINKER)=$PWD/scripts/linker.sh" SHIPPED_LINKER=$2
}

# rust_flags TARGET [FLAG…]: what Rust code is compiled and linked with. With frame pointers crash reports can be read
# without unwind tables, and those tables are smaller.
rust_flags() {
    local target=$1 one flags="-C force-frame-pointers=yes -Z panic-in-drop=abort -Z location-detail=none -Z fmt-debug=shallow"
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

# Rust's standard library is compiled with the rest, for size and without what prints a backtrace. For this and for the
# flags above that begin with -Z the stable compiler must be told that it may take what is not stable.
standard_library=(-Z build-std=std,panic_unwind -Z build-std-features=panic-unwind,optimize_for_size)

# shipped TARGET cdylib|staticlib: builds it and prints the folder it is in. The type is named since cargo leaves
# link-time optimisation out where a library for other Rust crates is made in the same call.
shipped() {
    # In a command substitution nothing else ends it.
    has_sources || return 1
    RUSTC_BOOTSTRAP=1 cargo rustc "${standard_library[@]}" --locked --lib --crate-type "$2" --profile release-mobile \
        --target "$1" >&2 || return 1
    echo "$CARGO_TARGET_DIR/$1/release-mobile"
}

# has_sources: whether those of the standard library are here, or can be had from rustup.
has_sources() {
    [ -f "$sources/library/Cargo.lock" ] ||
        { command -v rustup >/dev/null && rustup component add rust-src >&2; } ||
        { echo "$(basename "$0"): the sources of Rust's standard library are missing (rustup component add rust-src)" >&2; return 1; }
}

# has_target TARGET: whether Rust's standard library for it is here, or can be had from rustup.
has_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ] ||
        { command -v rustup >/dev/null && rustup target add "$1" >&2; } ||
        { echo "$(basename "$0"): Rust's standard library for $1 is missing (rustup target add $1)" >&2; return 1; }
}
