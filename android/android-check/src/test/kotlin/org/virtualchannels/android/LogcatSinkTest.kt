package org.virtualchannels.android

import android.util.Log
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.virtualchannels.LogLevel
import org.virtualchannels.LogRecord

class LogcatSinkTest {
    private val lines = mutableListOf<Triple<Int, String, String>>()

    private fun sink(tag: String) = LogcatSink(tag) { priority, shown, text -> lines += Triple(priority, shown, text) }

    @Test
    fun eachLevelHasItsPriority() {
        for (level in LogLevel.entries) sink("wallet").log(LogRecord(level, "store", "text", 0u))
        assertEquals(listOf(Log.ERROR, Log.WARN, Log.INFO, Log.DEBUG), lines.map { it.first })
        assertEquals(setOf("wallet" to "store: text"), lines.map { it.second to it.third }.toSet())
    }

    @Test
    fun aLongTagIsCut() {
        sink("a-tag-that-is-longer-than-android-7-takes").log(LogRecord(LogLevel.INFO, "store", "text", 0u))
        assertEquals("a-tag-that-is-longer-th", lines.single().second)
    }
}
