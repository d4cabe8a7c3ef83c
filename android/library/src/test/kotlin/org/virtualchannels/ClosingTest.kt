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

    private suspend fun letGo(before: List<String>) {
        eventually("no open file") { Handles.of(folder).isEmpty() }
        eventually("no thread more than before") { Handles.threads().size <= before.size }
    }

    @Test
    fun nothingIsLeftAfterClosing() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val before = Handles.threads()
        for (waits in listOf(true, false)) {
            val (payer, receiver) = listOf(ready.payer, ready.receiver).map { it.open() }
            assertTrue(Handles.threads().size >= before.size + 4 && Handles.of(folder).size >= 4, "${Handles.threads()} ${Handles.of(folder)}")
            repeat(10) { receiver.receive(payer.pay(ready.id, 1_000.sats, "order $it $waits").text) }
            payer.watch(ready.id)
            for (wallet in listOf(payer, receiver)) if (waits) wallet.closeAndWait() else wallet.close()
            letGo(before)
        }
    }

    @Test
    fun whatIsUnderWayGetsItsAnswer() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val before = Handles.threads()
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
        val before = Handles.threads()
        repeat(20) { round ->
            val job = launch(start = CoroutineStart.UNDISPATCHED) { ready.payer.open() }
            java.util.concurrent.locks.LockSupport.parkNanos(round * 500_000L)
            job.cancelAndJoin()
        }
        letGo(before)
    }

    @Test
    fun aCancelledCallerStillClosesWholly() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val before = Handles.threads()
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
