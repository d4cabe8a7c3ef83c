#!/bin/bash
# Whether all libraries of the JNA that goes into an app beside ours can be loaded where memory pages have 16 KiB. Maven fetches its
# AAR, in the version that Gradle takes.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^jna *= *"\(.*\)"$/\1/p' android/gradle/libs.versions.toml)
[ -n "$version" ] || { echo "page-size-jna: android/gradle/libs.versions.toml names no version of jna" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mvn -B -ntp -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact="net.java.dev.jna:jna:$version:aar" -DoutputDirectory="$work" -Dmdep.useBaseVersion=true
scripts/page-size.sh "$work/jna-$version.aar"
echo "page-size-jna: JNA $version: ok"
