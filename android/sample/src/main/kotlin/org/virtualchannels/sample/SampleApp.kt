package org.virtualchannels.sample

import android.app.Application
import java.io.File
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import org.virtualchannels.WalletConfig
import org.virtualchannels.WalletInterface
import org.virtualchannels.android.WalletFiles
import org.virtualchannels.sample.background.WalletHolder
import org.virtualchannels.sample.background.WalletNotOpen
import org.virtualchannels.sample.keys.KeystoreKey
import org.virtualchannels.sample.keys.MnemonicStore
import org.virtualchannels.viewmodel.ChannelListModel
import org.virtualchannels.viewmodel.PayerModel
import org.virtualchannels.viewmodel.ReceiverModel
import org.virtualchannels.viewmodel.WalletModel

/** The models of the screens that need an open wallet. */
class Models(wallet: WalletInterface) {
    val payer = PayerModel(wallet)
    val receiver = ReceiverModel(wallet)
    val channels = ChannelListModel(wallet)
}

/** Holds the wallet and its models: they outlive the screens, which come and go with each turn of the phone. */
class SampleApp : Application(), WalletHolder {
    /** What a button began goes on when its screen has gone. */
    val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main)

    val places by lazy { Places(this) }
    val pending by lazy { PendingPayment(File(noBackupFilesDir, "payment")) }
    val mnemonics by lazy { StoredMnemonic(MnemonicStore(File(noBackupFilesDir, "mnemonic"), KeystoreKey())) }

    /** Null until the user said where operator and chain are. */
    var wallet: WalletModel? = null
        private set

    /** Null until the wallet is open. */
    var models: Models? = null
        private set

    /**
     * Opens the wallet of this place, unless it is open; goes on when the screen that asked has gone. Null where no place is
     * known yet, or where the wallet cannot be opened: its model says why.
     */
    suspend fun open(): Models? = scope.async {
        val place = places.load() ?: return@async null
        val model = wallet ?: WalletModel(config(place), mnemonics).also { wallet = it }
        model.open()
        models ?: model.wallet?.let { opened -> Models(opened).also { models = it } }
    }.await()

    /** Where the wallet does not open with it: asks for another one. */
    fun forgetPlace() {
        if (models != null) return
        places.forget()
        wallet = null
    }

    override suspend fun openWallet(): WalletInterface? {
        if (places.load() == null) return null
        open()
        return wallet?.wallet ?: throw WalletNotOpen()
    }

    private fun config(place: Place) = WalletConfig(
        databasePath = WalletFiles.database(this),
        network = place.network,
        operatorUrl = place.operator,
        esploraUrl = place.esplora,
    )
}
