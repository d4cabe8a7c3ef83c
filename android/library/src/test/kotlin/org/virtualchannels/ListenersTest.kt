package org.virtualchannels

import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicReference
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What an app gives the library to call: it may throw, block, or call back, and nothing is disturbed. */
class ListenersTest {
    @TempDir
    lateinit var folder: Path

    private val ready by lazy { ReadyChannel(folder) }

    @AfterEach
    fun noLogAnyMore() = setLogSink(null, LogLevel.ERROR)

    /** Pays and receives, as if nothing were the matter. */
    private suspend fun payAndReceive(clock: Clock? = null, around: suspend (Wallet) -> Unit = {}) {
        withTimeout(PATIENCE) {
            ready.payer.open(clock).use { payer ->
                ready.receiver.open(clock).use { receiver ->
                    around(payer)
                    repeat(20) { receiver.receive(payer.pay(ready.id, 1_000.sats, "order $it").text) }
                    assertEquals(20_000.sats, receiver.channel(ready.id).amount)
                }
            }
        }
    }

    @Test
    fun aLogSinkThatThrows() = runBlocking<Unit> {
        val called = AtomicInteger()
        setLogSink(LogSink { called.incrementAndGet(); throw IllegalStateException("the app's own bug") }, LogLevel.DEBUG)
        payAndReceive()
        eventually("a record") { called.get() > 1 }
    }

    @Test
    fun aLogSinkThatBlocks() = runBlocking<Unit> {
        val (called, free) = listOf(CountDownLatch(1), CountDownLatch(1))
        setLogSink(LogSink { called.countDown(); free.await() }, LogLevel.DEBUG)
        try {
            payAndReceive()
            assertTrue(called.await(PATIENCE, TimeUnit.MILLISECONDS), "it was never called")
        } finally {
            free.countDown()
        }
    }

    @Test
    fun aLogSinkThatCallsBack() = runBlocking<Unit> {
        val wallet = AtomicReference<Wallet>()
        val amounts = ConcurrentLinkedQueue<Result<Sats>>()
        setLogSink(
            LogSink { wallet.get()?.let { amounts.add(runCatching { runBlocking { it.channel(ready.id).amount } }) } },
            LogLevel.DEBUG,
        )
        payAndReceive { payer ->
            wallet.set(payer)
            eventually("an answer inside the sink") {
                payer.watch(ready.id)
                amounts.any { it.isSuccess }
            }
            wallet.set(null)
        }
    }

    @Test
    fun aClockThatThrows() = runBlocking<Unit> {
        payAndReceive(Clock { throw IllegalStateException("no time") })
    }

    /** Two calls at most wait for a clock; all others go on by what it said last. */
    @Test
    fun aClockThatBlocks() = runBlocking<Unit> {
        val (blocks, asked, free) = Triple(AtomicBoolean(), AtomicInteger(), CountDownLatch(1))
        val clock = Clock {
            if (blocks.get()) {
                asked.incrementAndGet()
                free.await()
            }
            (System.currentTimeMillis() / 1000).toULong()
        }
        ready.payer.open(clock).use { payer ->
            blocks.set(true)
            val held = List(8) { number -> async { payer.pay(ready.id, 1_000.sats, "held $number") } }
            try {
                eventually("the clock to be asked") { asked.get() == 2 }
                eventually("the calls that go on") { held.count { it.isCompleted } == 6 }
                withTimeout(PATIENCE) {
                    payer.pay(ready.id, 1_000.sats, "beside them")
                    ready.receiver.open().use { receiver -> receiver.receive(payer.latestUpdate(ready.id).text) }
                }
                assertEquals(7_000.sats, payer.channel(ready.id).amount)
                assertEquals(2, asked.get())
            } finally {
                free.countDown()
            }
            held.awaitAll()
            assertEquals(9_000.sats, payer.channel(ready.id).amount)
        }
    }

    @Test
    fun aClockThatIsSlow() = runBlocking<Unit> {
        val asked = AtomicInteger()
        payAndReceive(Clock { asked.incrementAndGet(); Thread.sleep(5); (System.currentTimeMillis() / 1000).toULong() })
        assertTrue(asked.get() > 0)
    }

    @Test
    fun aClockThatCallsBack() = runBlocking<Unit> {
        val wallet = AtomicReference<Wallet>()
        val answers = ConcurrentLinkedQueue<Result<Int>>()
        val clock = Clock {
            // Once: inside the call back the clock is asked again.
            wallet.getAndSet(null)?.let { answers.add(runCatching { runBlocking { it.channels().size + it.pendingEvents(9u).size } }) }
            (System.currentTimeMillis() / 1000).toULong()
        }
        payAndReceive(clock) { payer -> wallet.set(payer) }
        assertEquals(listOf(true), answers.map { it.isSuccess }, "$answers")
    }

    @Test
    fun aCollectorThatThrowsSeesTheEventAgain() = runBlocking<Unit> {
        ready.payer.open().use { payer ->
            payer.pay(ready.id, 1_000.sats, "one")
            val bug = assertThrows<IllegalStateException> { payer.events().collect { throw IllegalStateException("a bug") } }
            assertEquals("a bug", bug.message)
            val expected = EventKind.PaymentSent(1_000.sats, 1_000.sats)
            assertEquals(expected, payer.events().first().kind, "first cancels the flow before it is acknowledged")
            val kinds = payer.events().onEach { payer.pay(ready.id, 1_000.sats, "another") }.take(2).toList().map { it.kind }
            assertEquals(listOf(expected, EventKind.PaymentSent(2_000.sats, 1_000.sats)), kinds, "a collector may call back")
        }
    }
}
