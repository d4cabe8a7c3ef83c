package org.virtualchannels

import java.nio.file.Path
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What a background job does, and when it comes again. */
class MaintenanceTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun itOpensMaintainsAndCloses() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { it.pay(ready.id, 1_000.sats, "one") }
        val done = Maintenance.run(ready.payer.config()) { ready.payer.words } as MaintenanceOutcome.Done
        assertEquals(listOf<MaintenanceError>(), done.report.errors)
        assertTrue(done.report.nextRun!! > 0u, "an open channel has its deadlines")
        assertEquals(listOf<String>(), Handles.of(folder))
    }

    /** With the app's own wallet open, too: a channel that the other side closed is noticed. */
    @Test
    fun itNoticesWhatHappened() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = generateMnemonic()
        VirtualChannels.open(world.config("payer"), words).use { payer ->
            world.wallet("receiver").use { receiver ->
                world.enrich(payer, 100_000.sats)
                val channel = world.open(payer, receiver, 50_000.sats)
                receiver.receive(payer.pay(channel, 1_000.sats, "one").text)
                receiver.closeChannel(channel)
                eventually("the close") {
                    Maintenance.run(world.config("payer")) { words }
                    payer.channel(channel).state != ChannelState.OPEN
                }
                assertTrue(Maintenance.run(receiver) is MaintenanceOutcome.Done)
            }
        }
    }

    @Test
    fun whatIsTriedAgain() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val lost = ready.payer.config().copy(operatorUrl = NOWHERE, esploraUrl = NOWHERE)
        ready.payer.open().use { wallet ->
            wallet.releaseDatabase()
            val retry = Maintenance.run(wallet) as MaintenanceOutcome.Retry
            assertTrue(retry.error is WalletException.DatabaseReleased, "${retry.error}")
        }
        val failed = Maintenance.run(ready.payer.config()) { generateMnemonic() } as MaintenanceOutcome.Failed
        assertTrue(failed.error is WalletException.OtherWallet)
        val bug = assertThrows<IllegalStateException> { Maintenance.run(lost) { error("the keystore is locked") } }
        assertEquals("the keystore is locked", bug.message)
    }

    /** With nobody to be reached, however often: an exit has its deadlines all the same. */
    @Test
    fun whoIsAwayIsAskedAgainSoon() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val lost = ready.payer.config().copy(operatorUrl = NOWHERE, esploraUrl = NOWHERE)
        for (attempt in 1..3) {
            val done = Maintenance.run(lost) { ready.payer.words } as MaintenanceOutcome.Done
            val errors = done.report.errors.map { it.error }
            assertTrue(errors.any { it is WalletException.ChainUnreachable || it is WalletException.OperatorUnreachable }, "$errors")
            val pause = Maintenance.pause(done, 20, System.currentTimeMillis() / 1_000)!!
            assertTrue(pause in 1.minutes..15.minutes, "$pause")
        }
    }

    @Test
    fun whenItRunsAgain() {
        val retry = MaintenanceOutcome.Retry(WalletException.DatabaseBusy())
        val pauses = (1..20).map { Maintenance.pause(retry, it, 0) }
        assertEquals(listOf(30.seconds, 60.seconds, 120.seconds), pauses.take(3))
        assertEquals(15.minutes, pauses.last())
        val report = MaintenanceReport(
            resumed = 0u, left = 0u, changed = listOf(), settled = null, feeRefused = null, exits = listOf(), kept = 0u,
            errors = listOf(), nextRun = 1_000u,
        )
        assertEquals(400.seconds, Maintenance.pause(MaintenanceOutcome.Done(report), 1, 600))
        assertEquals(30.seconds, Maintenance.pause(MaintenanceOutcome.Done(report), 1, 2_000), "it is overdue")
        assertEquals(null, Maintenance.pause(MaintenanceOutcome.Done(report.copy(nextRun = null)), 1, 600))
        assertEquals(6.hours, Maintenance.pause(MaintenanceOutcome.Failed(WalletException.Closed()), 1, 0))
    }

    private companion object {
        const val NOWHERE = "http://127.0.0.1:1"
    }
}
