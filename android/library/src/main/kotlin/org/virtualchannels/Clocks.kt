package org.virtualchannels

/**
 * A clock for [VirtualChannels.open], such as one of a test's: `Clock { 1_800_000_000UL }`. It answers unix seconds; where it
 * throws, the system's clock is asked.
 */
fun Clock(unixSeconds: () -> ULong): Clock = object : Clock {
    override fun unixSeconds(): ULong = unixSeconds()
}

/** This clock as the wallet's. */
fun kotlin.time.Clock.asWalletClock(): Clock = Clock { now().epochSeconds.toULong() }
