package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Sats
import org.virtualchannels.sats

class ChannelListTest {
    @TempDir
    lateinit var folder: Path

    /** Nobody asks the list to look: it hears of it. */
    @Test
    fun aPaymentIsSeenInTheListAtOnce() = runBlocking<Unit> {
        val payer = App.start(folder.resolve("payer.db"))
        val receiver = App.start(folder.resolve("receiver.db"))
        assertNull(payer.channels.ok().rows)
        payer.board()
        val channel = open(payer, receiver)

        val watched = ChannelListModel(checkNotNull(payer.wallet.wallet))
        val following = launch(Dispatchers.Default) { watched.follow() }
        fun sees(paid: Sats) = runBlocking {
            withTimeout(20_000) { watched.state.first { state -> state.rows?.any { it.id == channel && it.paid == paid } == true } }
        }
        sees(Sats.ZERO)
        payer.payer.pay(channel, 1_000.sats)
        val row = checkNotNull(sees(1_000.sats).rows).single()
        assertEquals(channel.take(8), row.shortId)
        assertEquals(CAPACITY - 1_000.sats to CAPACITY, row.remaining to row.capacity)
        following.cancelAndJoin()
        payer.payer.next()
        payer.payer.pay(channel, 1_000.sats)
        assertEquals(1_000.sats, watched.ok().rows?.single()?.paid)

        val again = launch(Dispatchers.Default) { watched.follow() }
        sees(2_000.sats)
        payer.wallet.shutdown()
        // It ends by itself, without a problem.
        withTimeout(20_000) { again.join() }
        watched.ok()
    }
}
