package org.virtualchannels

import android.util.Log
import androidx.test.platform.app.InstrumentationRegistry
import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** The test for a phone, in so far as it needs none. */
class OnAPhoneHereTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun aChannelFromOpeningToSettling() {
        RegtestProcess.start("--unit", "second", "--session", "3").use { regtest ->
            InstrumentationRegistry.files = folder.toFile()
            InstrumentationRegistry.values = mapOf("operator" to regtest.operator, "esplora" to regtest.esplora)
            OnAPhoneTest().aChannelFromOpeningToSettling()
            assertTrue(Log.lines.any { it.startsWith("${Log.INFO} VirtualChannels ") }, Log.lines.toString())
        }
    }
}
