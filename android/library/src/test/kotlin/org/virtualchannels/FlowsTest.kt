package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.launchIn
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.test.runCurrent
import kotlinx.coroutines.test.runTest
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Events and channel states as flows. */
class FlowsTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun statesFollowPayments() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            val seen = Channel<Sats>(Channel.UNLIMITED)
            val views = launch { payer.channelState(ready.id).collect { seen.send(it.amount) } }
            assertEquals(Sats.ZERO, seen.receive())
            for (number in 1..5) {
                val amount = payer.pay(ready.id, 1_000.sats, "order $number").amount
                withTimeout(PATIENCE) { assertEquals(amount, seen.receive()) }
            }
            views.cancel()
            assertEquals(5_000.sats, payer.channelStates().first().single().amount)
            assertThrows<WalletException.NotFound> { payer.channelState("00".repeat(32)).collect {} }
        }
    }

    /** A collector that waits does not keep the wallet open, nor the wallet its collectors waiting. */
    @Test
    fun flowsEndWithTheWallet() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val wallet = ready.payer.open()
        val (waiting, looking) = listOf(CompletableDeferred<Unit>(), CompletableDeferred<Unit>())
        val events = launch(start = CoroutineStart.UNDISPATCHED) { wallet.events().collect { error("there is none") } }
        val states = launch { wallet.channelStates().collect { looking.complete(Unit) } }
        val next = launch { assertThrows<WalletException.Closed> { waiting.complete(Unit); wallet.nextEvent() } }
        waiting.await()
        looking.await()
        delay(100)
        wallet.close()
        withTimeout(PATIENCE) { listOf(events, states, next).forEach { it.join() } }
        assertThrows<WalletException.Closed> { wallet.channels() }
        assertEquals(emptyList<Event>(), wallet.events().toList(), "of a closed wallet")
        // The database is free: it can be opened, and the file be moved.
        assertEquals(listOf<String>(), Handles.of(folder))
    }

    /** Only what has been dealt with is acknowledged. */
    @Test
    fun anEventIsAcknowledgedAfterItsCollector() = runTest {
        val fake = FakeWallet(listOf("one", "two", "three"))
        val dealt = mutableListOf<String>()
        val job = fake.events().onEach { event ->
            delay(1_000)
            dealt += event.token!!
        }.launchIn(this)
        runCurrent()
        assertEquals(emptyList<String>(), fake.acknowledged)
        testScheduler.advanceTimeBy(1_001)
        assertEquals(listOf("one"), fake.acknowledged)
        testScheduler.advanceTimeBy(500)
        job.cancel()
        runCurrent()
        assertEquals(listOf("one") to listOf("one"), dealt to fake.acknowledged, "cancelled in the middle of the second")
        val rest = mutableListOf<String>()
        fake.events().collect { rest += it.token!! }
        assertEquals(listOf("two", "three"), rest)
    }

    @Test
    fun aSlowViewGetsTheLatest() = runTest {
        val fake = FakeWallet(listOf())
        val seen = mutableListOf<Int>()
        val job = fake.channelStates().onEach { seen += it.size; delay(1_000) }.launchIn(this)
        runCurrent()
        repeat(5) {
            fake.change()
            runCurrent()
        }
        testScheduler.advanceTimeBy(10_000)
        fake.change(channels = 0)
        testScheduler.advanceTimeBy(10_000)
        assertEquals(listOf(0, 5), seen.take(2), "those between are left out")
        assertTrue(seen.zipWithNext().all { (one, next) -> one != next }, "$seen: the same twice")
        job.cancel()
    }
}

/** A wallet of which only the waiting is there. */
private class FakeWallet(tokens: List<String>) : WalletInterface by Wallet(NoHandle) {
    private val waiting = tokens.toMutableList()
    private val changes = Channel<Unit>(Channel.UNLIMITED)
    private var version = 1UL
    private var count = 0
    val acknowledged = mutableListOf<String>()

    override suspend fun nextEvent(): Event =
        waiting.firstOrNull()?.let { Event(it, null, EventKind.ChannelFunded) } ?: throw WalletException.Closed()

    override suspend fun acknowledgeEvent(token: String) {
        check(waiting.remove(token))
        acknowledged += token
    }

    override suspend fun nextChange(seen: ULong): ULong {
        while (seen == version) changes.receive()
        return version
    }

    override suspend fun channels(): List<ChannelInfo> = List(count) { CHANNEL }

    fun change(channels: Int? = null) {
        count = channels ?: (count + 1)
        version += 1u
        changes.trySend(Unit)
    }

    private companion object {
        val CHANNEL = ChannelInfo(
            id = "id", role = Role.PAYER, state = ChannelState.OPEN, fundingKind = FundingKind.BATCH, funding = "tx:0",
            unit = TimeUnit.SECONDS, capacity = 1.sats, amount = 1.sats, highest = 1.sats, remaining = 1.sats,
            locktime = 0u, expiry = 0u, closeBy = 0u, exitBy = 0u, payerExitBy = 0u, receiverDelay = 0u, payerDelay = 0u,
            takesMoneyUntil = null, levels = 0u, exitVbytes = 0u, exitTime = 0u, watchBy = null, awaitsUpdate = false, onClose = false,
            acknowledged = false, resultTxid = null, createdAt = 0u,
        )
    }
}
