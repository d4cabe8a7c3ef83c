package org.virtualchannels

import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** An app in the foreground: what happens is noticed with nobody asking. */
class LiveTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun aCloseIsNoticedAndTold() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val (payer, receiver) = world.wallet("payer") to world.wallet("receiver")
        world.enrich(payer, 100_000.sats)
        val channel = world.openOffchain(payer, receiver, 50_000.sats)
        receiver.receive(payer.pay(channel, 1_000.sats, "one").text)
        val live = launch(Dispatchers.Default) { payer.follow(1.seconds) }
        val txid = receiver.closeChannel(channel)
        val closed = withTimeout(PATIENCE) { payer.events().first { it.kind is EventKind.ChannelClosed } }
        assertEquals(EventKind.ChannelClosed(txid), closed.kind)
        assertEquals(ChannelState.CLOSED, payer.channel(channel).state)
        assertTrue(live.isActive, "it goes on")
        payer.closeAndWait()
        withTimeout(PATIENCE) { live.join() }
        assertFalse(live.isCancelled, "a closed wallet is its end, and no error")
        receiver.closeAndWait()
    }

    @Test
    fun cancelled() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val wallet = ready.payer.open()
        val live = launch(Dispatchers.Default) { wallet.follow() }
        eventually("a look at the chain") { wallet.channel(ready.id).state == ChannelState.OPEN && live.isActive }
        withTimeout(PATIENCE) { live.cancelAndJoin() }
        assertEquals(1_000.sats, wallet.pay(ready.id, 1_000.sats, "it takes calls").amount)
        wallet.closeAndWait()
        assertEquals(listOf<String>(), Handles.of(folder))
    }
}
