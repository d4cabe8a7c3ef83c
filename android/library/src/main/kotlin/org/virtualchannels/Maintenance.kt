package org.virtualchannels

import kotlin.time.Duration
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

/** What a background job came to, and what its scheduler should do. */
sealed interface MaintenanceOutcome {
    /** It ran; [report] says when the next run is due, which is soon where something in it failed that may pass. */
    data class Done(
        /** What was done, and when to come back. */
        val report: MaintenanceReport,
    ) : MaintenanceOutcome

    /** It could not run now, such as when the database is in use for too long: run again soon. */
    data class Retry(
        /** What was in the way. */
        val error: WalletException,
    ) : MaintenanceOutcome

    /** Trying again changes nothing: show [error] when the app is opened next. */
    data class Failed(
        /** What is wrong. */
        val error: WalletException,
    ) : MaintenanceOutcome
}

/**
 * The work of a wallet while its app is closed: goes on with what was interrupted, watches every channel, closes and settles
 * what is due. For Android's WorkManager, or any other scheduler:
 *
 * ```
 * override suspend fun doWork(): Result {
 *     val outcome = Maintenance.run(config) { keystore.mnemonic() }
 *     if (outcome is MaintenanceOutcome.Retry) return Result.retry()
 *     val now = System.currentTimeMillis() / 1_000
 *     Maintenance.pause(outcome, attempt = 1, now)?.let { schedule(applicationContext, it) }
 *     return Result.success()
 * }
 * ```
 *
 * A job that is stopped in the middle (the system cancels its coroutine) loses nothing: the next one, or the app, goes on.
 */
object Maintenance {
    /** The longest between two runs: a channel may be closed by the other side at any time. */
    val LONGEST: Duration = 6.hours

    /**
     * Opens the wallet, does its maintenance, and closes it. The app may have the same wallet open meanwhile.
     *
     * @param mnemonic read when it is needed, such as from the Keystore; what it throws is thrown.
     */
    suspend fun run(config: WalletConfig, clock: Clock? = null, mnemonic: suspend () -> String): MaintenanceOutcome {
        val words = mnemonic()
        val wallet = try {
            VirtualChannels.open(config, words, clock)
        } catch (error: WalletException) {
            return notRun(error)
        }
        return try {
            run(wallet)
        } finally {
            wallet.closeAndWait()
        }
    }

    /** The maintenance of a wallet that is open. */
    suspend fun run(wallet: WalletInterface): MaintenanceOutcome =
        try {
            MaintenanceOutcome.Done(wallet.maintain())
        } catch (error: WalletException) {
            notRun(error)
        }

    private fun notRun(error: WalletException): MaintenanceOutcome =
        if (error.mayPass()) MaintenanceOutcome.Retry(error) else MaintenanceOutcome.Failed(error)

    /**
     * How long to wait before the next run, for schedulers that do not know by themselves; null when nothing is pending.
     *
     * @param attempt how many runs in a row came to [MaintenanceOutcome.Retry], this one included.
     * @param nowUnixSeconds the time now.
     */
    fun pause(outcome: MaintenanceOutcome, attempt: Int, nowUnixSeconds: Long): Duration? = when (outcome) {
        is MaintenanceOutcome.Done -> outcome.report.nextRun?.let { (it.toLong() - nowUnixSeconds).seconds } ?: return null
        is MaintenanceOutcome.Retry -> (SHORTEST * (1 shl (attempt - 1).coerceIn(0, 10))).coerceAtMost(LONGEST_RETRY)
        is MaintenanceOutcome.Failed -> LONGEST
    }.coerceIn(SHORTEST, LONGEST)

    private val SHORTEST = 30.seconds

    /** As often as the library itself tries again what failed. */
    private val LONGEST_RETRY = 15.minutes
}

/** Whether trying again in a while may go well, with nothing changed: the network, the operator, a lock. */
fun WalletException.mayPass(): Boolean = when (this) {
    is WalletException.OperatorUnreachable, is WalletException.OperatorTimeout, is WalletException.OperatorAnswer,
    is WalletException.ChainUnreachable, is WalletException.ChainAnswer, is WalletException.BatchFailed,
    is WalletException.OutcomeUnknown, is WalletException.CoinLocked, is WalletException.DatabaseBusy,
    is WalletException.DatabaseReleased, is WalletException.NotConfirmed, is WalletException.StillRunning,
    -> true
    else -> false
}
