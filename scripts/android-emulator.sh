#!/bin/bash
# Starts an Android emulator whose memory pages have 16 KiB, runs a command, and ends the emulator.
#
#   scripts/android-emulator.sh gradle -p android connectedDebugAndroidTest
#
# ANDROID_HOME is the SDK's folder, with its command line tools; the system image is installed where it is not there.
set -euo pipefail
image="system-images;android-35;google_apis_ps16k;x86_64"
serial=emulator-5554
die() { echo "android-emulator: $*" >&2; exit 1; }
[ $# != 0 ] || die "no command was given"
[ -n "${ANDROID_HOME:-}" ] || die "the Android SDK is missing: set ANDROID_HOME to its folder"
tools=$ANDROID_HOME/cmdline-tools/latest/bin
[ -x "$tools/sdkmanager" ] || die "the SDK's command line tools are missing: $tools/sdkmanager is not there"
if [ ! -w /dev/kvm ] && command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo chmod a+rw /dev/kvm || true; fi
[ -w /dev/kvm ] || die "/dev/kvm is missing or may not be written: an emulator without it is too slow to test with"

(yes || true) | "$tools/sdkmanager" --licenses >/dev/null
"$tools/sdkmanager" --install emulator platform-tools "$image" >/dev/null
echo no | "$tools/avdmanager" create avd --force --name virtual-channels --package "$image" >/dev/null
"$ANDROID_HOME/emulator/emulator" -avd virtual-channels -port 5554 -no-window -no-audio -no-boot-anim -no-snapshot -gpu swiftshader_indirect &
emulator=$!
adb() { "$ANDROID_HOME/platform-tools/adb" -s $serial "$@"; }
trap 'adb emu kill >/dev/null 2>&1 || kill $emulator 2>/dev/null || true' EXIT
timeout 300 "$ANDROID_HOME/platform-tools/adb" -s $serial wait-for-device shell 'until [ "$(getprop sys.boot_completed)" = 1 ]; do sleep 1; done' ||
    die "the emulator did not start within five minutes"
pages=$(adb shell getconf PAGE_SIZE | tr -d '\r')
[ "$pages" = 16384 ] || die "the emulator's pages have $pages bytes, not 16384"
"$@"
