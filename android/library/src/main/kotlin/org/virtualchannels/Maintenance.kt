package org.virtualchannels

import kotlin.time.Duration
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

/** What a background job came to, and what its scheduler should do. */
sealed interface MaintenanceOutcome {
    /** All was looked at; [report] says when the next run is due. What failed in it does not get better by itself. */
    data class Done(
        /** What was done, and when to come back. */
        val report: MaintenanceReport,
    ) : MaintenanceOutcome

    /** Somebody could not be reached, or was too busy: run again soon. */
    data class Retry(
        /** What failed. */
        val errors: List<WalletException>,
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
 * override suspend fun doWork(): Result = when (Maintenance.run(config) { keystore.mnemonic() }) {
 *     is MaintenanceOutcome.Done -> Result.success()
 *     is MaintenanceOutcome.Retry -> Result.retry()
 *     is MaintenanceOutcome.Failed -> Result.failure()
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
            return decide(listOf(error)) ?: MaintenanceOutcome.Failed(error)
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
            val report = wallet.maintain()
            decide(report.errors.map { it.error }) ?: MaintenanceOutcome.Done(report)
        } catch (error: WalletException) {
            decide(listOf(error)) ?: MaintenanceOutcome.Failed(error)
        }

    /** [MaintenanceOutcome.Retry] where one of these may be gone in a while, else null. */
    internal fun decide(errors: List<WalletException>): MaintenanceOutcome? =
        if (errors.any { it.mayPass() }) MaintenanceOutcome.Retry(errors) else null

    /**
     * How long to wait before the next run, for schedulers that do not know by themselves; null when nothing is pending.
     *
     * @param attempt how many runs in a row came to [MaintenanceOutcome.Retry], this one included.
     * @param nowUnixSeconds the time now.
     */
    fun pause(outcome: MaintenanceOutcome, attempt: Int, nowUnixSeconds: Long): Duration? = when (outcome) {
        is MaintenanceOutcome.Done -> outcome.report.nextRun?.let { (it.toLong() - nowUnixSeconds).seconds } ?: return null
        is MaintenanceOutcome.Retry -> 30.seconds * (1 shl (attempt - 1).coerceIn(0, 10))
        is MaintenanceOutcome.Failed -> LONGEST
    }.coerceIn(SHORTEST, LONGEST)

    private val SHORTEST = 1.minutes / 2
}

/** Whether trying again in a while may go well, with nothing changed: the network, the operator, a lock. */
fun WalletException.mayPass(): Boolean = when (this) {
    is WalletException.OperatorUnreachable, is WalletException.OperatorTimeout, is WalletException.OperatorAnswer,
    is WalletException.ChainUnreachable, is WalletException.ChainAnswer, is WalletException.BatchFailed,
    is WalletException.OutcomeUnknown, is WalletException.CoinLocked, is WalletException.DatabaseBusy,
    is WalletException.DatabaseReleased,
    -> true
    else -> false
}
