package org.virtualchannels.demo

import java.nio.file.Path
import kotlinx.coroutines.delay
import org.virtualchannels.Balance
import org.virtualchannels.Sats
import org.virtualchannels.VirtualChannels
import org.virtualchannels.WalletConfig
import org.virtualchannels.viewmodel.ChannelListModel
import org.virtualchannels.viewmodel.ChannelRow
import org.virtualchannels.viewmodel.MnemonicSource
import org.virtualchannels.viewmodel.Model
import org.virtualchannels.viewmodel.PayerModel
import org.virtualchannels.viewmodel.ReceiverModel
import org.virtualchannels.viewmodel.ScreenState
import org.virtualchannels.viewmodel.WalletModel

/** Why the demo ends. */
class Failure(sentence: String) : Exception(sentence)

/** The state after an action; a problem ends the demo. */
fun <S : ScreenState<S>> Model<S>.ok(): S = state.value.also { state -> state.problem?.let { throw Failure(it) } }

/** One phone: a wallet, and the models of all its screens. */
class Phone private constructor(private val place: Place, val wallet: WalletModel) {
    private val opened = checkNotNull(wallet.wallet)
    val payer = PayerModel(opened)
    val receiver = ReceiverModel(opened)
    val channels = ChannelListModel(opened)

    /** What it holds, asked now. */
    suspend fun balance(): Balance {
        wallet.refresh()
        return wallet.ok().balance ?: throw Failure("no balance")
    }

    /** Coins on chain become a settled VTXO; answers what the batch took as fee. */
    suspend fun settle(): Sats {
        wallet.settle()
        return wallet.ok().settled?.fee ?: throw Failure("nothing was settled")
    }

    /** The channel as it stands in the list, looked at now; null where it is not known yet. */
    suspend fun channel(id: String): ChannelRow? {
        channels.refresh()
        return channels.ok().rows?.find { it.id == id }
    }

    /** Asks until it is so. */
    suspend fun waitFor(what: String, condition: suspend Phone.() -> Boolean) {
        val patience = if (place.hasFaucet) 60_000L else 24 * 3_600_000L
        val end = System.nanoTime() + patience * 1_000_000
        while (!condition()) {
            if (System.nanoTime() > end) throw Failure("waited ${patience / 1_000} s for $what")
            delay(if (place.hasFaucet) 300 else 10_000)
        }
    }

    companion object {
        /** A new wallet; its words are kept in memory only. */
        suspend fun open(place: Place, file: Path): Phone {
            val words = VirtualChannels.newMnemonic()
            val config = WalletConfig(file.toString(), place.network, place.operator, place.esplora)
            val wallet = WalletModel(config, MnemonicSource { words })
            wallet.open()
            wallet.ok()
            return Phone(place, wallet)
        }
    }
}
