package org.virtualchannels.android

import android.util.Log
import org.virtualchannels.LogLevel
import org.virtualchannels.LogRecord
import org.virtualchannels.LogSink

/**
 * Writes the library's log to Android's: `setLogSink(LogcatSink(), LogLevel.INFO)`.
 *
 * A record's level becomes the priority, and the part of the library that wrote it stands before the text. Records hold no
 * secrets.
 *
 * @param tag what logcat shows and filters by; Android 7 takes 23 characters, a longer one is cut.
 */
class LogcatSink internal constructor(tag: String, private val write: (priority: Int, tag: String, text: String) -> Unit) : LogSink {
    private val tag = tag.take(MAX_TAG)

    /** A sink that writes with the tag to logcat. */
    constructor(tag: String = "VirtualChannels") : this(tag, { priority, shown, text -> Log.println(priority, shown, text) })

    /** Writes one record; called by the library, from a thread of its own. */
    override fun log(record: LogRecord) = write(priority(record.level), tag, "${record.target}: ${record.text}")

    private fun priority(level: LogLevel): Int = when (level) {
        LogLevel.ERROR -> Log.ERROR
        LogLevel.WARN -> Log.WARN
        LogLevel.INFO -> Log.INFO
        LogLevel.DEBUG -> Log.DEBUG
    }

    private companion object {
        const val MAX_TAG = 23
    }
}
