package org.virtualchannels

import java.util.concurrent.atomic.AtomicLong

/** The system's clock, as many seconds ahead as a test wants. */
class TestClock : Clock {
    private val ahead = AtomicLong()

    /** Time passes. */
    fun pass(seconds: Long) {
        ahead.addAndGet(seconds)
    }

    override fun unixSeconds(): ULong = (System.currentTimeMillis() / 1_000 + ahead.get()).toULong()
}
