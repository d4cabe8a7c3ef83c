package org.virtualchannels.viewmodel

import java.nio.file.Files
import java.nio.file.Path
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.FundingChoice
import org.virtualchannels.Sats
import org.virtualchannels.sats

/** Buttons that are pressed twice, at once and one after the other. */
class PressedTwiceTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun everythingHappensOnce() = runBlocking<Unit> {
        val payer = App.start(folder.resolve("payer.db"))
        val receiver = App.start(folder.resolve("receiver.db"))
        twice { payer.wallet.open() }
        payer.board()

        twice { receiver.receiver.invite("Tea") }
        val invite = receiver.receiver.shows<ReceiverScreen.Invite>()
        receiver.receiver.invite("Tea")
        assertEquals(invite, receiver.receiver.ok().screen)
        receiver.receiver.invite("Cake")
        assertNotEquals(invite, receiver.receiver.ok().screen)

        payer.payer.scanned(invite.text)
        payer.payer.propose()
        assertEquals("Choose a capacity first.", payer.payer.state.value.problem)
        payer.payer.quote(CAPACITY, FundingChoice.Offchain)
        // Off chain an offer costs money: twice would be two channels.
        twice { payer.payer.propose(FundingChoice.Offchain) }
        val offer = payer.payer.shows<PayerScreen.Offer>()
        assertEquals(1, channels(payer))
        twice { receiver.receiver.scanned(offer.text) }
        val channel = receiver.receiver.shows<ReceiverScreen.Opened>().channel
        assertEquals(1, channels(receiver))

        twice { payer.payer.pay(channel, 1_000.sats) }
        assertEquals(1_000.sats, payer.payer.shows<PayerScreen.Paid>().paid)
        val payment = payer.payer.shows<PayerScreen.Paid>().text
        // An app that was killed meanwhile kept the id, and makes the payment once all the same.
        val started = PayerModel(checkNotNull(payer.wallet.wallet))
        started.pay(channel, 1_000.sats, paymentId = payer.payer.state.value.paymentId)
        assertEquals(payment, started.shows<PayerScreen.Paid>().text)
        assertEquals(1_000.sats, started.shows<PayerScreen.Paid>().paid)
        payer.payer.next()
        payer.payer.pay(channel, 1_000.sats)
        assertEquals(2_000.sats, payer.payer.shows<PayerScreen.Paid>().paid)
        twice { receiver.receiver.scanned(payment) }
        assertEquals(1_000.sats, receiver.receiver.shows<ReceiverScreen.Received>().total)

        twice { receiver.receiver.close(channel) }
        val closed = receiver.receiver.shows<ReceiverScreen.Closed>()
        assertEquals(channel, closed.channel)
        coroutineScope { List(2) { async { receiver.receiver.settle() } }.awaitAll() }
        assertEquals(1_000.sats, receiver.receiver.ok().settled?.amount)
        receiver.receiver.settle()
        assertEquals("Nothing new to settle: the last batch waits for its confirmation.", receiver.receiver.state.value.problem)
        App.regtest.mine(1)
        eventually("the batch") { receiver.settled() == 1_000.sats }
        receiver.receiver.settle()
        assertEquals("There is nothing to settle.", receiver.receiver.state.value.problem)
    }

    @Test
    fun aPayerThatLostAPaymentCatchesUp() = runBlocking<Unit> {
        val payer = App.start(folder.resolve("payer.db"))
        val receiver = App.start(folder.resolve("receiver.db"))
        payer.board()
        val channel = open(payer, receiver)
        pay(payer, receiver, channel, 1_000.sats)
        payer.wallet.shutdown()
        val old = folder.resolve("old.db")
        Files.copy(payer.file, old)
        val going = payer.killed()
        pay(going, receiver, channel, 2_000.sats)

        val restored = going.restored(old)
        restored.payer.pay(channel, 1_500.sats)
        receiver.receiver.scanned(restored.payer.shows<PayerScreen.Paid>().text)
        val shown = receiver.receiver.state.value.screen as ReceiverScreen.CatchUp
        assertTrue("3000" in checkNotNull(receiver.receiver.state.value.problem))
        restored.payer.scanned(shown.text)
        assertEquals("The next payment goes on from 3000 sats", restored.payer.ok().notice)
        restored.payer.next()
        pay(restored, receiver, channel, 500.sats)
        assertEquals(3_500.sats, receiver.row(channel)?.paid)
    }

    private suspend fun pay(payer: App, receiver: App, channel: String, amount: Sats) {
        payer.payer.pay(channel, amount)
        receiver.receiver.scanned(payer.payer.shows<PayerScreen.Paid>().text)
        assertEquals(amount, receiver.receiver.shows<ReceiverScreen.Received>().increase)
        payer.payer.next()
    }

    /** At once, and once more. */
    private suspend fun twice(press: suspend () -> Unit) {
        coroutineScope { List(2) { async { press() } }.awaitAll() }
        press()
    }

    private suspend fun channels(app: App): Int {
        app.channels.refresh()
        return checkNotNull(app.channels.ok().rows).size
    }
}
