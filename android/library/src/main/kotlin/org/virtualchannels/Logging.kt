package org.virtualchannels

import java.util.logging.Level
import java.util.logging.Logger

/**
 * Where the library's log goes, as a lambda: `setLogSink(LogSink { println(it.text) }, LogLevel.INFO)`.
 *
 * It is called from one thread of the library. One that throws or blocks disturbs nobody; while it blocks, records are dropped.
 * No record holds a secret.
 */
fun LogSink(log: (LogRecord) -> Unit): LogSink = object : LogSink {
    override fun log(record: LogRecord) = log(record)
}

/** Log records go to `java.util.logging`, which on Android is logcat; the logger's name is the record's target. */
val javaLogging: LogSink = LogSink { record ->
    val level = when (record.level) {
        LogLevel.ERROR -> Level.SEVERE
        LogLevel.WARN -> Level.WARNING
        LogLevel.INFO -> Level.INFO
        LogLevel.DEBUG -> Level.FINE
    }
    Logger.getLogger(record.target).log(level, record.text)
}
