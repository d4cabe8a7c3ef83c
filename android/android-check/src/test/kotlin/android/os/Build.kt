package android.os

/** In place of Android's, which asks the phone: an Android 7, where the library cleans up by way of JNA. */
class Build {
    object VERSION {
        @JvmField
        val SDK_INT = 24
    }
}
