package org.virtualchannels

import java.util.concurrent.atomic.AtomicLong

/**
 * A clock for [VirtualChannels.open], such as one of a test's: `Clock { 1_800_000_000UL }`. It answers unix seconds; where it
 * throws, the system's clock is asked.
 */
fun Clock(unixSeconds: () -> ULong): Clock = object : Clock {
    override fun unixSeconds(): ULong = unixSeconds()
}

/** This clock as the wallet's. */
fun kotlin.time.Clock.asWalletClock(): Clock = Clock { now().epochSeconds.toULong() }

/**
 * A clock that stands still until it is told otherwise, for tests and previews.
 *
 * The wallet trusts no clock alone: its time never runs backwards, and is never behind the chain's.
 *
 * @param unixSeconds what it says first; the system's time unless given.
 */
class ManualClock(unixSeconds: ULong = (System.currentTimeMillis() / 1_000).toULong()) : Clock {
    private val now = AtomicLong(unixSeconds.toLong())

    /** Moves the clock on by so many seconds. */
    fun advance(seconds: Long) {
        now.addAndGet(seconds)
    }

    /** What the clock says: seconds since 1970, UTC. */
    override fun unixSeconds(): ULong = now.get().toULong()
}
