package org.virtualchannels

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.withContext

/**
 * Waits for what is under way (at most about two minutes), lets go of the database, its threads and its handle. Also when the
 * calling coroutine is cancelled: it belongs into a `finally`.
 *
 * The plain [Wallet.close] (and `use`) does not wait. It takes effect when the last call that is under way has ended, which then
 * still gets its answer; who waits for [Wallet.nextEvent] or [Wallet.nextChange] is told [WalletException.Closed] at once, and
 * the flows [events] and [channelStates] end. Calls made after it throw [WalletException.Closed].
 */
suspend fun Wallet.closeAndWait() {
    withContext(NonCancellable) {
        use { openOrNull { shutdown() } }
    }
}

/** The answer, or null where the wallet is closed. */
internal suspend fun <T : Any> openOrNull(call: suspend () -> T): T? =
    try {
        call()
    } catch (_: WalletException.Closed) {
        null
    }
