#!/bin/bash
# Prints a folder with C headers of systems that are not this machine's: to compile with, never shipped. They come with
# the PyPI package of the Zig compiler, fetched once.
#
#   include/any-darwin-any, include/generic-musl, … and darwin/libSystem.tbd (the names in Apple's system library)
set -euo pipefail
version=0.17.1
wheel_sha256=ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54
home=${XDG_CACHE_HOME:-$HOME/.cache}/virtual-channels/headers-$version
die() { echo "headers: $*" >&2; exit 1; }

if [ ! -d "$home" ]; then
    python3 -m pip --version >/dev/null 2>&1 || die "python3 with pip is missing"
    mkdir -p "$(dirname "$home")"
    work=$(mktemp -d "$home.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "headers: fetching them, once (100 MB, of which 15 are kept)" >&2
    # One wheel for every machine: only its headers are wanted.
    python3 -m pip download -q --no-deps --only-binary=:all: --platform manylinux_2_12_x86_64 --dest "$work" \
        "ziglang==$version" >&2 || die "pip could not fetch ziglang $version"
    echo "$wheel_sha256  $(ls "$work"/*.whl)" | sha256sum --check --quiet >&2 || die "ziglang $version is not the file it was"
    python3 - "$work" <<'PYTHON'
import glob, re, sys, zipfile
wanted = re.compile("ziglang/lib/libc/(darwin|include/(any-(darwin|linux)-any|generic-musl|(aarch64|arm|x86|x86_64)-linux-(any|musl)))/")
with zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]) as wheel:
    wheel.extractall(sys.argv[1], [name for name in wheel.namelist() if wanted.match(name)])
PYTHON
    # The last step: whoever sees the folder sees it whole.
    mv -T "$work/ziglang/lib/libc" "$home" 2>/dev/null || [ -d "$home" ] || die "could not write $home"
fi
echo "$home"
