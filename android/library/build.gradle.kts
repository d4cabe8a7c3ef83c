import com.vanniktech.maven.publish.AndroidSingleVariantLibrary
import com.vanniktech.maven.publish.JavadocJar
import com.vanniktech.maven.publish.SourcesJar
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
    alias(libs.plugins.dokka)
    alias(libs.plugins.publish)
}

// Made by `make bindings`; the libraries in src/main/jniLibs by scripts/android-libs.sh.
val bindings = rootDir.resolve("../bindings/generated/kotlin-android")

// For tests on this machine: the folder of the library built for it.
val hostLibrary = providers.gradleProperty("library.dir").orElse(rootDir.resolve("../target/debug").path)

android {
    namespace = "org.virtualchannels"
    compileSdk = 35

    defaultConfig {
        minSdk = 24
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64") }
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
        // Where the tests on a phone find a regtest, which scripts/android-test.sh starts: -Poperator=http://… -Pesplora=http://…
        for (name in listOf("operator", "esplora")) {
            providers.gradleProperty(name).orNull?.let { testInstrumentationRunnerArguments[name] = it }
        }
    }

    sourceSets {
        getByName("main").kotlin.srcDirs("src/main/kotlin", "src/android/kotlin", bindings)
        getByName("test").kotlin.srcDirs("src/test/kotlin")
        getByName("androidTest").kotlin.srcDirs("src/androidTest/kotlin")
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    testOptions {
        // Android's own classes answer 0 and null in unit tests: Build.VERSION.SDK_INT is that of an old phone.
        unitTests.isReturnDefaultValues = true
        unitTests.all {
            it.useJUnitPlatform()
            it.systemProperty("jna.library.path", hostLibrary.get())
        }
    }
}

kotlin {
    compilerOptions { jvmTarget = JvmTarget.JVM_17 }
}

dependencies {
    api(libs.coroutines.core)
    compileOnly(libs.androidx.annotation)
    implementation(libs.jna) { artifact { type = "aar" } }

    // On this machine JNA needs the native part for it, which is in the jar.
    testImplementation(libs.jna)
    testImplementation(project(":regtest"))
    testImplementation(libs.coroutines.test)
    testImplementation(libs.junit.jupiter)
    testRuntimeOnly(libs.junit.launcher)

    androidTestImplementation(libs.androidx.test.runner)
    androidTestImplementation(libs.androidx.test.junit)
    androidTestImplementation(libs.coroutines.android)
}

mavenPublishing {
    configure(AndroidSingleVariantLibrary(JavadocJar.Dokka("dokkaGeneratePublicationHtml"), SourcesJar.Sources(), "release"))
    coordinates("org.virtualchannels", "virtual-channels", "0.1.0")
    pom {
        name = "virtual-channels"
        description = "Payment channels inside Ark VTXOs: instant Bitcoin payments for Android wallets"
        url = providers.gradleProperty("pom.url")
        licenses {
            license {
                name = "MIT"
                url = "https://opensource.org/license/mit"
            }
        }
        developers {
            developer {
                id = "virtual-channels"
                name = "The virtual-channels developers"
            }
        }
        scm {
            url = providers.gradleProperty("pom.url")
            connection = providers.gradleProperty("pom.url").map { "scm:git:$it.git" }
        }
    }
}
