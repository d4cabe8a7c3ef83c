package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Letting go of the database and picking it up again, with the wallet open all the time. */
class ReleaseTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun letGoAndPickedUp() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            val channel = payer.channelState(ready.id)
            assertEquals(1_000.sats, payer.pay(ready.id, 1_000.sats, "one").amount)
            repeat(3) { round ->
                payer.releaseDatabase()
                payer.releaseDatabase()
                assertEquals(listOf<String>(), Handles.of(folder), "no handle, so no lock either")
                assertThrows<WalletException.DatabaseReleased> { payer.pay(ready.id, 1_000.sats, "round $round") }
                assertThrows<WalletException.DatabaseReleased> { payer.channels() }
                // Whoever else opens the file has it alone.
                ready.payer.open().use { it.pay(ready.id, 1_000.sats, "other $round") }
                payer.reopenDatabase()
                payer.reopenDatabase()
                assertEquals(1_000.sats + 2_000.sats * (round + 1), payer.pay(ready.id, 1_000.sats, "round $round").amount)
            }
            assertEquals(7_000.sats, channel.first().amount)
        }
    }

    @Test
    fun whoWaitsGoesOnWaiting() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            val event = async { payer.events().first() }
            payer.channels()
            payer.releaseDatabase()
            payer.reopenDatabase()
            payer.pay(ready.id, 1_000.sats, "one")
            withTimeout(PATIENCE) { assertEquals(EventKind.PaymentSent(1_000.sats, 1_000.sats), event.await().kind) }
        }
    }

    /** What is looked at, or acknowledged, just then. */
    @Test
    fun flowsWaitUntilItIsBack() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            payer.pay(ready.id, 1_000.sats, "one")
            val (dealing, dealt) = listOf(CompletableDeferred<Unit>(), CompletableDeferred<Unit>())
            val kinds = Channel<EventKind>(Channel.UNLIMITED)
            val events = launch {
                payer.events().collect {
                    kinds.send(it.kind)
                    dealing.complete(Unit)
                    dealt.await()
                }
            }
            dealing.await()
            payer.releaseDatabase()
            dealt.complete(Unit)
            val flows = listOf(payer.channelStates(), payer.channelState(ready.id), payer.waitingEvents())
            // Each looks at once.
            for (flow in flows) assertNull(withTimeoutOrNull(LOOK) { flow.first() })
            val states = flows.map { async { it.first() } }
            assertTrue(events.isActive, "the first is not acknowledged yet")
            payer.reopenDatabase()
            withTimeout(PATIENCE) { states.awaitAll() }
            payer.pay(ready.id, 2_000.sats, "two")
            val seen = withTimeout(PATIENCE) { listOf(kinds.receive(), kinds.receive()) }
            assertEquals(listOf(EventKind.PaymentSent(1_000.sats, 1_000.sats), EventKind.PaymentSent(3_000.sats, 2_000.sats)), seen)

            // Who waits does not keep a wallet from being closed.
            payer.releaseDatabase()
            val waiting = launch { assertEquals(listOf<Any>(), payer.channelStates().toList()) }
            assertNull(withTimeoutOrNull(LOOK) { waiting.join() })
            payer.closeAndWait()
            withTimeout(PATIENCE) { listOf(waiting, events).joinAll() }
        }
    }

    private companion object {
        /** Time enough for a look at the database, in milliseconds. */
        const val LOOK = 300L
    }
}
