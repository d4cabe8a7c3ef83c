package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Sats
import org.virtualchannels.sats

/** A channel's life, through the models only. With apps that are killed between any two steps it is the same life. */
class LifeCycleTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun inOneGo() = runBlocking { live { it } }

    @Test
    fun withAppsThatAreKilledBetweenAnyTwoSteps() = runBlocking { live { it.killed() } }

    private suspend fun live(between: suspend (App) -> App) {
        var payer = App.start(folder.resolve("payer.db"))
        var receiver = App.start(folder.resolve("receiver.db"))
        payer.board()
        suspend fun next() {
            payer = between(payer)
            receiver = between(receiver)
        }

        next()
        receiver.receiver.invite("Coffee")
        val invite = receiver.receiver.shows<ReceiverScreen.Invite>().text
        next()
        payer.payer.scanned(invite)
        assertEquals("Coffee", payer.payer.shows<PayerScreen.Invite>().invite.memo)
        payer.payer.quote(CAPACITY)
        val quote = checkNotNull(payer.payer.shows<PayerScreen.Invite>().quote)
        assertEquals(CAPACITY, quote.amount)
        assertTrue(quote.trust.isNotEmpty() && quote.closeBy != null, quote.toString())
        payer.payer.propose()
        val offer = payer.payer.shows<PayerScreen.Offer>().text
        assertEquals(offer.uppercase(), offer)
        next()
        receiver.receiver.scanned(offer)
        val accept = receiver.receiver.shows<ReceiverScreen.Accept>().text
        next()
        payer.payer.scanned(accept)
        val channel = payer.payer.shows<PayerScreen.Opened>().channel
        next()
        assertEquals("waits for confirmation", payer.row(channel)?.state)
        confirmed(payer, receiver, channel)

        next()
        payer.payer.pay(channel, 1_000.sats, "one coffee")
        val paid = payer.payer.shows<PayerScreen.Paid>()
        assertEquals(1_000.sats to CAPACITY - 1_000.sats, paid.paid to paid.remaining)
        next()
        // It is not lost with the screen that showed it.
        payer.payer.showLatest(channel)
        assertEquals(paid, payer.payer.shows<PayerScreen.Paid>().copy(text = paid.text))
        val again = payer.payer.shows<PayerScreen.Paid>().text
        receiver.receiver.scanned(again)
        val received = receiver.receiver.shows<ReceiverScreen.Received>()
        assertEquals(1_000.sats to 1_000.sats, received.increase to received.total)
        next()
        receiver.receiver.scanned(paid.text)
        assertEquals(Sats.ZERO to 1_000.sats, receiver.receiver.shows<ReceiverScreen.Received>().let { it.increase to it.total })
        receiver.receiver.receipt(channel, "thanks")
        val receipt = receiver.receiver.shows<ReceiverScreen.Receipt>().text
        next()
        payer.payer.scanned(receipt)
        assertEquals("The receiver confirms 1000 sats", payer.payer.ok().notice)

        next()
        receiver.receiver.close(channel)
        val txid = receiver.receiver.shows<ReceiverScreen.Closed>().txid
        assertEquals(64, txid.length)
        next()
        eventually("the payer to see it") { payer.row(channel)?.actions?.first() == ChannelAction.SETTLE }
        receiver.receiver.settle()
        assertEquals(1_000.sats, receiver.receiver.ok().settled?.amount)
        next()
        payer.channels.act(ChannelAction.SETTLE, channel)
        payer.channels.ok()
        App.regtest.mine(1)
        eventually("the receiver's money") { receiver.settled() == 1_000.sats }
        eventually("the payer's money") { payer.settled() == FUNDING - 1_000.sats }
        eventually("the channel to be settled") { receiver.row(channel)?.state == "settled" }
        shutDown(payer, receiver)
    }

    /** Then nothing is open, and an action says so. */
    private suspend fun shutDown(vararg apps: App) = apps.forEach {
        it.wallet.shutdown()
        assertEquals(WalletPhase.CLOSED, it.wallet.ok().phase)
        it.wallet.refresh()
        assertEquals("The wallet is not open.", it.wallet.state.value.problem)
    }
}
