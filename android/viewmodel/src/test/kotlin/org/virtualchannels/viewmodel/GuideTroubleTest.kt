package org.virtualchannels.viewmodel

import java.nio.file.Files
import java.nio.file.Path
import java.util.Collections
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Acceptance
import org.virtualchannels.ChannelState
import org.virtualchannels.EventKind
import org.virtualchannels.ExitProblem
import org.virtualchannels.FundingChoice
import org.virtualchannels.InviteRequest
import org.virtualchannels.Network
import org.virtualchannels.ProposeRequest
import org.virtualchannels.Sats
import org.virtualchannels.VirtualChannels
import org.virtualchannels.Wallet
import org.virtualchannels.WalletConfig
import org.virtualchannels.WalletException
import org.virtualchannels.closeAndWait
import org.virtualchannels.follow
import org.virtualchannels.sats

/** The Kotlin of the guide's part on what goes wrong; as [GuideTest]. */
class GuideTroubleTest {
    @TempDir
    lateinit var folder: Path

    private val shown: MutableList<String> = Collections.synchronizedList(mutableListOf())

    private fun show(text: String) {
        shown += text
    }

    @Test
    fun whatGoesWrongWithFiles() = runBlocking<Unit> {
        val words = VirtualChannels.newMnemonic()
        val receiver = VirtualChannels.open(config("receiver"), VirtualChannels.newMnemonic())
        var payer = VirtualChannels.open(config("payer"), words)
        val channel = channel(payer, receiver)
        receiver.receive(payer.pay(channel, 1_000.sats, "one").text)
        val backup = payer.backup()
        payer.closeAndWait()
        Files.copy(folder.resolve("payer.db"), folder.resolve("old.db"))
        payer = VirtualChannels.open(config("payer"), words)
        receiver.receive(payer.pay(channel, 500.sats, "two").text)
        payer.closeAndWait()

        payer = VirtualChannels.open(config("old"), words)
        catchUp(payer, receiver, channel)
        assertEquals(1_700.sats, receiver.channel(channel).amount)
        payer.closeAndWait()
        restore(config("found"), words, backup, receiver, channel)
        exit(receiver, channel)
        receiver.closeAndWait()
    }

    @Test
    fun endingTogether() = runBlocking<Unit> {
        val (payer, receiver) = listOf("payer", "receiver").map { VirtualChannels.open(config(it), VirtualChannels.newMnemonic()) }
        inTheForeground(receiver, CoroutineScope(Dispatchers.Default))
        val paid = channel(payer, receiver)
        receiver.receive(payer.pay(paid, 1_000.sats, "one").text)
        val txid = together(payer, receiver, paid)
        assertEquals(txid, receiver.channel(paid).resultTxid)
        val unused = channel(payer, receiver)
        givenBack(payer, receiver, unused)
        assertEquals(listOf(ChannelState.CLOSED, ChannelState.CLOSED), listOf(payer, receiver).map { it.channel(unused).state })
        for (wallet in listOf(payer, receiver)) wallet.closeAndWait()
    }

    private fun config(name: String) =
        WalletConfig(folder.resolve("$name.db").toString(), Network.REGTEST, App.regtest.operator, App.regtest.esplora)

    /** Open at once, with coins that are brought for it. */
    private suspend fun channel(payer: Wallet, receiver: Wallet): String {
        App.regtest.pay(payer.boardingAddress(), 100_000u)
        App.regtest.mine(1)
        eventually("the coins") { payer.balance().boarding == 100_000.sats }
        val before = payer.balance().settled
        payer.settle()
        App.regtest.mine(1)
        eventually("the batch") { payer.balance().settled > before }
        val request = ProposeRequest(50_000.sats, FundingChoice.Offchain)
        val proposal = payer.propose(receiver.createInvite(InviteRequest()), request)
        return (receiver.accept(proposal.offer) as Acceptance.Open).channelId
    }

    private suspend fun inTheForeground(wallet: Wallet, scope: CoroutineScope) {
        // guide: live
        val live = scope.launch { wallet.follow() }     // as long as the app is in the foreground
        // end
        assertTrue(live.isActive)
        live.cancelAndJoin()
    }

    // guide: sentences
    fun sentence(kind: EventKind): String? = when (kind) {
        EventKind.ChannelUnrolled -> "A channel was put on chain. Your money follows by itself: open the app now and then"
        is EventKind.ExitNeedsFees -> "Pay ${kind.missing} to ${kind.address}: leaving on chain costs fees"
        is EventKind.ExitClaimed -> "${kind.amount} are yours on chain"
        is EventKind.ChannelLost -> "${kind.amount} can not be claimed any more"
        is EventKind.SeedUsedElsewhere -> "Somebody else uses your words. If it was not you, move your money to new ones"
        else -> null                                // good news, and what passes by itself
    }
    // end

    private suspend fun catchUp(payer: Wallet, receiver: Wallet, channel: String) {
        val payment = payer.pay(channel, 200.sats, "tea")
        // guide: old file
        try {
            receiver.receive(payment.text)
        } catch (refused: WalletException.Stale) {      // Forked carries the same
            val base = payer.catchUp(refused.storedPayment) // the receiver shows it, the payer scans it
            if (base != payment.amount) receiver.receive(payer.pay(channel, 200.sats, paymentId = "tea, again").text)
        }
        // end
    }

    private suspend fun restore(config: WalletConfig, mnemonic: String, backup: String, receiver: Wallet, channel: String) {
        // guide: restore
        val restored = VirtualChannels.restore(config, mnemonic, backup)
        restored.report.warnings.forEach { show(it.toString()) }
        val base = restored.wallet.catchUp(receiver.latestUpdate(channel).text)
        // end
        assertEquals(1_700.sats, base)
        assertEquals(listOf<String>(), shown)
        restored.wallet.closeAndWait()
    }

    private suspend fun exit(receiver: Wallet, channel: String) {
        // guide: quote
        val quote = receiver.exitQuote(channel)
        show("brings ${quote.net} in about ${quote.seconds / 3_600u} h")
        if (quote.missing > Sats.ZERO) show("needs ${quote.missing} for fees at ${quote.address}")
        // end
        // guide: exit
        val exit = receiver.exitChannel(channel)        // there is no way back; maintain() goes on with it
        (exit.problem as? ExitProblem.NeedsFees)?.let { show("pay ${it.missing} to ${it.address}") }
        // end
        assertEquals(listOf("brings", "needs", "pay"), shown.map { it.substringBefore(" ") })
        assertEquals(ChannelState.EXITING, receiver.channel(channel).state)
        val sentences = receiver.pendingEvents(100u).mapNotNull { sentence(it.kind) }
        assertTrue(sentences.any { it.startsWith("Pay ") }, sentences.toString())
    }

    private suspend fun together(payer: Wallet, receiver: Wallet, channel: String): String {
        // guide: together
        val request = receiver.requestClose(channel)    // good for a day; binds nobody
        val grant = payer.grantClose(request)           // its user has agreed: it pays nothing more in this channel
        val txid = receiver.closeWith(grant)
        // end
        return txid
    }

    private suspend fun givenBack(payer: Wallet, receiver: Wallet, channel: String) {
        // guide: given back
        val release = receiver.releaseChannel(channel)  // or granted, where the payer asks with requestClose
        payer.closeWith(release)
        // end
    }
}
