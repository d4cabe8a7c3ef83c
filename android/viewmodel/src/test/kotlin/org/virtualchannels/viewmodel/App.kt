package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlinx.coroutines.delay
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.virtualchannels.FundingChoice
import org.virtualchannels.Network
import org.virtualchannels.RegtestProcess
import org.virtualchannels.Sats
import org.virtualchannels.VirtualChannels
import org.virtualchannels.WalletConfig
import org.virtualchannels.sats

/** One phone's app: all its models, over one wallet. Only they are used, as screens would. */
class App private constructor(
    private val words: String,
    val file: Path,
    val regtest: RegtestProcess,
    val wallet: WalletModel,
) {
    private val opened = checkNotNull(wallet.wallet)
    val payer = PayerModel(opened)
    val receiver = ReceiverModel(opened)
    val channels = ChannelListModel(opened)

    /** The system kills the app in the middle of whatever it does; the user starts it again. */
    suspend fun killed(): App {
        opened.close()
        return start(file, regtest, words)
    }

    /** The same, from another file. */
    suspend fun restored(file: Path): App {
        opened.close()
        return start(file, regtest, words)
    }

    /** The channel's line in the list, after a look at chain and operator. */
    suspend fun row(channel: String): ChannelRow? {
        channels.refresh()
        return channels.ok().rows?.find { it.id == channel }
    }

    /** What is settled, asked now. */
    suspend fun settled(): Sats {
        wallet.refresh()
        return checkNotNull(wallet.ok().balance).settled
    }

    companion object {
        /** One for the whole run, of an operator that counts in seconds; it ends with this process. */
        val regtest: RegtestProcess by lazy { RegtestProcess.start("--unit", "second", "--session", "1") }

        /** A new wallet in this file. */
        suspend fun start(file: Path, regtest: RegtestProcess = App.regtest, words: String? = null): App {
            val mnemonic = words ?: VirtualChannels.newMnemonic()
            val config = WalletConfig(file.toString(), Network.REGTEST, regtest.operator, regtest.esplora)
            val wallet = WalletModel(config, MnemonicSource { mnemonic })
            wallet.open()
            wallet.ok()
            return App(mnemonic, file, regtest, wallet)
        }
    }
}

/** The state after an action that must have gone well. */
fun <S : ScreenState<S>> Model<S>.ok(): S = state.value.also { assertNull(it.problem) }

/** The screen that must be on. */
inline fun <reified T : PayerScreen> PayerModel.shows(): T = ok().screen.let { it as? T ?: throw AssertionError("the payer sees $it") }

/** The screen that must be on. */
inline fun <reified T : ReceiverScreen> ReceiverModel.shows(): T =
    ok().screen.let { it as? T ?: throw AssertionError("the receiver sees $it") }

/** Asks again and again until it is so. */
suspend fun eventually(what: String, condition: suspend () -> Boolean) {
    val end = System.nanoTime() + 60_000_000_000
    while (!condition()) {
        check(System.nanoTime() < end) { "waited 60 s for $what" }
        delay(100)
    }
}

val FUNDING: Sats = 200_000.sats
val CAPACITY: Sats = 100_000.sats

/** Coins on chain, and then in a batch. */
suspend fun App.board() {
    regtest.pay(checkNotNull(wallet.ok().boardingAddress), FUNDING.value)
    regtest.mine(1)
    eventually("the coins") {
        wallet.refresh()
        wallet.ok().balance?.boarding == FUNDING
    }
    wallet.settle()
    assertEquals(FUNDING, wallet.ok().settled?.amount)
    regtest.mine(1)
    eventually("the batch") { settled() == FUNDING }
}

/** What the payer offers for what the receiver invites to. */
suspend fun offer(payer: App, receiver: App, funding: FundingChoice = FundingChoice.Batch): String {
    receiver.receiver.invite()
    payer.payer.scanned(receiver.receiver.shows<ReceiverScreen.Invite>().text)
    payer.payer.quote(CAPACITY, funding)
    payer.payer.propose(funding)
    return payer.payer.shows<PayerScreen.Offer>().text
}

/** A channel that is open on both sides, from its invite. */
suspend fun open(payer: App, receiver: App): String {
    receiver.receiver.scanned(offer(payer, receiver))
    payer.payer.scanned(receiver.receiver.shows<ReceiverScreen.Accept>().text)
    val channel = payer.payer.shows<PayerScreen.Opened>().channel
    confirmed(payer, receiver, channel)
    payer.payer.next()
    receiver.receiver.next()
    return channel
}

/** A channel that is funded off chain, open on both sides at once. */
suspend fun openOffchain(payer: App, receiver: App): String {
    receiver.receiver.scanned(offer(payer, receiver, FundingChoice.Offchain))
    val channel = receiver.receiver.shows<ReceiverScreen.Opened>().channel
    payer.payer.next()
    receiver.receiver.next()
    return channel
}

/** Its block is mined, and both see it. */
suspend fun confirmed(payer: App, receiver: App, channel: String) {
    payer.regtest.mine(1)
    eventually("the payer's channel") { payer.row(channel)?.isOpen == true }
    eventually("the receiver's channel") { receiver.row(channel)?.isOpen == true }
}
