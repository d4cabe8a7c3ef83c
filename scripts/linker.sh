#!/bin/bash
# The linker of the libraries that are shipped: $SHIPPED_LINKER, but without exporting what only UniFFI's generator reads.
# It goes by a library that was not shipped; in an app it would be a hundredth of the library (docs/adr/0008-size.md).
set -euo pipefail
for arg; do
    case $arg in
        -Wl,--version-script=*)
            # The list of exported names that rustc has written for this call.
            names=${arg#*=}
            grep -v UNIFFI_META_ "$names" >"$names.shipped"
            mv "$names.shipped" "$names"
            ;;
    esac
done
exec "${SHIPPED_LINKER:-cc}" "$@"
