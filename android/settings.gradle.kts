pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "virtual-channels"

// `demo` is a terminal program, `r8`, `android-check` and `docs` are checks: they are Maven's alone.
include(":library", ":viewmodel", ":regtest", ":sample")
