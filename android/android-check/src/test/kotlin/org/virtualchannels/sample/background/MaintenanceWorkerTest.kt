package org.virtualchannels.sample.background

import android.content.ContextWrapper
import androidx.work.ExistingWorkPolicy
import androidx.work.ListenableWorker.Result
import androidx.work.NetworkType
import androidx.work.WorkManager
import androidx.work.WorkerParameters
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.virtualchannels.MaintenanceError
import org.virtualchannels.MaintenanceReport
import org.virtualchannels.MaintenanceTask
import org.virtualchannels.NoHandle
import org.virtualchannels.Wallet
import org.virtualchannels.WalletException
import org.virtualchannels.WalletInterface

class MaintenanceWorkerTest {
    private class FakeWallet(private val answer: () -> MaintenanceReport) : Wallet(NoHandle) {
        override suspend fun maintain() = answer()
    }

    private fun report(nextRun: ULong?, vararg errors: WalletException) =
        MaintenanceReport(
            resumed = 0u, left = 0u, changed = listOf(), settled = null, feeRefused = null, exits = listOf(), kept = 0u,
            errors = errors.map { MaintenanceError(MaintenanceTask.LOOK, null, it) }, nextRun = nextRun,
        )

    private class App(private val open: () -> WalletInterface?) : ContextWrapper(null), WalletHolder {
        override suspend fun openWallet() = open()
    }

    private val enqueued = WorkManager.getInstance(ContextWrapper(null)).enqueued.apply { clear() }

    /** What failed comes with the next run, which is soon: a retry would come at WorkManager's own time, ever later. */
    @Test
    fun aRunInWhichSomethingFailedIsDone() {
        val seconds = (System.currentTimeMillis() / 1_000 + 60).toULong()
        assertEquals(Result.success(), work { report(seconds, WalletException.ChainUnreachable("http://127.0.0.1:1", "no route to host")) })
        val (_, policy, request) = enqueued.single()
        assertEquals(ExistingWorkPolicy.APPEND_OR_REPLACE, policy)
        assert(request.delaySeconds in 45..60) { "${request.delaySeconds} s" }
    }

    @Test
    fun theWorkerAsksForTheNextRunAndDoesNotCancelItself() {
        val seconds = (System.currentTimeMillis() / 1_000 + 7_200).toULong()
        assertEquals(Result.success(), work { report(seconds) })
        val (_, policy, request) = enqueued.single()
        assertEquals(ExistingWorkPolicy.APPEND_OR_REPLACE, policy)
        assertEquals(MaintenanceWorker::class.java, request.worker)
        assertEquals(NetworkType.CONNECTED, request.constraints?.network)
        assert(request.delaySeconds in 7_100..7_200) { "${request.delaySeconds} s" }

        assertEquals(Result.success(), work { report(null) })
        assertEquals(Result.retry(), work { throw WalletException.DatabaseBusy() })
        assertEquals(Result.success(), run { null })
        assertEquals(Result.retry(), run { throw WalletNotOpen() })
        assertEquals(1, enqueued.size)
    }

    private fun work(answer: () -> MaintenanceReport): Result = run { FakeWallet(answer) }

    private fun run(open: () -> WalletInterface?): Result = runBlocking { MaintenanceWorker(App(open), WorkerParameters()).doWork() }
}
