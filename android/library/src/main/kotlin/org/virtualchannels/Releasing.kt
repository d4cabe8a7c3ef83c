package org.virtualchannels

/** Makes a call, again once the database is picked up where it was released. */
internal suspend fun <T> WalletInterface.acrossRelease(call: suspend () -> T): T {
    var version = 0UL
    while (true) {
        // At once the first time. Asked before the call: picking up the database between the two counts as a change.
        version = nextChange(version)
        try {
            return call()
        } catch (_: WalletException.DatabaseReleased) {
            // Whoever released it picks it up again, or closes the wallet.
        }
    }
}
