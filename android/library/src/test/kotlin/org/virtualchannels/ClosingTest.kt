package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A closed wallet has let go of everything. */
class ClosingTest {
    @TempDir
    lateinit var folder: Path

    private suspend fun letGo(before: Handles) {
        eventually("no open file") { Handles.of(folder).isEmpty() }
        eventually("no socket and no thread more than before") { Handles.now().since(before).isEmpty() }
    }

    @Test
    fun nothingIsLeftAfterClosing() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val before = Handles.now()
        for (waits in listOf(true, false)) {
            val (payer, receiver) = listOf(ready.payer, ready.receiver).map { it.open() }
            repeat(10) { receiver.receive(payer.pay(ready.id, 1_000.sats, "order $it $waits").text) }
            payer.watch(ready.id)
            // All of which can be seen.
            val held = Handles.now().since(before)
            assertTrue(held.count { it.startsWith("socket:") } >= 2, "operator and chain server: $held")
            assertTrue(held.count { !it.startsWith("socket:") } >= 4 && Handles.of(folder).size >= 4, "$held ${Handles.of(folder)}")
            for (wallet in listOf(payer, receiver)) if (waits) wallet.closeAndWait() else wallet.close()
            letGo(before)
        }
    }

    @Test
    fun whatIsUnderWayGetsItsAnswer() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val before = Handles.now()
        val payer = ready.payer.open()
        val payments = (1..20).map { async(start = CoroutineStart.UNDISPATCHED) { payer.pay(ready.id, 1_000.sats, "order $it") } }
        payer.close()
        assertEquals(20, payments.awaitAll().map { it.amount }.toSet().size)
        assertThrows<WalletException.Closed> { payer.pay(ready.id, 1_000.sats, "too late") }
        payer.close()
        letGo(before)
        ready.payer.open().use { assertEquals(20_000.sats, it.channel(ready.id).amount) }
    }

    @Test
    fun aCancelledOpeningLeavesNothingOpen() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val before = Handles.now()
        repeat(20) { round ->
            // Of one that was open before it was cancelled the caller is the owner.
            val job = launch(start = CoroutineStart.UNDISPATCHED) { ready.payer.open().close() }
            java.util.concurrent.locks.LockSupport.parkNanos(round * 500_000L)
            job.cancelAndJoin()
        }
        letGo(before)
    }

    @Test
    fun aCancelledCallerStillClosesWholly() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val before = Handles.now()
        val payer = ready.payer.open()
        val job = launch(start = CoroutineStart.UNDISPATCHED) {
            try {
                payer.nextEvent()
            } finally {
                payer.closeAndWait()
            }
        }
        job.cancelAndJoin()
        letGo(before)
        assertThrows<WalletException.Closed> { payer.channels() }
        payer.closeAndWait()
    }
}
