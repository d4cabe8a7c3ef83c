package org.virtualchannels

import java.nio.file.Path
import java.util.concurrent.locks.LockSupport
import kotlin.random.Random
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A process killed while it pays or receives: no update that it handed out or acknowledged is forgotten, none is invented. */
class KilledTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun aKilledPayerForgetsNothing() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val random = Random(4)
        var amount = Sats.ZERO
        var said = 0
        ready.receiver.open().use { receiver ->
            repeat(KILLS) { round ->
                val updates = killed(ready, random.nextLong(300_000_000))
                said += updates.size
                ready.payer.open().use { payer ->
                    val texts = updates.map { payer.parse(it) as Parsed.Payment }
                    texts.forEachIndexed { number, text ->
                        assertEquals(amount + Child.STEP * (number + 1), text.amount, "payments follow on each other")
                    }
                    val last = texts.lastOrNull()?.amount ?: amount
                    val stored = payer.channel(ready.id).amount
                    assertTrue(stored >= last, "kill $round: $last had left, $stored are stored: an update was forgotten")
                    assertTrue(stored <= last + Child.STEP, "kill $round: $last had left, $stored are stored: an update was invented")
                    // What left is good money.
                    updates.lastOrNull()?.let { assertEquals(last, receiver.receive(it).amount) }
                    if (stored > Sats.ZERO) {
                        val again = payer.pay(ready.id, Child.STEP, Child.paymentId(stored))
                        assertTrue(again.repeated, "kill $round: the last payment again counts once")
                        assertEquals(stored, receiver.receive(again.text).amount)
                    }
                    amount = stored
                }
            }
        }
        assertTrue(said > KILLS, "$said payments in $KILLS kills: the moments are too early to show anything")
    }

    /** What a child paid before it was killed so many nanoseconds after its first payment could begin. */
    private fun killed(ready: ReadyChannel, nanos: Long): List<String> =
        Child("pay", ready.payer.file.toString(), ready.payer.words, ready.id).use { child ->
            assertEquals("ready", child.hear())
            LockSupport.parkNanos(nanos)
            child.kill()
        }

    @Test
    fun aKilledReceiverForgetsNothing() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val random = Random(5)
        ready.payer.open().use { payer ->
            repeat(KILLS) { round ->
                val texts = List(PAYMENTS) { payer.pay(ready.id, Child.STEP, "$round-$it").text }
                val paid = Child.STEP * PAYMENTS * (round + 1)
                val before = Child.STEP * PAYMENTS * round
                val told = Child("receive", ready.receiver.file.toString(), ready.receiver.words, ready.id).use { child ->
                    assertEquals("ready", child.hear())
                    texts.forEach(child::tell)
                    val heard = List(random.nextInt(1, PAYMENTS)) { child.hear()!! }
                    (heard + child.kill()).map { it.toLong().sats }
                }
                assertEquals(List(told.size) { before + Child.STEP * (it + 1) }, told, "each payment in its turn")
                ready.receiver.open().use { receiver ->
                    val stored = receiver.channel(ready.id).amount
                    assertTrue(stored >= told.last(), "kill $round: ${told.last()} were acknowledged, $stored are stored: money was forgotten")
                    assertTrue(stored <= told.last() + Child.STEP, "kill $round: ${told.last()} were acknowledged, $stored are stored: money was invented")
                    // What it did not take can be given to it again.
                    val rest = receiver.receive(texts.last())
                    assertEquals(paid to paid - stored, rest.amount to rest.increase)
                }
            }
        }
    }

    private companion object {
        /** In one life of a receiver. */
        const val PAYMENTS = 20

        const val KILLS = 8
    }
}
