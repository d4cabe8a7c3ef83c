package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Many payments at once: each counts once. */
class PayingTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun sixtyFourPaymentsAtOnce() = runBlocking<Unit>(Dispatchers.Default) {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            ready.receiver.open().use { receiver ->
                val payments = (1..64).map { async { payer.pay(ready.id, STEP, "order $it") } }.awaitAll()
                val expected = (1..64).map { STEP * it }.toSet()
                assertEquals(expected, payments.map { it.amount }.toSet(), "each has an amount of its own")
                assertEquals(expected.max(), payer.channel(ready.id).amount)

                val answers = payments.map { async { runCatching { receiver.receive(it.text).increase } } }.awaitAll()
                val refused = answers.mapNotNull { it.exceptionOrNull() }
                assertTrue(refused.all { it is WalletException.Stale }, "$refused")
                val taken = answers.mapNotNull { it.getOrNull() }.fold(Sats.ZERO, Sats::plus)
                assertEquals(expected.max(), taken, "the increases add up")
                assertEquals(expected.max(), receiver.channel(ready.id).amount)
            }
        }
    }

    @Test
    fun twoWalletsOnOneFile() = runBlocking<Unit>(Dispatchers.Default) {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { one ->
            ready.payer.open().use { other ->
                val wallets = listOf("one" to one, "other" to other)
                val payments = wallets.flatMap { (name, wallet) ->
                    (1..32).map { async { wallet.pay(ready.id, STEP, "$name $it") } }
                }.awaitAll()
                val expected = (1..64).map { STEP * it }.toSet()
                assertEquals(expected, payments.map { it.amount }.toSet(), "each has an amount of its own")
                for ((_, wallet) in wallets) assertEquals(expected.max(), wallet.channel(ready.id).amount)
                assertTrue(one.pay(ready.id, STEP, "other 32").repeated, "the other's payment id is known")
                ready.receiver.open().use { receiver ->
                    assertEquals(expected.max(), receiver.receive(other.latestUpdate(ready.id).text).amount)
                }
            }
        }
    }

    @Test
    fun manyReceivedInOneGo() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            ready.receiver.open().use { receiver ->
                val texts = (1..50).map { payer.pay(ready.id, STEP, "order $it").text }
                val answers = receiver.receiveMany(listOf("garbage") + texts + texts.first())
                assertTrue((answers.first() as ReceiveResult.Refused).error is WalletException.InvalidText)
                val taken = answers.drop(1).dropLast(1).map { (it as ReceiveResult.Taken).received.increase }
                assertEquals(List(50) { STEP }, taken)
                assertTrue((answers.last() as ReceiveResult.Refused).error is WalletException.Stale)
            }
        }
    }

    private companion object {
        val STEP = 1_000.sats
    }
}
