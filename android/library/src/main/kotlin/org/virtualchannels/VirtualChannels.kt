package org.virtualchannels

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Where an app begins: opening a wallet and making a mnemonic, both safe on the main thread. */
object VirtualChannels {
    /**
     * Opens a wallet, as [Wallet.open] does, but loads the native library (some tenths of a second, the first time) off the
     * calling thread. Everything else a wallet does runs on threads of its own, so all its calls may be made from the main
     * thread.
     *
     * Cancelled, it ends at once and leaves nothing open: a wallet that still opens is closed. Close the wallet with
     * [closeAndWait], or with `use` where nothing is under way.
     *
     * @param clock for tests; null is the system's.
     * @throws WalletException why it cannot be opened.
     */
    suspend fun open(config: WalletConfig, mnemonic: String, clock: Clock? = null): Wallet {
        load()
        return owned({ it.close() }) { Wallet.open(config, mnemonic, clock) }
    }

    /**
     * Makes the database of a wallet again from its words, and with [backup] (what [Wallet.backup] said) also its channels; as
     * [restoreWallet] does, but loads the native library off the calling thread. It may be called again on the same file.
     *
     * Cancelled, it leaves nothing open, as [open].
     *
     * @param clock for tests; null is the system's.
     * @throws WalletException why it cannot be restored.
     */
    suspend fun restore(config: WalletConfig, mnemonic: String, backup: String? = null, clock: Clock? = null): Restored {
        load()
        return owned({ it.wallet.close() }) { restoreWallet(config, mnemonic, backup, clock) }
    }

    /** What [open] answers, or where nobody takes it any more, nothing: without an owner it would stay open until it is collected. */
    private suspend fun <T> owned(close: (T) -> Unit, open: suspend () -> T): T {
        val opening = openings.async { runCatching { open() } }
        return try {
            opening.await()
        } catch (cancelled: CancellationException) {
            openings.launch { opening.await().onSuccess(close) }
            throw cancelled
        }.getOrThrow()
    }

    /** Twelve fresh words, as from [generateMnemonic]. Whoever has them has the money: keep them in Android's Keystore. */
    suspend fun newMnemonic(): String = withContext(Dispatchers.IO) { generateMnemonic() }

    /** Loads the native library off the calling thread. [open] does it; call it early to be faster then. */
    suspend fun load(): Unit = withContext(Dispatchers.IO) { uniffiEnsureInitialized() }

    /** Where wallets are opened, whatever becomes of who waits for them. */
    private val openings = CoroutineScope(SupervisorJob() + Dispatchers.Default)
}
