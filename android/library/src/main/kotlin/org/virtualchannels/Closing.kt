package org.virtualchannels

/** The answer, or null where the wallet is closed. */
internal suspend fun <T : Any> openOrNull(call: suspend () -> T): T? =
    try {
        call()
    } catch (_: WalletException.Closed) {
        null
    }
