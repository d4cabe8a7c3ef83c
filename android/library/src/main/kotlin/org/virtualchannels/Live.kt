package org.virtualchannels

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/**
 * Does at once what [Maintenance] does now and then, until the wallet is closed or the coroutine is cancelled: for an app in the
 * foreground, beside [events], which tell what came of it.
 *
 * ```
 * lifecycleScope.launch { repeatOnLifecycle(Lifecycle.State.STARTED) { wallet.follow() } }
 * ```
 *
 * As [Wallet.live], but that the wallet is closed is its end and no error. Servers that do not answer are asked again;
 * while the database is released it waits.
 *
 * @param poll how often the chain is asked for a new block; a second at least.
 */
suspend fun WalletInterface.follow(poll: Duration = 30.seconds) {
    openOrNull { live(poll.inWholeSeconds.coerceAtLeast(1).toULong()) }
}
