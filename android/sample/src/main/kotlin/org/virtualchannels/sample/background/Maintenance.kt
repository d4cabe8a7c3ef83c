package org.virtualchannels.sample.background

import kotlin.time.Duration
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import org.virtualchannels.WalletException
import org.virtualchannels.WalletInterface

/** What a run in the background came to. */
sealed interface Run {
    /** All that was due is done, or will be tried in the next run. Null: nothing is pending, no run is needed. */
    data class Done(val next: Duration?) : Run

    /** The wallet could not be opened; the next try may succeed. */
    data object Again : Run
}

private val SHORTEST = 1.minutes

/** Also where the next deadline is far: a phone's clock may be set, and a channel's other side may go on chain. */
private val LONGEST = 12.hours

/**
 * Opens the wallet, has it do what is due, and says when to come back.
 *
 * @param open answers null where there is no wallet yet.
 * @param now unix seconds.
 */
suspend fun maintain(open: suspend () -> WalletInterface?, now: () -> Long = { System.currentTimeMillis() / 1_000 }): Run =
    try {
        val report = open()?.maintain()
        Run.Done(report?.nextRun?.let { until(it, now()) })
    } catch (problem: WalletException) {
        if (staysSo(problem)) Run.Done(next = null) else Run.Again
    } catch (_: WalletNotOpen) {
        Run.Again
    }

private fun until(moment: ULong, now: Long): Duration {
    val left = if (moment > now.toULong()) (moment - now.toULong()).coerceAtMost(LONGEST.inWholeSeconds.toULong()) else 0uL
    return left.toLong().seconds.coerceIn(SHORTEST, LONGEST)
}

/** What no later run changes: the user has to do something, or the app lets go of the wallet. */
private fun staysSo(problem: WalletException): Boolean = when (problem) {
    is WalletException.Closed, is WalletException.DatabaseReleased, is WalletException.InvalidMnemonic,
    is WalletException.OtherWallet, is WalletException.NotADatabase, is WalletException.DatabaseNewer,
    is WalletException.DatabaseCorrupt, is WalletException.InvalidUrl,
    -> true
    else -> false
}
