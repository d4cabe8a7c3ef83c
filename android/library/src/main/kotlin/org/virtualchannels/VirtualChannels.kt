package org.virtualchannels

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** Where an app begins: opening a wallet and making a mnemonic, both safe on the main thread. */
object VirtualChannels {
    /**
     * Opens a wallet, as [Wallet.open] does, but loads the native library (some tenths of a second, the first time) off the
     * calling thread. Everything else a wallet does runs on threads of its own, so all its calls may be made from the main
     * thread.
     *
     * Cancelled, it leaves nothing open. Close the wallet with [closeAndWait], or with `use` where nothing is under way.
     *
     * @param clock for tests; null is the system's.
     * @throws WalletException why it cannot be opened.
     */
    suspend fun open(config: WalletConfig, mnemonic: String, clock: Clock? = null): Wallet {
        load()
        // No suspension point may follow this call: a wallet that is dropped there would stay open until it is collected.
        return Wallet.open(config, mnemonic, clock)
    }

    /** Twelve fresh words, as from [generateMnemonic]. Whoever has them has the money: keep them in Android's Keystore. */
    suspend fun newMnemonic(): String = withContext(Dispatchers.IO) { generateMnemonic() }

    /** Loads the native library off the calling thread. [open] does it; call it early to be faster then. */
    suspend fun load(): Unit = withContext(Dispatchers.IO) { uniffiEnsureInitialized() }
}
