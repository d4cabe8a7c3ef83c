#!/bin/bash
# Builds the AAR for Android: android/library/build/outputs/aar/library-release.aar. Says first all that is missing.
#
#   ANDROID_HOME=/path/to/sdk ANDROID_NDK_HOME=/path/to/ndk scripts/aar.sh
#
# Arguments go to Gradle: publishToMavenLocal, for example (with -Ppom.url=https://… the address of this repository).
set -euo pipefail
cd "$(dirname "$0")/.."
die() { echo "aar: $*" >&2; exit 1; }
missing=()

java=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1) || true
[ "${java:-0}" -ge 17 ] || missing+=("a JDK, 17 or newer (found: ${java:-none})")
gradle=$(gradle --version 2>/dev/null | sed -n 's/^Gradle \([0-9]*\).*/\1/p') || true
[ "${gradle:-0}" -ge 9 ] || missing+=("Gradle 9 on the PATH (found: ${gradle:-none})")
sdk=${ANDROID_HOME:-${ANDROID_SDK_ROOT:-}}
[ -d "$sdk/platforms/android-35" ] || missing+=("the Android SDK with its platform 35: ANDROID_HOME is ${sdk:-not set} (sdkmanager 'platforms;android-35')")
ndk=${ANDROID_NDK_HOME:-${ANDROID_NDK_ROOT:-}}
[ -d "$ndk/toolchains/llvm" ] || missing+=("Android's NDK, 27 or newer: ANDROID_NDK_HOME is ${ndk:-not set}")
command -v cargo >/dev/null || missing+=("cargo")
command -v unzip >/dev/null || missing+=("unzip")
command -v mvn >/dev/null || missing+=("Maven, for JNA's libraries")
if [ ${#missing[@]} != 0 ]; then
    echo "aar: missing here:" >&2
    printf '  - %s\n' "${missing[@]}" >&2
    exit 1
fi

scripts/bindings.sh
scripts/android-libs.sh
gradle --no-daemon -p android :library:assembleRelease "$@"

aar=android/library/build/outputs/aar/library-release.aar
for file in classes.jar proguard.txt AndroidManifest.xml jni/{arm64-v8a,armeabi-v7a,x86_64}/libvirtual_channels.so; do
    unzip -l "$aar" "$file" >/dev/null || die "$aar has no $file"
done
unzip -p "$aar" proguard.txt | cmp -s - android/library/consumer-rules.pro || die "the rules in $aar are not android/library/consumer-rules.pro"
scripts/page-size.sh "$aar"
scripts/page-size-jna.sh
echo "aar: $aar, $(wc -c <"$aar") bytes"
