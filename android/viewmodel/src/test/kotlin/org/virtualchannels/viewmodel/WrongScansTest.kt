package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Sats
import org.virtualchannels.sats

/** Whatever a camera reads: a sentence that helps, and everything stays as it was. */
class WrongScansTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun everyTextOnTheWrongScreen() = runBlocking<Unit> {
        val payer = App.start(folder.resolve("payer.db"))
        val receiver = App.start(folder.resolve("receiver.db"))
        payer.board()
        receiver.receiver.invite("Tea")
        val invite = receiver.receiver.shows<ReceiverScreen.Invite>()
        refused(receiver, invite.text, "This is an invite: the payer scans it. A receiver scans the payer's offer or payment.")
        assertEquals(invite, receiver.receiver.state.value.screen)

        val offer = offer(payer, receiver)
        refusedByPayer(payer, offer, "This is an offer: the receiver scans it. A payer scans the receiver's invite or accept.")
        receiver.receiver.scanned(offer)
        val accept = receiver.receiver.shows<ReceiverScreen.Accept>().text
        refused(receiver, accept, "This is an accept: the payer scans it. A receiver scans the payer's offer or payment.")

        payer.payer.scanned(accept)
        val channel = payer.payer.shows<PayerScreen.Opened>().channel
        confirmed(payer, receiver, channel)
        refusedByPayer(payer, accept, "No offer waits for this accept. Perhaps its channel is open already: look at the list of channels.")
        refused(receiver, offer, "The invite has been used.")

        payer.payer.pay(channel, 2_000.sats)
        val payment = payer.payer.shows<PayerScreen.Paid>().text
        val stranger = App.start(folder.resolve("stranger.db"))
        refusedByPayer(stranger, payment, "This is a payment: the receiver scans it. A payer scans the receiver's invite or accept.")
        refused(stranger, payment, "No invite, offer or channel of this wallet has that id.")
        receiver.receiver.scanned(payment)
        receiver.receiver.receipt(channel)
        val receipt = receiver.receiver.shows<ReceiverScreen.Receipt>().text
        refused(receiver, receipt, "This is a receipt: the payer scans it. A receiver scans the payer's offer or payment.")

        val address = checkNotNull(stranger.wallet.ok().boardingAddress)
        refusedByPayer(stranger, address, "This is an address. A payer scans the receiver's invite to open a channel.")
        refused(stranger, address, "This is an address. A receiver scans the payer's offer or payment.")
        for (garbage in listOf("", "   ", "hello", "https://example.org/?q=1", payment.dropLast(1), "\u0000".repeat(5_000))) {
            payer.payer.scanned(garbage)
            assertReadable(payer.payer.state.value.problem)
            receiver.receiver.scanned(garbage)
            assertReadable(receiver.receiver.state.value.problem)
        }
        assertEquals(2_000.sats, payer.row(channel)?.paid)
        assertEquals(2_000.sats, receiver.row(channel)?.paid)
    }

    @Test
    fun aPaymentThatCannotBeMadeSaysWhyAndPaysNothing() = runBlocking<Unit> {
        val payer = App.start(folder.resolve("payer.db"))
        val receiver = App.start(folder.resolve("receiver.db"))
        payer.board()
        val channel = open(payer, receiver)
        for ((amount, part) in listOf(0.sats to "at least one sat", 1.sats to "not possible", CAPACITY + 1.sats to "more than the capacity")) {
            payer.payer.pay(channel, amount)
            val problem = checkNotNull(payer.payer.state.value.problem)
            assertTrue(part in problem, problem)
        }
        assertEquals(Sats.ZERO, payer.row(channel)?.paid)
        // The next one goes well, and takes the sentence off the screen.
        payer.payer.pay(channel, 1_000.sats)
        assertEquals(1_000.sats, payer.payer.shows<PayerScreen.Paid>().paid)
        payer.payer.dismissProblem()
        assertNull(payer.payer.state.value.problem)
    }

    private suspend fun refused(app: App, text: String, sentence: String) {
        app.receiver.scanned(text)
        assertEquals(sentence, app.receiver.state.value.problem)
    }

    private suspend fun refusedByPayer(app: App, text: String, sentence: String) {
        app.payer.scanned(text)
        assertEquals(sentence, app.payer.state.value.problem)
    }

    private fun assertReadable(problem: String?) =
        assertTrue(problem != null && problem.first().isUpperCase() && problem.endsWith(".") && problem.length > 20, problem)
}
