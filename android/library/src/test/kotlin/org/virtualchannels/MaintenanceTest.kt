package org.virtualchannels

import java.nio.file.Path
import kotlin.time.Duration.Companion.hours
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
        val retry = Maintenance.run(lost) { ready.payer.words } as MaintenanceOutcome.Retry
        assertTrue(retry.errors.any { it is WalletException.ChainUnreachable || it is WalletException.OperatorUnreachable }, "${retry.errors}")
        val failed = Maintenance.run(ready.payer.config()) { generateMnemonic() } as MaintenanceOutcome.Failed
        assertTrue(failed.error is WalletException.OtherWallet)
        val bug = assertThrows<IllegalStateException> { Maintenance.run(lost) { error("the keystore is locked") } }
        assertEquals("the keystore is locked", bug.message)
    }

    @Test
    fun whenItRunsAgain() {
        val retry = MaintenanceOutcome.Retry(listOf())
        val pauses = (1..20).map { Maintenance.pause(retry, it, 0) }
        assertEquals(listOf(30.seconds, 60.seconds, 120.seconds), pauses.take(3))
        assertEquals(Maintenance.LONGEST, pauses.last())
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
