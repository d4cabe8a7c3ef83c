package org.virtualchannels.sample.background

import android.content.ContextWrapper
import androidx.work.ExistingWorkPolicy
import androidx.work.ListenableWorker.Result
import androidx.work.NetworkType
import androidx.work.WorkManager
import androidx.work.WorkerParameters
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import org.virtualchannels.MaintenanceReport
import org.virtualchannels.NoHandle
import org.virtualchannels.Wallet
import org.virtualchannels.WalletException
import org.virtualchannels.WalletInterface

class MaintenanceTest {
    private class FakeWallet(private val answer: () -> MaintenanceReport) : Wallet(NoHandle) {
        override suspend fun maintain() = answer()
    }

    private fun report(nextRun: ULong?) =
        MaintenanceReport(resumed = 0u, left = 0u, changed = listOf(), settled = null, errors = listOf(), nextRun = nextRun)

    private fun next(nextRun: ULong?) = runBlocking { maintain({ FakeWallet { report(nextRun) } }, now = { NOW }) }

    @Test
    fun theNextRunIsWhenTheWalletSays() {
        assertEquals(Run.Done(90.minutes), next((NOW + 5_400).toULong()))
        assertEquals(Run.Done(61.seconds), next((NOW + 61).toULong()))
        assertEquals(Run.Done(null), next(null))
    }

    @Test
    fun aMomentThatCannotBeIsNearOrFar() {
        for (passed in listOf(0uL, (NOW - 1).toULong(), NOW.toULong())) assertEquals(Run.Done(1.minutes), next(passed))
        for (far in listOf((NOW + 43_201).toULong(), Long.MAX_VALUE.toULong(), ULong.MAX_VALUE)) assertEquals(Run.Done(12.hours), next(far))
    }

    @Test
    fun withoutAWalletNothingIsDue() {
        assertEquals(Run.Done(null), runBlocking { maintain({ null }) })
    }

    @Test
    fun whatMayPassIsTriedAgain() {
        val lasting = listOf(WalletException.InvalidMnemonic(), WalletException.Closed(), WalletException.DatabaseReleased(), WalletException.OtherWallet("x"))
        val passing = listOf(WalletException.OperatorUnreachable("http://127.0.0.1:1", "x"), WalletException.DatabaseBusy(), WalletException.DatabaseFull())
        for (error in lasting) assertEquals(Run.Done(null), runBlocking { maintain({ throw error }) }, error.toString())
        for (error in passing) {
            assertEquals(Run.Again, runBlocking { maintain({ throw error }) }, error.toString())
            assertEquals(Run.Again, runBlocking { maintain({ FakeWallet { throw error } }) }, error.toString())
        }
        assertEquals(Run.Again, runBlocking { maintain({ throw WalletNotOpen() }) })
        // A bug is not hidden.
        assertThrows(IllegalStateException::class.java) { runBlocking { maintain({ error("a bug") }) } }
    }

    private class App(private val wallet: WalletInterface) : ContextWrapper(null), WalletHolder {
        override suspend fun openWallet() = wallet
    }

    @Test
    fun theWorkerAsksForTheNextRunAndDoesNotCancelItself() {
        val enqueued = WorkManager.getInstance(ContextWrapper(null)).enqueued
        val seconds = (System.currentTimeMillis() / 1_000 + 7_200).toULong()
        assertEquals(Result.success(), work { report(seconds) })
        val (_, policy, request) = enqueued.single()
        assertEquals(ExistingWorkPolicy.APPEND_OR_REPLACE, policy)
        assertEquals(MaintenanceWorker::class.java, request.worker)
        assertEquals(NetworkType.CONNECTED, request.constraints?.network)
        assert(request.delaySeconds in 7_100..7_200) { "${request.delaySeconds} s" }

        assertEquals(Result.success(), work { report(null) })
        assertEquals(Result.retry(), work { throw WalletException.DatabaseBusy() })
        assertEquals(1, enqueued.size)
    }

    private fun work(answer: () -> MaintenanceReport): Result =
        runBlocking { MaintenanceWorker(App(FakeWallet(answer)), WorkerParameters()).doWork() }

    private companion object {
        const val NOW = 1_800_000_000L
    }
}
