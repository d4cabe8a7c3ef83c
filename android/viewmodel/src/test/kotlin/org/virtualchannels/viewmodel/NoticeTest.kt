package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Event
import org.virtualchannels.EventKind
import org.virtualchannels.Network
import org.virtualchannels.Sats
import org.virtualchannels.VirtualChannels
import org.virtualchannels.WalletConfig
import org.virtualchannels.closeAndWait
import org.virtualchannels.sats

/** What a person must act upon stays on the screen until it is dismissed, and everything else is shown by itself. */
class NoticeTest {
    @TempDir
    lateinit var folder: Path

    private fun CoroutineScope.follow(app: App): Job = launch(Dispatchers.Default) { app.wallet.follow(1.seconds) }

    private fun App.notices(): List<Notice> = wallet.ok().notices

    @Test
    fun noticesStayUntilTheyAreDismissed() = runBlocking<Unit> {
        val phone = App.start(folder.resolve("phone.db"))
        val friend = App.start(folder.resolve("friend.db"))
        phone.board()
        val channel = openOffchain(phone, friend)
        val wallet = checkNotNull(phone.wallet.wallet)
        var following = follow(phone)
        // Leaving on chain without coins for its fees.
        val address = wallet.onchainAddress()
        val exit = wallet.exitChannel(channel)
        eventually("the notice") { phone.notices().any { it.channelId == channel } }
        val fees = phone.notices().single { it.channelId == channel }
        val kind = fees.kind as EventKind.ExitNeedsFees
        assertEquals(exit.outpoint to address, kind.outpoint to kind.address)
        assertEquals(channel to Notice.Fees(kind.missing, address), fees.channelId to fees.fees)
        assertTrue(address in fees.text && "${kind.missing}" in fees.text, fees.text)
        // Leaving with what it has besides is told although the first one waits.
        wallet.exitCoins()
        eventually("the second notice") { phone.notices().size == 2 }
        val other = (phone.notices() - fees).single()
        assertNotEquals(exit.outpoint, (other.kind as EventKind.ExitNeedsFees).outpoint)

        // The app is ended: they come again, and only what was dismissed does not.
        val shown = phone.notices()
        following.cancelAndJoin()
        val again = phone.killed()
        assertEquals(listOf<Notice>(), again.notices())
        following = follow(again)
        eventually("both notices") { again.notices() == shown }
        again.wallet.dismiss(fees)
        eventually("the first to be gone") { again.notices() == listOf(other) }
        // Twice does no harm.
        again.wallet.dismiss(fees)
        again.wallet.ok()
        again.wallet.shutdown()
        // A wallet that is shut down is the end, and no complaint.
        withTimeout(60_000) { following.join() }
        val last = again.killed()
        val waiting = checkNotNull(last.wallet.wallet).pendingEvents(100u).mapNotNull { it.token }
        assertEquals(listOf(other.id), waiting, "nothing else waits: the rest was dealt with")
        listOf(again, last, friend).forEach { it.wallet.shutdown() }
    }

    @Test
    fun anotherPhoneWithTheSameWords() = runBlocking<Unit> {
        val words = VirtualChannels.newMnemonic()
        val phone = App.start(folder.resolve("phone.db"), words = words)
        val friend = App.start(folder.resolve("friend.db"))
        val config = WalletConfig(folder.resolve("other.db").toString(), Network.REGTEST, App.regtest.operator, App.regtest.esplora)
        val other = VirtualChannels.open(config, words)
        // The model shows a boarding address first; keys are counted.
        other.boardingAddress()
        val (address, back) = other.arkAddress() to checkNotNull(friend.wallet.wallet).arkAddress()
        // Each watches the addresses that it has shown.
        assertEquals(address, phone.wallet.wallet?.arkAddress())
        friend.board()
        friend.wallet.wallet?.send(address, 20_000.sats)
        eventually("the coin") {
            phone.wallet.refresh()
            phone.wallet.ok().balance?.preconfirmed == 20_000.sats && other.balance().preconfirmed == 20_000.sats
        }
        val txid = other.send(back, 5_000.sats)
        val following = follow(phone)
        eventually("the notice") {
            phone.wallet.refresh()
            phone.notices().isNotEmpty()
        }
        val notice = phone.notices().single()
        assertEquals(txid, (notice.kind as EventKind.SeedUsedElsewhere).spentBy)
        assertTrue("words" in notice.text, notice.text)
        assertNull(notice.fees)
        phone.wallet.dismiss(notice)
        eventually("it to be gone") { phone.notices().isEmpty() }
        listOf(phone, friend).forEach { it.wallet.shutdown() }
        withTimeout(60_000) { following.join() }
        other.closeAndWait()
    }

    /** What cannot be had from a regtest in a moment. */
    @Test
    fun whichEventsAreNotices() {
        fun notice(kind: EventKind, token: String? = "e:1") = Notice.of(Event(token, "channel", kind))
        val lost = EventKind.ChannelLost(7_000.sats, "txid")
        val notice = checkNotNull(notice(lost))
        assertEquals(listOf("e:1", "channel", lost, null), listOf(notice.id, notice.channelId, notice.kind, notice.fees))
        assertTrue("${7_000.sats}" in notice.text, notice.text)
        assertNull(notice(lost, token = null))
        val passing = listOf(
            EventKind.ChannelFunded, EventKind.ChannelOpened, EventKind.ChannelUnrolled, EventKind.ChannelClosed("txid"),
            EventKind.ChannelRefunded("txid"), EventKind.PaymentReceived(1.sats, 1.sats), EventKind.PaymentSent(1.sats, 1.sats),
            EventKind.ExitClaimed("txid:0", "txid", 1.sats), EventKind.OpeningFailed("offer", "reason"),
        )
        for (kind in passing) assertNull(notice(kind), "$kind")
    }

    /** Nobody presses anything on the payer's phone once the payment was made. */
    @Test
    fun itLooksAgainWhenSomethingHappens() = runBlocking<Unit> {
        val payer = App.start(folder.resolve("payer.db"))
        val receiver = App.start(folder.resolve("receiver.db"))
        payer.board()
        val channel = openOffchain(payer, receiver)
        val following = follow(payer)
        val list = launch(Dispatchers.Default) { payer.channels.follow() }
        payer.payer.pay(channel, 1_000.sats)
        receiver.receiver.scanned(payer.payer.shows<PayerScreen.Paid>().text)
        receiver.receiver.shows<ReceiverScreen.Received>()
        eventually("the balance") { payer.wallet.ok().balance?.inChannels == CAPACITY - 1_000.sats }
        payer.wallet.rest()
        payer.wallet.wake()
        receiver.receiver.close(channel)
        receiver.receiver.shows<ReceiverScreen.Closed>()
        eventually("the close") { payer.channels.ok().rows?.single()?.actions?.first() == ChannelAction.SETTLE }
        eventually("the money that is left") { payer.wallet.ok().balance?.inChannels == Sats.ZERO }
        assertEquals(listOf<Notice>(), payer.notices(), "good news are no notices")
        // Cancelled it ends, and nothing is held back.
        withTimeout(60_000) { following.cancelAndJoin() }
        payer.wallet.shutdown()
        withTimeout(60_000) { list.join() }
        payer.channels.ok()
        receiver.wallet.shutdown()
    }
}
