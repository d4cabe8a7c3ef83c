package org.virtualchannels

import java.nio.file.Path
import java.util.concurrent.locks.LockSupport
import kotlin.random.Random
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A cancelled call happened wholly or not at all; what has begun goes on without its caller. */
class CancellationTest {
    @TempDir
    lateinit var folder: Path

    /** Begins the call, and cancels it after so many microseconds. Answers whether it had ended by then. */
    private suspend fun CoroutineScope.cancelled(afterMicros: Long, call: suspend () -> Unit): Boolean {
        var ended = false
        val job = launch(Dispatchers.Default, CoroutineStart.UNDISPATCHED) { call(); ended = true }
        LockSupport.parkNanos(afterMicros * 1_000)
        job.cancelAndJoin()
        return ended
    }

    @Test
    fun fiveHundredPaymentsCancelled() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        var answered = 0
        ready.payer.open().use { payer ->
            for (seed in 1..500) {
                val before = STEP * (seed - 1)
                val micros = Random(seed).nextLong(3_000)
                if (cancelled(micros) { payer.pay(ready.id, STEP, "order $seed") }) answered += 1
                // Not at all or wholly: nothing between.
                assertTrue(payer.channel(ready.id).amount in listOf(before, before + STEP), "seed $seed")
                // The call again shows which: it has begun, so it happens, and it counts once.
                val again = payer.pay(ready.id, STEP, "order $seed")
                assertEquals(before + STEP, again.amount, "seed $seed")
                assertTrue(again.repeated, "seed $seed: the payment had begun and did not happen")
            }
            ready.receiver.open().use { receiver ->
                assertEquals(500_000.sats, receiver.receive(payer.latestUpdate(ready.id).text).amount)
            }
        }
        assertTrue(answered in 1..499, "$answered of 500 were answered: the moments show nothing")
    }

    @Test
    fun paymentsCancelledBeforeTheyBegin() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            val job = launch(start = CoroutineStart.LAZY) { payer.pay(ready.id, STEP, "order") }
            job.cancelAndJoin()
            assertEquals(Sats.ZERO, payer.channel(ready.id).amount)
            assertTrue(!payer.pay(ready.id, STEP, "order").repeated)
        }
    }

    /** Off-chain transactions: nobody calls `resume`, and each comes to its end. */
    @Test
    fun sendingCancelled() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        world.wallet("sender").use { sender ->
            world.wallet("taker").use { taker ->
                world.enrich(sender, 100_000.sats)
                val address = taker.arkAddress()
                for (seed in 1..SENDS) {
                    cancelled(Random(seed).nextLong(30_000)) { sender.send(address, STEP) }
                    val sent = STEP * seed
                    eventually("payment $seed") { taker.balance().preconfirmed == sent }
                    assertEquals(Sats.ZERO, sender.balance().pending, "nothing is left under way after payment $seed")
                }
            }
        }
    }

    /** The payer gives up waiting while the channel is opened in a batch. */
    @Test
    fun openingCancelled() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        world.wallet("payer").use { payer ->
            world.wallet("receiver").use { receiver ->
                for ((round, micros) in listOf(0L, 30_000L, 700_000L).withIndex()) {
                    world.enrich(payer, 60_000.sats)
                    val invite = receiver.createInvite(InviteRequest())
                    val proposal = payer.propose(invite, ProposeRequest(50_000.sats, FundingChoice.BATCH))
                    val accepted = receiver.accept(proposal.offer) as Acceptance.Accepted
                    cancelled(micros) { payer.openChannel(accepted.accept) }
                    eventually("channel ${round + 1}") { payer.channels().size == round + 1 }
                    val channel = payer.channels().last().id
                    world.regtest.mine(1)
                    world.confirm(payer, receiver, channel)
                    receiver.receive(payer.pay(channel, STEP, "order").text)
                    // Closing, too.
                    cancelled(micros / 10) { receiver.closeChannel(channel) }
                    eventually("the close") { receiver.channel(channel).state == ChannelState.CLOSED }
                    assertEquals(ChannelState.CLOSED, eventualState(payer, channel))
                }
            }
        }
    }

    private suspend fun eventualState(wallet: Wallet, channel: String): ChannelState {
        eventually("the other side") { wallet.watch(channel).state != ChannelState.OPEN }
        return wallet.channel(channel).state
    }

    @Test
    fun settlingCancelled() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        world.wallet("wallet").use { wallet ->
            for ((round, micros) in listOf(0L, 20_000L, 500_000L).withIndex()) {
                world.fund(wallet, 10_000.sats)
                cancelled(micros) { wallet.settle() }
                val expected = 10_000.sats * (round + 1)
                eventually("the batch of round $round") {
                    world.regtest.mine(1)
                    wallet.balance().settled == expected
                }
            }
        }
    }

    private companion object {
        val STEP = 1_000.sats
        const val SENDS = 20
    }
}
