// What the tests for a phone use of androidx.test, which is in Google's repository only.
package androidx.test.platform.app

import android.content.Context
import android.content.ContextWrapper
import java.io.File

class Arguments(private val values: Map<String, String>) {
    fun getString(name: String): String? = values[name]
}

class Instrumentation(val targetContext: Context)

object InstrumentationRegistry {
    lateinit var files: File
    var values = mapOf<String, String>()

    fun getArguments() = Arguments(values)

    fun getInstrumentation() = Instrumentation(object : ContextWrapper(null) {
        override fun getNoBackupFilesDir() = files
    })
}
