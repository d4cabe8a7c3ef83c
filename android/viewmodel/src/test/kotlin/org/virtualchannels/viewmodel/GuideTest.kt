package org.virtualchannels.viewmodel

import java.nio.file.Path
import java.util.Collections
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
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
import org.virtualchannels.FundingChoice
import org.virtualchannels.InviteRequest
import org.virtualchannels.Network
import org.virtualchannels.Parsed
import org.virtualchannels.ProposeRequest
import org.virtualchannels.Sats
import org.virtualchannels.VirtualChannels
import org.virtualchannels.Wallet
import org.virtualchannels.WalletConfig
import org.virtualchannels.WalletException
import org.virtualchannels.channelStates
import org.virtualchannels.events
import org.virtualchannels.sats

/**
 * The Kotlin of docs/guide.md, which runs here. `guide:` begins a piece and `end` ends it; [GuideTextTest] looks whether the guide
 * has it as it is here.
 */
class GuideTest {
    @TempDir
    lateinit var folder: Path

    private val shown: MutableList<String> = Collections.synchronizedList(mutableListOf())

    private fun show(text: String) {
        shown += text
    }

    @Test
    fun theGuide() = runBlocking<Unit> {
        val payer = openWallet(folder.resolve("payer.db").toString())
        val receiver = openWallet(folder.resolve("receiver.db").toString())
        val follower = CoroutineScope(Dispatchers.Default)
        val following = follow(receiver, follower)
        fund(payer)

        val invite = createInvite(receiver)
        val accept = accept(receiver, propose(payer, invite))
        val channel = open(payer, accept)
        for (wallet in listOf(payer, receiver)) eventually("the channel") { wallet.watch(channel).state == ChannelState.OPEN }
        receive(receiver, pay(payer, channel))
        receipt(payer, receiver, channel)
        refused(payer, channel)
        inTheBackground(payer)
        eventually("what is shown") { "1000 sats came in" in shown && "1 channels" in shown }
        following.forEach { it.cancelAndJoin() }
        assertEquals(1_000.sats, close(receiver, channel))
        for (wallet in listOf(payer, receiver)) wallet.use { it.shutdown() }
    }

    private suspend fun openWallet(databasePath: String): Wallet {
        val (operatorUrl, esploraUrl) = App.regtest.operator to App.regtest.esplora
        // guide: open
        val mnemonic = VirtualChannels.newMnemonic()    // the first time; then from behind the Keystore
        val config = WalletConfig(databasePath, Network.REGTEST, operatorUrl, esploraUrl)
        val wallet = VirtualChannels.open(config, mnemonic)
        wallet.resume()                                 // goes on with whatever was interrupted
        // end
        return wallet
    }

    private suspend fun fund(wallet: Wallet) {
        fun pay(address: String, amount: Sats) = App.regtest.pay(address, amount.value)
        // guide: fund
        val address = wallet.boardingAddress()
        pay(address, 100_000.sats)
        // end
        App.regtest.mine(1)
        eventually("the coins") { wallet.balance().boarding == 100_000.sats }
        // guide: settle
        val settlement = wallet.settle()                // as long as the operator's next batch takes
        show("${settlement.amount} in the batch ${settlement.commitmentTxid}, fee ${settlement.fee}")
        // end
        App.regtest.mine(1)
        eventually("the batch") { wallet.balance().settled == settlement.amount }
    }

    private suspend fun createInvite(receiver: Wallet): String {
        // guide: invite
        val invite = receiver.createInvite(InviteRequest(memo = "Coffee"))
        // end
        return invite
    }

    private suspend fun propose(payer: Wallet, invite: String): String {
        // guide: propose
        val scanned = payer.parse(invite) as? Parsed.Invite ?: error("not an invite")
        val request = ProposeRequest(capacity = 50_000.sats, funding = FundingChoice.Batch)
        val quote = payer.quoteOpen(invite, request)
        show("${scanned.memo}: from ${scanned.minCapacity} to ${scanned.maxCapacity}; fee ${quote.fee}; ${quote.trust}")
        val proposal = payer.propose(invite, request)
        // end
        assertEquals("Coffee", scanned.memo)
        return proposal.offer
    }

    private suspend fun accept(receiver: Wallet, offer: String): String {
        // guide: accept
        val text = when (val answer = receiver.accept(offer)) {
            is Acceptance.Accepted -> answer.accept     // a batch: hand it to the payer at once, and stay online
            is Acceptance.Open -> null                  // funded off chain: the channel takes payments already
        }
        // end
        return checkNotNull(text)
    }

    private suspend fun open(payer: Wallet, accept: String): String {
        // guide: openChannel
        val channel = payer.openChannel(accept)
        // end
        App.regtest.mine(1)
        return channel
    }

    private suspend fun pay(payer: Wallet, channel: String): String {
        val order = "order 17"
        // guide: pay
        val payment = payer.pay(channel, 1_000.sats, paymentId = order, memo = "a croissant")
        val qr = payment.text.uppercase()               // upper case makes the smaller QR code
        // end
        assertTrue(payer.pay(channel, 1_000.sats, order, "a croissant").repeated)
        return qr
    }

    private suspend fun receive(receiver: Wallet, text: String) {
        // guide: receive
        val received = receiver.receive(text)
        show("${received.increase} came in, ${received.amount} so far: ${received.memo}")
        // end
        assertEquals(1_000.sats, received.increase)
    }

    private suspend fun receipt(payer: Wallet, receiver: Wallet, channel: String) {
        // guide: receipt
        val receipt = receiver.receipt(channel)
        payer.acknowledge(receipt)
        // end
        assertTrue(payer.channel(channel).acknowledged)
    }

    private suspend fun refused(payer: Wallet, channel: String) {
        // guide: errors
        try {
            payer.refund(channel)
        } catch (early: WalletException.LocktimeNotReached) {
            show("not before ${early.locktime}, it is ${early.now}")
        } catch (error: WalletException) {
            show(error.toString())                      // a sentence with all figures
        }
        // end
        assertTrue(shown.last().startsWith("not before"), shown.last())
    }

    private fun follow(wallet: Wallet, scope: CoroutineScope): List<Job> {
        // guide: follow
        val happening = scope.launch {
            wallet.events().collect { event ->
                when (val kind = event.kind) {
                    is EventKind.PaymentReceived -> show("${kind.increase} came in")
                    is EventKind.ChannelClosed -> show("closed by ${kind.txid}")
                    else -> Unit                        // dealt with all the same: it does not come again
                }
            }
        }
        val listed = scope.launch { wallet.channelStates().collect { channels -> show("${channels.size} channels") } }
        // end
        return listOf(happening, listed)
    }

    private suspend fun inTheBackground(wallet: Wallet) {
        val times = mutableListOf<Long>()
        fun schedule(unixSeconds: Long) = times.add(unixSeconds)
        // guide: background
        val report = wallet.maintain()
        report.errors.forEach { show(it.error.toString()) }
        report.nextRun?.let { schedule(it.toLong()) }   // unix seconds
        // end
        assertTrue(report.errors.isEmpty(), report.errors.toString())
        assertTrue(times.single() > System.currentTimeMillis() / 1_000, times.toString())
    }

    private suspend fun close(receiver: Wallet, channel: String): Sats {
        // guide: close
        val txid = receiver.closeChannel(channel)
        val settlement = receiver.settle()              // from the batch's confirmation on the money is final
        // end
        assertEquals(txid, receiver.channel(channel).resultTxid)
        return settlement.amount
    }
}
