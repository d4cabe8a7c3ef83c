package org.virtualchannels.sample.background

import android.content.Context
import androidx.work.BackoffPolicy
import androidx.work.Constraints
import androidx.work.CoroutineWorker
import androidx.work.ExistingWorkPolicy
import androidx.work.NetworkType
import androidx.work.OneTimeWorkRequestBuilder
import androidx.work.WorkManager
import androidx.work.WorkerParameters
import java.util.concurrent.TimeUnit
import kotlin.time.Duration
import org.virtualchannels.Maintenance
import org.virtualchannels.MaintenanceOutcome

/**
 * Does what is due while the app is not used: a receiver must look at the chain, and close in time. Each run says when the next
 * is needed.
 *
 * Stopped by the system it may be at any time: what the library has begun it ends, or goes on with in the next run.
 */
class MaintenanceWorker(context: Context, parameters: WorkerParameters) : CoroutineWorker(context, parameters) {
    override suspend fun doWork(): Result {
        val wallet = try {
            (applicationContext as WalletHolder).openWallet() ?: return Result.success()
        } catch (_: WalletNotOpen) {
            return Result.retry()
        }
        val outcome = Maintenance.run(wallet)
        if (outcome is MaintenanceOutcome.Retry) return Result.retry()
        // After this run: to replace it would be to cancel it.
        Maintenance.pause(outcome, attempt = 1, System.currentTimeMillis() / 1_000)
            ?.let { schedule(applicationContext, it, ExistingWorkPolicy.APPEND_OR_REPLACE) }
        return Result.success()
    }

    companion object {
        private const val NAME = "virtual-channels-maintenance"

        /** Asks for a run; the app does it when it comes to the front. */
        fun schedule(context: Context, delay: Duration = Duration.ZERO, policy: ExistingWorkPolicy = ExistingWorkPolicy.KEEP) {
            val request = OneTimeWorkRequestBuilder<MaintenanceWorker>()
                .setInitialDelay(delay.inWholeSeconds, TimeUnit.SECONDS)
                .setConstraints(Constraints.Builder().setRequiredNetworkType(NetworkType.CONNECTED).build())
                .setBackoffCriteria(BackoffPolicy.LINEAR, 1, TimeUnit.MINUTES)
                .build()
            WorkManager.getInstance(context).enqueueUniqueWork(NAME, policy, request)
        }
    }
}
