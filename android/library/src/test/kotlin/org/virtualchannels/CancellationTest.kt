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

    /**
     * Both kinds of work by turns: what computes and stores ([Wallet.pay]) and what talks to the operator ([Wallet.send]); and between
     * them calls that only look. Each is cancelled at a random point of its way; nobody calls `resume`.
     */
    @Test
    fun fiveHundredCallsCancelled() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val ready = ReadyChannel(folder)
        val taker = world.wallet("taker")
        val address = taker.arkAddress()
        val answered = mutableMapOf<Kind, Int>()
        var (paid, sent) = Sats.ZERO to Sats.ZERO
        ready.payer.open().use { payer ->
            world.enrich(payer, 1_000_000.sats)
            val before = payer.balance().total
            for (seed in 1..SEEDS) {
                val random = Random(seed)
                val kind = Kind.entries[seed % Kind.entries.size]
                val micros = random.nextLong(kind.longest)
                val ended = cancelled(micros) {
                    when (kind) {
                        Kind.PAY -> payer.pay(ready.id, STEP, "order $seed")
                        Kind.SEND -> payer.send(address, STEP)
                        Kind.LOOK -> if (random.nextBoolean()) payer.balance() else payer.watch(ready.id)
                    }
                }
                if (ended) answered.merge(kind, 1, Int::plus)
                when (kind) {
                    Kind.PAY -> {
                        // Not at all or wholly: nothing between.
                        assertTrue(payer.channel(ready.id).amount in listOf(paid, paid + STEP), "seed $seed")
                        // The call again shows which: it has begun, so it happens, and it counts once.
                        val again = payer.pay(ready.id, STEP, "order $seed")
                        paid += STEP
                        assertEquals(paid, again.amount, "seed $seed")
                        assertTrue(again.repeated, "seed $seed: the payment had begun and did not happen")
                    }
                    Kind.SEND -> {
                        sent += STEP
                        eventually("payment of seed $seed", everyMillis = 5) {
                            val balance = payer.balance()
                            balance.pending == Sats.ZERO && balance.total == before - paid - sent
                        }
                        // Change of change of change is slower and slower to spend.
                        if (sent.value % (STEP * RENEW).value == 0UL) {
                            payer.settle()
                            world.regtest.mine(1)
                        }
                    }
                    // Nothing of it was left half done, and the next one sees all there is.
                    Kind.LOOK -> {
                        assertEquals(ChannelState.OPEN, payer.watch(ready.id).state, "seed $seed")
                        assertEquals(paid, payer.channel(ready.id).amount, "seed $seed")
                        assertEquals(before - paid - sent, payer.balance().total, "seed $seed")
                    }
                }
            }
            ready.receiver.open().use { receiver -> assertEquals(paid, receiver.receive(payer.latestUpdate(ready.id).text).amount) }
        }
        eventually("all that was sent") { taker.balance().preconfirmed == sent }
        taker.closeAndWait()
        println("cancelled in time: $answered of $SEEDS had ended")
        for (kind in Kind.entries) {
            assertTrue((answered[kind] ?: 0) in 1..<SEEDS / Kind.entries.size, "$answered were answered: the moments of $kind show nothing")
        }
    }

    /** What is cancelled, at the latest after so many microseconds: about as long as it takes. */
    private enum class Kind(val longest: Long) { PAY(3_000), SEND(150_000), LOOK(60_000) }

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

    /** The payer gives up waiting while the channel is opened in a batch. */
    @Test
    fun openingCancelled() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        world.wallet("payer").use { payer ->
            world.wallet("receiver").use { receiver ->
                for ((round, micros) in listOf(0L, 30_000L, 700_000L).withIndex()) {
                    world.enrich(payer, 60_000.sats)
                    val invite = receiver.createInvite(InviteRequest())
                    val proposal = payer.propose(invite, ProposeRequest(50_000.sats, FundingChoice.Batch))
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
        const val SEEDS = 500
        const val RENEW = 40
    }
}
