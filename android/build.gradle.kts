// Versions are in gradle/libs.versions.toml. The same sources are built by Maven (pom.xml), which needs no Android SDK.
plugins {
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.kotlin.android) apply false
    alias(libs.plugins.kotlin.jvm) apply false
    alias(libs.plugins.dokka) apply false
    alias(libs.plugins.publish) apply false
}
