package org.virtualchannels.sample.background

import org.virtualchannels.WalletInterface

/** There is a wallet, and it cannot be opened now. */
class WalletNotOpen : Exception("the wallet cannot be opened now")

/** The application that has the wallet, as its workers see it. */
interface WalletHolder {
    /**
     * The open wallet, with its database; null where the user has made none yet.
     *
     * @throws WalletNotOpen where it may work later.
     */
    suspend fun openWallet(): WalletInterface?
}
